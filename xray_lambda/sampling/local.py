"""The local sampler: decides by rules of the program's own, so many a second and a share of the rest."""

from __future__ import annotations

import random
import time

from xray_lambda.sampling import local_rules
from xray_lambda.sampling.forks import after_fork
from xray_lambda.sampling.request import PASS_ON, Decision

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable

    from xray_lambda.sampling.request import SamplingRequest


class LocalSampler:
    """Decides by local rules, `local_rules.load` gives them. Each process samples for itself.

    Example: `LocalSampler(local_rules.load("rules.json")).decide(SamplingRequest("shop"))`.
    """

    def __init__(
        self,
        rules: dict[str, object] = local_rules.DEFAULT,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._table = local_rules.table(rules, chance)
        after_fork(self)

    def decide(self, request: SamplingRequest) -> Decision:
        """Decide by the first rule that fits; the default fits everything."""
        return self.decide_at(self._clock(), request)

    def decide_at(self, now: float, request: SamplingRequest) -> Decision:
        """Decide as of `now`, in seconds since the epoch."""
        rule = self._table.find(request)
        return PASS_ON if rule is None else rule.decide(now)

    def close(self) -> None:
        """Do nothing: nothing runs in the background."""

    def start_anew(self) -> None:
        """In a forked child, begin with the parent's rules."""
        for rule in self._table.rules:
            rule.account.start_anew()
