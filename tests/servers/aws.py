"""An AWS service that answers what a test tells it to: refusals, faults, nothing at all; and keeps what it was sent."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.servers.process import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_PATIENCE = 30
REQUEST_ID = "made-up-request-id"


class Answer:
    """One answer: a status with a body, as JSON unless it is bytes; or the connection closed, or no answer at all."""

    def __init__(self, status: int = 200, body: Any = None, *, then: str = "answer", **headers: str) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.then = then


def refusal(status: int, code: str, message: str = "no", **headers: str) -> Answer:
    """An error as services with JSON protocols put it."""
    return Answer(status, {"__type": f"com.amazonaws#{code}", "message": message}, **headers)


CLOSED = Answer(then="close")
NOTHING = Answer(then="hang")


class Request:
    """A request as it came in."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.method = handler.command
        self.path = handler.path
        self.body = body
        self.headers = [(name.lower(), value) for name, value in handler.headers.items()]

    @property
    def trace(self) -> list[str]:
        """Each trace header, however it is spelt."""
        return [value for name, value in self.headers if name == "x-amzn-trace-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service(ThreadingHTTPServer):
    """Gives one answer after the other, the last one for ever; the requests stand in `received`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        self.answers: list[Answer] = [Answer()]
        self.received: list[Request] = []
        self.arrived = threading.Event()
        self.done = threading.Event()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}"

    @contextmanager
    def asked(self) -> Iterator[Service]:
        """Yield the service for one test, with nothing left of the one before."""
        self.answers[:] = [Answer()]
        self.received.clear()
        self.arrived.clear()
        self.done.clear()
        try:
            yield self
        finally:
            self.done.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has lost patience."""


class _Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.received.append(Request(self, body))
        self.server.arrived.set()
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer.then == "hang":
            self.server.done.wait(_PATIENCE)
        if answer.then == "answer":
            self._give(answer)
        else:
            self.close_connection = True

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - as http.server looks for them

    def _give(self, answer: Answer) -> None:
        self.send_response(answer.status)
        headers = {"Content-Type": "application/x-amz-json-1.0", "Content-Length": str(len(answer.body))}
        if "x-amz-request-id" not in answer.headers:
            headers["x-amzn-RequestId"] = REQUEST_ID
        for name, value in {**headers, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def service() -> Iterator[Service]:
    """Run a service."""
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.done.set()
            server.shutdown()
            thread.join(_PATIENCE)
