"""What the store forgets: traces that are old, and the oldest ones beyond a size."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING

from xray_lambda.viewer.store import tables

if TYPE_CHECKING:
    import threading

AT_ONCE = 500
_ALL = ("documents", "pending", "traces", *tables.PARTS)
# Going a little below the limit, it is not at it again with the next trace.
_ROOM = 0.95


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of the pages that hold something."""
    pages, free, size = (
        connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def retain(connection: sqlite3.Connection, writing: threading.RLock, oldest: float, most_bytes: int) -> int:
    """Forget traces that last changed before `oldest`, then the oldest until the rest fits; returns how many went.

    Some hundred at a time, so that what arrives is not kept waiting.
    """
    gone = 0
    with writing:
        too_large = used_bytes(connection) > most_bytes
    while True:
        with writing:
            over = too_large and used_bytes(connection) > most_bytes * _ROOM
            ids = _oldest(connection, None if over else oldest)
            _forget(connection, ids)
        gone += len(ids)
        if not ids:
            return gone
        time.sleep(0.001)  # whoever waits for the lock gets it


def _oldest(connection: sqlite3.Connection, before: float | None) -> list[tuple[str]]:
    condition, values = ("1", ()) if before is None else ("changed < ?", (before,))
    statement = f"SELECT trace_id FROM traces WHERE {condition} ORDER BY changed LIMIT {AT_ONCE}"  # noqa: S608 - ours
    return [(row["trace_id"],) for row in connection.execute(statement, values)]


def _forget(connection: sqlite3.Connection, ids: list[tuple[str]]) -> None:
    if not ids:
        return
    with tables.transaction(connection):
        for name in _ALL:
            connection.executemany(f"DELETE FROM {name} WHERE trace_id = ?", ids)  # noqa: S608 - a table of ours


def clear(connection: sqlite3.Connection) -> None:
    """Forget everything, and give the room back."""
    with tables.transaction(connection):
        for name in _ALL:
            connection.execute(f"DELETE FROM {name}")  # noqa: S608 - a table of ours
    connection.execute("PRAGMA incremental_vacuum").fetchall()
    with contextlib.suppress(sqlite3.Error):  # somebody is reading: the log shrinks another time
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
