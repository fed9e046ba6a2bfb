"""The central sampler: decides by X-Ray's rules, asked for in the background, and by local ones until they are there.

Intervals and times to live are those of the X-Ray SDKs (aws-xray-sdk-python, core/sampling).
"""

from __future__ import annotations

import logging
import os
import random
import time
from math import inf

from xray_lambda._guard import say_once
from xray_lambda.sampling import central_rules, targets
from xray_lambda.sampling.daemon import Unavailable
from xray_lambda.sampling.forks import after_fork
from xray_lambda.sampling.poller import Poller
from xray_lambda.sampling.table import Rule, Table
from xray_lambda.sampling.targets import INTERVAL, CentralAccount

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable

    from xray_lambda.sampling.central_rules import Definition
    from xray_lambda.sampling.daemon import XRayClient
    from xray_lambda.sampling.local import LocalSampler
    from xray_lambda.sampling.request import Decision, SamplingRequest

RULES_EVERY = 300.0  # seconds
RULES_LAST = 3600.0
_JITTER = 5.0, 0.1  # at most so many seconds later: a fleet that began at once does not ask at once
# The first pause after a failure, and the longest after many: a quota is soon over, rules last an hour.
_RULES_BACK_OFF = 1.0, 300.0
_REPORT_BACK_OFF = INTERVAL, 60.0


class CentralSampler:
    """Decides by the rules that `client` brings; by `fallback` until the first ones are there, and when they are old.

    The thread that asks X-Ray begins with the first request, and in a forked child with the first one there. `clock`
    gives seconds since the epoch, which X-Ray's times to live are in, `ticks` seconds that are never set back.
    """

    def __init__(
        self,
        client: XRayClient,
        fallback: LocalSampler,
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._fallback = fallback
        self._clock = clock
        self._ticks = ticks
        self._chance = chance
        self._poller = Poller(self.step, client.close)
        # What is in force, and until when: one value, so that a request sees either the old rules or the new ones.
        self._in_force: tuple[Table, float] = (Table(()), -inf)
        self._accounts: dict[str, CentralAccount] = {}
        self._client_id = os.urandom(12).hex()
        self._modified = 0.0  # when the rules were last changed, as far as X-Ray has said
        self._rules_at = -inf
        self._rule_failures = 0
        self._report_at = -inf
        self._report_failures = 0
        after_fork(self)

    def decide(self, request: SamplingRequest) -> Decision:
        """Decide by the first of X-Ray's rules that fits, else by local rules."""
        if not self._poller.started:
            self._poller.start()
        now = self._clock()
        table, until = self._in_force
        rule = table.find(request) if now < until else None
        return self._fallback.decide_at(now, request) if rule is None else rule.decide(now)

    def close(self) -> None:
        """Ask X-Ray no more."""
        self._poller.stop()

    def start_anew(self) -> None:
        """In a forked child, begin as another client of X-Ray's, with the parent's rules but nothing granted yet."""
        self._client.start_anew()
        self._client_id = os.urandom(12).hex()
        for account in {*self._accounts.values(), *(rule.account for rule in self._in_force[0].rules)}:
            account.start_anew()
        self._rules_at = self._report_at = -inf
        self._rule_failures = self._report_failures = 0
        self._poller.start_anew()

    def step(self) -> float:
        """Do what is due by now; returns in how many seconds something will be."""
        if self._ticks() >= self._report_at:
            self._report()
        if self._ticks() >= self._rules_at:
            self._refresh()
        return max(min(self._report_at, self._rules_at) - self._ticks(), 0.0)

    def _refresh(self) -> None:
        """Put the newest rules in the place of the old ones."""
        asked_at = self._clock()
        try:
            definitions = central_rules.fetch(self._client)
        except Unavailable as error:
            self._rule_failures += 1
            self._rules_at = self._ticks() + self._back_off(_RULES_BACK_OFF, self._rule_failures)
            self._tell(
                error, "local sampling rules decide until they can be had" if self._is_over() else "the last ones stand"
            )
            return
        self._rule_failures = 0
        self._rules_at = self._ticks() + RULES_EVERY + _JITTER[0] * self._chance()
        self._modified = max([self._modified, *(one.modified for one in definitions)])
        self._accounts = {one.name: self._account(one) for one in definitions}
        self._in_force = (Table([self._rule(one) for one in definitions]), asked_at + RULES_LAST)

    def _account(self, definition: Definition) -> CentralAccount:
        """Return the account of a rule of this name: what was counted and granted outlives a new version of it."""
        account = self._accounts.get(definition.name)
        if account is None:
            return CentralAccount(definition.name, definition.rate, self._chance)
        account.define(definition.rate)
        return account

    def _rule(self, definition: Definition) -> Rule:
        account = self._accounts[definition.name]
        return Rule(
            definition.matcher,
            account,
            name=definition.name,
            may_borrow=definition.reservoir_size > 0,
            watch=account.watch if definition.boosted else None,
        )

    def _report(self) -> None:
        """Report what is due, and take what is granted; rules that were changed meanwhile are asked for at once."""
        ticks = self._ticks()
        accounts = self._accounts
        due = [account for account in accounts.values() if account.due_at <= ticks]
        try:
            modified = targets.exchange(self._client, self._client_id, due, accounts, self._clock())
        except Unavailable as error:
            self._report_failures += 1
            self._report_at = self._ticks() + self._back_off(_REPORT_BACK_OFF, self._report_failures)
            self._tell(error, "sampling goes on as last granted")
            return
        self._report_failures = 0
        for account in due:
            account.due_at = ticks + account.interval
        if modified > self._modified:
            self._modified = modified
            self._rules_at = -inf
        soonest = min((account.due_at for account in accounts.values()), default=inf)
        self._report_at = min(max(soonest, ticks + 1.0), ticks + INTERVAL) + _JITTER[1] * self._chance()

    def _back_off(self, bounds: tuple[float, float], failures: int) -> float:
        """Return the seconds to wait after so many failures in a row: twice as long each time, and not all at once."""
        first, longest = bounds
        return min(first * 2.0 ** min(failures - 1, 20), longest) * (0.5 + 0.5 * self._chance())

    def _is_over(self) -> bool:
        return self._clock() >= self._in_force[1]

    def _tell(self, error: Unavailable, meanwhile: str) -> None:
        if self._poller.stopping:
            return
        message = "xray_lambda: X-Ray's sampling rules cannot be had from %s: %s. Tried again, told once; %s."
        say_once(logging.WARNING, f"sampling {self._client}", message, self._client, error, meanwhile)
