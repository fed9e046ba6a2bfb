"""The sampling rules that the viewer answers with, and the shares of their reservoirs that it gives, as X-Ray would."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from xray_lambda.viewer.rules import DEFAULT, RulesError, read_rules
from xray_lambda.viewer.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from xray_lambda.viewer.rules import Rule

# How often a client reports, and how long its share holds: X-Ray's own ten seconds, and time to be a little late.
INTERVAL = 10
_MOST_DOCUMENTS = 25


class Sampling:
    """Rules in the form of X-Ray's API, kept in a file if there is one; an edit of the file counts at the next call.

    Raises RulesError, which names rule and field, for a file that cannot be used.
    """

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.problem: RulesError | None = None
        self._clock = clock
        self._shares = Shares()
        self._made: dict[str, tuple[float, float]] = {}
        self._seen: tuple[int, int] | None = None
        self._rules: list[Rule] = []
        self._take(read_rules([]))
        if path is not None and path.exists():
            self._seen = _version(path)
            self._take(_read(path))

    @property
    def rules(self) -> list[Rule]:
        """The rules, in the order in which they are tried; the last one is Default."""
        self._look()
        return [dict(rule) for rule in self._rules]

    @property
    def modified(self) -> float:
        """When a rule was last changed, in seconds since the epoch."""
        return max(modified for _, modified in self._made.values())

    def replace(self, rules: object) -> list[Rule]:
        """Put other rules in place of all, in the file too, and return them. Raises RulesError, and changes nothing."""
        found = read_rules(rules)
        if self.path is not None:
            temporary = self.path.with_name(f"{self.path.name}.new")
            try:
                temporary.write_text(json.dumps({"rules": found}, indent=2) + "\n", "utf-8")
                temporary.replace(self.path)
            except OSError as fault:
                raise RulesError([("", "", f"{self.path} cannot be written: {fault.strerror}")]) from fault
            self._seen = _version(self.path)
        self.problem = None
        self._take(found)
        return self.rules

    def records(self) -> list[dict[str, Any]]:
        """Return the rules in the form of GetSamplingRules."""
        return [
            {
                "SamplingRule": rule,
                "CreatedAt": self._made[rule["RuleName"]][0],
                "ModifiedAt": self._made[rule["RuleName"]][1],
            }
            for rule in self.rules
        ]

    def targets(self, statistics: list[dict[str, Any]], boosts: list[dict[str, Any]]) -> dict[str, Any]:
        """Answer GetSamplingTargets: for each rule that a client reports on, what it may sample from now on.

        Raises ValueError for documents that X-Ray would refuse.
        """
        if len(statistics) > _MOST_DOCUMENTS or len(boosts) > _MOST_DOCUMENTS:
            raise ValueError(f"there are more than {_MOST_DOCUMENTS} statistics documents")
        now = self._clock()
        known = {rule["RuleName"]: rule for rule in self.rules}
        unknown, unknown_boosts = _unknown(statistics, known), _unknown(boosts, known)
        for document in boosts:
            if document["RuleName"] in known:
                self._shares.boost(known[document["RuleName"]], document["AnomalyCount"], now)
        for document in statistics:
            if document["RuleName"] in known:
                self._shares.report(document, now)
        return {
            "SamplingTargetDocuments": [
                self._shares.target(known[document["RuleName"]], document["ClientID"], now, INTERVAL)
                for document in statistics
                if document["RuleName"] in known
            ],
            "LastRuleModification": self.modified,
            "UnprocessedStatistics": unknown,
            "UnprocessedBoostStatistics": unknown_boosts,
        }

    def summaries(self) -> list[dict[str, Any]]:
        """Return what clients reported lately, in the form of GetSamplingStatisticSummaries."""
        return self._shares.summaries()

    def _look(self) -> None:
        """Read the file again if it was changed; with a mistake in it the rules stay as they are (see `problem`)."""
        if self.path is None:
            return
        version = _version(self.path)
        if version is None or version == self._seen:
            return
        self._seen = version
        try:
            self._take(_read(self.path))
            self.problem = None
        except RulesError as problem:
            self.problem = problem

    def _take(self, rules: list[Rule]) -> None:
        now = self._clock()
        before = {rule["RuleName"]: rule for rule in self._rules}
        made = {}
        for rule in rules:
            name = rule["RuleName"]
            created, modified = self._made.get(name, (now, now))
            made[name] = (created, modified if before.get(name) == rule else now)
        # A rule that went is a change too; Default bears its time.
        if set(before) - set(made):
            made[DEFAULT] = (made[DEFAULT][0], now)
        self._rules, self._made = rules, made


def _version(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _read(path: Path) -> list[Rule]:
    try:
        return read_rules(json.loads(path.read_bytes()))
    except OSError as fault:
        raise RulesError([("", "", f"{path} cannot be read: {fault.strerror}")]) from fault
    except (ValueError, RecursionError) as fault:
        if isinstance(fault, RulesError):
            raise RulesError(fault.problems, str(path)) from None
        raise RulesError([("", "", f"{path} is no JSON: {fault}")]) from fault


def _unknown(documents: list[dict[str, Any]], known: dict[str, Rule]) -> list[dict[str, str]]:
    return [
        {"RuleName": document["RuleName"], "ErrorCode": "400", "Message": "there is no such rule"}
        for document in documents
        if document["RuleName"] not in known
    ]
