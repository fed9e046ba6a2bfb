"""What the traces in view come to: a histogram of durations, and what cold starts cost."""

from __future__ import annotations

import bisect
import itertools
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from xray_lambda.viewer.screen.asked import answered, view_of
from xray_lambda.viewer.screen.traces import shown

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from starlette.requests import Request

    from xray_lambda.viewer.screen.asked import View
    from xray_lambda.viewer.serve import Viewer
    from xray_lambda.viewer.store import Store

# Twenty steps a decade, each some 12 % longer, by numbers that are easy to say (Renard's series R20, ISO 3). They do
# not depend on what there is, so that a bar stays where it is when traces arrive.
_R20 = (1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0, 2.24, 2.5, 2.8, 3.15, 3.55, 4.0, 4.5, 5.0, 5.6, 6.3, 7.1, 8.0, 9.0)
EDGES = [float(f"{step}e{power}") for power in range(-5, 6) for step in _R20]
_FEWEST = 20
_NEWEST = 100


def routes(viewer: Viewer) -> list[Route]:
    """Return the routes of figures."""
    store = viewer.store
    return [
        Route("/api/histogram", answered(lambda request: _histogram(store, view_of(request)))),
        Route("/api/coldstarts", answered(lambda request: _cold_starts(store, request))),
    ]


def _histogram(store: Store, view: View) -> dict[str, Any]:
    where, values = view.scope
    bucket = _case(EDGES)
    statement = (
        f"SELECT {bucket} AS bucket, count(*) AS count, sum(fault) AS faults, sum(error AND NOT fault) AS errors "  # noqa: S608 - the filters make `where`, and bind what users write
        f"FROM traces WHERE {where} GROUP BY bucket"
    )
    with store.read() as connection:
        rows = {row["bucket"]: row for row in connection.execute(statement, values)}
        count = sum(row["count"] for row in rows.values())
        p50, p99 = (_percentile(connection, view, count, share) for share in (0.5, 0.99))
    return {"buckets": _buckets(rows), "count": count, "p50": p50, "p99": p99}


def _case(edges: Sequence[float]) -> str:
    """Return SQL for how many of these edges a duration reaches; halving, so that a row costs eight comparisons."""
    if not edges:
        return "0"
    return f"({_half(edges, 0, len(edges))})"


def _half(edges: Sequence[float], low: int, high: int) -> str:
    if low == high:
        return str(low)
    middle = (low + high) // 2
    smaller, larger = _half(edges, low, middle), _half(edges, middle + 1, high)
    return f"CASE WHEN duration < {edges[middle]!r} THEN {smaller} ELSE {larger} END"


def _buckets(rows: dict[int, sqlite3.Row]) -> list[dict[str, Any]]:
    """Return every bucket from the first that has traces to the last, and a few around where these are close."""
    if not rows:
        return []
    low, high = min(rows), max(rows)
    around = max(2, (_FEWEST - (high - low)) // 2)
    low, high = max(0, low - around), min(len(EDGES), high + around)
    edges = [0.0, *EDGES, EDGES[-1] * 10]
    zero = {"count": 0, "faults": 0, "errors": 0}
    first = max(low, 1)  # what took less than the first edge belongs to the first bar: zero has no logarithm
    counted = [{**zero, **dict(rows[number])} if number in rows else zero for number in range(low, high + 1)]
    bars = [
        {"from": edges[number], "to": edges[number + 1], **{name: count[name] for name in zero}}
        for number, count in zip(range(low, high + 1), counted, strict=True)
        if number >= first
    ]
    if low == 0 and bars:
        bars[0].update({name: bars[0][name] + counted[0][name] for name in zero})
    return bars


def _percentile(connection: sqlite3.Connection, view: View, count: int, share: float) -> float | None:
    """Return the duration that this share of the traces does not exceed."""
    if not count:
        return None
    where, values = view.scope
    place = min(count - 1, int(count * share))
    statement = f"SELECT duration FROM traces WHERE {where} ORDER BY duration LIMIT 1 OFFSET ?"  # noqa: S608 - as above
    row = connection.execute(statement, (*values, place)).fetchone()
    return None if row is None else float(row["duration"])


def _cold_starts(store: Store, request: Request) -> dict[str, Any]:
    view = view_of(request)
    where, values = view.scope
    told = f"FROM traces WHERE {where} AND cold_start IS NOT NULL AND NOT in_progress"
    statement = f"SELECT name, cold_start, duration {told} ORDER BY name, duration"
    with store.read() as connection:
        rows = connection.execute(statement, values).fetchall()
    functions = [_function(name, list(group)) for name, group in itertools.groupby(rows, lambda row: row["name"])]
    newest = store.query(
        f"({view.where}) AND cold_start", view.parameters, since=view.since, until=view.until, limit=_NEWEST
    )
    total = _function("", sorted(rows, key=lambda row: row["duration"]))
    functions.sort(key=lambda function: -function["cost"])
    return {
        **total,
        "cost": sum(function["cost"] for function in functions),
        "share": total["cold"] / total["count"] if total["count"] else 0.0,
        "functions": functions,
        "traces": [shown(row) for row in newest],
    }


def _function(name: str, rows: Sequence[sqlite3.Row]) -> dict[str, Any]:
    """Sum invocations up, sorted by duration; `cost` is what the cold ones took beyond the median warm one."""
    cold = [row["duration"] for row in rows if row["cold_start"]]
    warm = [row["duration"] for row in rows if not row["cold_start"]]
    usual = _median(warm)
    cost = 0.0 if usual is None else sum(duration - usual for duration in cold[bisect.bisect(cold, usual) :])
    return {
        "name": name,
        "count": len(rows),
        "cold": len(cold),
        "p50_cold": _median(cold),
        "p50_warm": usual,
        "cost": cost,
    }


def _median(ordered: Sequence[float]) -> float | None:
    return ordered[len(ordered) // 2] if ordered else None
