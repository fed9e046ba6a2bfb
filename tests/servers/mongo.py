"""MongoDB, as far as the tests' own server plays it; see mongo_wire."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.process import free_port, listens, running

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = Path(__file__).with_name("mongo_wire.py")


@contextmanager
def mongo_server(folder: Path) -> Iterator[int]:
    """Run the server and yield its port."""
    port = free_port()
    with running([sys.executable, str(_PROGRAM), str(port)], folder, lambda: listens(port)):
        yield port
