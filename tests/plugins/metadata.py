"""A metadata service on loopback: answers each path as told, in good ways and bad."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.servers.process import HOST

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    Route = Callable[["Handler"], None]

_PATIENCE = 30


class Metadata(ThreadingHTTPServer):
    """Routes are `"GET /path"`; what is asked stands in `asked`, with its headers in small letters."""

    daemon_threads = True
    scheme = "http"

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__((HOST, 0), Handler)
        self.routes: dict[str, Route] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()
        if tls is not None:
            self.scheme = "https"
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{HOST}:{self.server_port}"

    @property
    def paths(self) -> list[str]:
        return [asked for asked, _ in self.asked]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has lost patience."""


class Handler(BaseHTTPRequestHandler):
    server: Metadata
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        key = f"{self.command} {self.path}"
        self.server.asked.append((key, {name.lower(): value for name, value in self.headers.items()}))
        self.server.routes.get(key, status(404))(self)

    do_PUT = do_GET  # noqa: N815 - as http.server looks for it

    def give(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def text(body: str) -> Route:
    return lambda handler: handler.give(200, body.encode())


def json_of(body: object) -> Route:
    return lambda handler: handler.give(200, json.dumps(body).encode(), Content_Type="application/json")


def status(code: int, **headers: str) -> Route:
    return lambda handler: handler.give(code, b"{}", **headers)


def chunked(body: object) -> Route:
    def give(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in json.dumps(body):
            handler.wfile.write(b"1\r\n" + piece.encode() + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    return give


def kept_open(body: object) -> Route:
    """Answer in full, and leave the connection as it is."""

    def give(handler: Handler) -> None:
        handler.give(200, json.dumps(body).encode())
        handler.server.over.wait(_PATIENCE)

    return give


def hangs(handler: Handler) -> None:
    handler.server.over.wait(_PATIENCE)


def drips(handler: Handler) -> None:
    """Send a byte now and then, without end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b"X")


def never_ends(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"[" * 65_536)


def closes(handler: Handler) -> None:
    """Say nothing, and close."""


def garbage(handler: Handler) -> None:
    handler.wfile.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Metadata]:
    """Run a metadata service."""
    with Metadata(tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join(_PATIENCE)
