"""The screen: the page, and the JSON that it asks for. `routes(viewer)` is all that the daemon needs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xray_lambda.viewer.screen import completing, events, figures, maps, pages, rules, state, traces

if TYPE_CHECKING:
    from starlette.routing import Route

    from xray_lambda.viewer.serve import Viewer

__all__ = ["routes"]


def routes(viewer: Viewer) -> list[Route]:
    """Return what is answered on the screen's port; which hosts and bodies get here, the daemon decides."""
    parts = (traces, figures, maps, completing, rules, state, events)
    return [*pages.routes(), *(route for part in parts for route in part.routes(viewer))]
