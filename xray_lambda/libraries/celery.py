"""celery: each task that is sent is a remote subsegment named after it, each task that runs a segment in that trace.

The trace goes along in the message's headers. What runs in place (`task_always_eager`, `apply`) is a local subsegment.
Signals tell of a task's start and end, and in which state. They do not tell when sending fails, nor of a task whose
process was killed: for these, functions are replaced. What the broker's client does to send a message belongs to it.
"""

from __future__ import annotations

import os
import sys
from functools import wraps
from weakref import WeakKeyDictionary

from xray_lambda import _header
from xray_lambda._api import segment
from xray_lambda._context import current
from xray_lambda._entities import Segment
from xray_lambda._entity import UNTRACED
from xray_lambda._guard import guarded, is_from_a_signal
from xray_lambda._recorder import active, current_entity
from xray_lambda.libraries._card import card
from xray_lambda.libraries._filters import ignores
from xray_lambda.libraries._kinds import CLIENT, LibraryCall, Quiet, opened, outgoing
from xray_lambda.libraries._messages import message_without_names
from xray_lambda.libraries._targets import on_import, replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType, TracebackType
    from typing import Any

    from typing_extensions import Self

    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Call, Steps

_STACK = "celery"
_OURS = (_header.NAME, _header.TRACEPARENT)
_OURS_IN_LOWER_CASE = frozenset(name.lower() for name in _OURS)
# What is open for the run of a task, by its request; what was current before; and the exception then being handled.
_running: WeakKeyDictionary[Any, tuple[Entity, Entity | None, BaseException | None]] = WeakKeyDictionary()


class Publishing(LibraryCall):
    """The subsegment of sending a task; what the client of the broker calls in turn is part of it."""

    __slots__ = ("_inside",)

    def __enter__(self) -> Self:
        super().__enter__()
        self._inside: Broker | None = Broker(self)
        self._inside.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        inside, self._inside = self._inside, None  # else the two would keep each other
        if inside is not None:
            inside.__exit__(None, None, None)
        super().__exit__(kind, error, traceback)


class Broker(Quiet):
    """What is current while a task is being sent."""

    __slots__ = ("publishing",)

    def __init__(self, publishing: Publishing) -> None:
        super().__init__(publishing)
        self.publishing = publishing


@card("celery.app.base:Celery.send_task(self, name)")
def send_task(call: Call) -> Steps:
    name = call["name"]
    sub = opened(call, name, "remote", _STACK, CLIENT, _what(name))
    if sub.sampled:
        sub = Publishing(name, call.parent, "remote", _STACK, CLIENT)
        sub.message_of = message_without_names
    yield sub


@on_import("celery.signals")
def listen(signals: ModuleType) -> Callable[[], object]:
    receivers = {
        signals.before_task_publish: send_along,
        signals.task_prerun: start,
        signals.task_postrun: end,
        signals.task_revoked: revoked,
    }
    for signal, receiver in receivers.items():
        signal.connect(receiver, weak=False, dispatch_uid=__name__)

    def stop() -> None:
        for signal in receivers:
            signal.disconnect(dispatch_uid=__name__)

    return stop


@guarded
def send_along(sender: object = None, headers: Any = None, routing_key: object = None, **_: object) -> None:
    """Put the trace into a message's headers, which are the message's own; in place of those that a retry has."""
    name, entity = str(sender), current_entity()
    found = [] if type(entity) is Quiet else outgoing(entity, name, _what(name))
    if found:
        for key in [key for key in headers if str(key).lower() in _OURS_IN_LOWER_CASE]:
            del headers[key]
        headers.update(found)
    if isinstance(entity, Broker):
        about = {"task_id": headers.get("id"), "queue": routing_key, "eta": headers.get("eta")}
        told = {key: value for key, value in about.items() if value is not None}
        entity.publishing.metadata(told, namespace=_STACK)


@guarded
def start(task: Any = None, **_: object) -> None:
    """Open what stands for the run of a task."""
    entity = _opened(task, task.request)
    _running[task.request] = (entity, current.get(), sys.exc_info()[1])
    entity.__enter__()
    if isinstance(entity, Segment) and active().config.early:
        entity.announce()


@guarded
def end(task: Any = None, state: str | None = None, retval: Any = None, **_: object) -> None:
    """Close what stands for it, with its state, and the exception that it ended by."""
    entity, before, handled = _running.pop(task.request, (UNTRACED, current.get(), None))
    raised = sys.exc_info()[1]  # by what Celery does around the task, or to end the process
    error = raised if raised is not handled else None
    if isinstance(error, SystemExit) and _is_told_by_the_worker(entity, task, error):
        return
    try:
        if state is not None:
            entity.annotate(task_state=state)
        if state == "FAILURE" and not isinstance(retval, tuple(task.throws or ())):
            error = error or retval
        elif state in ("RETRY", "REJECTED"):
            _again(entity, getattr(retval, "exc", None))
        entity.__exit__(None if error is None else type(error), error, None)
    finally:
        current.set(before)


def _is_told_by_the_worker(entity: Entity, task: Any, error: Any) -> bool:
    """Say whether this process is ended for its task's hard time limit: the worker records that, see `on_timeout`."""
    limits = task.request.timelimit or (None, None)
    limit = limits[0] or task.time_limit or task.app.conf.task_time_limit
    if not limit or not isinstance(entity, Segment) or active().config.early or not is_from_a_signal(error):
        return False
    return bool(entity.recorder.clock() - entity.start_ns >= limit * 1_000_000_000)


@guarded
def revoked(
    sender: Any = None, request: Any = None, terminated: object = None, expired: object = None, **_: object
) -> None:
    """Record that a task never ran, or did not to its end: an error, as the worker was told so."""
    with _opened(sender, request) as entity:
        entity.annotate(task_state="REVOKED")
        entity.metadata({"terminated": bool(terminated), "expired": bool(expired)}, namespace=_STACK)
        entity.flag("error")


@replacing("celery.worker.request:Request.on_timeout(self, soft, timeout)")
def on_timeout(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what the worker does when it has killed the process of a task that ran for too long."""

    @wraps(original)
    def timed_out(self: Any, soft: object, timeout: object) -> Any:
        result = original(self, soft, timeout)
        if not soft:
            _lost(self, "TimeLimitExceeded", (timeout,))
        return result

    return timed_out


@replacing("celery.worker.request:Request.on_failure(self, exc_info)")
def on_failure(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what the worker does when a task has failed: with its process, if that is gone."""

    @wraps(original)
    def failed(self: Any, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, exc_info, *args, **kwargs)
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        # One that exits with a code has recorded its task itself.
        if type(error).__name__ == "WorkerLostError" and " signal " in str(error):
            _lost(self, "WorkerLostError", error.args)
        return result

    return failed


@guarded
def _lost(request: Any, kind: str, arguments: tuple[object, ...]) -> None:
    """Record a task in the place of its process, which was killed, and has not said yet that it began."""
    from celery import exceptions  # noqa: PLC0415 - the worker has loaded it

    if request.worker_pid in (None, os.getpid()) or active().config.early:
        return
    with _opened(request.task, request._context) as entity:  # noqa: SLF001 - what it gives the signals
        if entity.sampled:
            entity.start_ns = int(request.time_start * 1_000_000_000)  # type: ignore[attr-defined]
        entity.annotate(task_state="FAILURE")
        entity.exception(getattr(exceptions, kind)(*arguments))


def _opened(task: Any, request: Any) -> Entity:
    """Return what stands for the run of a task: a segment in its sender's trace; in place, a subsegment."""
    name, config = task.name, active().config
    if config.ignore_calls and ignores(config.ignore_calls, name, _what(name)):
        return Quiet(current_entity() if request.is_eager else UNTRACED)
    if request.is_eager:
        entity = current_entity().child(name)
    else:
        entity = segment(config.service or name, header={key: request.get(key) for key in _OURS})
    if entity.sampled:
        queue = (request.delivery_info or {}).get("routing_key")
        about = {"task": name, "task_id": request.id, "queue": queue, "retries": request.retries}
        entity.annotate({key: value for key, value in about.items() if value is not None})
    return entity


def _again(entity: Entity, reason: object) -> None:
    """Record why a task is to run again: an error, and a fault only when it gives up."""
    if isinstance(reason, BaseException):
        entity.exception(reason)
        details: Any = getattr(entity, "details", None)
        if details is not None:
            details.pop("fault", None)
    entity.flag("error")


def _what(name: str) -> str:
    return f"Celery.{name}"
