"""Opening: the entity that stands for the work on one record."""

from __future__ import annotations

from xray_lambda._api import segment, subsegment
from xray_lambda._entities import Segment, UntracedSegment
from xray_lambda._entity import UNTRACED
from xray_lambda._guard import swallow
from xray_lambda._header import TraceHeader
from xray_lambda._recorder import SegmentNotFoundError, active, current_entity
from xray_lambda._records.origins import origin_of

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from xray_lambda._entity import Entity
    from xray_lambda._records.origins import Origin


class Options:
    """What `records` and `traced_record` were told."""

    __slots__ = ("continue_trace", "include_unsampled", "name")

    def __init__(self, name: str | None, continue_trace: bool, include_unsampled: bool) -> None:  # noqa: FBT001 - keywords where a program calls
        self.name = name
        self.continue_trace = continue_trace
        self.include_unsampled = include_unsampled


def opened(record: object, hint: str, options: Options) -> Entity:
    """Return the entity for the work on a record, not entered; never raises but what `context_missing` asks for."""
    try:
        origin = origin_of(record, hint)
        is_root = options.continue_trace and not active().in_lambda
        entity = _continued(origin, options) if is_root else _below(origin, options)
        if entity.sampled:
            _describe(entity, origin)
        return entity
    except SegmentNotFoundError:
        raise
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
        return UNTRACED


def _continued(origin: Origin, options: Options) -> Entity:
    """Return a segment of the record's own, in its sender's trace, which has decided whether it is recorded."""
    header = origin.header
    name = options.name or active().config.service or origin.name
    if header is None:
        return segment(name)
    wanted = True if options.include_unsampled and header.sampled == "0" else None
    return segment(name, header=str(header), sampled=wanted)


def _below(origin: Origin, options: Options) -> Entity:
    """Return a subsegment of what is open, and link that to the record's sender."""
    parent, header = current_entity(), origin.header
    if header is not None and parent.sampled and header.sampled == "0" and not options.include_unsampled:
        return UntracedSegment(_unsampled(parent))
    entity = subsegment(options.name or origin.name)
    if header is not None and isinstance(parent.segment, Segment) and header.root != parent.trace_id:
        parent.segment.link(str(header))
    return entity if entity.sampled else UNTRACED  # which leaves what is current as it is


def _unsampled(parent: Entity) -> TraceHeader | None:
    header = parent.header()
    return None if header is None else TraceHeader(header.root, header.parent, "0", header.extra)


def _describe(entity: Entity, origin: Origin) -> None:
    about = {"source": origin.source, "name": origin.name, "id": origin.id}
    entity.metadata({key: value for key, value in about.items() if value}, namespace="record")
    if origin.header is not None and origin.header.root != entity.trace_id:
        entity.annotate(sender_trace_id=origin.header.root)
