"""A program for real servers: each request is a segment, by hand, so that no middleware plays a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xray_lambda import segment

if TYPE_CHECKING:
    from collections.abc import Callable


async def asgi(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """Answer one request; knows nothing of lifespans."""
    assert scope["type"] == "http"
    with segment(scope["path"].strip("/")):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    """Answer one request."""
    with segment(environ["PATH_INFO"].strip("/")):
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]
