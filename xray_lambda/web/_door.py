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

    from xray_lambda._config import Config
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
        self._hosts = None if hosts is None else _pattern((hosts.lower(),))
        self._ignored = _pattern((ignore_paths,) if isinstance(ignore_paths, str) else tuple(ignore_paths))

    def open(self, arrival: Arrival) -> Exchange:
        """Return the exchange for a request, entered: what the program does now belongs to it. Never raises."""
        try:
            recorder = active()
            config = recorder.config
            header = arrival.header()
            if (self._ignored or config.ignore_paths) and self._is_ignored(config, arrival.path):
                return Exchange(_left_alone(recorder, header), answers=False)
            asked = header.sampled == "?"
            entity = self._entity(recorder, arrival, header)
            if not entity.sampled:
                return Exchange(entity, asked=asked, answers=not recorder.in_lambda)
            entity.details = self._about(arrival, entity)  # type: ignore[attr-defined]  # what is sampled has them
            exchange = Exchange(entity, asked=asked)
            if config.early:
                entity.announce()  # type: ignore[attr-defined]  # what is sampled can be
            return exchange
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
            return NOTHING

    def _entity(self, recorder: Recorder, arrival: Arrival, header: TraceHeader) -> Entity:
        """Return what is opened for a request; a sampler is told of it where upstream has not decided."""
        name = self.service or recorder.config.service or self.otherwise
        if self._hosts is not None:
            name = self._name_of_host(arrival.host) or name
        if recorder.in_lambda:
            return _joined(recorder, header, name)
        if header.sampled == "1" or header.sampled == "0":  # noqa: PLR1714 - a set costs twice that
            return recorder.segment(name, header)
        return recorder.segment(name, header, SamplingRequest(name, arrival.host, arrival.method, arrival.path))

    def _is_ignored(self, config: Config, path: str) -> bool:
        if self._ignored is not None and self._ignored.fullmatch(path):
            return True
        return bool(config.ignore_paths) and matches(config.ignore_paths, path)

    def _name_of_host(self, host: str | None) -> str | None:
        """Return a host without its port, if it may name its segments."""
        name = (host or "").lower()
        name = name.partition(":")[0] if not name.startswith("[") else name.partition("]")[0] + "]"
        return name if self._hosts is not None and self._hosts.fullmatch(name) else None

    def _about(self, arrival: Arrival, entity: Entity) -> dict[str, object]:
        """Return a new entity's sections with the request among them."""
        url = arrival.url()
        if "@" in url or "?" in url or "#" in url:
            url = without_secrets(url)
        request: dict[str, object] = {"method": _text(arrival.method), "url": _text(url)}
        if self.user_agent and arrival.agent:
            request["user_agent"] = _text(arrival.agent)
        request.update(arrival.client())
        if not isinstance(entity, Segment):  # X-Ray takes the mark of segments alone
            request.pop("x_forwarded_for", None)
        details: dict[str, object] = entity.details or {}  # type: ignore[attr-defined]  # what is sampled has them
        details["http"] = {"request": request}
        return details


def _text(value: str) -> str:
    return value[:_MAX_TEXT] if value.isascii() else clean(value[:_MAX_TEXT])


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
