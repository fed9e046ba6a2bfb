"""Loading modules in background threads, so that a fork cannot come in the midst of it.

The child would have modules that are half there and locked for ever, by a thread that it does not have: its own import
of the same module, botocore say, or the first host name that it looks up, would never return.
"""

from __future__ import annotations

# What `getaddrinfo` loads when it is first given a name, in whatever thread that is.
import encodings.idna  # noqa: F401
import os
import threading
from contextlib import contextmanager
from functools import cache

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 5.0  # seconds that a fork waits; botocore takes one, on a small machine

_lock = threading.RLock()
_forking = threading.local()


@contextmanager
def loading() -> Iterator[None]:
    """Hold up forks, five seconds at most, while the block loads modules."""
    _watch_forks()
    with _lock:
        yield


@cache
def _watch_forks() -> None:
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _before_fork() -> None:
    _forking.holds = _lock.acquire(timeout=_PATIENCE)


def _after_fork() -> None:
    if _forking.holds:
        _lock.release()


def _in_child() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent's may hold it
    _lock = threading.RLock()
