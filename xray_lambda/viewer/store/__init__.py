"""The store of traces: SQLite in a file or in memory; one connection writes, and each reader has its own."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from xray_lambda.viewer.store import opening, retention, tables, writing
from xray_lambda.viewer.store.memory import MemoryFolder
from xray_lambda.viewer.store.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from xray_lambda.viewer.documents import Document

# Traces that one transaction summarises: as many as the time allows, which the first few tell.
_FEW, _MANY = 100, 500


class Cursor(NamedTuple):
    """Where a page of traces ended: the next one begins below it."""

    start: float
    trace_id: str


class Store:
    """Documents as they came, and a summary of each trace to search by. Safe to use from any thread.

    `path` is a file, made if need be for its owner alone, or None for memory. Raises UnusableStore.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._memory = None
        place = path
        if place is None:
            self._memory = MemoryFolder()
            place = self._memory.file
        self._address = tables.address_of(place)
        self._writing = threading.RLock()
        self._size = 0
        self._idle: list[sqlite3.Connection] = []
        self._writer = opening.opened(place, "the memory" if path is None else str(path))
        self._pending = Pending(self._writer)

    def close(self) -> None:
        """Summarise what waits, and let go of the file."""
        with self._writing:
            with contextlib.suppress(sqlite3.Error):
                self.settle()
                tables.sync(self._writer)
            while self._idle:
                self._idle.pop().close()
            self._writer.close()
        if self._memory is not None:
            self._memory.remove()

    def add(self, documents: Iterable[Document]) -> list[str]:
        """Store documents and summarise their traces at once; returns the ids of the traces that changed."""
        with self._writing:
            touched = self.put(documents)
            self._summarize(touched)
        return touched

    def put(self, documents: Iterable[Document]) -> list[str]:
        """Store documents in one transaction; returns the ids of their traces, which `settle` summarises.

        A complete document replaces one in progress, never the reverse.
        """
        with self._writing:
            with tables.transaction(self._writer):
                touched = writing.put(self._writer, documents)
            self._pending.touch(touched, time.monotonic())
        return touched

    def _summarize(self, trace_ids: list[str]) -> None:
        with tables.transaction(self._writer):
            costs = writing.summarize(self._writer, trace_ids, time.time())
        self._pending.done(costs, time.monotonic())

    def settle(self, quiet: float | None = None, budget: float = 60.0) -> list[str]:
        """Summarise the traces that got documents, `quiet` seconds ago or longer; returns their ids.

        None is all of them, those too that rest since they are dear. It ends after some `budget` seconds, with what is
        left for the next call.
        """
        settled: list[str] = []
        left, most = budget, _FEW
        while left > 0:
            started = time.monotonic()
            with self._writing:
                due = self._pending.due(math.inf if quiet is None else started - quiet, most)
                if not due:
                    break
                self._summarize(due)
            settled += due
            took = time.monotonic() - started
            left -= took
            most = min(_MANY, max(_FEW, int(left / took * len(due))))
        return settled

    def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """Return the documents of a trace, segments and subsegments that came on their own; none if it is not there."""
        return [orjson.loads(text) for _, text in self.texts(trace_id)]

    def texts(self, trace_id: str) -> list[tuple[str, str]]:
        """Return the id and the JSON, as it came, of each document of a trace: the first 20 000, and 32 MB of them."""
        with self.read() as connection:
            return writing.texts_of(connection, trace_id)

    def query(
        self,
        where: str = "1",
        parameters: Sequence[object] = (),
        *,
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
        before: Cursor | None = None,
        among: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return the summaries for which a condition over the table `traces` holds, the newest first.

        Each has the columns of `traces`, and `annotations` as a dict. Times are seconds since 1970. `among` has the ids
        of some traces, 500 at most, if these alone are to be looked at.
        """
        scope, values = _scope(since, until)
        if before is not None:
            scope, values = f"{scope} AND (start, trace_id) < (?, ?)", [*values, *before]
        # Left to itself, SQLite fetches and sorts every trace that a list of ids names, to give the newest hundred.
        table = "traces INDEXED BY traces_by_start"
        if among is not None:
            table = "traces"
            scope, values = f"{scope} AND trace_id IN ({_marks(among[:500])})", [*values, *among[:500]]
        statement = f"SELECT * FROM {table} WHERE {scope} AND ({where}) ORDER BY start DESC, trace_id DESC LIMIT ?"  # noqa: S608 - the filters make `where`, and bind what users write
        with self.read() as connection:
            rows = connection.execute(statement, (*values, *parameters, limit)).fetchall()
            return _with_annotations(connection, rows)

    def count(
        self,
        where: str = "1",
        parameters: Sequence[object] = (),
        *,
        since: float | None = None,
        until: float | None = None,
    ) -> int:
        """Count the traces for which a condition holds."""
        scope, values = _scope(since, until)
        statement = f"SELECT count(*) FROM traces WHERE {scope} AND ({where})"  # noqa: S608 - as above
        with self.read() as connection:
            number: int = connection.execute(statement, (*values, *parameters)).fetchone()[0]
            return number

    def summaries(self, trace_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the summaries of these traces, as `query` does; at most 500 of them."""
        return self.query(among=trace_ids, limit=500)

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for the length of a `with` block, which cannot write."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = tables.connect(self._address, read_only=True)
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def changed_since(self, moment: float) -> list[str]:
        """Return the ids of traces that were summarised since a moment, the last 500 of them."""
        with self.read() as connection:
            rows = connection.execute(
                "SELECT trace_id FROM traces WHERE changed >= ? ORDER BY changed DESC LIMIT 500", (moment,)
            )
            return [row["trace_id"] for row in rows]

    def foreign_version(self) -> int:
        """Return a number that changes when another process has written into the same file."""
        with self._writing:
            number: int = self._writer.execute("PRAGMA data_version").fetchone()[0]
            return number

    def retain(self, keep_days: float, keep_bytes: int) -> int:
        """Forget what is older, and what is oldest beyond a size; returns how many traces went."""
        return retention.retain(self._writer, self._writing, time.time() - keep_days * 86_400, keep_bytes)

    def sync(self) -> None:
        """Let the disk have what was written since the last time: from then on, not even a power cut loses it."""
        with self._writing:
            tables.sync(self._writer)

    def clear(self) -> None:
        """Forget everything."""
        with self._writing:
            retention.clear(self._writer)
            self._pending.clear()

    def size(self) -> int:
        """Return the bytes that are in use, in the file or in memory."""
        with contextlib.suppress(sqlite3.OperationalError), self.read() as connection:  # locked: a moment ago will do
            self._size = retention.used_bytes(connection)
        return self._size


def _scope(since: float | None, until: float | None) -> tuple[str, list[object]]:
    conditions = [(f"start {sign} ?", value) for sign, value in ((">=", since), ("<=", until)) if value is not None]
    return " AND ".join(condition for condition, _ in conditions) or "1", [value for _, value in conditions]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _with_annotations(connection: sqlite3.Connection, rows: list[sqlite3.Row]) -> list[dict[str, Any]]:
    found = [{**dict(row), "annotations": {}} for row in rows]
    by_id = {row["trace_id"]: row["annotations"] for row in found}
    ids = list(by_id)
    for part in (ids[place : place + 500] for place in range(0, len(ids), 500)):
        statement = f"SELECT * FROM annotations WHERE trace_id IN ({_marks(part)}) ORDER BY place"  # noqa: S608 - question marks alone
        for row in connection.execute(statement, part):
            by_id[row["trace_id"]][row["key"]] = writing.annotation_value(row)
    return found
