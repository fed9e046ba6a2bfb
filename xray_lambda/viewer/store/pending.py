"""Which traces wait for their summary, and which of these are due."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

# At the end of the line are those that are not due yet, or rest; behind so many, one that is due is found.
MOST_LOOKED_AT = 10_000
# Beyond these, the table alone knows what waits.
MOST_IN_MEMORY = 100_000
# A trace of thousands of documents is not read anew at each of them: at most a tenth of the time goes into it.
_REST = 10.0
_DEAR = 0.005


class Pending:
    """Trace ids in the order in which they began to wait, each with the moment (monotonic) from which it counts."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._since: dict[str, float] = {}
        self._resting: dict[str, float] = {}
        self._more = True

    def touch(self, trace_ids: Iterable[str], now: float) -> None:
        """Note that traces got documents."""
        for trace_id in trace_ids:
            if trace_id in self._since:
                continue
            if len(self._since) < MOST_IN_MEMORY:
                self._since[trace_id] = max(now, self._resting.get(trace_id, now))
            else:
                self._more = True

    def due(self, latest: float, most: int) -> list[str]:
        """Return traces that wait since `latest` or longer, `most` of them.

        The newest come first: where more arrives than can be summarised, what is shown is what happens now.
        """
        if not self._since and self._more:
            self._load()
        newest = itertools.islice(reversed(self._since.items()), MOST_LOOKED_AT)
        return list(itertools.islice((trace_id for trace_id, since in newest if since <= latest), most))

    def done(self, costs: dict[str, float], now: float) -> None:
        """Note what took how many seconds to summarise."""
        self._resting = {trace_id: until for trace_id, until in self._resting.items() if until > now}
        for trace_id, cost in costs.items():
            self._since.pop(trace_id, None)
            if cost > _DEAR:
                self._resting[trace_id] = now + cost * _REST

    def clear(self) -> None:
        """Nothing waits any more."""
        self._since.clear()
        self._resting.clear()

    def _load(self) -> None:
        rows = self._connection.execute("SELECT trace_id FROM pending LIMIT ?", (MOST_IN_MEMORY,)).fetchall()
        self._since = dict.fromkeys((row["trace_id"] for row in rows), 0.0)
        self._more = len(rows) == MOST_IN_MEMORY
