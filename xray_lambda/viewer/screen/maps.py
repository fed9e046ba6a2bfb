"""The service map, of the traces in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from xray_lambda.viewer import graph
from xray_lambda.viewer.filters import Condition
from xray_lambda.viewer.screen.asked import answered, view_of

if TYPE_CHECKING:
    from xray_lambda.viewer.screen.asked import View
    from xray_lambda.viewer.serve import Viewer
    from xray_lambda.viewer.store import Store


def routes(viewer: Viewer) -> list[Route]:
    """Return the routes of maps."""
    return [Route("/api/map", answered(lambda request: map_of(viewer.store, view_of(request))))]


def map_of(store: Store, view: View) -> dict[str, Any]:
    """Return the services that took part in these traces, and who called whom."""
    condition = Condition(view.where, view.parameters)
    with store.read() as connection:
        return graph.for_screen(graph.read(connection, condition, view.since, view.until))
