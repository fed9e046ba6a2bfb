"""AWS, as moto plays it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.process import HOST, free_port, listens, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def moto_server(folder: Path) -> Iterator[str]:
    """Run moto's server and yield its URL."""
    port = free_port()
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", HOST, "-p", str(port)]
    with running(command, folder, lambda: listens(port)):
        yield f"http://{HOST}:{port}"
