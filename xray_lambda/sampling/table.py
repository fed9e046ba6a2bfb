"""The table: rules in their order, of which a request falls under the first that fits; never changed, but replaced."""

from __future__ import annotations

import re

from xray_lambda.sampling.request import Decision

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from xray_lambda.sampling.account import Account
    from xray_lambda.sampling.anomalies import Watch
    from xray_lambda.sampling.matching import Matcher
    from xray_lambda.sampling.request import SamplingRequest

# Requests come with hosts of their senders' making: what is remembered of them is bounded.
_MOST = 500
_LONGEST = 300  # characters


class Rule:
    """A rule in force: what it asks of a request, the account it decides by, and its two answers."""

    __slots__ = ("account", "matcher", "may_borrow", "no", "yes")

    def __init__(
        self,
        matcher: Matcher,
        account: Account,
        *,
        name: str | None = None,
        may_borrow: bool = False,
        watch: Watch | None = None,
    ) -> None:
        self.matcher = matcher
        self.account = account
        self.may_borrow = may_borrow
        self.yes = Decision(True, name, watch)
        self.no = Decision(False, name, watch)

    def decide(self, now: float) -> Decision:
        """Decide on one more request that falls under this rule."""
        return self.yes if self.account.decide(now, self.may_borrow) else self.no


class Shortlist:
    """The rules that a request may fall under by all but its path and attributes, in their order.

    One regular expression finds the rule: with twenty rules that takes 0.6 us, one expression a rule 4 us.
    """

    __slots__ = ("_by_group", "_match", "_rules")

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        expression = re.compile("|".join(f"({rule.matcher.path})" for rule in rules))
        self._rules = rules
        self._match = expression.match
        self._by_group: dict[int | None, Rule] = dict(zip(_outer_groups(rules), rules, strict=True))

    def find(self, path: str | None, attributes: Mapping[str, str] | None) -> Rule | None:
        """Return the first rule that fits the rest of the request; None where none does."""
        if path is not None:
            found = self._match(path.lower())
            rule = None if found is None else self._by_group.get(found.lastindex)
            if rule is None or not rule.matcher.attributes:
                return rule
        for rule in self._rules:
            if rule.matcher.fits_path(path) and rule.matcher.fits_attributes(attributes):
                return rule
        return None


def _outer_groups(rules: tuple[Rule, ...]) -> Iterator[int]:
    """Yield the number of the group that each rule's expression is, among those that it has inside."""
    number = 1
    for rule in rules:
        yield number
        number += 1 + re.compile(rule.matcher.path).groups


class Table:
    """Rules, first come first served. Example: `Table(rules).find(SamplingRequest("shop", path="/basket"))`.

    All of a request but its path is looked at once, and the shortlist of rules that are left is remembered: paths are
    many, and the rest is much the same.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._shortlists: dict[tuple[str | None, ...], Shortlist] = {}

    def find(self, request: SamplingRequest) -> Rule | None:
        """Return the first rule that fits; None where none does."""
        key = (request.service, request.host, request.method, request.service_type)
        shortlist = self._shortlists.get(key)
        if shortlist is None:
            shortlist = self._shorten(request)
            self._remember(key, shortlist)
        return shortlist.find(request.path, request.attributes)

    def _shorten(self, request: SamplingRequest) -> Shortlist:
        found = []
        for rule in self.rules:
            if rule.matcher.fits_all_but_path(request):
                found.append(rule)
                if not rule.matcher.path and not rule.matcher.attributes:
                    break  # nothing gets past it
        return Shortlist(tuple(found))

    def _remember(self, key: tuple[str | None, ...], shortlist: Shortlist) -> None:
        if sum(len(text) for text in key if text) <= _LONGEST:
            if len(self._shortlists) >= _MOST:
                self._shortlists = {}
            self._shortlists[key] = shortlist
