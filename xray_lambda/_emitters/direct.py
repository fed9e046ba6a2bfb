"""Sends documents straight to X-Ray, where there is no daemon: in batches, from one background thread."""

from __future__ import annotations

import logging
import random
import threading
import time
from _thread import allocate_lock
from collections import deque
from typing import TYPE_CHECKING

from xray_lambda._context import current
from xray_lambda._emitters import endings
from xray_lambda._emitters.backlog import Backlog
from xray_lambda._emitters.notices import Notices
from xray_lambda._emitters.service import XRay
from xray_lambda._entity import UNTRACED
from xray_lambda._guard import say_once, swallow

if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable
    from typing import Protocol

    from xray_lambda._emitters.service import Outcome

    class Service(Protocol):
        """What takes a batch of documents: X-Ray."""

        def prepare(self) -> None: ...
        def put(self, documents: list[str]) -> Outcome: ...
        def close(self) -> None: ...
        def start_anew(self) -> None: ...


# PutTraceSegments takes 50 documents a call; of bytes no limit is documented.
FULL = 50
FULL_BYTES = 1_000_000
WINDOW_SECONDS = 1.0
EXIT_SECONDS = 2.0

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_LONGEST_HURRIED_PAUSE = 0.5
_HURRY_SECONDS = 30.0  # what ECS and Kubernetes give a program between SIGTERM and SIGKILL
_ATTEMPTS = 10


class DirectEmitter:
    """Keeps documents in a bounded line, which a thread empties: each second, or when a batch is full.

    `send` costs its caller an append. There is no lock on its way: a signal handler, a fork or the garbage collector
    may come at any point. The thread starts with the first document, and anew in a forked child, whose line is empty:
    what waited before is the parent's.
    """

    def __init__(
        self,
        service: Service | None = None,
        *,
        window: float = WINDOW_SECONDS,
        exit_seconds: float = EXIT_SECONDS,
        backlog: Callable[[], Backlog] = Backlog,
        notices: Notices | None = None,
    ) -> None:
        self._notices = notices or Notices()
        self._service = service or XRay(notices=self._notices)
        self._window = window
        self.exit_seconds = exit_seconds
        self._new_backlog = backlog
        self._closed = False
        self._advised: set[str] = set()
        self._begin()

    def _begin(self) -> None:
        self._backlog = self._new_backlog()
        self._lost = 0
        self._failures = 0  # in a row
        self._dropped = 0  # of those that the backlog has dropped, how many have been told of
        self._random = random.Random()  # noqa: S311 - for pauses; the program's own sequence is left alone
        self._thread: threading.Thread | None = None
        self._starting = allocate_lock()
        # Released when there is something to do. No `threading.Event`: a signal may interrupt what holds its lock.
        self._bell = _locked()
        self._asleep = True  # the thread, if there is one, waits for the bell
        self._under_way = 0  # documents that the thread has taken
        self._callers: deque[LockType] = deque()  # each waits in `flush` for its own to be released
        self._leaving: list[LockType] = []  # those whose documents the thread is about to send
        self._refused = False  # as long as nobody does something about it
        self._hurry_until = 0.0

    @property
    def lost(self) -> int:
        """How many documents X-Ray will never show: dropped, given up, rejected or not processed."""
        return self._lost + self._backlog.dropped

    def send(self, document: str) -> None:
        """Put one document in line; never raises and never waits."""
        count = self._backlog.put(document)
        if self._asleep or count == FULL:
            self._rouse()

    def _rouse(self) -> None:
        self._asleep = False
        if self._thread is None and self._starting.acquire(blocking=False):
            try:
                self._start()
            finally:
                self._starting.release()
        try:
            self._bell.release()
        except RuntimeError:  # it rings already
            pass

    def _start(self) -> None:
        """Start the thread. Neither two threads of the program are here at once, nor a signal handler in between."""
        if self._thread is not None:
            return
        thread = self._thread = threading.Thread(target=self._run, name="xray_lambda-direct", daemon=True)
        try:
            endings.watch(self)
            thread.start()
        except Exception as error:  # noqa: BLE001 - no thread is to be had: a limit, or Python is about to end
            say_once(logging.WARNING, "direct thread", "xray_lambda: nothing can be sent to X-Ray: %s", error)
        finally:
            if thread.ident is None:  # it has not started: the next document tries again
                self._asleep, self._thread = True, None

    def _run(self) -> None:
        current.set(UNTRACED)  # what we call is no part of the program's traces
        self._service.prepare()
        while not self._closed or self._backlog:
            try:
                self._gather()
                self._deliver()
            except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
                self._lose(self._under_way, "a fault of ours%s")
                self._let_go()
                swallow(fault)
        endings.forget(self)
        self._service.close()
        self._asleep, self._thread = True, None
        if self._backlog:  # one came meanwhile
            self._rouse()

    def _gather(self) -> None:
        """Wait for a document, and then a moment for those that come with it."""
        self._under_way = 0
        self._asleep = True
        if not (self._backlog or self._callers or self._closed):
            self._bell.acquire()
        self._asleep = False
        if len(self._backlog) < FULL and not self._is_hurried():
            self._bell.acquire(timeout=self._window)

    def _deliver(self) -> None:
        """Put all that waits by now, batch by batch, and let those go who waited for it."""
        self._leaving = self._waiting_callers()
        left = len(self._backlog)
        while left > 0:
            self._backlog.recount()
            self._tell_drops()
            batch = self._backlog.take(FULL, FULL_BYTES)
            self._under_way = len(batch)
            self._put(batch)
            self._under_way = 0
            left -= len(batch) or left
        self._let_go()

    def _waiting_callers(self) -> list[LockType]:
        return [self._callers.popleft() for _ in range(len(self._callers))]

    def _let_go(self) -> None:
        while self._leaving:
            self._leaving.pop().release()

    def _put(self, batch: list[str]) -> None:
        """Put a batch, again and again while that may help; what X-Ray cannot digest must not hold up the rest."""
        attempts = 0
        while attempts < _ATTEMPTS:
            attempts += self._closed or not self._is_hurried()
            outcome = self._service.put(batch)
            if outcome.kind == "sent":
                self._failures, self._refused = 0, False
                self._lost += outcome.lost
                return
            if outcome.kind == "rejected":
                self._lose(len(batch), "X-Ray rejects them (%s)", outcome.why)
                return
            self._failures += 1
            self._tell(outcome)
            self._refused = outcome.kind == "refused"
            if self._refused:  # it is no use to wait
                self._leaving += self._waiting_callers()
                self._let_go()
                if self._closed:
                    break
            self._bell.acquire(timeout=self._pause(outcome))
        self._lose(len(batch), "X-Ray did not take them (%s)", outcome.why)

    def _pause(self, outcome: Outcome) -> float:
        """Return how long to wait: exponential back-off with full jitter, so that many processes spread."""
        if outcome.kind == "refused":
            return _LONGEST_PAUSE
        limit = _LONGEST_HURRIED_PAUSE if self._is_hurried() else _LONGEST_PAUSE
        return self._random.uniform(0, min(limit, _FIRST_PAUSE * 2 ** min(self._failures, 10)))

    def _is_hurried(self) -> bool:
        return time.monotonic() < self._hurry_until or self._closed

    def _tell(self, outcome: Outcome) -> None:
        if outcome.kind == "refused":
            self._tell_what_to_do(outcome)
        else:
            message = "X-Ray does not answer as it should; documents wait and are sent again: %s"
            self._notices.say(logging.INFO, "later", message, outcome.why)
        self._tell_drops()

    def _tell_what_to_do(self, outcome: Outcome) -> None:
        if outcome.advice not in self._advised:
            self._advised.add(outcome.advice)
            message = "X-Ray cannot be sent to: %s. What to do: %s. Told once; tried again by and by"
            self._notices.say(logging.WARNING, outcome.advice, message, outcome.why, outcome.advice)

    def _tell_drops(self) -> None:
        dropped = self._backlog.dropped
        if dropped > self._dropped:
            self._dropped = dropped
            message = "%d documents were dropped so far, the oldest: more were recorded than may wait for X-Ray"
            self._notices.say(logging.WARNING, "dropped", message, dropped)

    def _lose(self, count: int, message: str, why: str = "") -> None:
        if count:
            self._lost += count
            self._notices.say(logging.WARNING, message, f"%d documents are lost: {message}", count, why)

    def flush(self, timeout: float) -> bool:
        """Wait until what has been sent by now is gone, so many seconds at most; says whether it is."""
        if self._asleep and not self._backlog:
            return True
        done = _locked()
        self._callers.append(done)
        self._hurry_until = max(self._hurry_until, time.monotonic() + timeout)
        self._rouse()
        return self._thread is not None and done.acquire(timeout=max(timeout, 0)) and not self._refused

    def hurry(self) -> None:
        """Let nothing wait for company any more: the process is about to end."""
        self._hurry_until = time.monotonic() + _HURRY_SECONDS
        if not self._asleep:
            self._rouse()

    def end(self) -> None:
        """Send what waits, at the end of the process; what is not gone within `exit_seconds` is lost, and counted."""
        if not self.flush(self.exit_seconds):
            self._lose(len(self._backlog) + self._under_way, "the program ended before X-Ray took them%s")
        self._notices.end()

    def close(self) -> None:
        """End the thread when it has sent what waits."""
        self._closed = True
        if self._thread is not None:
            self._rouse()

    def start_anew(self) -> None:
        """Leave to the parent of a fork its thread, its connections and what waits there."""
        self._service.start_anew()
        self._begin()


def _locked() -> LockType:
    lock = allocate_lock()
    lock.acquire()
    return lock
