"""Exceptions as X-Ray's `cause`: stacks innermost first, chained and grouped exceptions linked by id."""

from __future__ import annotations

import os
import sys

from xray_lambda._values import clean, exception_text

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, TracebackType

_OURS = os.path.dirname(__file__) + os.sep
_MAX_EXCEPTIONS = 10
_MAX_MESSAGE = 2000
_MAX_REMEMBERED = 32


def is_fault(error: BaseException, ignored: tuple[type[BaseException], ...]) -> bool:
    """Say whether `error` is a fault: not ignored, no cancellation, no closed generator, no clean exit."""
    if isinstance(error, ignored):
        return False
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return not isinstance(error, GeneratorExit) and not is_cancelled(error)


def is_cancelled(error: BaseException) -> bool:
    """Say whether `error` is asyncio's CancelledError, without importing asyncio."""
    asyncio = sys.modules.get("asyncio.exceptions")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


class Recorded:
    """Which exceptions a trace has recorded already, so that one that passes through its ancestors is named by id.

    Nothing is kept alive and nothing is set on the exception: it is known again by its identity, type, message
    and raising line. A new exception at a freed address that equals it in all of these reads the same in a trace.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, tuple[tuple[object, ...], str]] = {}

    def find(self, error: BaseException) -> str | None:
        """Return the id under which `error` was recorded, or None."""
        known = self._known.get(id(error))
        return known[1] if known is not None and known[0] == _marks(error) else None

    def remember(self, error: BaseException, exception_id: str) -> None:
        """Keep the id of `error`, and forget the oldest of too many."""
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.pop(next(iter(self._known)), None)
        self._known[id(error)] = (_marks(error), exception_id)


def _marks(error: BaseException) -> tuple[object, ...]:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    line = traceback and (traceback.tb_frame.f_code, traceback.tb_lineno)
    return (type(error), exception_text(error)[:_MAX_MESSAGE], line)


def describe(
    error: BaseException,
    recorded: Recorded,
    new_id: Callable[[], str],
    *,
    stack_frames: int = 50,
    remote: bool = False,
) -> dict[str, object] | str:
    """Return the `cause` for `error`: an object, or the id under which this trace has it already.

    What it was raised from (or while handling) follows by `cause` ids; so do the members of an exception
    group, one after the other. Source: X-Ray developer guide, segment documents, "cause".
    """
    known = recorded.find(error)
    if known is not None:
        return known
    found, skipped = _collect(error, recorded)
    ids = {id(one): new_id() for one in found}
    exceptions = [_exception(one, ids, recorded, stack_frames) for one in found]
    _link_groups(found, exceptions, recorded)
    for one in found:
        recorded.remember(one, ids[id(one)])
    if remote:
        exceptions[0]["remote"] = True
    if skipped:
        exceptions[-1]["skipped"] = skipped
    return {**_working_directory(), "exceptions": exceptions}


def _collect(error: BaseException, recorded: Recorded) -> tuple[list[BaseException], int]:
    """Return `error` and all that hangs on it, depth first, without what is recorded already; and how many more."""
    found: list[BaseException] = []
    seen: set[int] = set()
    waiting = [error]
    while waiting and len(found) < _MAX_EXCEPTIONS:
        one = waiting.pop()
        if id(one) in seen or recorded.find(one) is not None:
            continue
        seen.add(id(one))
        found.append(one)
        cause = cause_of(one)
        waiting.extend(reversed(_members(one)))
        if cause is not None:
            waiting.append(cause)
    return found, sum(id(one) not in seen for one in waiting)


def cause_of(error: BaseException) -> BaseException | None:
    """Return what Python itself would print as the cause of `error`."""
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _members(error: BaseException) -> tuple[BaseException, ...]:
    """Return the members of an exception group, the backport's for Python 3.10 included."""
    if not any(base.__name__ == "BaseExceptionGroup" for base in type(error).__mro__):
        return ()
    members = getattr(error, "exceptions", ())
    return tuple(one for one in members[:_MAX_EXCEPTIONS] if isinstance(one, BaseException))


def _exception(error: BaseException, ids: dict[int, str], recorded: Recorded, stack_frames: int) -> dict[str, object]:
    kind = type(error)
    name = (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )
    entry: dict[str, object] = {"id": ids[id(error)], "type": clean(name), "message": _message(error)}
    stack, truncated = stack_of(error.__traceback__, stack_frames)
    if stack:
        entry["stack"] = stack
    if truncated:
        entry["truncated"] = truncated
    cause = cause_of(error)
    link = None if cause is None else ids.get(id(cause)) or recorded.find(cause)
    if link is not None:
        entry["cause"] = link
    return entry


def _message(error: BaseException) -> str:
    text = exception_text(error)
    return clean(text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + "…")


def _link_groups(found: list[BaseException], exceptions: list[dict[str, object]], recorded: Recorded) -> None:
    """Link each group to its first member, and the end of each member's own chain to the next member.

    X-Ray has one `cause` an exception: so every member can be reached from the group. Of the members that
    the trace has already, as those of a TaskGroup, the first comes last: what it leads to is settled.
    """
    entries = {entry["id"]: entry for entry in exceptions}
    by_error = {id(error): entry for error, entry in zip(found, exceptions, strict=True)}
    for group in found:
        last = by_error[id(group)]
        for member in _members(group):
            entry = by_error.get(id(member))
            if entry is not None:
                _end_of_chain(last, entries).setdefault("cause", entry["id"])
                last = entry
        known = next(filter(None, map(recorded.find, _members(group))), None)
        if known is not None:
            _end_of_chain(last, entries).setdefault("cause", known)


def _end_of_chain(entry: dict[str, object], entries: dict[object, dict[str, object]]) -> dict[str, object]:
    seen = set()
    while entry.get("cause") in entries and entry["id"] not in seen:
        seen.add(entry["id"])
        entry = entries[entry["cause"]]
    return entry


def stack_of(traceback: TracebackType | None, limit: int) -> tuple[list[dict[str, object]], int]:
    """Return the program's frames of a traceback, innermost first and at most `limit`, and how many were left out."""
    frames: list[tuple[CodeType, int]] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith(_OURS):
            frames.append((code, traceback.tb_lineno or 0))
        traceback = traceback.tb_next
    frames.reverse()
    return [_frame(code, line) for code, line in frames[:limit]], max(0, len(frames) - limit)


def _frame(code: CodeType, line: int) -> dict[str, object]:
    label = getattr(code, "co_qualname", code.co_name)  # co_qualname is new in Python 3.11
    return {"path": clean(code.co_filename), "line": line, "label": clean(label)}


def _working_directory() -> dict[str, object]:
    try:
        return {"working_directory": clean(os.getcwd())}
    except OSError:  # it was deleted
        return {}
