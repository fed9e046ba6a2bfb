"""What is written: documents as they came, and the rows that a trace's summary becomes."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import orjson

from xray_lambda.viewer.store import tables
from xray_lambda.viewer.summaries import COLUMNS
from xray_lambda.viewer.summaries import summarize as summary_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from typing import Any

    from xray_lambda.viewer.documents import Document
    from xray_lambda.viewer.summaries import Summary

# What is complete stays so, whatever comes late.
_PUT = (
    "INSERT INTO documents (trace_id, id, complete, body) VALUES (?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET complete = excluded.complete, body = excluded.body WHERE excluded.complete >= complete"
)
_log = logging.getLogger("xray_lambda.viewer")
_OF_TRACE = "SELECT id, body FROM documents WHERE trace_id = ? ORDER BY rowid LIMIT ?"
# X-Ray takes 500 kB a trace. A program that puts all it does into one is seen by how it began, and fills no memory.
MOST_DOCUMENTS = 20_000
MOST_CHARACTERS = 32_000_000
_WAIT = "INSERT OR IGNORE INTO pending VALUES (?)"


def put(connection: sqlite3.Connection, documents: Iterable[Document]) -> list[str]:
    """Insert documents; returns the ids of their traces."""
    rows = [
        (document.trace_id, document.id, document.body.get("in_progress") is not True, document.text)
        for document in documents
    ]
    connection.executemany(_PUT, rows)
    touched = list(dict.fromkeys(row[0] for row in rows))
    connection.executemany(_WAIT, [(trace_id,) for trace_id in touched])
    return touched


def texts_of(connection: sqlite3.Connection, trace_id: str) -> list[tuple[str, str]]:
    """Return the ids and the texts of a trace's documents, as many of them as a trace may have to be shown."""
    found: list[tuple[str, str]] = []
    size = 0
    for row in connection.execute(_OF_TRACE, (trace_id, MOST_DOCUMENTS)):
        size += len(row["body"])
        if size > MOST_CHARACTERS:
            break
        found.append((row["id"], row["body"]))
    return found


def summarize(connection: sqlite3.Connection, trace_ids: list[str], now: float) -> dict[str, float]:
    """Write the rows of these traces anew; returns how long each took."""
    costs, found = {}, []
    for trace_id in trace_ids:
        started = time.perf_counter()
        texts = [text for _, text in texts_of(connection, trace_id)]
        try:
            if texts:
                found.append((summary_of([orjson.loads(text) for text in texts]), sum(map(len, texts))))
        except Exception:  # noqa: BLE001 - its documents stay, and no other trace waits for it
            _log.exception("the trace %s could not be summarised", trace_id)
        costs[trace_id] = time.perf_counter() - started
    _write(connection, trace_ids, found, now)
    return costs


def _write(connection: sqlite3.Connection, trace_ids: list[str], found: list[tuple[Summary, int]], now: float) -> None:
    keys = [(trace_id,) for trace_id in trace_ids]
    connection.executemany("DELETE FROM pending WHERE trace_id = ?", keys)
    rows = [_trace_row(summary, size, now) for summary, size in found]
    connection.executemany(_replace("traces", tables.TRACES), rows)
    for name, fields in tables.PARTS.items():
        connection.executemany(f"DELETE FROM {name} WHERE trace_id = ?", keys)  # noqa: S608 - a table of ours
        parts = [
            (summary.trace_id, place, *part)
            for summary, _ in found
            for place, part in enumerate(getattr(summary, name))
        ]
        connection.executemany(_replace(name, fields), parts)


def _replace(name: str, fields: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(fields))
    return f"INSERT OR REPLACE INTO {name} ({tables.quoted(fields)}) VALUES ({marks})"  # noqa: S608 - a table of ours


def _trace_row(summary: Summary, size: int, now: float) -> tuple[object, ...]:
    return (*summary[: len(COLUMNS)], size, now)


def annotation_value(row: sqlite3.Row | Mapping[str, Any]) -> str | float | bool:
    """Return the value that `annotation_columns` put there; a whole number as such."""
    if row["flag"] is not None:
        return bool(row["flag"])
    if row["number"] is not None:
        number: float = row["number"]
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    text: str = row["text"]
    return text
