"""How requests went: counts and times of many of them, histograms and percentiles, over time; as X-Ray counts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from typing import Any

    from xray_lambda.viewer.filters import Condition

# Times in histograms have two digits that count: a percentile is off by 5 % at most, and a week's traffic has few
# different times. SQLite has logarithms not everywhere, and its round() makes a text first, for ten times the time.
_ROUNDED = "CASE " + " ".join(
    f"WHEN {{0}} < 1e{order + 2} / {10**4} THEN CAST({{0}} * 1e{4 - order} + 0.5 AS INTEGER) / 1e{4 - order}"
    for order in range(-1, 4)
)
_ROUNDED += " ELSE CAST({0} + 0.5 AS INTEGER) * 1.0 END"


def rounded(column: str) -> str:
    """Write the SQL for a time with two digits that count."""
    return _ROUNDED.format(column)


# What went wrong with a row of `services`, called s: a number from 0 (nothing) to 7.
FLAGS = "s.fault * 4 + s.error * 2 + s.throttle"


class Statistics:
    """How some requests went. `times` and `durations` count them by seconds, with two digits that count.

    `flags` counts them by what went wrong, see FLAGS; `seconds` is the sum of all response times.
    """

    __slots__ = ("durations", "flags", "seconds", "times")

    def __init__(self) -> None:
        self.flags: Counter[int] = Counter()
        self.seconds = 0.0
        self.times: Counter[float | None] = Counter()
        self.durations: Counter[float | None] = Counter()

    def add(self, other: Statistics) -> None:
        """Count others in."""
        self.flags.update(other.flags)
        self.seconds += other.seconds
        self.times.update(other.times)
        self.durations.update(other.durations)

    @property
    def requests(self) -> int:
        """How many there were."""
        return self.flags.total()

    @property
    def ok(self) -> int:
        """How many went well."""
        return self.flags[0]

    @property
    def fault(self) -> int:
        """How many failed."""
        return sum(count for flags, count in self.flags.items() if flags & 4)

    @property
    def error(self) -> int:
        """How many were refused."""
        return sum(count for flags, count in self.flags.items() if flags & 2)

    @property
    def throttle(self) -> int:
        """How many were refused for coming too fast."""
        return sum(count for flags, count in self.flags.items() if flags & 1)

    @property
    def ended(self) -> int:
        """How many are over."""
        return self.times.total() - self.times[None]

    @property
    def mean(self) -> float | None:
        """The mean response time; None where no request has ended."""
        return self.seconds / self.ended if self.ended else None

    def percentile(self, share: float) -> float | None:
        """Return the time within which this share of the requests that ended were answered; None where none has."""
        wanted = share * self.ended
        passed = 0
        for time in _sorted(self.times):
            passed += self.times[time]
            if passed >= wanted:
                return time
        return None

    def summary(self) -> dict[str, Any]:
        """Return the counts in the form of X-Ray's SummaryStatistics. Every throttled request is an error too."""
        errors = sum(count for flags, count in self.flags.items() if flags & 3)
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


def histogram(times: Mapping[float | None, int]) -> list[dict[str, float]]:
    """Return counts in the form of X-Ray's histograms, the shortest time first."""
    return [{"Value": time, "Count": times[time]} for time in _sorted(times)]


def _sorted(times: Mapping[float | None, int]) -> list[float]:
    return sorted(time for time in times if time is not None)


def series(
    connection: sqlite3.Connection, condition: Condition, time: str, since: float, until: float, period: int
) -> dict[float, Statistics]:
    """Return the statistics of services that fit by when they began: each with the start of its period, in order.

    `condition` is about rows of `services`, called s; `time` is the column that is their response time.
    """
    statement = (
        f"SELECT CAST((s.start - ?) / ? AS INTEGER), {FLAGS}, {rounded(time)}, total({time}), count(*) "  # noqa: S608 - columns of ours; the filters bind what users write
        f"FROM services s WHERE s.start >= ? AND s.start <= ? AND {condition.sql} GROUP BY 1, 2, 3 ORDER BY 1"
    )
    found: dict[float, Statistics] = {}
    for bucket, flags, value, seconds, count in connection.execute(
        statement, (since, period, since, until, *condition.parameters)
    ):
        statistics = found.setdefault(since + bucket * period, Statistics())
        statistics.flags[flags] += count
        statistics.seconds += seconds
        statistics.times[value] += count
    return found
