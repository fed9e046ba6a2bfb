"""The tests' X-Ray daemon: a UDP port that checks every datagram as the real one, and X-Ray behind it, would."""

from __future__ import annotations

import selectors
import socket
from typing import TYPE_CHECKING, Any

from tests.schema import checked

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

Document = dict[str, Any]

HEADER_LINE = b'{"format":"json","version":1}'
PATIENCE = 20.0
_BUFFER_BYTES = 8 * 1024 * 1024  # the kernel cuts it down to its own limit
_LARGEST = 65_535


class Daemon:
    """Listens on a loopback port, a free one unless told; a context manager."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(self.family, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.bind((host, port))
        self._socket.setblocking(False)
        self.host, self.port = host, self._socket.getsockname()[1]

    @property
    def address(self) -> str:
        """What belongs into AWS_XRAY_DAEMON_ADDRESS."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def take(self) -> list[Document]:
        """Return the documents that have arrived by now; never waits."""
        return [document_in(datagram) for datagram in self.take_datagrams()]

    def take_datagrams(self) -> list[bytes]:
        """Return the datagrams that have arrived by now; never waits."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(_LARGEST))
            except BlockingIOError:
                return found

    def wait_for(self, count: int) -> list[Document]:
        """Return the next `count` documents, and those that came along; fails where they do not come."""
        found = self.take()
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            while len(found) < count:
                assert selector.select(PATIENCE), f"{len(found)} documents came, not {count}: {found}"
                found += self.take()
        return found

    def close(self) -> None:
        """Stop listening; what has not been taken is lost."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def document_in(datagram: bytes) -> Document:
    """Return the document that a datagram carries, after making sure that daemon and X-Ray would take it."""
    header, _, body = datagram.partition(b"\n")
    assert header == HEADER_LINE, f"the daemon drops {datagram[:100]!r}"
    assert b"\n" not in body, f"more than one document: {datagram[:100]!r}"
    return checked(body.decode("utf-8"))
