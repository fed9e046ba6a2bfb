"""The page and its parts, read once: what is not in this table cannot be asked for, whatever the path says."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_FOLDER = Path(__file__).parent / "page"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
# Nothing inline, nothing from elsewhere, in no frame: whatever a trace says, it can only ever be text here.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class Part(NamedTuple):
    """A file of the page, and the tag by which a browser asks whether it has changed."""

    content: bytes
    kind: str
    tag: str


@functools.cache
def parts() -> Mapping[str, Part]:
    """Return every file of the page by its name below /page/."""
    files = [file for file in sorted(_FOLDER.rglob("*")) if file.suffix in _TYPES]
    return {file.relative_to(_FOLDER).as_posix(): _read(file) for file in files}


def _read(file: Path) -> Part:
    content = file.read_bytes()
    return Part(content, _TYPES[file.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def routes() -> list[Route]:
    """Return the routes of the page."""
    return [Route("/", _page), Route("/page/{name:path}", _part), Route("/favicon.ico", _icon)]


def _page(request: Request) -> Response:
    return _answer("index.html", request)


def _icon(request: Request) -> Response:
    return _answer("icon.svg", request)


def _part(request: Request) -> Response:
    return _answer(request.path_params["name"], request)


def _answer(name: str, request: Request) -> Response:
    part = parts().get(name)
    if part is None:
        return Response("There is no such page.", 404, HEADERS, "text/plain; charset=utf-8")
    headers = {**HEADERS, "ETag": part.tag}
    if part.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(part.content, headers=headers, media_type=part.kind)
