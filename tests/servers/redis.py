"""Redis."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.process import HOST, free_port, listens, program, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[int]:
    """Run Redis and yield its port."""
    server, port = program("redis-server", "redis-server"), free_port()
    memory_only = ("--save", "", "--appendonly", "no")
    command = [server, "--port", str(port), "--bind", HOST, *memory_only, *options]
    with running(command, folder, lambda: listens(port)):
        yield port
