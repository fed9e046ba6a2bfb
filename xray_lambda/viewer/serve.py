"""The viewer as a whole: store, events, counters, what was refused; the daemon and both servers share it."""

from __future__ import annotations

import collections
import dataclasses
import logging
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from xray_lambda._version import VERSION
from xray_lambda.viewer import documents
from xray_lambda.viewer.documents import Document, Rejected
from xray_lambda.viewer.events import Events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xray_lambda.viewer.store import Store

_log = logging.getLogger("xray_lambda.viewer")
MOST_REJECTIONS = 100
MOST_LINES_A_SECOND = 5


@dataclasses.dataclass
class Counters:
    """Documents since the start: `received` come in any way, `rejected` refused, `dropped` lost before they were read
    (in the kernel or in a full queue), `unstored` lost because the store took none, `forwarded` and `unforwarded`.
    """

    received: int = 0
    rejected: int = 0
    dropped: int = 0
    unstored: int = 0
    forwarded: int = 0
    unforwarded: int = 0


class Rejection(NamedTuple):
    """A document that was refused: when, why, where it came in, and how it begins."""

    at: float
    reason: str
    source: str
    beginning: str


class Viewer:
    """What all parts of the viewer share. `rules` are the sampling rules that it answers with; `about` is what there
    is to say of its addresses; each of `forwards` is handed the documents that come in.
    """

    def __init__(
        self,
        store: Store,
        rules: Any = None,
        *,
        about: dict[str, Any] | None = None,
        forwards: Sequence[Callable[[list[Document]], None]] = (),
    ) -> None:
        self.store = store
        self.rules = rules
        self.about = about or {}
        self.forwards = forwards
        self.events = Events()
        self.counters = Counters()
        self.rejections = collections.deque[Rejection](maxlen=MOST_REJECTIONS)
        self.problem: dict[str, Any] | None = None
        self.started = time.time()
        self._counting = threading.Lock()
        self._log = _Sparing(MOST_LINES_A_SECOND)

    def count(self, name: str, number: int = 1) -> None:
        """Raise a counter, from any thread."""
        with self._counting:
            setattr(self.counters, name, getattr(self.counters, name) + number)

    def take(self, text: str | bytes, source: str = "PutTraceSegments") -> Document:
        """Read one document that came in, and count it; `add` stores it. Raises Rejected, which is noted too."""
        self.count("received")
        try:
            return documents.parse(text)
        except Rejected as rejected:
            self.reject(rejected, text, source)
            raise

    def reject(self, rejected: Rejected, text: str | bytes, source: str) -> None:
        """Note that something was refused, for the log and the screen."""
        self.count("rejected")
        beginning = text[:200] if isinstance(text, str) else text[:200].decode(errors="backslashreplace")
        rejection = Rejection(time.time(), rejected.reason, source, beginning)
        self.rejections.append(rejection)
        self.events.tell("rejected", rejection._asdict())
        self._log.warn(f"rejected, by {source}: {rejected.reason}")

    def add(self, found: list[Document]) -> None:
        """Store documents at once, tell of their traces, and forward them. Raises sqlite3.Error."""
        try:
            changed = self.store.add(found)
        except sqlite3.Error as fault:
            self.lose(len(found), fault)
            raise
        if changed:
            self.events.tell("traces", changed)
        for forward in self.forwards:
            forward(found)

    def lose(self, number: int, fault: Exception) -> None:
        """Note that the store did not take documents."""
        self.count("unstored", number)
        self.complain(f"{number} documents could not be stored: {fault}")

    def complain(self, problem: str) -> None:
        """Note what is wrong with the viewer itself, for the log and the screen."""
        self.problem = {"at": time.time(), "text": problem}
        self._log.warn(problem)

    def status(self) -> dict[str, Any]:
        """Return the counters and what else there is to say: addresses, store, its bytes, the last problem."""
        return {
            **dataclasses.asdict(self.counters),
            **self.about,
            "version": VERSION,
            "started": self.started,
            "store": str(self.store.path) if self.store.path else None,
            "bytes": self.store.size(),
            "problem": self.problem,
        }


class _Sparing:
    """A log that says some lines a second, then how many more there were: a flood of documents floods no terminal."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second = 0
        self._said = 0

    def warn(self, line: str) -> None:
        second = int(time.monotonic())
        if second != self._second:
            if self._said > self._most:
                _log.warning("... and %d more like these", self._said - self._most)
            self._second, self._said = second, 0
        self._said += 1
        if self._said <= self._most:
            _log.warning("%s", line)
