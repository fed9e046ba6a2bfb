"""Compares what one sampling decision by X-Ray's rules costs, beside aws-xray-sdk: see docs/performance.md.

Twenty rules, no network: both have their rules already. Cases take turns in short batches, so that whatever else the
machine does hits both alike; figures are medians of CPU time.
"""

from __future__ import annotations

import argparse
import random
import time
from itertools import cycle
from statistics import median
from typing import TYPE_CHECKING, Any

from aws_xray_sdk.core.sampling.sampler import DefaultSampler
from aws_xray_sdk.core.sampling.sampling_rule import SamplingRule

from xray_lambda.sampling.central import CentralSampler
from xray_lambda.sampling.local import LocalSampler
from xray_lambda.sampling.request import SamplingRequest

if TYPE_CHECKING:
    from collections.abc import Callable

RULES = 20
BATCH = 5_000
# Which of the rules decides; the paths below it are as many as orders in a shop.
CASES = {"the first of 20 rules": 0, "the tenth": 9, "the default, after 19": RULES - 1}


class Rules:
    """X-Ray with twenty rules: one for each part of an API, and the default."""

    def get_sampling_rules(self, **members: Any) -> dict[str, Any]:
        """Return them all."""
        return {"SamplingRuleRecords": [{"SamplingRule": fields(number)} for number in range(RULES)]}

    def get_sampling_targets(self, **members: Any) -> dict[str, Any]:
        """Grant nothing."""
        return {}

    def close(self) -> None:
        """Do nothing."""

    def start_anew(self) -> None:
        """Do nothing."""


def fields(number: int) -> dict[str, Any]:
    """Return one rule as X-Ray has it."""
    is_default = number == RULES - 1
    return {
        "RuleName": "Default" if is_default else f"part-{number}",
        "Priority": 10_000 if is_default else number + 1,
        "FixedRate": 0.05,
        "ReservoirSize": 1,
        "ServiceName": "*" if is_default else "shop",
        "ServiceType": "*",
        "Host": "*" if is_default else "*.shop.example",
        "HTTPMethod": "*",
        "URLPath": "*" if is_default else f"/api/part-{number}/*",
        "ResourceARN": "*",
        "Version": 1,
    }


def path(part: int, order: int) -> str:
    """Return the path of one order in one part of the API."""
    return f"/api/part-{part}/orders/{order}" if part < RULES - 1 else f"/orders/{order}"


def ours(part: int) -> Callable[[], object]:
    """Return what makes one request's decision with xray_lambda."""
    sampler = CentralSampler(Rules(), LocalSampler())
    sampler.step()
    sampler._poller.started = True  # noqa: SLF001 - no thread beside the clock
    paths = cycle([path(part, order) for order in range(10_000)])
    decide = sampler.decide
    return lambda: decide(SamplingRequest("shop", "www.shop.example", "GET", next(paths)))


def peers(part: int) -> Callable[[], object]:
    """Return the same with aws-xray-sdk."""
    sampler = DefaultSampler()
    sampler._started = True  # noqa: SLF001 - as above
    rules = [
        SamplingRule(
            name=rule["RuleName"],
            priority=rule["Priority"],
            rate=rule["FixedRate"],
            reservoir_size=rule["ReservoirSize"],
            host=rule["Host"],
            method=rule["HTTPMethod"],
            path=rule["URLPath"],
            service=rule["ServiceName"],
            service_type="*",
        )
        for rule in map(fields, range(RULES))
    ]
    sampler._cache.load_rules(rules)  # noqa: SLF001 - without a daemon
    sampler._cache.last_updated = int(time.time())  # noqa: SLF001 - the same
    paths = cycle([path(part, order) for order in range(10_000)])
    decide = sampler.should_trace
    return lambda: decide({"service": "shop", "host": "www.shop.example", "method": "GET", "path": next(paths)})


def main() -> None:
    """Print what each takes for one decision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="batches of each case")
    rounds = parser.parse_args().rounds
    print(
        "\nCPU time of one decision, us:\n\n| decided by | aws-xray-sdk | xray_lambda | times less |\n|---|---|---|---|"
    )
    for case, part in CASES.items():
        deciders = {"aws-xray-sdk": peers(part), "xray_lambda": ours(part)}
        taken: dict[str, list[float]] = {name: [] for name in deciders}
        for _ in range(rounds):
            for name in random.sample(sorted(deciders), len(deciders)):
                taken[name].append(batch(deciders[name]))
        theirs, own = median(taken["aws-xray-sdk"]), median(taken["xray_lambda"])
        print(f"| {case} | {theirs:.1f} | {own:.1f} | {theirs / own:.1f} |")


def batch(decide: Callable[[], object]) -> float:
    """Return the CPU time of one decision, in microseconds."""
    began = time.process_time_ns()
    for _ in range(BATCH):
        decide()
    return (time.process_time_ns() - began) / BATCH / 1000


if __name__ == "__main__":
    main()
