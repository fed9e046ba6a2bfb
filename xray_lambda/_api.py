"""What a user calls: subsegment, segment, annotate, metadata, bind, and what the current trace is."""

from __future__ import annotations

from xray_lambda import _header
from xray_lambda._context import carried, current
from xray_lambda._entities import FacadeSegment, Segment, UntracedSegment
from xray_lambda._entity import UNTRACED
from xray_lambda._guard import guarded, swallow
from xray_lambda._header import TraceHeader
from xray_lambda._recorder import SegmentNotFoundError, active, current_entity

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from typing import Any, ParamSpec, TypeVar

    from xray_lambda._entity import Entity, Ignored, Namespace

    P = ParamSpec("P")
    R = TypeVar("R")

_get_current = current.get


def subsegment(name: str, *, namespace: Namespace | None = None, ignore: Ignored = ()) -> Entity:
    """Open a subsegment below the current entity, as a context manager for `with` and `async with`.

    `ignore` names exception classes that are no faults here. Where nothing is traced it takes every call
    and records nothing. Example: `with subsegment("price") as sub: sub.annotate(order=17)`.
    """
    try:
        parent = _get_current()
        if parent is None or parent.unsettled:
            parent = _settled()
        return parent.child(name, namespace, ignore)
    except SegmentNotFoundError:
        raise
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
        return UNTRACED


def _settled() -> Entity:
    """Return the entity to record on where that takes a second look; says where there is none."""
    entity = current_entity()
    if entity is UNTRACED:
        try:
            active().missing()
        except SegmentNotFoundError:
            raise
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
    return entity


def segment(
    name: str | None = None, *, header: str | Mapping[str, object] | None = None, sampled: bool | None = None
) -> Entity:
    """Open a segment of its own: a script, a worker, a message; in Lambda, which owns the segment, a subsegment.

    `header` continues a trace: an `X-Amzn-Trace-Id`, or a message's headers. `name` defaults to the service's.
    `sampled` decides against header and sampling rules: False records nothing and passes the header on, unsampled.
    Example: `with segment("nightly"): ...`.
    """
    try:
        recorder = active()
        name = name or recorder.config.service or "segment"
        if recorder.in_lambda:
            return _unsampled(current_entity()) if sampled is False else current_entity().child(name)
        incoming = _incoming(header)
        if sampled is not None:
            incoming.sampled = "1" if sampled else "0"
        return recorder.segment(name, incoming)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
        return UNTRACED


def _unsampled(entity: Entity) -> Entity:
    """Return what records nothing below `entity` in Lambda, and passes its trace on as unsampled."""
    header = entity.header()
    if header is None:
        return UNTRACED
    return UntracedSegment(TraceHeader(header.root, header.parent, "0", header.extra))


def _incoming(header: str | Mapping[str, object] | None) -> TraceHeader:
    """Read the trace header that came in; what cannot be read starts a new trace."""
    try:
        if isinstance(header, str):
            return _header.parse(header)
        found = {name.lower(): value for name, value in (header or {}).items() if isinstance(value, str)}
        if _header.NAME.lower() in found:
            return _header.parse(found[_header.NAME.lower()])
        return _header.parse_traceparent(found.get(_header.TRACEPARENT, ""))
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
        return TraceHeader()


def annotate(values: Mapping[str, object] | None = None, /, **more: object) -> None:
    """Put indexed, searchable values on the current entity; in a Lambda handler, on the handler's subsegment.

    Example: `annotate(order=17)`.
    """
    _settled().annotate(values, **more)


def metadata(values: Mapping[str, object] | None = None, /, *, namespace: str = "default", **more: object) -> None:
    """Put values that are shown but not indexed on the current entity. Example: `metadata(basket=basket)`."""
    _settled().metadata(values, namespace=namespace, **more)


def current_segment() -> Entity:
    """Return the current segment: Lambda's facade, or the one that `segment()` or a middleware opened."""
    return current_entity().segment


def current_subsegment() -> Entity:
    """Return the current subsegment; UNTRACED, which takes every call, where only a segment or nothing is open."""
    entity = current_entity()
    return UNTRACED if isinstance(entity, (Segment, FacadeSegment)) else entity


def trace_id() -> str | None:
    """Return the id of the current trace, sampled or not: `1-5759e988-bd862e3fe1be46a994272793`; or None."""
    return current_entity().trace_id


def trace_header() -> str | None:
    """Return the `X-Amzn-Trace-Id` for a call made here, keys unknown to us included; None outside a trace."""
    header = current_entity().header()
    return None if header is None else str(header)


@guarded
def inject(headers: MutableMapping[str, Any]) -> None:
    """Put the trace header into `headers`, and `traceparent` where `propagate` asks for w3c; replaces earlier ones."""
    header = current_entity().header()
    if header is None:
        return
    wanted = active().config.propagate
    if "xray" in wanted:
        headers[_header.NAME] = str(header)
    parent = _header.traceparent(header) if "w3c" in wanted else None
    if parent is not None:
        headers[_header.TRACEPARENT] = parent


def bind(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` bound to the current entity, for a thread or a callback that does not carry it over.

    Example: `Thread(target=bind(work)).start()`. May be called any number of times, in many threads at once.
    """
    return carried(function)


def flush(timeout: float = 2.0) -> bool:
    """Wait until what has been recorded is sent, `timeout` seconds at most; says whether it is.

    For a program without a daemon that ends by `os._exit`, or is about to be stopped: `emitter="direct"` sends within
    a second, and when Python ends. A daemon is sent to at once. Example: `flush(); os._exit(0)`.
    """
    try:
        wait = getattr(active().emitter, "flush", None)
        return wait is None or bool(wait(timeout))
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
        return False
