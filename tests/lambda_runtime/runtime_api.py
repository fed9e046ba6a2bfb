"""The tests' Lambda Runtime API on loopback: hands out invocations, and notes what had been sent when each ended."""

from __future__ import annotations

import http.server
import io
import json
import queue
import re
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.emitters.daemon import PATIENCE, Daemon, Document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
PARENT = "53995c3f42cd8ad8"
SAMPLED = f"Root={ROOT};Parent={PARENT};Sampled=1"

_RUNTIME = "/2018-06-01/runtime"
_ENDED = re.compile(rf"{_RUNTIME}/invocation/request-(\d+)/(response|error)")


class Invocation(NamedTuple):
    """One invocation: the trace header that Lambda sends with it (None sends none), the event, more headers."""

    header: str | None = SAMPLED
    event: object = None
    headers: Mapping[str, str] = {}


class Answer(NamedTuple):
    """What came of one invocation: what it posted, and the documents that had arrived before that."""

    kind: str  # "response", "error"; "nothing" where the process ended instead
    body: Any
    content_type: str
    documents: list[Document]


class RuntimeAPI(http.server.ThreadingHTTPServer):
    """Serves `invocations` to `workers` processes; each round hands every worker one.

    `happened` tells when all are done and a worker asks for more, which is then held as Lambda holds it.
    """

    daemon_threads = True

    def __init__(self, invocations: Sequence[Invocation], daemon: Daemon, workers: int = 1) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.happened: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.answers = [Answer("nothing", None, "", []) for _ in invocations]
        self.init_error: Any = None
        self.restored = 0
        self.primed: list[Document] = []  # arrived before the first invocation
        self.late: list[Document] = []  # arrived between two
        self._invocations = invocations
        self._handed_out = 0
        self._daemon = daemon
        self._round = threading.Barrier(workers)
        self._workers = workers
        self._lock = threading.Lock()
        self._arrived: list[Document] = []
        self.closing = threading.Event()
        self.faults: list[BaseException] = []

    def next(self) -> tuple[int, Invocation] | None:
        """Return an invocation and its number; None where there is no more, or where the tests have ended."""
        self._round.wait(PATIENCE)
        with self._lock:
            number = self._handed_out
            if self._workers == 1:
                (self.late if number else self.primed).extend(self._daemon.take())
            if number == len(self._invocations):
                return None
            self._handed_out += 1
            return number, self._invocations[number]

    def end(self, number: int, kind: str, body: bytes, content_type: str) -> None:
        """Note what invocation `number` posted and which documents have arrived: at this moment, or never."""
        with self._lock:
            value = json.loads(body) if "json" in content_type else body
            self.answers[number] = Answer(kind, value, content_type, self._documents_of(number))

    def process_ended(self) -> None:
        """Give what arrived since to the invocation that the process died in."""
        number = self._handed_out - 1
        if number >= 0 and self.answers[number].kind == "nothing":
            self.answers[number].documents.extend(self._daemon.take())
        self.late += self._daemon.take()

    def _documents_of(self, number: int) -> list[Document]:
        if self._workers == 1:
            return self._daemon.take()
        self._arrived += self._daemon.take()
        header = self._invocations[number].header or ""
        return [document for document in self._arrived if document["trace_id"] in header]

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep what went wrong, a document that X-Ray would refuse above all; the client may be killed as it waits."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.faults.append(error)


class _ShortLines(io.BufferedReader):
    """Cuts lines to what http.server takes: the client sends an error's stack in a header of up to 1 MiB."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline()
        return line if size is None or size < 0 or len(line) < size else line[: size - 3] + b"\r\n"


class _Exchange(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: RuntimeAPI

    def setup(self) -> None:
        super().setup()
        self.rfile = _ShortLines(self.rfile.detach())

    def do_GET(self) -> None:
        if self.path == f"{_RUNTIME}/restore/next":
            self.server.restored += 1
            self._answer(200, b"{}")
            return
        assert self.path == f"{_RUNTIME}/invocation/next", self.path
        given = self.server.next()
        if given is None:
            self.server.happened.put("done")
            self.server.closing.wait()
            self.close_connection = True
        else:
            number, invocation = given
            self._answer(200, json.dumps(invocation.event).encode(), headers_of(number, invocation))

    def do_POST(self) -> None:
        body = b"".join(self._body())
        ended = _ENDED.fullmatch(self.path)
        if ended:
            content_type = "application/json" if ended[2] == "error" else self.headers["Content-Type"]
            self.server.end(int(ended[1]), ended[2], body, content_type)
        else:
            assert self.path == f"{_RUNTIME}/init/error", self.path
            self.server.init_error = json.loads(body)
        self._answer(202, b'{"status":"OK"}', {})

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""


def headers_of(number: int, invocation: Invocation) -> dict[str, str]:
    """Return the headers that Lambda sends with an invocation."""
    headers = {
        "Lambda-Runtime-Aws-Request-Id": f"request-{number}",
        "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 60_000),
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:shop",
        **invocation.headers,
    }
    return headers if invocation.header is None else {**headers, "Lambda-Runtime-Trace-Id": invocation.header}
