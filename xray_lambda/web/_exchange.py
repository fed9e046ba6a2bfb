"""Exchanges: a request on its way through the program, from its arrival to the last byte of its answer."""

from __future__ import annotations

from functools import lru_cache

from xray_lambda import _header
from xray_lambda._annotations import put
from xray_lambda._context import current
from xray_lambda._entities import Segment, UntracedSegment
from xray_lambda._entity import UNTRACED, flags_of
from xray_lambda._guard import swallow

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from xray_lambda._entity import Entity

HEADER = _header.NAME
# Under which a request knows its exchange: in a WSGI environ, in an ASGI scope.
KEY = "xray_lambda.web"

_get_current = current.get
_set_current = current.set


@lru_cache(maxsize=512)
def _route(template: str) -> str:
    """Return the annotation `route` as JSON; remembered, since a program has few routes."""
    annotations: dict[str, str] = {}
    put(annotations, {"route": template})
    return annotations["route"]


class Exchange:
    """A request's entity, current while the program works on it: made so now, until `leave`, and again after `resume`.

    A body that is sent bit by bit is made elsewhere: in another thread, in another task, after other requests; what is
    current there meanwhile is not ours to keep. `end` closes the entity, from wherever it is called, once.
    `asked`: the caller wants to know the decision. `answers`: the answer may bear our header.
    `is_watched`: somebody wants to know how it ends, the trace or the sampler that has decided against it.
    """

    __slots__ = ("_answers", "_asked", "_before", "_caught", "ended", "entity", "inside", "is_answered", "is_watched")

    def __init__(self, entity: Entity, *, asked: bool = False, answers: bool = True) -> None:
        self.entity = entity
        self.is_watched = entity.sampled or type(entity) is not UntracedSegment
        self.is_answered = self.ended = False
        self._asked = asked
        self._answers = answers
        self._caught: BaseException | None = None
        self._before = _get_current()
        entity.__enter__()
        self.inside = _get_current()  # what is current while the program works on the request

    def leave(self) -> None:
        """Let go of the context: the program has returned, and what runs here next is not part of the request."""
        self.inside = _get_current()  # a generator may stand within a `with subsegment()`, and go on there later
        _set_current(self._before)

    def resume(self) -> None:
        """Make current here, until `leave`, what was at the last one: the program is called for more of its answer."""
        self._before = _get_current()
        _set_current(self.inside)

    def response_header(self) -> str | None:
        """Return the answer's `X-Amzn-Trace-Id`: the trace, and the decision where the request asked for it with `?`.

        None where the request is not ours to answer for: in Lambda, or where it is left alone.
        """
        entity = self.entity
        if not self._answers or not isinstance(entity, (Segment, UntracedSegment)):
            return None
        root = entity.trace_id
        if root is None or not self._asked:
            return None if root is None else f"Root={root}"
        return f"Root={root};Sampled={int(entity.sampled)}"

    def answered(self, status: int, content_length: int | None = None) -> None:
        """Record how the request was answered, see `Entity.status`; with what was `caught` where that is a fault."""
        entity = self.entity
        caught, self._caught = self._caught, None
        self.is_answered = True
        if not entity.sampled:
            entity.status(status)
            return
        if entity.end_ns is not None:
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

    def routed(self, template: str | None) -> None:
        """Record the template of the route that the request took, `/items/<id>`: few values, whatever the paths."""
        entity = self.entity
        if not template or not entity.sampled or entity.end_ns is not None:
            return
        # As `entity.annotate(route=template)` would have it, for a third of the time.
        if entity.annotations is None:  # type: ignore[attr-defined]  # what is sampled has them
            entity.annotations = {}  # type: ignore[attr-defined]
        entity.annotations["route"] = _route(template)  # type: ignore[attr-defined]

    def end(self, error: BaseException | None = None) -> None:
        """Close the entity, which sends it; with the exception that ended the request, if one did. Never raises.

        What is current here stays so, unless that is the entity itself: then what was before it is again.
        """
        if self.ended:
            return
        self.ended = True
        self._caught = None
        entity, here = self.entity, _get_current()
        try:
            if error is None and here is not self.inside and entity.sampled:
                entity.close()  # type: ignore[attr-defined]  # what is sampled can be; it was left before
            else:
                entity.__exit__(None if error is None else type(error), error, None)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)

    def abandon(self) -> None:
        """Close the entity from where nothing may be made current: the garbage collector has found its answer."""
        if not self.ended:
            self.ended = True
            self.entity.abandon()

    def __reduce__(self) -> tuple[object, tuple[()]]:
        """Stay here where the program copies or pickles what it hangs on: a cache that keeps an answer."""
        return (_nothing, ())


class _Nothing(Exchange):
    """Stands where no exchange could be opened."""

    __slots__ = ()

    def __init__(self) -> None:
        self.entity = UNTRACED
        self.ended = True
        self.is_answered = self.is_watched = False
        self._asked = self._answers = False
        self._caught = self._before = self.inside = None

    def leave(self) -> None:
        """Do nothing: it never was current."""

    def resume(self) -> None:
        """Do nothing: there is nothing to be made current."""


def _nothing() -> Exchange:
    return NOTHING


NOTHING: Exchange = _Nothing()
