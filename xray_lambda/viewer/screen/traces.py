"""The list of traces page by page, those of it that changed, and one trace as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from xray_lambda.viewer import transfer
from xray_lambda.viewer.screen.asked import BadRequest, View, answered, json, view_of, whole_of
from xray_lambda.viewer.screen.maps import map_of
from xray_lambda.viewer.screen.pages import HEADERS
from xray_lambda.viewer.store import Cursor
from xray_lambda.viewer.tree import assemble

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from xray_lambda.viewer.serve import Viewer
    from xray_lambda.viewer.store import Store
    from xray_lambda.viewer.tree import Entity

_PAGE, _LARGEST_PAGE = 100, 1_000
_MOST_IDS = 500
# What the list shows of a trace; the rest is the business of filters.
_SHOWN = (
    "trace_id", "start", "end", "duration", "response_time", "name", "origin", "method", "url", "status", "user",
    "fault", "error", "throttle", "in_progress", "cold_start", "documents", "subsegments", "annotations",
)  # fmt: skip
_FLAGS = ("fault", "error", "throttle", "in_progress")


def routes(viewer: Viewer) -> list[Route]:
    """Return the routes of traces."""
    store = viewer.store
    return [
        Route("/api/traces", answered(lambda request: _page(store, request))),
        Route("/api/changed", answered(lambda request: _changed(store, request))),
        Route("/api/trace/{id}", answered(lambda request: _trace(store, request.path_params["id"]))),
        Route("/api/trace/{id}/export", answered(lambda request: _export(store, request.path_params["id"]))),
    ]


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows of a row of the store."""
    summary = {name: row[name] for name in _SHOWN}
    flags = {name: bool(row[name]) for name in _FLAGS}
    return {**summary, **flags, "cold_start": None if row["cold_start"] is None else bool(row["cold_start"])}


def _page(store: Store, request: Request) -> dict[str, Any]:
    view = view_of(request)
    limit = max(1, whole_of(request, "limit", _PAGE, _LARGEST_PAGE))
    before = _cursor(request.query_params.get("before", ""))
    rows = store.query(view.where, view.parameters, since=view.since, until=view.until, limit=limit + 1, before=before)
    more = rows[limit:]
    rows = rows[:limit]
    return {"traces": [shown(row) for row in rows], "next": _written(rows[-1]) if more else None}


def _written(row: dict[str, Any]) -> str:
    return f"{row['start']!r}~{row['trace_id']}"


def _cursor(text: str) -> Cursor | None:
    if not text:
        return None
    start, _, trace_id = text.partition("~")
    try:
        return Cursor(float(start), trace_id)
    except ValueError:
        raise BadRequest("before= is not a place in the list") from None


def _changed(store: Store, request: Request) -> dict[str, Any]:
    """Of traces that changed, return those that are in view: the page asks when it hears of them."""
    view = view_of(request)
    ids = [text for text in request.query_params.get("ids", "").split(",") if text][:_MOST_IDS]
    marks = ", ".join("?" * len(ids))
    where = f"traces.trace_id IN ({marks}) AND ({view.where})"
    rows = store.query(where, (*ids, *view.parameters), since=view.since, until=view.until, limit=_MOST_IDS)
    return {"traces": [shown(row) for row in rows]}


def _trace(store: Store, trace_id: str) -> Response:
    found = store.summaries([trace_id])
    if not found:
        return json({"message": f"There is no trace {trace_id[:100]}."}, 404)
    roots = assemble(store.trace(trace_id))
    entities = [entity for root in roots for entity in root.walk()]
    return json(
        {
            "summary": shown(found[0]),
            "entities": [_entity(entity) for entity in entities],
            "problems": list(_problems(roots, entities)),
            "map": map_of(store, View("traces.trace_id = ?", (trace_id,))),
        }
    )


def _entity(entity: Entity) -> dict[str, Any]:
    """Return an entity apart from what is below it: a list of them has no depth that a document could overdo."""
    return {
        "id": entity.id,
        "parent": entity.parent.id if entity.parent else None,
        "segment": entity.is_segment,
        "missing": entity.missing,
        "start": entity.start,
        "end": entity.end,
        "document": {key: value for key, value in entity.body.items() if key not in ("subsegments", "missing")},
    }


# Clocks of two machines agree to some milliseconds; within one process there is one clock.
_SKEW = 0.001


def _problems(roots: list[Entity], entities: Iterable[Entity]) -> Iterable[str]:
    """Say what is odd about a trace, so that nobody takes it for what happened."""
    if len(roots) > 1:
        yield f"{len(roots)} segments name no parent, or one that did not come: the trace is in that many pieces."
    early = [
        (entity.name, entity.parent.name, (entity.parent.start - entity.start) * 1_000)
        for entity in entities
        if entity.parent is not None and entity.start is not None and entity.parent.start is not None
        if entity.start < entity.parent.start - _SKEW
    ]
    for name, caller, ahead in early[:5]:
        yield f"{name} begins {ahead:,.1f} ms before {caller}, which called it: their clocks differ."
    if len(early) > 5:
        yield f"{len(early) - 5} more begin before what called them."


def _export(store: Store, trace_id: str) -> Response:
    """Return a trace as BatchGetTraces would: what `xray-lambda view import` and the AWS CLI read."""
    pieces: list[str] = []
    if not transfer.export(store, [trace_id], pieces.append):
        return json({"message": f"There is no trace {trace_id[:100]}."}, 404)
    return Response("".join(pieces), headers={**HEADERS, "Cache-Control": "no-store"}, media_type="application/json")
