"""How requests went: counts and times of many of them, histograms and percentiles, over time; as X-Ray counts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from typing import Any

    from xray_lambda.viewer.filters import Condition

# Times in histograms have two digits that count: a percentile is off by 5 % at most, and a week's traffic has few
# different times. SQLite has no logarithms everywhere, so the orders of magnitude are told apart one by one.
_ROUNDED = (
    "CASE WHEN {0} < 0.001 THEN round({0}, 5) WHEN {0} < 0.01 THEN round({0}, 4) WHEN {0} < 0.1 THEN round({0}, 3)"
    " WHEN {0} < 1 THEN round({0}, 2) WHEN {0} < 10 THEN round({0}, 1) ELSE round({0}) END"
)


def rounded(column: str) -> str:
    """Write the SQL for a time with two digits that count."""
    return _ROUNDED.format(column)


class Statistics:
    """How some requests went. `times` counts them by response time, in seconds with two digits that count."""

    __slots__ = ("durations", "error", "fault", "ok", "requests", "seconds", "throttle", "times")

    def __init__(self) -> None:
        self.requests = self.ok = self.error = self.throttle = self.fault = 0
        self.seconds = 0.0
        self.times: Counter[float] = Counter()
        self.durations: Counter[float] = Counter()

    def add(self, row: Mapping[str, Any] | sqlite3.Row, time: float | None, duration: float | None) -> None:
        """Count a row of requests: its `requests`, `ok`, `error`, `throttle`, `fault`, and `seconds` all together."""
        self.requests += row["requests"]
        self.ok += row["ok"]
        self.error += row["error"]
        self.throttle += row["throttle"]
        self.fault += row["fault"]
        if time is not None:
            self.times[time] += row["requests"]
        if duration is not None:
            self.durations[duration] += row["requests"]

    @property
    def mean(self) -> float | None:
        """The mean response time; None where no request has ended."""
        ended = self.times.total()
        return self.seconds / ended if ended else None

    def percentile(self, share: float) -> float | None:
        """Return the time within which this share of the requests that ended were answered; None where none has."""
        ended = self.times.total()
        passed = 0
        for time in sorted(self.times):
            passed += self.times[time]
            if passed >= share * ended:
                return time
        return None

    def summary(self) -> dict[str, Any]:
        """Return the counts in the form of X-Ray's SummaryStatistics. Every throttled request is an error too."""
        errors = max(self.error, self.throttle)
        return {
            "OkCount": self.ok,
            "ErrorStatistics": {
                "ThrottleCount": self.throttle,
                "OtherCount": errors - self.throttle,
                "TotalCount": errors,
            },
            "FaultStatistics": {"OtherCount": self.fault, "TotalCount": self.fault},
            "TotalCount": self.requests,
            "TotalResponseTime": round(self.seconds, 6),
        }


def histogram(times: Mapping[float, int]) -> list[dict[str, float]]:
    """Return counts in the form of X-Ray's histograms, the shortest time first."""
    return [{"Value": time, "Count": times[time]} for time in sorted(times)]


# What is counted of rows of `services`, under these names: see Statistics.add.
COUNTS = (
    "count(*) requests, sum(NOT (s.fault OR s.error OR s.throttle)) ok, sum(s.error) error, sum(s.throttle) throttle, "
    "sum(s.fault) fault"
)


def series(
    connection: sqlite3.Connection, condition: Condition, time: str, since: float, until: float, period: int
) -> list[tuple[float, Statistics]]:
    """Return the statistics of services that fit, by the period in which they began: each with its start, in order.

    `condition` is about rows of `services` (s) and their `traces`, `time` the column that is their response time.
    """
    statement = (
        f"SELECT CAST((s.start - ?) / ? AS INTEGER) bucket, {rounded(time)} time, total({time}) seconds, {COUNTS} "  # noqa: S608 - columns of ours; the filters bind what users write
        "FROM services s JOIN traces ON traces.trace_id = s.trace_id "
        f"WHERE s.start >= ? AND s.start <= ? AND {condition.sql} GROUP BY 1, 2 ORDER BY 1"
    )
    rows = connection.execute(statement, (since, period, since, until, *condition.parameters))
    return list(_by_bucket(rows, since, period).items())


def _by_bucket(rows: Iterable[sqlite3.Row], since: float, period: int) -> dict[float, Statistics]:
    found: dict[float, Statistics] = {}
    for row in rows:
        statistics = found.setdefault(since + row["bucket"] * period, Statistics())
        statistics.add(row, row["time"], None)
        statistics.seconds += row["seconds"]
    return found
