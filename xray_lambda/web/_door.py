"""The shared body of all doors: which requests are traced, what their segments are called, what is recorded of them."""

from __future__ import annotations

import re

from xray_lambda._entities import FacadeSegment, Segment, UntracedSegment
from xray_lambda._entity import UNTRACED
from xray_lambda._guard import swallow
from xray_lambda._recorder import active, current_entity
from xray_lambda._sections import without_secrets
from xray_lambda._values import clean
from xray_lambda.sampling.request import SamplingRequest
from xray_lambda.web._exchange import NOTHING, Exchange

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Iterable

    from xray_lambda._entity import Entity
    from xray_lambda._header import TraceHeader
    from xray_lambda._recorder import Recorder
    from xray_lambda.web._arrival import Arrival

_MAX_TEXT = 250


class Door:
    """What one middleware was told, and how it opens.

    A segment is called `service`, else as AWS_XRAY_TRACING_NAME says, else `otherwise`; a host that the pattern `hosts`
    allows (`*.example.com`) names its own. `ignore_paths` are patterns of paths that are left alone (`/health*`),
    beside those of the settings. `user_agent=True` records that header.
    """

    __slots__ = ("_hosts", "_ignored", "otherwise", "service", "user_agent")

    def __init__(
        self,
        *,
        service: str | None = None,
        hosts: str | None = None,
        ignore_paths: str | Iterable[str] = (),
        user_agent: bool = False,
        otherwise: str = "web",
    ) -> None:
        self.service = service
        self.otherwise = otherwise
        self.user_agent = user_agent
        self._hosts = None if hosts is None else _pattern((hosts,))
        self._ignored = _pattern((ignore_paths,) if isinstance(ignore_paths, str) else tuple(ignore_paths))

    def open(self, arrival: Arrival) -> Exchange:
        """Return the exchange for a request, entered: what the program does now belongs to it. Never raises."""
        try:
            recorder = active()
            header = arrival.header()
            if self._is_ignored(recorder, arrival.path):
                return Exchange(_left_alone(recorder, header), answers=False)
            entity = self._entity(recorder, arrival, header)
            if entity.sampled:
                entity.details = self._about(arrival, entity)  # type: ignore[attr-defined]
            exchange = Exchange(entity, asked=header.sampled == "?")
            if recorder.config.early and entity.sampled:
                entity.announce()  # type: ignore[attr-defined]  # what is sampled can be
            return exchange
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
            return NOTHING

    def _entity(self, recorder: Recorder, arrival: Arrival, header: TraceHeader) -> Entity:
        name = self._name(recorder, arrival.host)
        if recorder.in_lambda:
            return _joined(recorder, header, name)
        request = SamplingRequest(name, arrival.host, arrival.method, arrival.path)
        return recorder.segment(name, header, request)

    def _is_ignored(self, recorder: Recorder, path: str) -> bool:
        if self._ignored is not None and self._ignored.fullmatch(path):
            return True
        return bool(recorder.config.ignore_paths) and matches(recorder.config.ignore_paths, path)

    def _name(self, recorder: Recorder, host: str | None) -> str:
        if self._hosts is not None and host:
            name = host.partition(":")[0] if not host.startswith("[") else host
            if self._hosts.fullmatch(name):
                return name.lower()
        return self.service or recorder.config.service or self.otherwise

    def _about(self, arrival: Arrival, entity: Entity) -> dict[str, object]:
        """Return a new entity's sections with the request among them."""
        request: dict[str, object] = {
            "method": clean(arrival.method[:_MAX_TEXT]),
            "url": clean(without_secrets(arrival.url())[:_MAX_TEXT]),
        }
        if self.user_agent and arrival.agent:
            request["user_agent"] = clean(arrival.agent[:_MAX_TEXT])
        request.update(arrival.client())
        if not isinstance(entity, Segment):  # X-Ray takes the mark of segments alone
            request.pop("x_forwarded_for", None)
        return {**(entity.details or {}), "http": {"request": request}}  # type: ignore[attr-defined]


def _left_alone(recorder: Recorder, header: TraceHeader) -> Entity:
    """Return what a request that nothing is recorded of works under: calls pass on the trace that it came with."""
    if recorder.in_lambda:
        header = current_entity().header() or header
    return UntracedSegment(header if header.root else None)


def _joined(recorder: Recorder, header: TraceHeader, name: str) -> Entity:
    """Return a subsegment of what a request belongs to in Lambda: the invocation.

    Where the runtime says of none, as behind the Lambda Web Adapter, it is the trace of the request's own header.
    """
    entity = current_entity()
    if entity is UNTRACED and header.root and not recorder.read_header():
        entity = recorder.enter(str(header))
    if not entity.sampled:
        return UntracedSegment(entity.header())
    sub = entity.child(name)
    if isinstance(entity, FacadeSegment) and entity.handler is UNTRACED:
        entity.handler = sub  # what the program puts on Lambda's segment has a place
    return sub


_patterns: dict[tuple[str, ...], re.Pattern[str] | None] = {}


def matches(patterns: tuple[str, ...], text: str) -> bool:
    """Say whether one of the patterns covers the whole text; `*` stands for anything, `?` for one character."""
    if patterns not in _patterns:  # the settings' own, which seldom change
        _patterns[patterns] = _pattern(patterns)
    pattern = _patterns[patterns]
    return pattern is not None and pattern.fullmatch(text) is not None


def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile("|".join(map(_expression, patterns)), re.DOTALL)


def _expression(pattern: str) -> str:
    text = re.sub(r"\*+", "*", pattern)
    return "".join(".*" if char == "*" else "." if char == "?" else re.escape(char) for char in text)
