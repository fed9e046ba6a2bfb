"""Keeps documents in a list, for tests."""

from __future__ import annotations


class MemoryEmitter:
    """Collects what would have been sent; a list's append is atomic, so any thread may send."""

    def __init__(self) -> None:
        self.documents: list[str] = []

    def send(self, document: str) -> None:
        """Keep `document`."""
        self.documents.append(document)
