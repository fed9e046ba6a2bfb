"""Accounts: what a sampling rule may still record in this second, and what was asked of it since the last report."""

from __future__ import annotations

import random
import threading
from math import inf

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable


class Counts:
    """How many requests a rule was asked about, how many it recorded, and how many of those on borrowed quota."""

    __slots__ = ("borrowed", "requests", "sampled")

    def __init__(self, requests: int = 0, sampled: int = 0, borrowed: int = 0) -> None:
        self.requests = requests
        self.sampled = sampled
        self.borrowed = borrowed

    def __repr__(self) -> str:
        return f"Counts({self.requests}, {self.sampled}, {self.borrowed})"


class Account:
    """A rule's reservoir and rate as they are in force here, and its counts; shared by the rule's versions.

    `quota` requests a second are recorded until `quota_until`; beyond it, and afterwards, `rate` of them.
    Without a quota one a second may be borrowed. Its lock lets a signal handler in that comes while it is held.
    """

    __slots__ = (
        "_chance",
        "_second",
        "_taken",
        "boost_rate",
        "boost_until",
        "counts",
        "lock",
        "quota",
        "quota_until",
        "rate",
    )

    def __init__(
        self, rate: float, quota: int = 0, quota_until: float = -inf, *, chance: Callable[[], float] = random.random
    ) -> None:
        self.lock = threading.RLock()
        self.rate = rate
        self.quota = quota
        self.quota_until = quota_until
        self.boost_rate = 0.0
        self.boost_until = -inf
        self.counts = Counts()
        self._chance = chance
        self._second = 0
        self._taken = 0

    def decide(self, now: float, may_borrow: bool) -> bool:  # noqa: FBT001 - by position, for speed
        """Say whether one more request is recorded; `now` in seconds since the epoch."""
        with self.lock:
            counts = self.counts
            counts.requests += 1
            second = int(now)
            if second != self._second:
                self._second = second
                self._taken = 0
            if now <= self.quota_until:
                recorded = self._taken < self.quota
            else:
                recorded = may_borrow and not self._taken
                counts.borrowed += recorded
            if recorded:
                self._taken += 1
            else:
                recorded = self._chance() < (self.rate if now >= self.boost_until else self.boost_rate)
            counts.sampled += recorded
            return recorded

    def take_counts(self) -> Counts:
        """Return what was counted since the last time, and begin anew."""
        with self.lock:
            counts, self.counts = self.counts, Counts()
            return counts

    def give_back(self, counts: Counts) -> None:
        """Add counts whose report did not arrive, for the next one."""
        with self.lock:
            self.counts.requests += counts.requests
            self.counts.sampled += counts.sampled
            self.counts.borrowed += counts.borrowed

    def start_anew(self) -> None:
        """In a forked child, leave to the parent what it will report, and a lock that another thread may have held."""
        self.lock = threading.RLock()
        self.counts = Counts()
