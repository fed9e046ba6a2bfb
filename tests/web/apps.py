"""The same program in every framework, for servers: `gunicorn "tests.web.apps:flask_app()"`.

`/echo/<name>` answers with what tells requests apart, `/stream` in two parts, `/file` with a file, `/hold` never.
"""

from __future__ import annotations

import io
import os
import time
from typing import TYPE_CHECKING, Any

from xray_lambda import annotate, subsegment, trace_id
from xray_lambda.web.wsgi import XRayMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILE = os.path.abspath(__file__)  # noqa: PTH100 - a text for `open`
PLAIN = (("Content-Type", "text/plain"),)  # a list of its own for each answer: wsgiref adds to it
FIRST, SECOND = b"first half ", b"second half"


def echo(name: str) -> str:
    annotate(name=name)
    with subsegment(name) as sub:
        sub.annotate(name=name)
        return f"{name} {trace_id()} {os.getpid()}"


def hold() -> str:
    time.sleep(3600)
    raise AssertionError


def stream() -> Iterator[bytes]:
    with subsegment("first"):
        yield FIRST
    with subsegment("second"):
        yield SECOND


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


def plain(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer as the path says."""
    _, word, *rest = environ["PATH_INFO"].split("/")
    if word == "fail":
        raise ValueError("no such price")
    if word == "fail-half-way":
        start_response("200 OK", [*PLAIN])
        return (chunk if chunk is FIRST else _failing() for chunk in stream())
    start_response("200 OK" if word in _ANSWERS or word == "file" else "404 Not Found", [*PLAIN])
    if word == "file":
        return environ.get("wsgi.file_wrapper", _in_blocks)(open(FILE, "rb"))  # type: ignore[no-any-return]  # noqa: PTH123
    return _ANSWERS.get(word, lambda *_: [])(*rest)  # type: ignore[no-any-return]


def _in_blocks(file: io.BufferedReader) -> Iterator[bytes]:
    return iter(lambda: file.read(8192), b"")


def _failing() -> bytes:
    raise ValueError("half-way")


_ANSWERS: dict[str, Any] = {
    "echo": lambda name: [echo(name).encode()],
    "hold": lambda: [hold().encode()],
    "stream": stream,
    "endless": endless,
}


def wsgi_app() -> Any:
    return XRayMiddleware(plain, service="shop")


def flask_app() -> Any:
    from flask import Flask

    from xray_lambda.web.flask import XRayMiddleware as Door

    app = Flask("shop")
    app.add_url_rule("/echo/<name>", view_func=echo)
    app.add_url_rule("/stream", view_func=stream)
    Door(app)
    return app


def bottle_app() -> Any:
    from bottle import Bottle

    from xray_lambda.web.bottle import XRayPlugin

    app = Bottle()
    app.install(XRayPlugin(service="shop"))
    app.route("/echo/<name>", callback=echo)
    app.route("/stream", callback=stream)
    return app


def django_app() -> Any:
    from tests.web import django_site

    return django_site.application


def django_asgi_app() -> Any:
    from tests.web import django_site

    return django_site.asgi_application
