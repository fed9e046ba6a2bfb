"""The daemon's own state: counters and addresses, what was rejected, and the way to forget everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from xray_lambda.viewer.screen.asked import answered, json

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from xray_lambda.viewer.serve import Viewer

# A header of its own, which no page of another site can send without being asked first (CORS).
MARK = ("x-requested-with", "xray-lambda")


def routes(viewer: Viewer) -> list[Route]:
    """Return the routes of the viewer's state."""
    return [
        Route("/api/status", answered(lambda _: _status(viewer))),
        Route("/api/rejections", answered(lambda _: {"rejections": _rejections(viewer)})),
        Route("/api/clear", answered(lambda request: _clear(viewer, request)), methods=["POST"]),
    ]


def _status(viewer: Viewer) -> dict[str, Any]:
    return {**viewer.status(), "traces": viewer.store.count()}


def _rejections(viewer: Viewer) -> list[dict[str, Any]]:
    return [rejection._asdict() for rejection in reversed(list(viewer.rejections))]


def is_from_the_page(request: Request) -> bool:
    """Say whether a request that changes something comes from our own page."""
    return request.headers.get(MARK[0]) == MARK[1]


def refused() -> Response:
    """Answer a request that changes something and does not come from the page."""
    return json({"message": f"Send the header X-Requested-With: {MARK[1]}"}, 403)


def _clear(viewer: Viewer, request: Request) -> Any:
    if not is_from_the_page(request):
        return refused()
    viewer.store.clear()
    viewer.events.tell("cleared")
    return {}
