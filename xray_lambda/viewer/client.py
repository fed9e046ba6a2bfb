"""Asks a viewer that runs, on this machine or another: whether it is one, and for the traces as they finish."""

from __future__ import annotations

import contextlib
import http.client
import json
import urllib.parse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST_ANSWER = 100_000
_AT_ONCE = 50


class Refused(Exception):
    """The viewer did not do what it was asked; the text is its own word."""


def ask(host: str, port: int, timeout: float = 2.0) -> dict[str, Any] | None:
    """Return what the viewer at a port says of itself, or None where there is none."""
    try:
        with contextlib.closing(http.client.HTTPConnection(host, port, timeout=timeout)) as connection:
            connection.request("GET", "/xray-lambda")
            answer = json.loads(connection.getresponse().read(_LARGEST_ANSWER))
    except (OSError, ValueError, http.client.HTTPException, RecursionError):
        return None
    return answer if isinstance(answer, dict) and "xray-lambda" in answer else None


def follow(host: str, port: int, expression: str) -> Iterator[dict[str, Any]]:
    """Yield traces as they finish, until the viewer ends. Raises Refused for a filter that it does not understand."""
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=30)) as connection:
        connection.request("GET", f"/xray-lambda/traces?{urllib.parse.urlencode({'filter': expression})}")
        answer = connection.getresponse()
        if answer.status != 200:
            raise Refused(answer.read(_LARGEST_ANSWER).decode(errors="replace"))
        with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
            while line := answer.readline():
                if line.strip():
                    yield json.loads(line)


def put(host: str, port: int, texts: list[str]) -> list[str]:
    """Hand documents to a viewer through PutTraceSegments; returns why it refused some."""
    refused: list[str] = []
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=30)) as connection:
        for place in range(0, len(texts), _AT_ONCE):
            body = json.dumps({"TraceSegmentDocuments": texts[place : place + _AT_ONCE]})
            connection.request("POST", "/TraceSegments", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            if response.status != 200:
                raise Refused(answer[:500].decode(errors="replace"))
            refused += [str(one.get("Message")) for one in json.loads(answer).get("UnprocessedTraceSegments") or ()]
    return refused
