"""The service map: of all traces in view, and of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from xray_lambda.viewer import graph
from xray_lambda.viewer.filters import Condition
from xray_lambda.viewer.screen.asked import View, answered, view_of

if TYPE_CHECKING:
    from xray_lambda.viewer.serve import Viewer
    from xray_lambda.viewer.store import Store


def routes(viewer: Viewer) -> list[Route]:
    """Return the routes of maps."""
    store = viewer.store
    return [
        Route("/api/map", answered(lambda request: _map(store, view_of(request)))),
        Route("/api/trace/{id}/map", answered(lambda request: _map(store, _only(request.path_params["id"])))),
    ]


def _only(trace_id: str) -> View:
    return View("traces.trace_id = ?", (trace_id,))


def _map(store: Store, view: View) -> dict[str, Any]:
    condition = Condition(view.where, view.parameters)
    with store.read() as connection:
        return graph.for_screen(graph.read(connection, condition, view.since, view.until))
