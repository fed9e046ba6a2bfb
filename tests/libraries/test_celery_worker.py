"""Celery's workers: real ones, over a real Redis, each pool; a segment a task, in the trace of whoever sent it."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import celery
import pytest

from tests.emitters.daemon import Daemon
from tests.libraries.celery_program import application
from tests.schema import checked
from tests.servers.process import running
from xray_lambda import patch, segment
from xray_lambda.testing import Traces, capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xray_lambda.testing import Node

pytestmark = pytest.mark.full
ROOT = Path(__file__).parent.parent.parent
PATIENCE = 20
SENDER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled="


class Worker:
    """A worker with a pool of its own kind, and what it has sent."""

    def __init__(self, app: Any, daemon: Daemon, queue: str) -> None:
        self.app = app
        self.daemon = daemon
        self.queue = queue

    def run(self, send: Callable[[Any], Any], count: int, header: str | None = None) -> Traces:
        """Send tasks in the segment `web`; return what was recorded, here and of `count` segments in the worker."""
        self.daemon.take()
        with capture(None) as traces, segment("web", header=header):
            patch("celery")
            send(self.app)
        documents = [*traces.documents, *self.daemon.wait_for(count)]
        return Traces(SimpleNamespace(documents=[json.dumps(one) for one in documents]))  # type: ignore[arg-type]

    def run_one(self, name: str, *arguments: object, count: int = 1) -> Node:
        """Send one task; return the segment of its first run."""
        traces = self.run(lambda app: app.send_task(f"shop.{name}", arguments, queue=self.queue), count)
        sending = traces.one[f"shop.{name}"]
        return sending[f"shop.{name}"]


@contextmanager
def started(pool: str, redis_port: int, folder: Path, **environment: str) -> Iterator[Worker]:
    """Run a worker."""
    url = f"redis://127.0.0.1:{redis_port}/2"
    with application(url) as app, Daemon() as daemon:
        app.conf.task_default_queue = pool  # for whoever sends; the worker is told
        told = {"CELERY_TESTS_BROKER": url, "AWS_XRAY_DAEMON_ADDRESS": daemon.address, "XRAY_LAMBDA_STRICT": "1"}
        variables = [f"{name}={value}" for name, value in {**told, **environment, "PYTHONPATH": str(ROOT)}.items()]
        options = ["worker", "-P", pool, "-c", "2", "-Q", pool, "-n", f"{pool}@tests", "-l", "INFO"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        program = [sys.executable, "-m", "celery", "-A", "tests.libraries.celery_program", *options, *quiet]
        log = folder / "server.log"
        # Gevent takes six seconds to stop by itself; those without processes of their own can be killed.
        stop = signal.SIGTERM if pool == "prefork" else signal.SIGKILL
        with running(["env", *variables, *program], folder, lambda: " ready." in log.read_text("utf-8"), stop=stop):
            yield Worker(app, daemon, pool)
        said = log.read_text("utf-8")
        assert "Signal handler" not in said, said  # what Celery says of a fault of ours


@pytest.fixture(scope="module")
def prefork(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with started("prefork", redis_port, tmp_path_factory.mktemp("prefork")) as worker:
        yield worker


def without_ids(node: Node) -> dict[str, Any]:
    return {key: value for key, value in node.annotations.items() if key != "task_id"}


def test_a_task_is_a_segment_below_the_subsegment_that_sent_it(prefork: Worker) -> None:
    traces = prefork.run(lambda app: app.send_task("shop.add", (1, 2), queue=prefork.queue), 1)
    sending = traces.one["shop.add"]
    ran = sending["shop.add"]
    assert ran["work"].children == []
    assert {node.name for node in ran.children} == {"work", redis(prefork)}  # where its result is kept
    checked(json.dumps(ran.document))
    assert ran.document["trace_id"] == traces.one.document["trace_id"]
    assert ran.document["parent_id"] == sending.id
    assert "type" not in ran.document  # a segment: X-Ray draws an arrow to it
    assert ran.annotations == {
        "task": "shop.add",
        "task_id": sending.metadata["celery"]["task_id"],
        "queue": "prefork",
        "retries": 0,
        "task_state": "SUCCESS",
    }


def redis(worker: Worker) -> str:
    return f"redis@{worker.app.conf.broker_url.split('/')[2]}"


@pytest.mark.parametrize("pool", ["threads", "gevent"])
def test_each_pool_runs_each_task_in_its_own_segment(pool: str, redis_port: int, tmp_path: Path) -> None:
    with started(pool, redis_port, tmp_path) as worker:
        overlap = worker.app.tasks["shop.overlap"]
        traces = worker.run(lambda app: celery.group(overlap.si() for _ in range(8)).apply_async(queue=pool), 8)
    sendings = [node for node in traces.one.children if node.name == "shop.overlap"]
    assert len(sendings) == 8
    for sending in sendings:
        ran = sending["shop.overlap"]
        assert ran.annotations["task_id"] == sending.metadata["celery"]["task_id"]
        assert ran["outer"]["work"].children == []
    runs = sorted(
        (float(ran["start_time"]), float(ran["end_time"])) for ran in (node.children[0].document for node in sendings)
    )
    assert runs[1][0] < runs[0][1]  # two ran at once


def test_a_task_that_a_task_sends_is_below_it(prefork: Worker) -> None:
    traces = prefork.run(lambda app: app.send_task("shop.call_another", queue=prefork.queue), 2)
    first = traces.one["shop.call_another"]["shop.call_another"]
    assert first["shop.add"]["shop.add"]["work"].children == []


def test_a_chain_goes_on_from_task_to_task_in_one_trace(prefork: Worker) -> None:
    add = prefork.app.tasks["shop.add"]

    def send(app: Any) -> None:
        steps = [add.s(*numbers).set(queue=prefork.queue) for numbers in ((1, 2), (3,), (4,))]
        celery.chain(*steps, app=app).apply_async()

    node = prefork.run(send, 3).one
    for _ in range(3):
        node = node["shop.add"]["shop.add"]
    assert {child.name for child in node.children} == {"work", redis(prefork)}


def test_a_chord_s_body_runs_below_the_task_that_was_last(prefork: Worker) -> None:
    add, header = (prefork.app.tasks[f"shop.{name}"] for name in ("add", "header"))

    def send(app: Any) -> None:
        parts = [add.s(n, n).set(queue=prefork.queue) for n in range(3)]
        celery.chord(parts, app=app)(header.si().set(queue=prefork.queue))

    traces = prefork.run(send, 4)
    body = [node for node in traces.one.walk() if node.name == "shop.header"]
    assert len(body) == 2  # sent, and run
    assert body[0].children[0].id == body[1].id
    assert len([node for node in traces.one.walk() if node.name == "work"]) == 3


def test_an_unsampled_trace_goes_on_through_the_worker_and_is_not_recorded(prefork: Worker) -> None:
    results = []

    def send(app: Any) -> None:
        results.append(app.send_task("shop.header", queue=prefork.queue))

    prefork.run(send, 0, header=SENDER + "0")
    assert results[0].get(timeout=PATIENCE) == SENDER + "0"
    assert prefork.daemon.take() == []


def test_a_task_that_comes_without_a_trace_begins_one(prefork: Worker) -> None:
    prefork.daemon.take()
    prefork.app.send_task("shop.add", (1, 2), queue=prefork.queue)
    (document,) = prefork.daemon.wait_for(1)
    assert document["name"] == "shop.add"
    assert "parent_id" not in document


def test_a_failure_is_a_fault_with_its_exception_and_its_arguments_do_not_show(prefork: Worker) -> None:
    ran = prefork.run_one("fail", "hunter2")
    assert (ran.flags, ran.annotations["task_state"]) == ({"fault"}, "FAILURE")
    (told,) = ran.exceptions
    assert (told["type"], told["message"]) == ("LookupError", "no such order")
    assert told["stack"][0]["label"] == "fail"
    assert "hunter2" not in json.dumps([node.document for node in ran.walk()])


def test_an_exception_that_cannot_be_pickled_is_told_as_it_was(prefork: Worker) -> None:
    (told,) = prefork.run_one("fail_oddly").exceptions
    assert (told["type"].rpartition(".")[2], told["message"]) == ("Fault", "failure of function")


def test_an_exception_that_the_task_declares_as_expected_is_no_fault(prefork: Worker) -> None:
    ran = prefork.run_one("refuse")
    assert (ran.flags, ran.annotations["task_state"]) == (set(), "FAILURE")


def test_a_retry_is_an_error_and_the_next_run_is_below_it(prefork: Worker) -> None:
    first = prefork.run_one("try_twice", count=2)
    assert (first.flags, first.annotations["task_state"], first.annotations["retries"]) == ({"error"}, "RETRY", 0)
    assert [one["message"] for one in first.exceptions] == ["busy"]
    second = first["shop.try_twice"]["shop.try_twice"]
    assert (second.flags, second.annotations["task_state"], second.annotations["retries"]) == (set(), "SUCCESS", 1)
    assert second.annotations["task_id"] == first.annotations["task_id"]


def test_a_task_that_gives_up_trying_is_a_fault(prefork: Worker) -> None:
    ran = prefork.run_one("give_up")
    assert (ran.flags, ran.annotations["task_state"]) == ({"fault"}, "FAILURE")
    assert ran.exceptions[0]["message"] == "busy"


@pytest.mark.parametrize(("name", "state", "flags"), [("ignore", "IGNORED", set()), ("reject", "REJECTED", {"error"})])
def test_a_task_that_is_ignored_or_rejected_says_so(prefork: Worker, name: str, state: str, flags: set[str]) -> None:
    ran = prefork.run_one(name)
    assert (ran.flags, ran.annotations["task_state"]) == (flags, state)


def test_a_soft_time_limit_is_a_fault_of_the_task(prefork: Worker) -> None:
    ran = prefork.run_one("run_softly")
    assert (ran.flags, ran.annotations["task_state"]) == ({"fault"}, "FAILURE")
    assert ran.exceptions[0]["type"].endswith("SoftTimeLimitExceeded")
    assert ran.duration > 0.9


@pytest.mark.parametrize(
    ("name", "kind", "least"), [("run_hard", "TimeLimitExceeded", 0.9), ("die", "WorkerLostError", 0)]
)
def test_a_task_whose_process_is_killed_is_recorded_by_the_worker(
    prefork: Worker, name: str, kind: str, least: float
) -> None:
    ran = prefork.run_one(name)
    assert (ran.flags, ran.annotations["task_state"]) == ({"fault"}, "FAILURE")
    assert ran.exceptions[0]["type"].endswith(kind)
    assert ran.duration >= least


def test_a_task_that_ends_its_process_is_a_fault(prefork: Worker) -> None:
    ran = prefork.run_one("leave")
    assert ran.flags == {"fault"}
    assert ran.exceptions[0]["type"] == "SystemExit"


def test_a_task_that_leaves_something_open_leaves_nothing_to_the_next_one(prefork: Worker) -> None:
    for _ in range(3):  # each process of the pool gets one at least
        prefork.run_one("leave_open")
    for _ in range(3):
        ran = prefork.run_one("add", 1, 2)
        assert ran["work"].children == []


def test_a_task_that_is_revoked_before_it_runs_or_has_expired_is_an_error(prefork: Worker) -> None:
    sent = []

    def send(app: Any) -> None:
        app.control.revoke("to-be-revoked", reply=True, timeout=PATIENCE, limit=1)
        sent.append(app.send_task("shop.add", (1, 2), task_id="to-be-revoked", queue=prefork.queue))
        sent.append(app.send_task("shop.add", (1, 2), expires=-1, queue=prefork.queue))

    sendings = [node for node in prefork.run(send, 2).one.children if node.name == "shop.add"]
    told = [node["shop.add"] for node in sendings]
    assert [(node.flags, node.annotations["task_state"]) for node in told] == [({"error"}, "REVOKED")] * 2
    assert [node.metadata["celery"]["expired"] for node in told] == [False, True]


def test_a_task_that_is_terminated_tells_how_far_it_came_and_the_worker_that_it_was_revoked(prefork: Worker) -> None:
    def send(app: Any) -> None:
        held = app.send_task("shop.hold", queue=prefork.queue)
        assert app.backend.client.blpop("held", timeout=PATIENCE)
        app.control.revoke(held.id, terminate=True)

    traces = prefork.run(send, 2)
    ended, told = sorted(
        (node for node in traces.one["shop.hold"].children if node.name == "shop.hold"), key=lambda node: -node.duration
    )
    told_of = [one["type"] for node in ended.walk() for one in node.exceptions]
    assert (ended.flags, told_of) == ({"fault"}, ["SystemExit"])  # in its call of Redis, where that was under way
    assert (told.flags, told.annotations["task_state"]) == ({"error"}, "REVOKED")
    assert told.metadata["celery"] == {"terminated": True, "expired": False}


def test_in_one_thread_a_service_s_name_is_the_segment_s_and_an_ignored_task_is_none(
    redis_port: int, tmp_path: Path
) -> None:
    settings = {"AWS_XRAY_TRACING_NAME": "stock", "XRAY_LAMBDA_IGNORE_CALLS": "shop.header"}
    with started("solo", redis_port, tmp_path, **settings) as worker:
        results = []

        def send(app: Any) -> None:
            results.append(app.send_task("shop.header", queue="solo"))
            app.send_task("shop.add", (1, 2), queue="solo")

        traces = worker.run(send, 1)
        assert results[0].get(timeout=PATIENCE) is None
    assert traces.one["shop.header"].children == []
    assert without_ids(traces.one["shop.add"]["stock"]) == {
        "task": "shop.add", "queue": "solo", "retries": 0, "task_state": "SUCCESS",
    }  # fmt: skip
