"""Exceptions as X-Ray's `cause`: stacks innermost first, chained and grouped exceptions linked by id."""

from __future__ import annotations

import os
import re
import sys
from collections import deque
from weakref import ref

from xray_lambda._guard import is_ours
from xray_lambda._scalars import exception_text, type_name
from xray_lambda._values import clean

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, TracebackType

_MAX_EXCEPTIONS = 10
_MAX_COUNTED = 1000
_MAX_MESSAGE = 2000
_MAX_NAME = 500
_MAX_REMEMBERED = 32

# Read by what BaseException itself has for them: a class of the program's may give these names another meaning.
_cause_of = vars(BaseException)["__cause__"].__get__
_context_of = vars(BaseException)["__context__"].__get__
_suppresses_context = vars(BaseException)["__suppress_context__"].__get__
_traceback_of = vars(BaseException)["__traceback__"].__get__
_state_of = vars(BaseException)["__dict__"].__get__
_code_of = vars(SystemExit)["code"].__get__


def is_fault(error: BaseException, ignored: tuple[type[BaseException], ...]) -> bool:
    """Say whether `error` is a fault: not ignored, no cancellation, no closed generator, no clean exit."""
    if issubclass(type(error), (*ignored, GeneratorExit)) or is_cancelled(error):
        return False
    return not (issubclass(type(error), SystemExit) and _is_clean(_code_of(error)))


def _is_clean(code: object) -> bool:
    """Say whether Python exits with status 0 for the code of a SystemExit."""
    return code is None or (issubclass(type(code), int) and int.__index__(code) == 0)  # type: ignore[arg-type]


def is_cancelled(error: BaseException) -> bool:
    """Say whether `error` is asyncio's CancelledError, without importing asyncio."""
    asyncio = sys.modules.get("asyncio.exceptions")
    return asyncio is not None and issubclass(type(error), asyncio.CancelledError)


class Recorded:
    """Which exceptions a trace has recorded already, so that one that passes through its ancestors is named by id.

    Nothing is set on an exception, and it is not kept alive. It is known by a weak reference or, where its class
    takes none, as the builtin ones, by its dict: as long as that is held here, no other exception can have it.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: list[tuple[object, str]] = []

    def find(self, error: BaseException) -> str | None:
        """Return the id under which `error` was recorded, or None."""
        state = _state_of(error)
        for mark, exception_id in self._known:
            if (mark() is error) if isinstance(mark, ref) else (mark is state):
                return exception_id
        return None

    def remember(self, error: BaseException, exception_id: str) -> None:
        """Keep the id of `error`, and forget the oldest of too many."""
        try:
            mark: object = ref(error)
        except TypeError:
            mark = _state_of(error)
        self._known.append((mark, exception_id))
        del self._known[:-_MAX_REMEMBERED]


def describe(
    error: BaseException,
    recorded: Recorded,
    new_id: Callable[[], str],
    *,
    stack_frames: int = 50,
    remote: bool = False,
    message_of: Callable[[BaseException], str] = exception_text,
) -> dict[str, object] | str:
    """Return the `cause` for `error`: an object, or the id under which this trace has it already.

    What it was raised from (or while handling) follows by `cause` ids; so do the members of an exception
    group, one after the other. Source: X-Ray developer guide, segment documents, "cause".
    """
    known = recorded.find(error)
    if known is not None:
        return known
    found = _collect(error, recorded)
    told, skipped = found[:_MAX_EXCEPTIONS], found[_MAX_EXCEPTIONS:]
    exceptions = [_exception(one, new_id(), stack_frames, message_of(one)) for one in told]
    _link(told, exceptions, recorded)
    for one, entry in zip(told, exceptions, strict=True):
        recorded.remember(one, str(entry["id"]))
    if remote:
        exceptions[0]["remote"] = True
    if skipped:
        exceptions[-1]["skipped"] = len(skipped)
    return {**_working_directory(), "exceptions": exceptions}


def _collect(error: BaseException, recorded: Recorded) -> list[BaseException]:
    """Return `error` and all that hangs on it, depth first, without what is recorded already."""
    found: list[BaseException] = []
    seen: set[int] = set()
    waiting = [error]
    while waiting and len(found) < _MAX_COUNTED:
        one = waiting.pop()
        if id(one) not in seen and recorded.find(one) is None:
            found.append(one)
            waiting.extend(reversed(_below(one)))
        seen.add(id(one))
    return found


def _below(error: BaseException) -> list[BaseException]:
    """Return what Python itself would print with `error`: its cause or its context, and the members of a group."""
    cause = _cause_of(error)
    if cause is None and not _suppresses_context(error):
        cause = _context_of(error)
    return [*([] if cause is None else [cause]), *_members(error)]


def _members(error: BaseException) -> tuple[BaseException, ...]:
    """Return the members of an exception group, the backport's for Python 3.10 included."""
    if not any(base.__name__ == "BaseExceptionGroup" for base in type(error).__mro__):
        return ()
    members = getattr(error, "exceptions", None)
    if not isinstance(members, tuple):
        return ()
    return tuple(one for one in members[:_MAX_COUNTED] if isinstance(one, BaseException))


def _link(errors: list[BaseException], entries: list[dict[str, object]], recorded: Recorded) -> None:
    """Link each exception to the next one, so that all can be reached from the first, and never in a circle.

    That is its cause, the first member of a group, or after the last cause of a member the next member: X-Ray has
    one `cause` an exception. What the trace has already, as the members of a TaskGroup, ends such a row.
    """
    known = [next(filter(None, map(recorded.find, _below(error))), None) for error in errors]
    for number, entry in enumerate(entries[:-1]):
        following = errors[number + 1]
        own = None if any(one is following for one in _below(errors[number])) else known[number]
        entry["cause"] = own or entries[number + 1]["id"]
    last = known[-1] or next(filter(None, known), None)
    if last is not None:
        entries[-1]["cause"] = last


def _exception(error: BaseException, exception_id: str, stack_frames: int, message: str) -> dict[str, object]:
    name = clean(type_name(type(error)))[:_MAX_NAME]
    entry: dict[str, object] = {"id": exception_id, "type": name, "message": _bounded(message)}
    stack, truncated = stack_of(_traceback_of(error), stack_frames)
    if stack:
        entry["stack"] = stack
    if truncated:
        entry["truncated"] = truncated
    return entry


def _bounded(text: str) -> str:
    bounded = text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + "…"
    return clean(_without_secrets(bounded) if "://" in bounded else bounded)


def _without_secrets(text: str) -> str:
    """Return a message without userinfo and query of the URLs in it: `raise_for_status` of any library has them."""
    without_userinfo = re.sub(r"://[^\s/'\"<>]*@", "://", text)
    return re.sub(r"(://[^\s?'\"<>]*)\?[^\s'\"<>]+", r"\1?…", without_userinfo)


def stack_of(traceback: TracebackType | None, limit: int) -> tuple[list[dict[str, object]], int]:
    """Return the program's frames of a traceback, innermost first and at most `limit`, and how many were left out."""
    frames: deque[tuple[CodeType, int]] = deque(maxlen=limit)
    count = 0
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not is_ours(code):
            frames.append((code, max(traceback.tb_lineno or 0, 0)))  # a made-up frame may have none, or -1
            count += 1
        traceback = traceback.tb_next
    return [_frame(code, line) for code, line in reversed(frames)], count - len(frames)


def _frame(code: CodeType, line: int) -> dict[str, object]:
    label = getattr(code, "co_qualname", code.co_name)  # co_qualname is new in Python 3.11
    return {"path": clean(code.co_filename)[-_MAX_NAME:], "line": line, "label": clean(label)[:_MAX_NAME]}


def _working_directory() -> dict[str, object]:
    try:
        return {"working_directory": clean(os.getcwd())}
    except OSError:  # it was deleted
        return {}
