"""The UDP port and what empties it: datagrams come in batches, and what was lost on the way is counted."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

from xray_lambda.viewer import drain

# 64 MB: at 10 000 documents a second of 1 kB, six seconds in which the viewer may do something else.
MOST_WAITING = 64 * 1024 * 1024
MOST_AT_ONCE = 4 * 1024 * 1024
KERNEL_BUFFER = 32 * 1024 * 1024
_SO_RCVBUFFORCE = 33  # Linux; for root alone, and beyond net.core.rmem_max


def bind(host: str, port: int) -> socket.socket:
    """Open the UDP port, with as large a buffer as the system allows. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        _widen(opened)
        opened.bind(address)
    except BaseException:
        opened.close()
        raise
    return opened


def _widen(port: socket.socket) -> None:
    """Ask for a large buffer: Linux gives what its limit allows, macOS all of it or nothing."""
    for size in (KERNEL_BUFFER, KERNEL_BUFFER // 4, KERNEL_BUFFER // 16):
        with contextlib.suppress(OSError):
            port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
            break
    if sys.platform == "linux":
        with contextlib.suppress(PermissionError):
            port.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, KERNEL_BUFFER)


class Receiver:
    """What comes in at a UDP port that is bound; `dropped` datagrams were lost for want of room, since the start."""

    def __init__(self, port: socket.socket, most_waiting: int = MOST_WAITING) -> None:
        self._port = port
        self._most_waiting = most_waiting
        self._rest = b""
        self._dropped_earlier = self._dropped_now = 0
        self._inode = os.fstat(port.fileno()).st_ino
        self._start()

    def _start(self) -> None:
        self._dropped_earlier, self._dropped_now = self._dropped_earlier + self._dropped_now, 0
        self._rest = b""
        self._here, there = socket.socketpair()
        there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, drain.CHUNK)
        numbers = (self._port.fileno(), there.fileno())
        command = [sys.executable, "-I", "-S", drain.__file__, *map(str, numbers), str(self._most_waiting)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=numbers)
        there.close()

    def read(self, timeout: float) -> list[bytes]:
        """Return the datagrams that came, after `timeout` seconds at most; none may have."""
        found: list[bytes] = []
        size = 0
        while size < MOST_AT_ONCE and select.select([self._here], [], [], 0 if found else timeout)[0]:
            data = self._here.recv(drain.CHUNK)
            if not data:
                # Somebody ended the process. The port is ours still, and what lies there is not lost.
                self._process.wait()
                self._here.close()
                self._start()
                break
            found += self._datagrams(data)
            size += len(data)
        return found

    def _datagrams(self, data: bytes) -> list[bytes]:
        data = self._rest + data
        found, place, header = [], 0, drain.LENGTH.size
        while place + header <= len(data):
            (length,) = drain.LENGTH.unpack_from(data, place)
            if length & drain.DROPPED:
                self._dropped_now, place = length ^ drain.DROPPED, place + header
                continue
            if place + header + length > len(data):
                break
            found.append(data[place + header : place + header + length])
            place += header + length
        self._rest = data[place:]
        return found

    @property
    def dropped(self) -> int:
        """Count what found no room: in the process that empties the port, and before that in the kernel's buffer."""
        return self._dropped_earlier + self._dropped_now + kernel_drops(self._inode)

    def finish(self) -> list[bytes]:
        """Take what has arrived until now, and end; the port stays open, and is the caller's to close."""
        found = []
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._here.send(b"x")
            self._here.settimeout(10)
            while data := self._here.recv(drain.CHUNK):
                found += self._datagrams(data)
        self._here.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        return found


def kernel_drops(inode: int) -> int:
    """Return how many datagrams the kernel had no room for at the socket of this number; 0 where it does not say."""
    for table in ("udp", "udp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[9] == str(inode):
                    return int(fields[-1])
    return 0
