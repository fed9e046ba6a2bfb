"""Asks a viewer for the screen's JSON as the page does, over a real socket; paths go out exactly as they are given."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlencode

PATIENCE = 30.0


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    content: bytes

    def json(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)


class Client:
    """Asks the viewer at a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str, params: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Answer:
        """GET a path with these parameters."""
        query = f"?{urlencode(params)}" if params else ""
        return self.ask("GET", path + query, b"", headers or {})

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Make a request with this body."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)) as connection:
            connection.putrequest(method, path)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
