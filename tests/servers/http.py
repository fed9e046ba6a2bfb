"""HTTP servers on loopback, plain and TLS, that answer as their paths say; and a proxy that forwards and tunnels.

What a path says: see `_ANSWERS`. Of some the answer, or its second half, waits for `server.gate`.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from tests.servers.process import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

_PATIENCE = 30
FIRST, SECOND = b"first half ", b"second half"


class Received:
    """A request as it came in; each header counts, one that came twice too."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.method = handler.command
        self.target = handler.path
        self.headers = [(name.lower(), value) for name, value in handler.headers.items()]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    @property
    def trace(self) -> list[str]:
        return self.all("X-Amzn-Trace-Id")


class Server(ThreadingHTTPServer):
    """What a test sees of a server: where it is, what it was sent, and the gate that some answers wait for."""

    daemon_threads = True
    scheme = "http"
    trusted = ""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__((HOST, 0), handler)
        self.gate = threading.Event()
        self.arrived = threading.Event()
        self.received: list[Received] = []
        self.failures: dict[str, int] = {}

    @property
    def name(self) -> str:
        return f"{HOST}:{self.server_port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.name}"

    @property
    def last(self) -> Received:
        return self.received[-1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away or did not like the certificate: that is what tests do."""

    @contextmanager
    def asked(self) -> Iterator[Server]:
        """Yield the server for one test, with nothing left of the one before."""
        self.gate.clear()
        self.arrived.clear()
        self.received.clear()
        self.failures.clear()
        try:
            yield self
        finally:
            self.gate.set()


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.server.received.append(Received(self))
        self.server.arrived.set()
        path = urlsplit(self.path).path
        _, word, *rest = path.split("/")
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while int(self.rfile.readline(), 16):
                self.rfile.readline()
        _ANSWERS.get(word, _status)(self, *rest)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - as http.server looks for them

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _status(handler: Handler, status: str = "200") -> None:
    handler.answer(int(status) if status.isdigit() else 200, b"hello")


def _redirect(handler: Handler, status: str = "302") -> None:
    handler.answer(int(status), Location=unquote(urlsplit(handler.path).query))


def _headers(handler: Handler) -> None:
    handler.answer(200, json.dumps(handler.server.last.headers).encode(), Content_Type="application/json")


def _echo(handler: Handler, *_: str) -> None:
    handler.answer(200, handler.body)


def _traced(handler: Handler) -> None:
    root = (handler.server.last.trace or ["none"])[0].partition(";")[0]
    handler.answer(200, X_Amzn_Trace_Id=f"{root};Sampled=1")


def _foreign(handler: Handler) -> None:
    handler.answer(200, X_Amzn_Trace_Id="Root=1-00000000-000000000000000000000000;Sampled=1")


def _gated(handler: Handler) -> None:
    handler.server.gate.wait(_PATIENCE)
    handler.answer(200, b"at last")


def _streamed(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for part in (FIRST, SECOND):
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        handler.server.gate.wait(_PATIENCE)
    handler.wfile.write(b"0\r\n\r\n")


def _cut(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"1000\r\n" + FIRST)
    handler.close_connection = True


def _login(handler: Handler, scheme: str) -> None:
    """Ask for credentials, of whatever kind, and take any."""
    if handler.headers.get("Authorization"):
        handler.answer(200, b"welcome")
    else:
        wanted = {"basic": 'Basic realm="r"', "digest": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'}
        handler.answer(401, WWW_Authenticate=wanted[scheme])


def _flaky(handler: Handler, failures: str) -> None:
    seen = handler.server.failures[failures] = handler.server.failures.get(failures, 0) + 1
    handler.answer(503 if seen <= int(failures) else 200)


def _close(handler: Handler) -> None:
    handler.close_connection = True


def _garbage(handler: Handler) -> None:
    handler.wfile.write(b"this is not HTTP\r\n\r\n")
    handler.close_connection = True


_ANSWERS: dict[str, Callable[..., None]] = {
    "close": _close, "cut": _cut, "echo": _echo, "flaky": _flaky, "foreign": _foreign, "garbage": _garbage,
    "gated": _gated, "headers": _headers, "login": _login, "redirect": _redirect, "status": _status,
    "streamed": _streamed, "traced": _traced,
}  # fmt: skip


class ProxyHandler(BaseHTTPRequestHandler):
    """Forwards what is asked with a whole URL, and tunnels what is asked with CONNECT."""

    server: Server
    protocol_version = "HTTP/1.1"
    _HOPS: ClassVar = ("connection", "proxy-connection", "keep-alive")

    def do_CONNECT(self) -> None:
        self.server.received.append(Received(self))
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), _PATIENCE) as far:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_relay, args=(far, self.connection), daemon=True)
            back.start()
            _relay(self.connection, far)
            back.join(_PATIENCE)
        self.close_connection = True

    def do_GET(self) -> None:
        self.server.received.append(Received(self))
        url = urlsplit(self.path)
        lines = [f"{self.command} {url.path}{'?' * bool(url.query)}{url.query} HTTP/1.1", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers.items() if name.lower() not in self._HOPS]
        with socket.create_connection((url.hostname, url.port or 80), _PATIENCE) as far:
            far.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            _relay(far, self.connection)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _relay(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:  # one end has gone, which ends the other direction too
        target.close()


@contextmanager
def _serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        server.shutdown()
        server.server_close()
        thread.join(_PATIENCE)


@contextmanager
def http_server() -> Iterator[Server]:
    """Run a plain server."""
    with _serving(Server(Handler)) as server:
        yield server


@contextmanager
def proxy_server() -> Iterator[Server]:
    """Run a proxy."""
    with _serving(Server(ProxyHandler)) as server:
        yield server


@contextmanager
def https_server(folder: Path) -> Iterator[Server]:
    """Run a TLS server; `trusted` is the path of the certificate that vouches for it."""
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "localhost").configure_cert(context)
    server = Server(Handler)
    server.scheme = "https"
    server.trusted = str(folder / "authority.pem")
    authority.cert_pem.write_to_path(server.trusted)
    # The handshake belongs into the thread of the connection: one that fails must not end the server's.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with _serving(server):
        yield server
