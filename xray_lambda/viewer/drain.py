"""Empties the UDP port, and does nothing else: a process of its own, which the viewer's work never keeps waiting.

It is run as a script with the standard library alone. Whatever it reads goes on through a socket, each datagram behind
its length; what nobody has taken yet waits here, up to a limit in bytes, and what is beyond it is counted and dropped.
"""

from __future__ import annotations

import collections
import contextlib
import select
import signal
import socket
import struct
import sys

LARGEST_DATAGRAM = 65_535
CHUNK = 1 << 20
MOST_AT_END = 100
# A length with this bit is no datagram's: the rest of it is how many were dropped until now.
DROPPED = 1 << 31
LENGTH = struct.Struct(">I")


class Waiting:
    """Chunks of framed datagrams that nobody has taken yet."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._chunks: collections.deque[memoryview] = collections.deque()
        self._bytes = 0
        self._dropped = self._told = 0
        self._buffer = memoryview(bytearray(CHUNK))

    def __bool__(self) -> bool:
        return bool(self._chunks) or self._dropped > self._told

    def fill(self, port: socket.socket) -> int:
        """Take what lies at the port, one chunk at most; returns how many datagrams that were."""
        chunk, end, datagrams = self._buffer, 0, 0
        with contextlib.suppress(BlockingIOError):
            while end + LENGTH.size + LARGEST_DATAGRAM < CHUNK:
                size = port.recv_into(chunk[end + LENGTH.size :])
                LENGTH.pack_into(chunk, end, size)
                end += LENGTH.size + size
                datagrams += 1
        if self._bytes + end > self._most_bytes:
            self._dropped += datagrams
        elif end:
            self._chunks.append(memoryview(bytes(chunk[:end])))
            self._bytes += end
        return datagrams

    def empty(self, out: socket.socket) -> None:
        """Hand on what the other side takes just now."""
        with contextlib.suppress(BlockingIOError):
            while self:
                self._tell_dropped()
                sent = out.send(self._chunks[0])
                self._bytes -= sent
                self._chunks[0] = self._chunks[0][sent:]
                if not self._chunks[0]:
                    self._chunks.popleft()

    def _tell_dropped(self) -> None:
        if self._dropped > self._told:
            self._told = self._dropped
            note = LENGTH.pack(DROPPED | min(self._dropped, DROPPED - 1))
            self._chunks.append(memoryview(note))
            self._bytes += len(note)


def drain(port: socket.socket, out: socket.socket, most_bytes: int) -> None:
    """Carry datagrams from `port` to `out` until the other side says a byte, or is gone; then hand on what is left."""
    port.setblocking(False)
    out.setblocking(False)
    waiting = Waiting(most_bytes)
    told = False
    while not told:
        readable, _, _ = select.select([port, out], [out] if waiting else [], [])
        told = out in readable
        if port in readable:
            waiting.fill(port)
        waiting.empty(out)
    out.settimeout(10)
    for _ in range(MOST_AT_END):  # whoever goes on sending does not keep us from ending
        found = waiting.fill(port)
        while waiting:
            waiting.empty(out)
        if not found:
            return


def main() -> None:
    """Run on the sockets whose numbers are given, with the limit in bytes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the viewer says when to end
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    port, out = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    with port, out, contextlib.suppress(ConnectionError, TimeoutError):
        drain(port, out, int(sys.argv[3]))


if __name__ == "__main__":
    main()
