"""The UDP port that takes documents as the X-Ray daemon does: a header line, a newline, one document."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Document = dict[str, object]

# The kernel cuts this down to its own limit; the thread below empties the buffer while the function runs.
BUFFER_BYTES = 8 * 1024 * 1024
LARGEST_DATAGRAM = 65_535
# Python before 3.13 can read JSON of some 990 levels, but each level of ours takes from that too.
DEEPEST = 900


class Mailbox(NamedTuple):
    """An open port and the datagrams that came in, in their order; complete once the port is closed."""

    port: int
    datagrams: list[bytes]


@contextlib.contextmanager
def open_mailbox() -> Iterator[Mailbox]:
    """Receive on a free loopback port for the length of a `with` block; its end takes what is buffered."""
    port, stopped, stop = _bound(), *socket.socketpair()
    with port, stopped, stop:
        mailbox = Mailbox(port.getsockname()[1], [])
        collector = threading.Thread(target=_collect, args=(port, stopped, mailbox.datagrams), daemon=True)
        collector.start()
        try:
            yield mailbox
        finally:
            stop.send(b"x")
            collector.join()


def _bound() -> socket.socket:
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    port.bind(("127.0.0.1", 0))
    port.setblocking(False)
    return port


def _collect(port: socket.socket, stopped: socket.socket, datagrams: list[bytes]) -> None:
    """Take datagrams until told to stop; what had arrived by then is taken too."""
    with selectors.DefaultSelector() as selector:
        selector.register(port, selectors.EVENT_READ)
        selector.register(stopped, selectors.EVENT_READ)
        stopping = False
        while not stopping:
            stopping = any(key.fileobj is stopped for key, _ in selector.select())
            datagrams.extend(_waiting(port))


def _waiting(port: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(BlockingIOError):
        while True:
            yield port.recv(LARGEST_DATAGRAM)


def read_documents(datagrams: Iterable[bytes]) -> tuple[list[Document], list[str]]:
    """Read datagrams as the daemon does: the documents, and why each of the others is none."""
    documents: list[Document] = []
    refusals: list[str] = []
    for datagram in datagrams:
        try:
            documents.append(_read(datagram))
        except ValueError as error:
            refusals.append(str(error))
    return documents, refusals


def _read(datagram: bytes) -> Document:
    header, newline, body = datagram.partition(b"\n")
    if not newline or not _is_header(header):
        raise ValueError('it does not begin with the line {"format": "json", "version": 1}')
    try:
        document = load_json(body)
    except ValueError as error:
        raise ValueError(f"its document is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("its document is not a JSON object")
    return document


def _is_header(line: bytes) -> bool:
    try:
        header = load_json(line)
    except ValueError:
        return False
    return isinstance(header, dict) and str(header.get("format")).lower() == "json" and _is_one(header.get("version"))


def _is_one(value: object) -> bool:
    """Say whether a value is the number 1; JSON's true, which Python finds equal to it, is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == 1


def load_json(text: bytes) -> object:
    """Read JSON; raise ValueError, also where it is nested so deeply that it could not be written again."""
    try:
        value: object = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _depth(value) > DEEPEST:
        raise ValueError("it is nested too deeply")
    return value


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [child for item in level for child in _children(item)]
    return depth


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
