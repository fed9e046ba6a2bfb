"""TCP ports: opening them, and who has one that is taken."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

_LISTENING = "0A"
_LONGEST_COMMAND = 120


def listen(host: str, port: int) -> socket.socket:
    """Open a TCP port; 0 is any that is free. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(128)
    except BaseException:
        opened.close()
        raise
    return opened


def holder(port: int, kind: str) -> str:
    """Say which process has a port of the kind udp or tcp open, as far as the system tells."""
    inodes = set(_inodes(port, kind))
    for number, command in _processes(inodes):
        return f"process {number} ({command})"
    return "a process of another user" if inodes else "another process"


def _inodes(port: int, kind: str) -> list[str]:
    """The numbers of the sockets that are bound to a port."""
    found = []
    for table in (kind, f"{kind}6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port and (kind == "udp" or fields[3] == _LISTENING):
                    found.append(fields[9])
    return found


def _processes(inodes: set[str]) -> list[tuple[int, str]]:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    found = []
    for folder in Path("/proc").glob("[0-9]*/fd") if wanted else ():
        with contextlib.suppress(OSError):
            if any(str(entry.readlink()) in wanted for entry in folder.iterdir()):
                words = (folder.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(folder.parent.name), words.strip()[:_LONGEST_COMMAND]))
    return sorted(found)
