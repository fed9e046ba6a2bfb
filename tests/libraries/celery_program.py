"""A program with tasks of all kinds, for a worker of its own and for those who send them."""

from __future__ import annotations

import gc
import os
import signal
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.exceptions import Ignore, Reject
from celery.result import AsyncResult

from xray_lambda import patch_all, subsegment, trace_header

if TYPE_CHECKING:
    from collections.abc import Iterator

# Far shorter than the patience of the tests, far longer than anything else takes.
LIMIT = 1
LONG = 30


def make_app(url: str) -> Any:
    """Make the application, with a broker and a backend at `url`."""
    app = Celery("shop", broker=url, backend=url if url.startswith("redis") else "cache+memory://")
    app.conf.update(
        broker_connection_retry_on_startup=True,
        task_publish_retry=False,
        worker_hijack_root_logger=False,
        worker_lost_wait=0.2,
        worker_prefetch_multiplier=1,
    )
    for name, (function, options) in TASKS.items():
        app.task(function, name=f"shop.{name}", **options)
    return app


@contextmanager
def application(url: str) -> Iterator[Any]:
    """Make the application for a sender, and leave nothing behind that would talk to Redis later, or hold a socket."""
    app = make_app(url)
    try:
        yield app
    finally:
        if url.startswith("redis"):
            _let_go_of_redis(app)
        app.close()


def _let_go_of_redis(app: Any) -> None:
    app.backend.result_consumer.stop()
    app.backend.client.connection_pool.disconnect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of what Celery leaves to the collector
        gc.collect()


def add(self: Any, x: int, y: int) -> int:
    with subsegment("work"):
        return x + y


def overlap(self: Any) -> None:
    """Work while another one does, in threads and greenlets."""
    with subsegment("outer"):
        time.sleep(0.05)
        with subsegment("work"):
            time.sleep(0.05)


def hold(self: Any) -> None:
    """Say that it has begun, and go on for long."""
    self.backend.client.lpush("held", "1")
    time.sleep(LONG)


def header(self: Any) -> str | None:
    return trace_header()


def fail(self: Any, secret: str) -> None:
    raise LookupError("no such order")


class Fault(Exception):
    """One that cannot be pickled."""

    def __init__(self, one: object, two: object) -> None:
        super().__init__(f"{two} of {type(one).__name__}")


def fail_oddly(self: Any) -> None:
    raise Fault(lambda: None, "failure")


def refuse(self: Any) -> None:
    raise KeyError("expected")


def try_twice(self: Any) -> str:
    if self.request.retries == 0:
        raise self.retry(exc=TimeoutError("busy"), countdown=0)
    return "done"


def give_up(self: Any) -> None:
    raise self.retry(exc=TimeoutError("busy"), countdown=0, max_retries=0)


def ignore(self: Any) -> None:
    raise Ignore


def reject(self: Any) -> None:
    raise Reject("unreadable", requeue=False)


def leave_open(self: Any) -> None:
    subsegment("left").__enter__()


def run_long(self: Any) -> None:
    time.sleep(LONG)


def die(self: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(self: Any) -> None:
    raise SystemExit(3)


def call_another(self: Any) -> None:
    self.app.send_task("shop.add", (1, 2), queue=self.request.delivery_info["routing_key"])


TASKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "add": (add, {"bind": True}),
    "overlap": (overlap, {"bind": True}),
    "hold": (hold, {"bind": True}),
    "header": (header, {"bind": True}),
    "fail": (fail, {"bind": True}),
    "fail_oddly": (fail_oddly, {"bind": True}),
    "refuse": (refuse, {"bind": True, "throws": (KeyError,)}),
    "try_twice": (try_twice, {"bind": True}),
    "give_up": (give_up, {"bind": True}),
    "ignore": (ignore, {"bind": True}),
    "reject": (reject, {"bind": True, "acks_late": True}),
    "leave_open": (leave_open, {"bind": True}),
    "run_softly": (run_long, {"bind": True, "soft_time_limit": LIMIT}),
    "run_hard": (run_long, {"bind": True, "time_limit": LIMIT}),
    "die": (die, {"bind": True}),
    "leave": (leave, {"bind": True}),
    "call_another": (call_another, {"bind": True}),
}

if "CELERY_TESTS_BROKER" in os.environ:  # this is the worker
    patch_all()
    app = make_app(os.environ["CELERY_TESTS_BROKER"])
else:  # a result that goes later than Redis would try to unsubscribe, and fail
    AsyncResult.__del__ = lambda self: None
