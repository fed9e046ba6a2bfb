"""The daemon's TCP side: asks X-Ray for sampling rules and targets through it, over plain HTTP; the daemon signs."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - see _loading
import http.client
import json
import socket
import time

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from typing import Any, Protocol

    class XRayClient(Protocol):
        """What asks X-Ray, named as botocore's client has it."""

        def get_sampling_rules(self, **members: Any) -> dict[str, Any]:
            """Return one page of rules."""

        def get_sampling_targets(self, **members: Any) -> dict[str, Any]:
            """Report statistics, and return what each rule is granted."""

        def close(self) -> None:
            """Break off a call under way in another thread, if that can be done."""

        def start_anew(self) -> None:
            """In a forked child, leave the parent its connections."""


_SECONDS = 5.0  # for each connecting, sending, receiving
_SECONDS_IN_ALL = 10.0
_MAX_BYTES = 4_000_000


class Unavailable(Exception):
    """X-Ray did not answer, or with an error, or with what makes no sense."""


class Unreachable(Unavailable):
    """Nobody listens there."""


class DaemonClient:
    """Talks to the daemon at `host` and TCP `port`; every call raises Unavailable where there is no sound answer.

    A connection of its own for each call: there are ten seconds between two.
    """

    def __init__(
        self, host: str, port: int, *, seconds: float = _SECONDS, seconds_in_all: float = _SECONDS_IN_ALL
    ) -> None:
        self.host = host
        self.port = port
        self._seconds = seconds
        self._seconds_in_all = seconds_in_all
        self._socket: socket.socket | None = None
        self._closed = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"the X-Ray daemon at {host}:{self.port} (TCP)"

    def get_sampling_rules(self, **members: Any) -> dict[str, Any]:
        """Return one page of the rules; `NextToken` asks for a later one."""
        return self._call("/GetSamplingRules", members)

    def get_sampling_targets(self, **members: Any) -> dict[str, Any]:
        """Report `SamplingStatisticsDocuments`, and return the targets."""
        return self._call("/SamplingTargets", members)

    def close(self) -> None:
        """Break off a call under way in another thread, and make no more."""
        self._closed = True
        sock = self._socket
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is over already

    def start_anew(self) -> None:
        """In a forked child, leave the parent its connection."""
        self._socket = None

    def _call(self, path: str, members: dict[str, Any]) -> dict[str, Any]:
        end = time.monotonic() + self._seconds_in_all
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self._seconds)
        try:
            self._socket = _connected(connection)
            if self._closed:  # now that `close` can see the socket
                raise Unavailable("closed")
            connection.request("POST", path, json.dumps(members), {"Content-Type": "application/json"})
            with connection.getresponse() as response:
                return _content(response.status, _read(response, end))
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        finally:
            self._socket = None
            connection.close()


def _connected(connection: http.client.HTTPConnection) -> socket.socket:
    """Return the socket that `connection` has now; it lets go of it when the answer begins."""
    try:
        connection.connect()
        return connection.sock
    except (OSError, UnicodeError) as error:  # a host name may be none
        raise Unreachable(f"{type(error).__name__}: {error}") from error


def _read(response: http.client.HTTPResponse, end: float) -> bytes:
    """Return the body; a server that sends it bit by bit, or for ever, is left."""
    parts, length = [], 0
    while part := response.read1(65536):
        parts.append(part)
        length += len(part)
        if length > _MAX_BYTES:
            raise Unavailable(f"the answer has more than {_MAX_BYTES:,} bytes")
        if time.monotonic() > end:
            raise Unavailable("the answer takes too long")
    return b"".join(parts)


def _content(status: int, body: bytes) -> dict[str, Any]:
    if status != 200:
        raise Unavailable(f"status {status}, {body[:200].decode('ascii', 'replace')!r}")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Unavailable(f"the answer is no JSON object: {body[:60]!r}")
    return content
