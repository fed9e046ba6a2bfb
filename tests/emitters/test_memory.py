"""The emitter of tests keeps what would have been sent, in its order."""

from __future__ import annotations

from xray_lambda._emitters.memory import MemoryEmitter


def test_documents_are_kept_as_they_were_sent() -> None:
    emitter, other = MemoryEmitter(), MemoryEmitter()
    for text in ("one", "two"):
        emitter.send(text)
    assert (emitter.documents, other.documents) == (["one", "two"], [])
