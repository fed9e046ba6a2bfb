"""An hour with five rules, quotas that change, polls that fail, and forks: what is recorded is what the rules say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sampling.hour import FORKS, REQUESTS, SECONDS, START
from tests.servers.xray_api import BROKEN, Answer, XRayAPI, rule

PROGRAM = Path(__file__).with_name("hour.py")
PATIENCE = 240

CHECKOUT = rule("checkout", 1, 0.5, 10, URLPath="/checkout*")
API = rule("api", 2, 0.1, 20, URLPath="/api/*")
HEALTH = rule("health", 3, 0.0, 0, URLPath="/health")
GOLD = rule("gold", 4, 0.3, 0, Attributes={"tier": "gold"})
DEFAULT = rule("Default", 10_000, 0.2, 1)
# From when on which rules are set in the console.
RULES = {
    0: [CHECKOUT, API, HEALTH, GOLD, DEFAULT],
    1200: [CHECKOUT, {**API, "FixedRate": 0.2, "ReservoirSize": 40}, HEALTH, GOLD, DEFAULT],
    2000: [{**CHECKOUT, "ReservoirSize": 16}, {**API, "FixedRate": 0.2, "ReservoirSize": 40}, HEALTH, GOLD, DEFAULT],
}
# When calls fail: single reports, those of 40 seconds, and rules for ten minutes.
FAILING = {
    "/SamplingTargets": {*range(100, 111), *range(1500, 1511), *range(2400, 2440)},
    "/GetSamplingRules": {*range(2600, 3200)},
}


class Hour(XRayAPI):
    """X-Ray for an hour: its clock is what the reports say it is."""

    def __init__(self) -> None:
        super().__init__(RULES[0], clock=lambda: START + self.second)
        self.second = 0.0
        self.failed = 0

    def fault_for(self, path: str, body: dict[str, Any]) -> Answer | None:
        for one in body.get("SamplingStatisticsDocuments", ()):
            self.second = max(self.second, one["Timestamp"] - START)
        rules = RULES[max(since for since in RULES if since <= self.second)]
        if rules is not self.rules:
            self.rules = rules
            self.modified = START + self.second
        failing = int(self.second) in FAILING[path]
        self.failed += failing
        return BROKEN if failing else None


def expected(story: dict[str, Any], name: str, grants: list[tuple[float, str, str, dict[str, Any]]]) -> float:
    """What X-Ray told this process to record of one rule: worked out from its grants, second by second."""
    ahead = [(at - START, target) for at, client, which, target in grants if (client, which) == (story["client"], name)]
    defined = next(one for one in RULES[0] if one["RuleName"] == name)
    rate, quota, until, total = defined["FixedRate"], 0, -1.0, 0.0
    for second, (count, _) in enumerate(story["seen"][name], start=story["began"]):
        while ahead and ahead[0][0] <= second:
            target = ahead.pop(0)[1]
            rate, quota, until = target["FixedRate"], target["ReservoirQuota"], target["ReservoirQuotaTTL"] - START
        first = min(count, quota if second < until else int(defined["ReservoirSize"] > 0))
        total += first + (count - first) * rate
    return total


def said(stories: list[dict[str, Any]], name: str) -> float:
    """What a rule says for the whole fleet: its reservoir once a second, and its rate of the rest."""
    total = 0.0
    for second in range(SECONDS):
        count = sum(story["seen"][name][second - story["began"]][0] for story in stories if second >= story["began"])
        defined = next(
            one for one in RULES[max(since for since in RULES if since <= second)] if one["RuleName"] == name
        )
        first = min(count, defined["ReservoirSize"])
        total += first + (count - first) * defined["FixedRate"]
    return total


@pytest.mark.full
def test_an_hour_of_requests_is_recorded_as_the_rules_say() -> None:
    with Hour() as api:
        environ = {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, str(PROGRAM), str(api.port)],
            env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") <= 3, f"a failure is told once in each process: {done.stderr}"
    stories = json.loads(done.stdout)
    assert [story["began"] for story in stories] == [0, *FORKS]
    assert len({story["client"] for story in stories}) == 3
    assert api.failed > 15

    table = {
        name: [
            sum(sampled for story in stories for _, sampled in story["seen"][name]),
            sum(expected(story, name, api.grants) for story in stories),
            said(stories, name),
        ]
        for name in REQUESTS
    }
    for name, (sampled, granted, rules_say) in table.items():
        assert abs(sampled - granted) <= 0.02 * granted, (name, table)
        assert abs(sampled - rules_say) <= 0.02 * rules_say, (name, table)

    # Nothing that was decided is missing in the reports, but for what was not due yet at the end of the hour.
    for name in REQUESTS:
        requests = sum(count for story in stories for count, _ in story["seen"][name])
        reported = [one for one in api.statistics if one["RuleName"] == name]
        last = 3 * 11 * 3 * max(count for story in stories for count, _ in story["seen"][name])
        assert requests - last <= sum(one["RequestCount"] for one in reported) <= requests
        sampled = sum(sampled for story in stories for _, sampled in story["seen"][name])
        assert sum(one["SampledCount"] for one in reported) <= sampled
