"""The viewer as a whole: what it keeps, and what it starts and ends."""

from __future__ import annotations

import collections
import dataclasses
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from xray_lambda.viewer import documents
from xray_lambda.viewer.documents import Document, Rejected
from xray_lambda.viewer.events import Events

if TYPE_CHECKING:
    from xray_lambda.viewer.store import Store

MOST_REJECTIONS = 100


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
    """A document that was refused: when, why, where it came from, and how it begins."""

    at: float
    reason: str
    source: str
    beginning: str


class Viewer:
    """What all parts of the viewer share. `rules` are the sampling rules that it answers with."""

    def __init__(self, store: Store, rules: Any = None) -> None:
        self.store = store
        self.rules = rules
        self.events = Events()
        self.counters = Counters()
        self.rejections = collections.deque[Rejection](maxlen=MOST_REJECTIONS)
        self.started = time.time()

    def take(self, text: str | bytes, source: str = "PutTraceSegments") -> Document:
        """Read one document that came in, and count it; `add` stores it. Raises Rejected, which is noted too."""
        self.counters.received += 1
        try:
            return documents.parse(text)
        except Rejected as rejected:
            self.reject(rejected, text, source)
            raise

    def reject(self, rejected: Rejected, text: str | bytes, source: str) -> None:
        """Note that something was refused, for the log and the screen."""
        self.counters.rejected += 1
        beginning = text[:200] if isinstance(text, str) else text[:200].decode(errors="backslashreplace")
        rejection = Rejection(time.time(), rejected.reason, source, beginning)
        self.rejections.append(rejection)
        self.events.tell("rejected", rejection._asdict())

    def add(self, found: list[Document]) -> None:
        """Store documents at once, and tell of their traces."""
        if changed := self.store.add(found):
            self.events.tell("traces", changed)

    def status(self) -> dict[str, Any]:
        """Return counters and what else there is to say of the viewer's state."""
        return {
            **dataclasses.asdict(self.counters),
            "started": self.started,
            "store": str(self.store.path) if self.store.path else None,
            "bytes": self.store.size(),
        }
