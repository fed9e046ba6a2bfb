"""A stand-in for X-Ray as the direct emitter sees it: answers as told, and keeps what it was put."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from xray_lambda._emitters.service import SENT, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

PATIENCE = 20.0

LATER = Outcome("later", "ThrottledException: slow down")
REFUSED = Outcome("refused", "AccessDeniedException: no", "allow it")
REJECTED = Outcome("rejected", "InvalidRequestException: no")


class FakeXRay:
    """Gives one outcome after the other, the last one for ever."""

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes = list(outcomes or (SENT,))
        self._came = threading.Condition()
        self.batches: list[list[str]] = []
        self.threads: set[str] = set()
        self.open = threading.Event()  # cleared, it holds every batch up
        self.open.set()
        self.prepared = 0
        self.forks = 0
        self.closed = False

    def prepare(self) -> None:
        self.prepared += 1

    def put(self, documents: list[str]) -> Outcome:
        self.threads.add(threading.current_thread().name)
        with self._came:
            self.batches.append(documents)
            self._came.notify_all()
        assert self.open.wait(PATIENCE)
        return self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]

    def answer(self, *outcomes: Outcome) -> None:
        """Answer so from now on."""
        self._outcomes[:] = outcomes

    def close(self) -> None:
        self.closed = True

    def start_anew(self) -> None:
        self.forks += 1

    def wait_for(self, batches: int) -> list[list[str]]:
        """Return all batches when there are so many."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.batches) >= batches, PATIENCE), self.batches
            return list(self.batches)

    @property
    def documents(self) -> list[str]:
        return flat(self.batches)


def flat(batches: Iterable[Iterable[str]]) -> list[str]:
    return [document for batch in batches for document in batch]
