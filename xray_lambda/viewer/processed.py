"""The documents of a trace -> its segments as X-Ray hands them out: whole, and with those that it infers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from xray_lambda.viewer.services import REMOTE, identity, is_call
from xray_lambda.viewer.tree import assemble

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xray_lambda.viewer.tree import Entity

Body = dict[str, Any]
# JSON is not nested deeper: what lies below stands beside, as a subsegment that was sent on its own.
_DEEPEST = 50
_TOLD = ("start_time", "end_time", "http", "aws", "fault", "error", "throttle", "in_progress", "cause")


def processed(documents: Iterable[Body]) -> list[Body]:
    """Return the segments, each with all its subsegments in place, and a segment for each call that none answers to.

    Subsegments of a segment that never came, as a Lambda function's, stand for themselves.
    """
    roots = assemble(documents)
    entities = [entity for root in roots for entity in root.walk()]
    trace_id = next((entity.body["trace_id"] for entity in entities if "trace_id" in entity.body), "")
    return [*_whole(entities, trace_id), *_inferred(entities, trace_id)]


def _whole(entities: list[Entity], trace_id: str) -> Iterator[Body]:
    written: dict[str, Body] = {}
    depths: dict[str, int] = {}
    for entity in entities:  # parents come first
        body = written[entity.id] = {key: value for key, value in entity.body.items() if key != "subsegments"}
        body["id"] = entity.id
        parent = entity.parent
        depth = depths[entity.id] = 0 if parent is None else depths[parent.id] + 1
        if entity.missing:
            continue
        if entity.is_segment or parent is None or parent.missing or depth > _DEEPEST:
            depths[entity.id] = 0
            yield _alone(entity, body, trace_id)
        else:
            for key in ("parent_id", "trace_id", "type"):
                body.pop(key, None)
            written[parent.id].setdefault("subsegments", []).append(body)


def _alone(entity: Entity, body: Body, trace_id: str) -> Body:
    body["trace_id"] = trace_id
    if not entity.is_segment:
        body["type"] = "subsegment"
        if entity.parent is not None:
            body["parent_id"] = entity.parent.id
    return body


def _inferred(entities: list[Entity], trace_id: str) -> Iterator[Body]:
    for call in entities:
        if not is_call(call) or any(child.is_segment for child in call.children):
            continue
        kind = identity(call)[1]
        # The id has to be the same whenever it is asked for, and no other's.
        key = hashlib.blake2b(f"{trace_id} {call.id}".encode(), digest_size=8).hexdigest()
        body: Body = {"id": key, "name": call.name, "parent_id": call.id, "trace_id": trace_id, "inferred": True}
        body |= {field: call.body[field] for field in _TOLD if field in call.body}
        yield body if kind == REMOTE else {**body, "origin": kind}
