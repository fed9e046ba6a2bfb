"""Asks the services beside a host: one bounded HTTP exchange, in a time that counts as a whole, past all proxies."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - see _loading
import io
import json
import socket
import time
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ssl import SSLContext
    from typing import Any

MAX_BYTES = 100_000
PATIENCE = 1.0  # seconds for all that one kind of host is asked


class NoAnswerError(Exception):
    """There is nobody, or not with what is wanted; host data goes without it."""


class Deadline:
    """The time that is left, of so many seconds."""

    def __init__(self, seconds: float = PATIENCE) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left; raises NoAnswerError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise NoAnswerError("no answer in time")
        return left


def ask(
    url: str,
    deadline: Deadline,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    tls: SSLContext | None = None,
) -> str:
    """Return the body of the answer with status 200; raises NoAnswerError for every other outcome.

    Follows no redirect, uses no proxy, and reads 100 kB at most.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NoAnswerError("no URL")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname, port), deadline.left()) as plain:
            if parts.scheme != "https":
                return _exchange(plain, _request(parts, method, headers or {}), deadline)
            if tls is None:
                raise NoAnswerError("https without certificates")
            with tls.wrap_socket(plain, server_hostname=parts.hostname) as secure:
                return _exchange(secure, _request(parts, method, headers or {}), deadline)
    except (OSError, ValueError) as error:
        raise NoAnswerError(str(error)) from error


def ask_json(
    url: str, deadline: Deadline, headers: Mapping[str, str] | None = None, tls: SSLContext | None = None
) -> dict[str, Any]:
    """Return the JSON object at a URL; raises NoAnswerError where there is none."""
    try:
        found = json.loads(ask(url, deadline, headers=headers, tls=tls))
    except (ValueError, RecursionError) as error:
        raise NoAnswerError("no JSON") from error
    if not isinstance(found, dict):
        raise NoAnswerError("no JSON object")
    return found


def _request(parts: Any, method: str, headers: Mapping[str, str]) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", "Accept: */*"]
    if method != "GET":
        lines.append("Content-Length: 0")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _exchange(connection: socket.socket, request: bytes, deadline: Deadline) -> str:
    connection.settimeout(deadline.left())
    connection.sendall(request)
    data = b""
    while not _is_whole(data):
        connection.settimeout(deadline.left())  # each time: a server that drips must not outlast it
        more = connection.recv(65_536)
        if not more:
            break
        data += more
        if len(data) > MAX_BYTES:
            raise NoAnswerError("too long an answer")
    return _body(data, request)


def _is_whole(data: bytes) -> bool:
    """Say whether an answer that tells its length is there: not every server closes the connection."""
    head, separator, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n")[1:] if separator else ():
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return len(body) >= int(value)
    return False


class _Received:
    """What was received, as `HTTPResponse` wants a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:  # noqa: ARG002 - always for reading
        return io.BytesIO(self._data)


def _body(data: bytes, request: bytes) -> str:
    try:
        response = HTTPResponse(_Received(data), method=request.partition(b" ")[0].decode())  # type: ignore[arg-type]
        response.begin()
        body = response.read()
    except HTTPException as error:
        raise NoAnswerError(f"no HTTP: {type(error).__name__}") from error
    if response.status != 200:
        raise NoAnswerError(f"status {response.status}")
    return body.decode("utf-8", "replace")
