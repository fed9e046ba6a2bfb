"""Exchanges: a request on its way through the program, from its arrival to the last byte of its answer."""

from __future__ import annotations

from xray_lambda import _header
from xray_lambda._context import current
from xray_lambda._entities import Segment, UntracedSegment
from xray_lambda._entity import UNTRACED
from xray_lambda._guard import swallow

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from xray_lambda._entity import Entity

HEADER = _header.NAME

_get_current = current.get
_set_current = current.set


class Exchange:
    """A request's entity, current while the program works on it: made so now, until `leave`, and again after `resume`.

    A body that is sent bit by bit is made elsewhere: in another thread, in another task, after other requests; what is
    current there meanwhile is not ours to keep. `end` closes the entity, from wherever it is called; the first time counts.
    """

    __slots__ = ("_asked", "_before", "_inside", "ended", "entity")

    def __init__(self, entity: Entity, *, asked: bool = False) -> None:
        self.entity = entity
        self.ended = False
        self._asked = asked
        self._before = _get_current()
        entity.__enter__()
        self._inside = _get_current()

    def leave(self) -> None:
        """Let go of the context: the program has returned, and what runs here next is not part of the request."""
        if _get_current() is self._inside:
            _set_current(self._before)

    def resume(self) -> None:
        """Make the entity current here, until `leave`: the program is called for more of its answer."""
        self._before = _get_current()
        _set_current(self._inside)

    def response_header(self) -> str | None:
        """Return the answer's `X-Amzn-Trace-Id`: the trace, and the decision where the request asked for it with `?`.

        None where the request is not ours to answer for: in Lambda, or where it is left alone.
        """
        entity = self.entity
        if not isinstance(entity, (Segment, UntracedSegment)) or entity.trace_id is None:
            return None
        decided = f";Sampled={int(entity.sampled)}" if self._asked else ""
        return f"Root={entity.trace_id}{decided}"

    def answered(self, status: int, content_length: int | None = None) -> None:
        """Record how the request was answered; see `Entity.status`."""
        self.entity.status(status, content_length)

    def failed(self, error: BaseException) -> None:
        """Record an exception that the framework handles, and answers with a 500 of its own."""
        self.entity.exception(error)

    def end(self, error: BaseException | None = None) -> None:
        """Close the entity, which sends it; with the exception that ended the request, if one did. Never raises."""
        if self.ended:
            return
        self.ended = True
        before = _get_current()
        try:
            _set_current(self._inside)
            self.entity.__exit__(None if error is None else type(error), error, None)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
        finally:
            _set_current(self._before if before is self._inside else before)


class _Nothing(Exchange):
    """Stands where no exchange could be opened."""

    __slots__ = ()

    def __init__(self) -> None:
        self.entity = UNTRACED
        self.ended = True
        self._asked = False
        self._before = self._inside = None

    def leave(self) -> None:
        """Do nothing: it never was current."""

    def resume(self) -> None:
        """Do nothing: there is nothing to be made current."""


NOTHING: Exchange = _Nothing()
