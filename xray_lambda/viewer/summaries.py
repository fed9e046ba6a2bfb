"""The documents of one trace -> its summary: what lists, filters and graphs are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from xray_lambda.viewer.causes import root_causes
from xray_lambda.viewer.services import Service, services_of
from xray_lambda.viewer.tree import Entity, assemble, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


class Annotation(NamedTuple):
    """An annotation; one of `text`, `number` and `flag` is its value. `service` is a place in `Summary.services`."""

    service: int
    key: str
    text: str | None
    number: float | None
    flag: bool | None


class Summary(NamedTuple):
    """What a trace comes to, in X-Ray's terms; the fields before `services` are the columns of the table `traces`.

    `start` and `end` are in seconds since the epoch. `duration` is that of the whole trace, `response_time` that of
    its first service (None until it has answered), both in seconds. `fault` and `error` are the first service's,
    `throttle` any segment's, as in X-Ray's own summaries.
    """

    trace_id: str
    start: float
    end: float
    duration: float
    response_time: float | None
    name: str
    origin: str
    method: str | None
    url: str | None
    status: int | None
    client_ip: str | None
    user: str | None
    user_agent: str | None
    fault: bool
    error: bool
    throttle: bool
    in_progress: bool
    inferred: bool
    cold_start: bool | None
    documents: int
    subsegments: int
    root_causes: str | None  # JSON, see causes.py
    services: list[Service]
    annotations: list[Annotation]


COLUMNS = Summary._fields[: Summary._fields.index("services")]


def summarize(documents: Iterable[dict[str, Any]]) -> Summary:
    """Return the summary of a trace from all its documents, in any order. Raises ValueError where there is none."""
    bodies = list(documents)
    roots = assemble(bodies)
    if not roots:
        raise ValueError("a trace without documents has no summary")
    entities = [entity for root in roots for entity in root.walk()]
    services, places = services_of(entities)
    start, end = _times(entities)
    annotations = _annotations(entities, places)
    root = _root(roots)
    first = services[places[root.id]]
    causes = root_causes(root, entities)
    return Summary(
        trace_id=str(bodies[0].get("trace_id", "")),
        start=start,
        end=end,
        duration=max(0.0, end - start),
        response_time=first.response_time,
        name=first.name,
        origin=first.type,
        method=first.method,
        url=first.url,
        status=first.status,
        client_ip=first.client_ip,
        user=next((service.user for service in services if service.user), None),
        user_agent=first.user_agent,
        fault=first.fault,
        error=first.error,
        throttle=any(service.throttle for service in services if not service.inferred or service is first),
        in_progress=any(entity.in_progress for entity in entities),
        inferred=any(service.inferred for service in services),
        cold_start=_cold_start(entities, annotations),
        documents=len(bodies),
        subsegments=sum(not entity.is_segment for entity in entities),
        root_causes=orjson.dumps(causes).decode() if causes else None,
        services=services,
        annotations=annotations,
    )


def _root(roots: list[Entity]) -> Entity:
    """Choose where the trace began: the oldest segment that names no parent, else the oldest of all."""
    return min(roots, key=lambda root: root.parent_id is not None)


def _times(entities: list[Entity]) -> tuple[float, float]:
    starts = [entity.start for entity in entities if entity.start is not None]
    ends = [entity.end for entity in entities if entity.end is not None]
    start = min(starts, default=0.0)
    return start, max([*ends, *starts], default=start)


def _annotations(entities: Iterable[Entity], places: Mapping[str, int]) -> list[Annotation]:
    found = []
    for entity in entities:
        values = entity.body.get("annotations")
        if isinstance(values, dict):
            place = places[entity.owner.id]
            found += [made for key, value in values.items() if (made := annotation(place, key, value))]
    return found


def annotation(service: int, key: str, value: object) -> Annotation | None:
    """Return an annotation as it is stored; None for a value that X-Ray would not index."""
    if isinstance(value, str):
        return Annotation(service, key, value, None, None)
    if isinstance(value, bool):
        return Annotation(service, key, None, None, value)
    figure = number(value)
    return None if figure is None else Annotation(service, key, None, figure, None)


def _cold_start(entities: Iterable[Entity], annotations: Iterable[Annotation]) -> bool | None:
    """Say whether a function began its life in this trace: as annotated, or as Lambda's own segment shows."""
    flags = [given.flag for given in annotations if given.key == "ColdStart" and given.flag is not None]
    if any(entity.name == "Initialization" and "function_arn" in _aws(entity) for entity in entities):
        return True
    return any(flags) if flags else None


def _aws(entity: Entity) -> dict[str, Any]:
    aws = entity.body.get("aws")
    return aws if isinstance(aws, dict) else {}
