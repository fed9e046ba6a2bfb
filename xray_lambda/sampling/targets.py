"""Targets: each rule's statistics go to X-Ray every few seconds, and come back as what this process is granted.

https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sampling.html
"""

from __future__ import annotations

import logging
import random
from itertools import zip_longest
from math import inf

from xray_lambda._guard import say_once
from xray_lambda.sampling.account import Account, Counts
from xray_lambda.sampling.anomalies import Watch
from xray_lambda.sampling.daemon import Unavailable
from xray_lambda.sampling.numbers import number, seconds, share, whole

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from xray_lambda.sampling.anomalies import Endings
    from xray_lambda.sampling.daemon import XRayClient

INTERVAL = 10.0  # seconds between two reports of a rule, unless X-Ray says otherwise
_LONGEST_INTERVAL = 3600.0
_MOST = 25  # statistics that X-Ray takes in one call


class CentralAccount(Account):
    """The account of one of X-Ray's rules, by its name; `due_at` says when it is reported next."""

    __slots__ = ("defined_rate", "due_at", "interval", "name", "watch")

    def __init__(self, name: str, rate: float, chance: Callable[[], float] = random.random) -> None:
        super().__init__(rate, chance=chance)
        self.name = name
        self.defined_rate = rate
        self.watch = Watch()
        self.interval = INTERVAL
        self.due_at = -inf

    def define(self, rate: float) -> None:
        """Take the rate of the rule's newest version; a target's rate stands until that is another."""
        if rate != self.defined_rate:
            self.defined_rate = self.rate = rate

    def grant(self, target: dict[str, Any]) -> None:
        """Take what X-Ray grants; what it does not mention stays. Raises ValueError for what makes no sense."""
        rate = share(target, "FixedRate") if target.get("FixedRate") is not None else self.rate
        quota, until = self.quota, self.quota_until
        if target.get("ReservoirQuota") is not None and target.get("ReservoirQuotaTTL") is not None:
            quota, until = whole(target, "ReservoirQuota"), _time(target["ReservoirQuotaTTL"])
        boost_rate, boost_until = self.boost_rate, self.boost_until
        boost = target.get("SamplingBoost")
        if isinstance(boost, dict):
            boost_rate, boost_until = share(boost, "BoostRate"), _time(boost.get("BoostRateTTL"))
        interval = number(target.get("Interval"))
        with self.lock:
            self.rate, self.quota, self.quota_until = rate, quota, until
            self.boost_rate, self.boost_until = boost_rate, boost_until
        if interval is not None:
            self.interval = min(max(interval, 1.0), _LONGEST_INTERVAL)

    def start_anew(self) -> None:
        """In a forked child, leave what was granted to the parent, too: X-Ray knows the child by another ClientID."""
        super().start_anew()
        self.quota_until = -inf
        self.due_at = -inf
        self.watch.start_anew()


def _time(value: object) -> float:
    at = seconds(value)
    if at is None:
        raise ValueError(f"{value!r:.60} is no time")
    return at


class Report:
    """What one call tells X-Ray: counts of up to 25 rules, and how the requests of 25 rules and services ended."""

    def __init__(
        self, counts: Sequence[tuple[CentralAccount, Counts]], endings: Sequence[tuple[CentralAccount, str, Endings]]
    ) -> None:
        self._counts = counts
        self._endings = endings

    def members(self, client_id: str, now: float) -> dict[str, Any]:
        """Return it as the members of GetSamplingTargets; `now` in seconds since the epoch."""
        members: dict[str, Any] = {
            "SamplingStatisticsDocuments": [
                {
                    "RuleName": account.name,
                    "ClientID": client_id,
                    "Timestamp": int(now),
                    "RequestCount": counts.requests,
                    "SampledCount": counts.sampled,
                    "BorrowCount": counts.borrowed,
                }
                for account, counts in self._counts
            ]
        }
        if self._endings:
            members["SamplingBoostStatisticsDocuments"] = [
                {
                    "RuleName": account.name,
                    "ServiceName": service,
                    "Timestamp": int(now),
                    "AnomalyCount": endings.anomalies,
                    "TotalCount": endings.total,
                    "SampledAnomalyCount": endings.sampled_anomalies,
                }
                for account, service, endings in self._endings
            ]
        return members

    def give_back(self, counts_of: set[str] | None = None, endings_of: set[str] | None = None) -> None:
        """Keep for the next report what X-Ray did not take: all of it, or that of these rules."""
        for account, counts in self._counts:
            if counts_of is None or account.name in counts_of:
                account.give_back(counts)
        for account, service, endings in self._endings:
            if endings_of is None or account.name in endings_of:
                account.watch.give_back({service: endings})


def reports(accounts: Iterable[CentralAccount]) -> list[Report]:
    """Take the counts of these accounts, and return them as so many reports as X-Ray needs; unused rules have none."""
    counts: list[tuple[CentralAccount, Counts]] = []
    endings: list[tuple[CentralAccount, str, Endings]] = []
    for account in accounts:
        taken = account.take_counts()
        if taken.requests:
            counts.append((account, taken))
        endings += [(account, service, ended) for service, ended in account.watch.take().items()]
    return [Report(some or [], others or []) for some, others in zip_longest(_parts(counts), _parts(endings))]


def _parts(rows: list[Any]) -> list[list[Any]]:
    return [rows[start : start + _MOST] for start in range(0, len(rows), _MOST)]


def exchange(
    client: XRayClient, client_id: str, due: Sequence[CentralAccount], known: dict[str, CentralAccount], now: float
) -> float:
    """Report the accounts that are due, and give each rule what it is granted; returns when rules were last modified.

    Raises Unavailable; then nothing of what was not taken is lost.
    """
    ahead = reports(due)
    modified = 0.0
    while ahead:
        try:
            answer = client.get_sampling_targets(**ahead[0].members(client_id, now))
        except Unavailable:
            for report in ahead:
                report.give_back()
            raise
        _refused(answer, ahead.pop(0))
        modified = max(modified, seconds(answer.get("LastRuleModification")) or 0.0)
        for target in _rows(answer, "SamplingTargetDocuments"):
            _grant(known.get(str(target.get("RuleName"))), target)
    return modified


def _grant(account: CentralAccount | None, target: dict[str, Any]) -> None:
    if account is None:  # deleted meanwhile, or left out
        return
    try:
        account.grant(target)
    except ValueError as error:
        message = "xray_lambda: X-Ray's target for the sampling rule %r makes no sense: %s"
        say_once(logging.WARNING, f"sampling target {account.name}", message, account.name, error)


def _refused(answer: dict[str, Any], report: Report) -> None:
    """Keep the statistics that X-Ray says it could not process, and say so."""
    counts, endings = (
        {str(row.get("RuleName")): row for row in _rows(answer, name)}
        for name in ("UnprocessedStatistics", "UnprocessedBoostStatistics")
    )
    report.give_back(set(counts), set(endings))
    for row in [*counts.values(), *endings.values()]:
        message = "xray_lambda: X-Ray did not process the sampling statistics of the rule %.60r: %.60r %.200r"
        values = row.get("RuleName"), row.get("ErrorCode"), row.get("Message")
        say_once(logging.WARNING, f"unprocessed {values[0]!r:.60}", message, *values)


def _rows(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects of a member that is a list; what is no object in it is left out."""
    rows = answer.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
