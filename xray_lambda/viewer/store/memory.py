"""A store in memory: a file in a folder of the machine's memory, which goes with the process.

SQLite's own databases in memory know no log: whoever reads waits for whoever writes, and the screen stood still under a
load.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, made for its owner alone
_PREFIX = "xray-lambda-"


class MemoryFolder:
    """A folder for one file, removed by `remove` or at the end of the process; what killed ones left goes first."""

    def __init__(self, within: Path | None = None) -> None:
        base = _base() if within is None else within
        for left in _left_behind(base):
            shutil.rmtree(left, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=base))
        # Held for as long as the folder is somebody's, in whatever container that may be.
        self._lock = (new / "lock").open("w", encoding="ascii")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        folder = new.rename(new.with_name(new.name.lstrip(".")))
        self.file = folder / "traces.db"
        self.remove = weakref.finalize(self, _remove, folder, self._lock)


def _base() -> Path:
    """Return the folder that is memory, or the one for temporary files where there is none."""
    return _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _remove(folder: Path, lock: contextlib.AbstractContextManager[object]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with lock:
        """Let it go: nobody finds the folder any more."""


def _left_behind(base: Path) -> Iterator[Path]:
    """Yield the folders whose processes have gone without removing them: their locks can be had."""
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (folder / "lock").open("r+", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
