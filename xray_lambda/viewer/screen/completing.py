"""Completions of a filter expression, out of what the newest traces have in them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from xray_lambda.viewer import filters
from xray_lambda.viewer.screen.asked import LONGEST_FILTER, answered, whole_of

if TYPE_CHECKING:
    import sqlite3

    from starlette.requests import Request

    from xray_lambda.viewer.serve import Viewer
    from xray_lambda.viewer.store import Store

# What the newest traces have is what one looks for, and reading it takes milliseconds, however large the store is.
_TRACES = 2_000
_VALUES = 30
_KEEP = 0.5  # seconds that what was read is used again: a completion is asked for at each key
_NEWEST = f"trace_id IN (SELECT trace_id FROM traces ORDER BY start DESC LIMIT {_TRACES})"  # noqa: S608 - a number
_OF_TRACES = {"http.url": "url", "http.method": "method", "http.useragent": "user_agent", "http.clientip": "client_ip"}


def routes(viewer: Viewer) -> list[Route]:
    """Return the route of completions."""
    known = _Remembered(viewer.store)
    return [Route("/api/complete", answered(lambda request: _complete(known, request)))]


def _complete(known: _Remembered, request: Request) -> dict[str, Any]:
    text = request.query_params.get("text", "")[:LONGEST_FILTER]
    at = whole_of(request, "at", len(text), LONGEST_FILTER)
    found = filters.complete(text, at, known.now())
    return {"items": [{"text": one.text, "kind": one.kind, "detail": one.detail, "from": one.start} for one in found]}


class _Remembered:
    """What there is to choose from, read anew after some seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = filters.Known()
        self._until = 0.0
        self._lock = threading.Lock()

    def now(self) -> filters.Known:
        """Return it, at most some seconds old."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._known = known(self._store)
                self._until = time.monotonic() + _KEEP
            return self._known


def known(store: Store) -> filters.Known:
    """Read the names and values that the newest traces have, the most frequent first."""
    with store.read() as connection:
        return filters.Known(
            services=_frequent(connection, "name", "services"),
            types=_frequent(connection, "type", "services"),
            annotations=_annotations(connection),
            values={keyword: _frequent(connection, column, "traces") for keyword, column in _OF_TRACES.items()}
            | {"user": _frequent(connection, '"user"', "traces")},
        )


def _frequent(connection: sqlite3.Connection, column: str, table: str) -> list[str]:
    statement = (
        f"SELECT {column} AS value FROM {table} WHERE {_NEWEST} AND {column} != '' "  # noqa: S608 - names of ours
        f"GROUP BY 1 ORDER BY count(*) DESC LIMIT {_VALUES}"
    )
    return [str(row["value"]) for row in connection.execute(statement)]


def _annotations(connection: sqlite3.Connection) -> dict[str, list[str | float | bool]]:
    statement = (
        f"SELECT key, text, number, flag FROM annotations WHERE {_NEWEST} "  # noqa: S608 - a number is all that is in it
        "GROUP BY key, text, number, flag ORDER BY count(*) DESC LIMIT 2000"
    )
    found: dict[str, list[str | float | bool]] = {}
    for row in connection.execute(statement):
        values = found.setdefault(row["key"], [])
        if len(values) < _VALUES:
            values.append(_value(row))
    return found


def _value(row: sqlite3.Row) -> str | float | bool:
    if row["flag"] is not None:
        return bool(row["flag"])
    return float(row["number"]) if row["number"] is not None else str(row["text"])
