"""Loading modules in a background thread: a fork waits for it, but not for ever, and the child can load them too."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from xray_lambda import _loading
from xray_lambda._loading import loading

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 20
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def in_child(work: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def can_load() -> bool:
    with loading():
        return True


class Loader:
    """Loads in a thread until it is let go; `took` says that it has ended."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.took = False
        self.thread = threading.Thread(target=self._load)
        self.thread.start()
        assert self.begun.wait(PATIENCE)

    def _load(self) -> None:
        with loading():
            self.begun.set()
            assert self.go.wait(PATIENCE)
            self.took = True

    def end(self) -> None:
        self.go.set()
        self.thread.join(PATIENCE)
        assert self.took


def test_a_fork_waits_for_what_is_being_loaded() -> None:
    loader = Loader()
    threading.Timer(0.1, loader.go.set).start()
    assert in_child(lambda: loader.took and can_load())
    loader.end()
    assert can_load()


def test_a_fork_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loading, "_PATIENCE", 0.05)
    loader = Loader()
    start = time.monotonic()
    assert in_child(lambda: not loader.took and can_load())
    assert time.monotonic() - start < PATIENCE / 2
    loader.end()
    assert can_load()


def test_what_is_loaded_may_fork_itself() -> None:
    with loading():
        assert in_child(can_load)
    assert can_load()
