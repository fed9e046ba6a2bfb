"""The guard: our own faults stop here, are logged once, and never reach the program that is traced."""

from __future__ import annotations

# The C part of `signal`, which costs a millisecond of enums.
import _signal  # type: ignore[import-not-found]  # typeshed knows `signal` alone
import logging
import os
import sys
from functools import wraps

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import ParamSpec

    P = ParamSpec("P")

log = logging.getLogger("xray_lambda")

# Set by XRAY_LAMBDA_STRICT: our faults are raised instead of swallowed, so that no test can miss one.
strict = False

_OURS = os.path.dirname(__file__) + os.sep
_SAMPLES = _OURS + "examples" + os.sep  # they are programs, and lie with us where we are installed

# A program that makes code as it runs has ever new places; it is told of the first ones.
_MAX_SEEN = 1000

_seen: set[tuple[str, int]] = set()


def swallow(fault: Exception) -> None:
    """Log a fault of ours at debug level, once for each place it comes from; raise it in strict mode.

    What a signal handler of the program raises while our code runs is the program's and passes.
    """
    if strict:
        raise fault
    try:
        is_theirs = is_from_a_signal(fault)
        if not is_theirs:
            _tell(fault)
    except RecursionError:  # no stack is left, which may be the fault itself
        return
    if is_theirs:
        raise fault


def _tell(fault: Exception) -> None:
    place = _place(fault)
    _say(logging.DEBUG, place, "xray_lambda could not record something and went on (%s:%d)", *place, fault=fault)


def guarded(method: Callable[P, None]) -> Callable[P, None]:
    """Return a method that a program calls for what it does, not for a result; faults of ours stop in it."""

    @wraps(method)
    def guard(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception as fault:
            swallow(fault)

    return guard


def say_once(level: int, key: str, message: str, *values: object) -> None:
    """Log `message` at `level` the first time that `key` is seen in this process."""
    _say(level, (key, 0), message, *values)


def _say(level: int, place: tuple[str, int], message: str, *values: object, fault: Exception | None = None) -> None:
    if place in _seen or len(_seen) >= _MAX_SEEN:
        return
    _seen.add(place)
    try:
        log.log(level, message, *values, exc_info=fault)
    except Exception as error:  # a filter or a handler of the program's own that fails
        if is_from_a_signal(error):
            raise


def forget() -> None:
    """Let everything be said once more; for tests and for a new configuration."""
    _seen.clear()


def is_ours(code: CodeType) -> bool:
    """Say whether code is of this package, and not of the program that is traced."""
    file = code.co_filename
    return file.startswith(_OURS) and not file.startswith(_SAMPLES)


def call_site() -> str:
    """Return `file:line` of the program's innermost frame."""
    frame = sys._getframe(1)  # noqa: SLF001 - `inspect` costs 8 ms of cold start
    while frame.f_back is not None and is_ours(frame.f_code):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def is_from_a_signal(fault: Exception) -> bool:
    """Say whether a signal handler of the program raised `fault` while our code ran: a time-out, most of all."""
    handlers = {getattr(_signal.getsignal(number), "__code__", None) for number in range(1, _signal.NSIG)} - {None}
    traceback = fault.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code in handlers:
            return True
        traceback = traceback.tb_next
    return False


def _place(fault: Exception) -> tuple[str, int]:
    traceback = fault.__traceback__
    if traceback is None:
        return (type(fault).__name__, 0)
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return (traceback.tb_frame.f_code.co_filename, traceback.tb_lineno)
