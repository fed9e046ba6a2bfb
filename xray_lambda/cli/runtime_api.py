"""A small Lambda Runtime API on loopback: hands one event to the runtime client and tells what comes back."""

from __future__ import annotations

import contextlib
import http.server
import io
import re
import threading
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Kind = Literal["next", "response", "error", "init error", "exit", "timeout", "interrupt"]

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_ROOT = "/2018-06-01/runtime"
_POSTS: tuple[tuple[str, Kind], ...] = (
    (rf"{_ROOT}/invocation/[^/]+/response", "response"),
    (rf"{_ROOT}/invocation/[^/]+/error", "error"),
    (rf"{_ROOT}/init/error", "init error"),
)


class Happening(NamedTuple):
    """Something the function's process did, and when; `body` is what it posted."""

    kind: Kind
    at: float
    body: bytes = b""
    exit_code: int = 0


class Invocation(NamedTuple):
    """What the runtime is handed: the event, and the headers that Lambda sends with it."""

    event: bytes
    headers: dict[str, str]
    timeout: float


@contextlib.contextmanager
def serve(invocation: Invocation, tell: Callable[[Happening], None]) -> Iterator[str]:
    """Serve one invocation for the length of a `with` block, which gets `host:port`.

    `tell` hears of each GET next and each POST. The second GET next means that the invocation is over; it is
    held, as Lambda holds it, until the block ends.
    """
    server = _Server(invocation, tell)
    listener = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    listener.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        listener.join()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, invocation: Invocation, tell: Callable[[Happening], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.invocation = invocation
        self.tell = tell
        self.handed_out = threading.Event()
        self.closing = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the runtime client is killed while it waits for its next event."""


class _CutLines(io.BufferedReader):
    """Cuts a line to what http.server takes: the client posts an error's cause in a header of up to 1 MiB."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline()
        return line if size is None or size < 0 or len(line) < size else line[: size - 3] + b"\r\n"


class _Exchange(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        """Read through _CutLines."""
        super().setup()
        self.rfile = _CutLines(self.rfile.detach())

    def do_GET(self) -> None:
        """Hand out the event once; hold whoever asks again."""
        if self.path == f"{_ROOT}/invocation/next":
            self._next()
        elif self.path == f"{_ROOT}/restore/next":
            self._answer(200, b"{}")
        else:
            self._answer(404, b"{}")

    def _next(self) -> None:
        server, again = self.server, self.server.handed_out.is_set()
        server.handed_out.set()
        server.tell(Happening("next", time.time()))
        if again:
            server.closing.wait()
            self.close_connection = True
        else:
            deadline = int((time.time() + server.invocation.timeout) * 1000)
            headers = server.invocation.headers | {"Lambda-Runtime-Deadline-Ms": str(deadline)}
            self._answer(200, server.invocation.event, headers)

    def do_POST(self) -> None:
        """Take a response or an error and tell of it."""
        arrived, body = time.time(), self._body()
        kind = next((kind for pattern, kind in _POSTS if re.fullmatch(pattern, self.path)), None)
        if kind is None:
            self._answer(404, b"{}")
        else:
            self.server.tell(Happening(kind, arrived, body))
            self._answer(202, b'{"status":"OK"}')

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] = NO_HEADERS) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: standard error belongs to the function."""
