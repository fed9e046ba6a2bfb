"""From the port into the store: reads documents, writes them in batches, summarises, tells; forgets what is too old."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from xray_lambda.viewer import documents
from xray_lambda.viewer.documents import Document, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.viewer.receiver import Receiver
    from xray_lambda.viewer.serve import Viewer

_log = logging.getLogger("xray_lambda.viewer")
# The documents of a trace come together: a moment later one summary serves them all.
QUIET = 0.1
# Seconds for summaries between two batches. Meanwhile the next one becomes large: many small ones would be written to
# the disk several times over.
SHARE = 0.05
_TIDY_EVERY = 10.0
_TELL_EVERY = 1.0


class Keep(NamedTuple):
    """How long and how much the store keeps."""

    days: float = 7.0
    megabytes: float = 1024.0


class Ingest:
    """The thread that everything from the UDP port goes through; `start` and `finish` it."""

    def __init__(self, viewer: Viewer, receiver: Receiver, keep: Keep) -> None:
        self._viewer = viewer
        self._receiver = receiver
        self._keep = keep
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="xray-lambda ingest", daemon=True)
        self._behind = self._unsynced = False
        self._next_tidy = self._next_status = 0.0
        self._version = viewer.store.foreign_version()

    def start(self) -> None:
        """Begin to receive."""
        self._thread.start()

    def finish(self) -> None:
        """Store what has arrived until now, and end."""
        self._ending.set()
        self._thread.join()
        self._store(self._receiver.finish())
        self._settle(quiet=None, budget=10)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._turn()
            except Exception:  # noqa: BLE001 - what comes next is received all the same
                _log.exception("the viewer could not do its work; it goes on")
                self._ending.wait(1)

    def _turn(self) -> None:
        datagrams = self._receiver.read(0.0 if self._behind else 0.05)
        self._store(datagrams)
        began = time.monotonic()
        self._settle(QUIET, SHARE)
        now = time.monotonic()
        self._behind = now - began >= SHARE
        if now >= self._next_status:
            self._next_status = now + _TELL_EVERY
            self._tell()
        if now >= self._next_tidy:
            self._next_tidy = now + _TIDY_EVERY
            self._tidy()

    def _store(self, datagrams: list[bytes]) -> None:
        found = list(self._read(datagrams))
        if not found:
            return
        try:
            self._viewer.store.put(found)
        except sqlite3.Error as fault:
            self._viewer.lose(len(found), fault)
        for forward in self._viewer.forwards:
            forward(found)

    def _read(self, datagrams: list[bytes]) -> Iterator[Document]:
        self._viewer.count("received", len(datagrams))
        for datagram in datagrams:
            try:
                yield documents.parse(documents.unframe(datagram))
            except Rejected as rejected:
                self._viewer.reject(rejected, datagram, "UDP")
            except Exception as fault:  # noqa: BLE001 - a fault of ours costs this document, not those that came with it
                self._viewer.reject(Rejected(f"the viewer could not read it: {fault!r}"), datagram, "UDP")

    def _settle(self, quiet: float | None, budget: float) -> None:
        try:
            changed = self._viewer.store.settle(quiet, budget)
        except sqlite3.Error as fault:
            self._viewer.complain(f"traces could not be summarised: {fault}")
            self._ending.wait(0.5)
            return
        if changed:
            self._unsynced = True
            self._viewer.events.tell("traces", changed)

    def _tidy(self) -> None:
        """Forget what is too old or too much; and when nothing waits, let the disk catch up."""
        self._viewer.store.retain(self._keep.days, int(self._keep.megabytes * 1_000_000))
        if self._unsynced and not self._behind:
            self._viewer.store.sync()
            self._unsynced = False

    def _tell(self) -> None:
        """Tell how things stand, and what another process (`xray-lambda traces import`) wrote into the same file."""
        self._viewer.counters.dropped = self._receiver.dropped
        self._viewer.events.tell("status", self._viewer.status())
        version = self._viewer.store.foreign_version()
        if version != self._version:
            self._version = version
            self._viewer.events.tell("traces", self._viewer.store.changed_since(time.time() - 5))
