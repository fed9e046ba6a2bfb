"""What each client may sample by a rule: its share of the reservoir, and the boost that anomalies bring."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xray_lambda.viewer.rules import Rule

# A client that has not reported for so many seconds is gone, and its share goes to the others. A share holds as long.
_LIFE = 15
_BOOST = 60
_MOST_CLIENTS = 10_000
_MOST_SUMMARIES = 1_000
_WINDOW = 10


class Shares:
    """Remembers who reported on which rule, and when."""

    def __init__(self) -> None:
        self._clients: dict[str, dict[str, float]] = {}
        self._boosts: dict[str, float] = {}
        self._summaries: deque[dict[str, Any]] = deque(maxlen=_MOST_SUMMARIES)

    def report(self, document: dict[str, Any], now: float) -> None:
        """Take a client's statistics."""
        rule = document["RuleName"]
        clients = self._clients.setdefault(rule, {})
        clients[document["ClientID"]] = now
        for client in [client for client, seen in clients.items() if now - seen > _LIFE]:
            del clients[client]
        while len(clients) > _MOST_CLIENTS:  # the one that has been silent longest
            del clients[min(clients, key=clients.__getitem__)]
        self._sum_up(rule, document, now // _WINDOW * _WINDOW)

    def _sum_up(self, rule: str, document: dict[str, Any], window: float) -> None:
        for summary in reversed(self._summaries):
            if summary["Timestamp"] != window:
                break
            if summary["RuleName"] == rule:
                for key in _COUNTS:
                    summary[key] += document.get(key, 0)
                return
        self._summaries.append(
            {"RuleName": rule, "Timestamp": window, **{key: document.get(key, 0) for key in _COUNTS}}
        )

    def summaries(self) -> list[dict[str, Any]]:
        """Return what was reported lately, by rule and ten seconds."""
        return [dict(summary) for summary in self._summaries]

    def boost(self, rule: Rule, anomalies: int, now: float) -> None:
        """Begin a minute at the rule's highest rate, if something is wrong and the last boost is long enough ago."""
        boost = rule.get("SamplingRateBoost")
        if boost is None or anomalies <= 0:
            return
        last = self._boosts.get(rule["RuleName"])
        if last is None or now - last >= max(_BOOST, 60 * boost["CooldownWindowMinutes"]):
            self._boosts[rule["RuleName"]] = now

    def target(self, rule: Rule, client: str, now: float, interval: int) -> dict[str, Any]:
        """Return what a client may sample: whole requests a second; those of all clients are the reservoir."""
        clients = sorted(self._clients.get(rule["RuleName"], {client: now}))
        share, rest = divmod(rule["ReservoirSize"], len(clients))
        target: dict[str, Any] = {
            "RuleName": rule["RuleName"],
            "FixedRate": rule["FixedRate"],
            "ReservoirQuota": share + (clients.index(client) < rest),
            "ReservoirQuotaTTL": now + _LIFE,
            "Interval": interval,
        }
        begun = self._boosts.get(rule["RuleName"])
        boost = rule.get("SamplingRateBoost")
        if boost is not None and begun is not None and now - begun < _BOOST:
            target["SamplingBoost"] = {"BoostRate": boost["MaxRate"], "BoostRateTTL": begun + _BOOST}
        return target


_COUNTS = ("RequestCount", "BorrowCount", "SampledCount")
