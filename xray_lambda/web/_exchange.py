"""Exchanges: a request on its way through the program, from its arrival to the last byte of its answer."""

from __future__ import annotations

from xray_lambda import _header
from xray_lambda._context import current
from xray_lambda._entities import Segment, UntracedSegment
from xray_lambda._entity import UNTRACED, flags_of
from xray_lambda._guard import guarded, swallow

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from xray_lambda._entity import Entity

HEADER = _header.NAME
# Under which a request knows its exchange: in a WSGI environ, in an ASGI scope.
KEY = "xray_lambda.web"

_get_current = current.get
_set_current = current.set


class Exchange:
    """A request's entity, current while the program works on it: made so now, until `leave`, and again after `resume`.

    A body that is sent bit by bit is made elsewhere: in another thread, in another task, after other requests; what is
    current there meanwhile is not ours to keep. `end` closes the entity, from wherever it is called, once.
    `asked`: the caller wants to know the decision. `answers`: the answer may bear our header.
    """

    __slots__ = ("_answers", "_asked", "_before", "_caught", "_inside", "ended", "entity")

    def __init__(self, entity: Entity, *, asked: bool = False, answers: bool = True) -> None:
        self.entity = entity
        self.ended = False
        self._asked = asked
        self._answers = answers
        self._caught: BaseException | None = None
        self._before = _get_current()
        entity.__enter__()
        self._inside = _get_current()

    def leave(self) -> None:
        """Let go of the context: the program has returned, and what runs here next is not part of the request."""
        self._inside = _get_current()  # a generator may stand within a `with subsegment()`, and go on there later
        _set_current(self._before)

    def resume(self) -> None:
        """Make current here, until `leave`, what was at the last one: the program is called for more of its answer."""
        self._before = _get_current()
        _set_current(self._inside)

    def response_header(self) -> str | None:
        """Return the answer's `X-Amzn-Trace-Id`: the trace, and the decision where the request asked for it with `?`.

        None where the request is not ours to answer for: in Lambda, or where it is left alone.
        """
        entity = self.entity
        if not self._answers or not isinstance(entity, (Segment, UntracedSegment)) or entity.trace_id is None:
            return None
        decided = f";Sampled={int(entity.sampled)}" if self._asked else ""
        return f"Root={entity.trace_id}{decided}"

    def answered(self, status: int, content_length: int | None = None) -> None:
        """Record how the request was answered, see `Entity.status`; with what was `caught` where that is a fault."""
        entity = self.entity
        caught, self._caught = self._caught, None
        if not entity.sampled or entity.end_ns is not None:
            return
        response = {"status": status}
        if content_length is not None:
            response["content_length"] = content_length
        # As `entity.status` would have it, for a tenth of the time.
        entity.details["http"]["response"] = response  # type: ignore[attr-defined]  # Door.open has made both
        if status >= 400:
            entity.flag(*flags_of(status))
        if caught is not None and status >= 500:
            entity.exception(caught)

    def caught(self, error: BaseException) -> None:
        """Keep an exception that the framework has caught: it is recorded if the answer is a 5xx, whoever makes it."""
        if self.entity.sampled:
            self._caught = error

    def failed(self, error: BaseException) -> None:
        """Record an exception that the framework handles, and answers with a 500 of its own."""
        self.entity.exception(error)

    @guarded
    def routed(self, template: str | None) -> None:
        """Record the template of the route that the request took, `/items/<id>`: few values, whatever the paths."""
        if template:
            self.entity.annotate(route=template)

    def end(self, error: BaseException | None = None) -> None:
        """Close the entity, which sends it; with the exception that ended the request, if one did. Never raises.

        What is current here stays so, unless that is the entity itself: then what was before it is again.
        """
        if self.ended:
            return
        self.ended = True
        self._caught = None
        before = _get_current()
        try:
            # As if it were current, so that it does not take itself for one that is closed out of turn.
            _set_current(self.entity if self.entity.sampled else self._inside)
            self.entity.__exit__(None if error is None else type(error), error, None)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
        finally:
            _set_current(self._before if before is self._inside else before)

    def abandon(self) -> None:
        """Close the entity from where nothing may be made current: the garbage collector has found its answer."""
        if not self.ended:
            self.ended = True
            self.entity.abandon()


class _Nothing(Exchange):
    """Stands where no exchange could be opened."""

    __slots__ = ()

    def __init__(self) -> None:
        self.entity = UNTRACED
        self.ended = True
        self._asked = self._answers = False
        self._caught = self._before = self._inside = None

    def leave(self) -> None:
        """Do nothing: it never was current."""

    def resume(self) -> None:
        """Do nothing: there is nothing to be made current."""


NOTHING: Exchange = _Nothing()
