"""Outcomes: a card records what became of its call, and the subsegment closes, then or when the caller is done."""

from __future__ import annotations

from xray_lambda._context import current
from xray_lambda._guard import swallow

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from xray_lambda._entity import Entity

    Until = Callable[["Done"], object]
    # The first value yielded is an Entity, a second one an Until.
    Steps = Generator[Any, Any, None]

_get_current = current.get
_set_current = current.set
# By what BaseException itself has for them: the program's class may have something else, or forbid it.
_traceback_of = vars(BaseException)["__traceback__"].__get__
_with_traceback = BaseException.with_traceback


class Done:
    """Closes a subsegment that outlives its call: when called, once, or when the program drops what holds it."""

    __slots__ = ("_open",)

    def __init__(self, steps: Steps, sub: Entity) -> None:
        self._open = [(steps, sub)]

    def __call__(self, error: BaseException | None = None, *, result: object = None) -> None:
        try:
            steps, sub = self._open.pop()  # which succeeds in one thread alone
        except IndexError:
            return
        if error is not None:
            failed(steps, sub, error)
        else:
            returned(steps, sub, result)

    def __del__(self) -> None:
        self()


def returned(steps: Steps, sub: Entity, result: object) -> None:
    """Let the card record what the call returned, and close the subsegment unless it is to stay open."""
    try:
        until = steps.send(result)
    except StopIteration:
        sub.__exit__(None, None, None)
    except BaseException as fault:  # noqa: BLE001 - the edge where our faults stop
        sub.__exit__(None, None, None)
        _stop(fault)
    else:
        _stay_open(steps, sub, until)


def _stay_open(steps: Steps, sub: Entity, until: Until) -> None:
    """Give the caller its own current entity back; the subsegment closes when it is done."""
    leave(sub)
    done = Done(steps, sub)
    try:
        until(done)
    except BaseException as fault:  # noqa: BLE001 - the edge where our faults stop
        done()
        _stop(fault)


def leave(sub: Entity) -> None:
    if _get_current() is sub:
        _set_current(sub.before)


def failed(steps: Steps, sub: Entity, error: BaseException) -> None:
    """Let the card record what the call raised, or record it here; the error stays as it is, its traceback too."""
    traceback = _traceback_of(error)
    unhandled: BaseException | None = None
    fault = None
    try:
        steps.throw(error)
        steps.close()
    except StopIteration:
        pass
    except BaseException as raised:  # noqa: BLE001 - most often the error itself on its way back
        unhandled = error
        # A StopIteration that goes through a generator comes out as the cause of a RuntimeError: PEP 479.
        if raised is not error and raised.__cause__ is not error:
            fault = raised
    _with_traceback(error, traceback)
    sub.__exit__(None if unhandled is None else type(error), unhandled, traceback)
    if fault is not None:
        try:
            _stop(fault)
        finally:
            fault = None  # else it and this frame, which has the error, would keep each other


def _stop(fault: BaseException) -> None:
    """Swallow a fault of ours; what is no Exception has struck the program while our code ran, and passes."""
    if not isinstance(fault, Exception):
        raise fault
    swallow(fault)
