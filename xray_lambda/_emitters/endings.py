"""Endings: what an emitter that keeps documents does when the process ends, is told to (SIGTERM), or forks."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from xray_lambda._guard import swallow

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Ending(Protocol):
    """What has something to do at the end, which takes `exit_seconds` at most."""

    @property
    def exit_seconds(self) -> float: ...

    def end(self) -> None:
        """Send what waits, within a bounded time."""

    def flush(self, timeout: float) -> bool:
        """Send what waits, within so many seconds; say whether it is sent."""

    def hurry(self) -> None:
        """Keep nothing any more, but send it at once; return without waiting."""

    def start_anew(self) -> None:
        """Leave to the parent of a fork what is its own."""


_watched: WeakSet[Ending] = WeakSet()


def watch(emitter: Ending) -> None:
    """See to it that `emitter` learns of forks and of the end of this process."""
    _watched.add(emitter)
    _watch_forks()
    atexit.unregister(emitter.end)  # a forked child has it from its parent
    atexit.register(emitter.end)
    _watch_multiprocessing(emitter)
    watch_sigterm()


def forget(emitter: Ending) -> None:
    """Leave `emitter` alone from now on."""
    _watched.discard(emitter)
    atexit.unregister(emitter.end)


@cache
def _watch_forks() -> None:
    os.register_at_fork(after_in_child=_start_anew)


def _start_anew() -> None:
    _each(lambda emitter: emitter.start_anew())


def _watch_multiprocessing(emitter: Ending) -> None:
    """Register with multiprocessing in a process that it has made: those end without `atexit` on most Pythons."""
    process = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, emitter.end, exitpriority=0)


def watch_sigterm() -> None:
    """Have SIGTERM send what waits first; then it does what it does by now.

    Where that is to end the process at once, documents get `exit_seconds`, and a second one ends it for good. Before
    a handler of the program's own they get half as long: uvicorn's, for one, ends the process without a word. Ignored
    signals stay ignored, and what C code has put there stays. Only the main thread can do this.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGTERM)
    if before is None or before is signal.SIG_IGN or _MARK in getattr(before, "__dict__", {}):
        return
    try:
        signal.signal(signal.SIGTERM, _on_term(before))
    except ValueError:  # the main thread of an interpreter that is not the main one
        return


_MARK = "__xray_lambda_sigterm__"


# A function, not an object: `_guard.is_from_a_signal` knows handlers by their code.
def _on_term(before: object) -> Callable[[int, FrameType | None], object]:
    def on_term(number: int, frame: FrameType | None) -> object:
        _each(lambda emitter: emitter.hurry())
        if callable(before):
            _each(lambda emitter: emitter.flush(emitter.exit_seconds / 2))
            return before(number, frame)
        signal.signal(number, signal.SIG_DFL)
        _each(lambda emitter: emitter.end())
        os.kill(os.getpid(), number)
        return None

    on_term.__dict__[_MARK] = True
    return on_term


def _each(call: Callable[[Ending], object]) -> None:
    for emitter in list(_watched):
        try:
            call(emitter)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
