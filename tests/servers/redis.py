"""Redis."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.process import HOST, free_port, listens, program, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def redis_server(folder: Path, *options: str, ready: Callable[[int], object] = listens) -> Iterator[int]:
    """Run Redis and yield its port."""
    server, port = program("redis-server", "redis-server"), free_port()
    memory_only = ("--save", "", "--appendonly", "no")
    command = [server, "--port", str(port), "--bind", HOST, *memory_only, *options]
    with running(command, folder, lambda: ready(port)):
        yield port


@contextmanager
def redis_cluster(folder: Path) -> Iterator[int]:
    """Run a cluster of one Redis, which has all slots, and yield its port."""
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-announce-ip", HOST)
    with redis_server(folder, *options, ready=_has_all_slots) as port:
        yield port


def _has_all_slots(port: int) -> bool:
    with socket.create_connection((HOST, port), timeout=1) as connection:
        connection.sendall(b"CLUSTER ADDSLOTSRANGE 0 16383\r\nCLUSTER INFO\r\n")
        return b"cluster_state:ok" in connection.recv(4096)
