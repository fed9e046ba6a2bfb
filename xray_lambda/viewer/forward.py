"""`--forward`: whatever comes in goes on to another daemon, or to AWS X-Ray; nobody waits for it."""

from __future__ import annotations

import collections
import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from xray_lambda.viewer.documents import Document

HEADER = b'{"format": "json", "version": 1}\n'
# As the daemon has it: 50 documents a call, or what has come within a second.
AT_ONCE = 50
LONGEST_WAIT = 1.0
MOST_WAITING = 10_000
MOST_WAITING_BYTES = 64 * 1024 * 1024
_LARGEST_CALL = 5_000_000


class Sender(Protocol):
    """Sends documents; returns how many arrived, as far as one can know, and a word about the others."""

    def __call__(self, texts: list[str]) -> tuple[int, str]: ...  # noqa: D102 - see the class


class Told(NamedTuple):
    """What a forwarder reports: documents that went on, and those that did not; and its complaints."""

    tally: Callable[[str, int], None]
    complain: Callable[[str], None]


class Forwarder:
    """Documents on their way to somewhere else, in a thread of their own; the oldest give way when it is too slow."""

    def __init__(self, name: str, send: Sender, told: Told) -> None:
        self._name = name
        self._send = send
        self._told = told
        self._texts: collections.deque[str] = collections.deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="xray-lambda forward", daemon=True)
        self._thread.start()

    def __call__(self, documents: list[Document]) -> None:
        """Take documents to be sent on."""
        with self._changed:
            self._texts.extend(document.text for document in documents)
            self._bytes += sum(len(document.text) for document in documents)
            lost = 0
            while len(self._texts) > MOST_WAITING or self._bytes > MOST_WAITING_BYTES:
                self._bytes -= len(self._texts.popleft())
                lost += 1
            self._changed.notify()
        if lost:
            self._told.tally("unforwarded", lost)
            self._told.complain(f"{lost} documents were not forwarded: {self._name} is too slow")

    def close(self, timeout: float = 5.0) -> None:
        """Send what waits, for `timeout` seconds at most, and end."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(timeout)
        with self._changed:
            if self._texts:
                self._told.tally("unforwarded", len(self._texts))
                self._texts.clear()

    def _run(self) -> None:
        while batch := self._next():
            try:
                arrived, fault = self._send(batch)
            except Exception as error:  # noqa: BLE001 - a network, an AWS account: whatever it is, the next may do
                arrived, fault = 0, f"{type(error).__name__}: {error}"
            if arrived:
                self._told.tally("forwarded", arrived)
            if arrived < len(batch):
                self._told.tally("unforwarded", len(batch) - arrived)
                self._told.complain(f"{len(batch) - arrived} documents were not forwarded to {self._name}: {fault}")

    def _next(self) -> list[str]:
        """Wait for documents, for a full call of them or a second; none when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._texts or self._ending)
            deadline = time.monotonic() + LONGEST_WAIT
            self._changed.wait_for(
                lambda: len(self._texts) >= AT_ONCE or self._ending, timeout=max(deadline - time.monotonic(), 0)
            )
            batch: list[str] = []
            size = 0
            while self._texts and len(batch) < AT_ONCE and size < _LARGEST_CALL:
                batch.append(self._texts.popleft())
                size += len(batch[-1])
            self._bytes -= size
            return batch


def daemon_at(address: tuple[str, int]) -> Sender:
    """Return what sends documents to another daemon; its address is looked up here. Raises OSError."""
    family, _, _, _, target = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]

    def send(texts: list[str]) -> tuple[int, str]:
        arrived, fault = 0, ""
        with socket.socket(family, socket.SOCK_DGRAM) as out:
            for text in texts:
                try:
                    out.sendto(HEADER + text.encode(), target)
                    arrived += 1
                except OSError as error:
                    fault = error.strerror or str(error)
        return arrived, fault

    return send


def xray(client: Any) -> Sender:
    """Return what puts documents through a botocore client of X-Ray."""

    def send(texts: list[str]) -> tuple[int, str]:
        answer = client.put_trace_segments(TraceSegmentDocuments=texts)
        refused = answer.get("UnprocessedTraceSegments") or []
        with contextlib.suppress(IndexError):
            return len(texts) - len(refused), f"{refused[0].get('ErrorCode')}: {refused[0].get('Message')}"
        return len(texts), ""

    return send
