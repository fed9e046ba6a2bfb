"""Many threads decide while rules are replaced, granted for and reported: nothing is lost, nothing counted twice."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.sampling.fakes import NO_LOCAL, START
from tests.servers.xray_api import rule
from xray_lambda.sampling.central import CentralSampler
from xray_lambda.sampling.daemon import Unavailable
from xray_lambda.sampling.local import LocalSampler
from xray_lambda.sampling.request import SamplingRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS, DECISIONS, RULES = 6, 4_000, 5


class Busy:
    """X-Ray in this process: at every call other rules of the same names and other quotas; every third one is lost."""

    def __init__(self) -> None:
        self.calls = 0
        self.reported: dict[str, list[int]] = {}

    def get_sampling_rules(self, **members: Any) -> dict[str, Any]:
        self.calls += 1
        rate = 0.1 + self.calls % 7 / 10
        rules = [rule(f"r{n}", (n + self.calls) % RULES + 1, rate, n, URLPath=f"/{n}") for n in range(RULES)]
        return {"SamplingRuleRecords": [{"SamplingRule": one} for one in rules]}

    def get_sampling_targets(self, **members: Any) -> dict[str, Any]:
        self.calls += 1
        if self.calls % 3 == 0:
            raise Unavailable("lost")
        targets = []
        for one in members["SamplingStatisticsDocuments"]:
            counted = self.reported.setdefault(one["RuleName"], [0, 0, 0])
            for at, name in enumerate(("RequestCount", "SampledCount", "BorrowCount")):
                counted[at] += one[name]
            quota = {"ReservoirQuota": self.calls % 3, "ReservoirQuotaTTL": START + self.calls % 2 * 1e6}
            targets.append({"RuleName": one["RuleName"], "FixedRate": 0.5, "Interval": 1, **quota})
        return {"SamplingTargetDocuments": targets, "LastRuleModification": self.calls}

    def close(self) -> None:
        """Do nothing."""

    def start_anew(self) -> None:
        """Do nothing."""


@pytest.fixture(autouse=True)
def _threads_take_turns_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_refreshes_and_reports_lose_no_decision_of_threads_that_go_on_meanwhile() -> None:
    client = Busy()
    sampler = CentralSampler(client, LocalSampler(NO_LOCAL), clock=lambda: START)
    sampler._poller.started = True
    sampler._refresh()
    failures: list[BaseException] = []
    sampled = [[0] * RULES for _ in range(THREADS)]

    def decide(mine: list[int]) -> None:
        try:
            requests = [SamplingRequest("shop", "shop.example", "GET", f"/{n}") for n in range(RULES)]
            for number in range(DECISIONS):
                decision = sampler.decide(requests[number % RULES])
                assert decision.rule == f"r{number % RULES}"
                mine[number % RULES] += decision.sampled
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=decide, args=(mine,)) for mine in sampled]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        sampler._refresh()
        for account in sampler._accounts.values():
            account.due_at = -1.0
        sampler._report()
    client.calls = 0
    for account in sampler._accounts.values():
        account.due_at = -1.0
    sampler._report()
    assert failures == []
    assert client.reported == {
        f"r{n}": [THREADS * DECISIONS // RULES, sum(mine[n] for mine in sampled), client.reported[f"r{n}"][2]]
        for n in range(RULES)
    }
