"""Servers as processes on loopback: uvicorn, hypercorn and others, with a program that is written beside them."""

from __future__ import annotations

import selectors
import socket
import sys
import threading
from contextlib import contextmanager
from functools import partial
from textwrap import dedent
from typing import TYPE_CHECKING

from tests.emitters.daemon import PATIENCE, document_in
from tests.servers.process import HOST, free_port, listens, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from tests.emitters.daemon import Daemon, Document

_SO_RCVBUFFORCE = 33  # beyond the kernel's limit, for root
_BUFFER_BYTES = 64 * 1024 * 1024

# What every program begins with: everything is recorded, and sent to the test's daemon.
_HEAD = """
from xray_lambda import annotate, configure, current_segment, patch_all, subsegment, trace_header
configure(daemon_address="{daemon}", sampling="all", host="none", strict=True)
"""


@contextmanager
def serving(
    folder: Path, daemon: Daemon, source: str, command: Sequence[str] = (), options: Sequence[str] = ()
) -> Iterator[int]:
    """Run a server for the program `app.py` made of `source`, uvicorn unless told; yield its port."""
    (folder / "app.py").write_text(_HEAD.format(daemon=daemon.address) + dedent(source), encoding="utf-8")
    port = free_port()
    command = command or ["uvicorn", "app:app", "--host", HOST, "--port", str(port), "--log-level", "warning"]
    words = [word.format(port=port) for word in [*command, *options]]
    with running([sys.executable, "-m", *words], folder, partial(listens, port)):
        yield port


class Collector:
    """Takes what a daemon receives, as it comes, so that a burst finds room; a context manager."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._datagrams: list[bytes] = []
        self._more = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        try:
            daemon._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except PermissionError:  # then the thread has to be quick
            pass

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._daemon._socket, selectors.EVENT_READ)
            while not self._over.is_set():
                if selector.select(0.05):
                    with self._more:
                        self._datagrams += self._daemon.take_datagrams()
                        self._more.notify()

    def wait_for(self, count: int) -> list[Document]:
        """Return the documents once there are `count` of them; fails where they do not come."""
        with self._more:
            came = self._more.wait_for(lambda: len(self._datagrams) >= count, PATIENCE)
            assert came, f"{len(self._datagrams)} documents came, not {count}"
            return [document_in(datagram) for datagram in self._datagrams]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
