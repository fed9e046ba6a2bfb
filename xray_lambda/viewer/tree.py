"""The documents of one trace -> its tree: embedded and independent subsegments joined to their parents."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

MISSING = "missing"  # in the body of a segment that stands in for one that never came


class Entity:
    """A segment or a subsegment in its place. `owner` is the segment it belongs to, itself for a segment.

    Times are seconds since the epoch; `end` and `duration` are None while it is in progress, `name` is empty where
    the document has none. `missing` says of a segment that it stands in for one that never came, as Lambda's own
    never reach a daemon outside of Lambda.
    """

    __slots__ = (
        "body",
        "children",
        "duration",
        "end",
        "id",
        "is_segment",
        "missing",
        "name",
        "owner",
        "parent",
        "parent_id",
        "start",
    )

    def __init__(self, body: dict[str, Any], key: str, parent_id: str | None, *, is_segment: bool) -> None:
        self.body = body
        self.id = key
        self.parent_id = parent_id
        self.is_segment = is_segment
        self.missing = False
        self.parent: Entity | None = None
        self.children: list[Entity] = []
        self.owner: Entity = self
        self.name = text(body.get("name")) or ""
        self.lasted(number(body.get("start_time")), number(body.get("end_time")))

    def lasted(self, start: float | None, end: float | None) -> None:
        """Set when it started and ended."""
        self.start = start
        self.end = end
        self.duration = None if start is None or end is None else max(0.0, end - start)

    @property
    def in_progress(self) -> bool:
        """Say whether its end is still to come."""
        return bool(self.body.get("in_progress")) or (self.end is None and not self.missing)

    def walk(self) -> Iterator[Entity]:
        """Yield this entity and all below it, parents first, the oldest child first."""
        waiting = [self]
        while waiting:
            entity = waiting.pop()
            yield entity
            waiting.extend(reversed(entity.children))


def assemble(documents: Iterable[dict[str, Any]]) -> list[Entity]:
    """Return the roots of a trace, the oldest first, each with all that hangs below it.

    Subsegments whose parent never came hang under one segment that stands in for it (`missing`). Nothing here
    recurses: a document decides how deep a tree is.
    """
    found = _by_id(documents)
    _join(found)
    roots = [entity for entity in found.values() if entity.parent is None]
    met = _own(roots)
    if met < len(found):
        roots += _free_from_circles(found, roots)
    roots.sort(key=began)
    return roots


def began(entity: Entity) -> float:
    """Return when it started, in seconds since the epoch; 0 where that is not known."""
    return entity.start or 0.0


def _by_id(documents: Iterable[dict[str, Any]]) -> dict[str, Entity]:
    """Find every entity; a complete one takes the place of the one in progress that announced it."""
    found: dict[str, Entity] = {}
    waiting: list[tuple[dict[str, Any], str | None, bool]] = [
        (document, text(document.get("parent_id")), document.get("type") != "subsegment") for document in documents
    ]
    waiting.reverse()
    while waiting:
        body, parent_id, is_segment = waiting.pop()
        key = text(body.get("id")) or f"no id {len(found)}"
        known = found.get(key)
        if known is None or known.in_progress:
            found[key] = Entity(body, key, parent_id, is_segment=is_segment)
        embedded = body.get("subsegments")
        if isinstance(embedded, list) and embedded:
            waiting.extend((child, key, False) for child in reversed(embedded) if isinstance(child, dict))
    return found


def _join(found: dict[str, Entity]) -> None:
    """Make each entity a child of its parent, the oldest first."""
    for entity in sorted(found.values(), key=began):
        parent = None if entity.parent_id is None else found.get(entity.parent_id)
        if parent is None and not entity.is_segment:
            key = entity.parent_id or "no parent"
            parent = found[key] = _stand_in(key)
        if parent is entity:
            entity.is_segment = True  # it names itself, and belongs to nothing
        elif parent is not None:
            entity.parent = parent
            parent.children.append(entity)
    for entity in found.values():
        if entity.missing:
            _describe(entity)


def _stand_in(key: str) -> Entity:
    entity = Entity({"id": key, MISSING: True}, key, None, is_segment=True)
    entity.missing = True
    return entity


def _describe(segment: Entity) -> None:
    """Say of a segment that never came what its subsegments tell: its name, its times, how it went."""
    children = segment.children
    first = children[0]
    service = first.body.get("annotations")
    named = service.get("Service") if isinstance(service, dict) else None
    body = segment.body
    body["name"] = segment.name = text(named) or first.name
    ends = [child.end for child in children if child.end is not None and not child.in_progress]
    segment.lasted(first.start, max(ends) if len(ends) == len(children) else None)
    if isinstance(service, dict) and "ColdStart" in service:  # only a Lambda function says that
        body["origin"] = "AWS::Lambda::Function"
    if isinstance(first.body.get("http"), dict) and first.body.get("namespace") is None:
        body["http"] = first.body["http"]
    for flag in ("fault", "error", "throttle"):
        if any(child.body.get(flag) is True for child in children):
            body[flag] = True


def _own(roots: Iterable[Entity]) -> int:
    """Tell each entity below these which segment it belongs to, and count them."""
    count = 0
    for root in roots:
        for entity in root.walk():
            count += 1
            if not entity.is_segment and entity.parent is not None:
                entity.owner = entity.parent.owner
    return count


def _free_from_circles(found: dict[str, Entity], roots: list[Entity]) -> list[Entity]:
    """Make a root of what names itself as its own ancestor, else no walk would ever meet it."""
    freed = []
    unmet = dict.fromkeys(sorted(found, key=lambda key: began(found[key])))
    for root in roots:
        _forget(unmet, root)
    while unmet:
        entity = found[next(iter(unmet))]
        if entity.parent is not None:
            entity.parent.children.remove(entity)
            entity.parent = None
        entity.is_segment = True
        freed.append(entity)
        _own([entity])
        _forget(unmet, entity)
    return freed


def _forget(unmet: dict[str, None], root: Entity) -> None:
    for entity in root.walk():
        unmet.pop(entity.id, None)


def number(value: object) -> float | None:
    """Return a finite number as it is; None for anything else, a boolean too."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    return float(value) if type(value) is int and abs(value) < 2**53 else None


def text(value: object) -> str | None:
    """Return a text that says something; None for anything else."""
    return value if isinstance(value, str) and value else None
