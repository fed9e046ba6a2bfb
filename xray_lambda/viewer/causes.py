"""A tree of entities -> its root causes, as in X-Ray's summaries: where a fault, an error or the time came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xray_lambda.viewer.services import identity, is_call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from xray_lambda.viewer.tree import Entity

# A trace in which everything failed says no more with the eleventh cause than with ten.
_MOST = 10
# The time is looked for in the longest child, as long as that takes at least half of its parent's time.
_SHARE = 0.5


def root_causes(root: Entity, entities: list[Entity]) -> dict[str, list[dict[str, Any]]]:
    """Return the root causes by kind: `fault`, `error`, `responsetime`; kinds without any are left out.

    Each has `Services` from the first to the last one on the way, with the path of entities within each.
    """
    causes: dict[str, list[dict[str, Any]]] = {}
    for flag in ("fault", "error"):
        failed = [entity for entity in entities if entity.body.get(flag) is True]
        if failed:
            began = [entity for entity in failed if not any(child.body.get(flag) is True for child in entity.children)]
            causes[flag] = [_cause(_way_to(entity, flag), _failed) for entity in began[:_MOST]]
    path = list(_longest(root))
    if path:
        causes["responsetime"] = [_cause(path, lambda entity: {"Coverage": _coverage(entity, root)})]
    return causes


def _way_to(entity: Entity, flag: str) -> list[Entity]:
    """Return the entities from the first one that failed down to this, where it began."""
    way = [entity]
    while (parent := way[-1].parent) is not None and parent.body.get(flag) is True:
        way.append(parent)
    way.reverse()
    return way


def _longest(root: Entity) -> Iterator[Entity]:
    entity = root
    while entity.duration:
        yield entity
        longest = max(entity.children, key=lambda child: child.duration or 0.0, default=None)
        if longest is None or (longest.duration or 0.0) < _SHARE * entity.duration:
            return
        entity = longest


def _coverage(entity: Entity, root: Entity) -> float:
    return round((entity.duration or 0.0) / (root.duration or 1.0), 3)


def _failed(entity: Entity) -> dict[str, Any]:
    cause = entity.body.get("cause")
    exceptions = cause.get("exceptions") if isinstance(cause, dict) else None
    if not isinstance(exceptions, list):
        return {"Exceptions": []}
    return {
        "Exceptions": [
            {"Name": str(given.get("type") or ""), "Message": str(given.get("message") or "")}
            for given in exceptions[:_MOST]
            if isinstance(given, dict)
        ]
    }


def _cause(way: list[Entity], details_of: Any) -> dict[str, Any]:
    services: list[dict[str, Any]] = []
    owner = None
    for entity in way:
        if entity.owner is not owner:
            owner = entity.owner
            services.append(_service(owner, inferred=owner.body.get("inferred") is True))
        services[-1]["EntityPath"].append({"Name": entity.name, **details_of(entity), "Remote": is_call(entity)})
    last = way[-1]
    if is_call(last) and not any(child.is_segment for child in last.children):
        services.append(_service(last, inferred=True))
        services[-1]["EntityPath"].append({"Name": last.name, **details_of(last), "Remote": False})
    return {"Services": services, "ClientImpacting": way[0].parent is None}


def _service(entity: Entity, *, inferred: bool) -> dict[str, Any]:
    name, kind = identity(entity)
    return {"Name": name, "Type": kind or None, "Inferred": inferred, "EntityPath": []}
