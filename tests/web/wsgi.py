"""WSGI without a server: a request through an app, its answer read as servers read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote
from wsgiref.util import setup_testing_defaults

if TYPE_CHECKING:
    from collections.abc import Callable


class Answer(NamedTuple):
    """What a server sends on."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str | None:  # type: ignore[override]  # a header, by its name
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, f"{name} came twice"
        return found[0] if found else None


def environ_of(target: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    """Return a request as WSGI has it; `headers` by Python's names: `X_Amzn_Trace_Id="Root=..."`."""
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": unquote(path)}
    environ["QUERY_STRING"] = query
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    setup_testing_defaults(environ)
    return environ


def ask(app: Callable[..., Any], target: str = "/", method: str = "GET", **headers: str) -> Answer:
    """Send an app a request, and read the answer to its end."""
    return answer_to(app, environ_of(target, method, **headers))


def answer_to(app: Callable[..., Any], environ: dict[str, Any]) -> Answer:
    """Send an app a request, and read the answer to its end."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[..., None]:
        begun.append((status, headers))
        return lambda data: None

    body = app(environ, start_response)
    try:
        read = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return Answer(*begun[-1], read)
