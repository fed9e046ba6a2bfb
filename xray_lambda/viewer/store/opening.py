"""Opens the file of the store, for its owner's eyes alone."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from xray_lambda.viewer.store import tables

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = b"SQLite format 3\0"


def opened(path: Path, name: str) -> sqlite3.Connection:
    """Return the connection that writes, with the tables in place. Raises UnusableStore, which speaks of `name`."""
    _make_private(path)
    with contextlib.ExitStack() as unfinished:
        try:
            connection = tables.connect(tables.address_of(path))
            unfinished.callback(connection.close)
            tables.prepare(connection, name)
        except sqlite3.Error as fault:
            raise tables.UnusableStore(f"{name} cannot be used as the store: {fault}") from fault
        path.chmod(0o600)
        unfinished.pop_all()
    return connection


def _make_private(path: Path) -> None:
    """Make the file, and its folder if need be, readable by their owner alone; SQLite gives its log the same mode."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with path.open("rb") as file:
            beginning = file.read(len(_MAGIC))
    except (FileExistsError, NotADirectoryError):
        raise tables.UnusableStore(f"{path} cannot be used as the store: {path.parent} is no folder") from None
    except OSError as fault:
        raise tables.UnusableStore(f"{path} cannot be used as the store: {fault.strerror}") from fault
    # SQLite takes a short file for an empty database, and would write over it.
    if beginning not in (b"", _MAGIC):
        raise tables.UnusableStore(f"{path} is no database: name another file with --store")
