"""Sampling rules and targets: what SDKs ask for, and the calls that change rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xray_lambda.viewer.api.calls import Refused, listed, timestamp
from xray_lambda.viewer.rules import DEFAULT, RulesError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xray_lambda.viewer.serve import Viewer

Body = dict[str, Any]
_MOST = 25
_STATISTICS = ("RequestCount", "SampledCount")
_BOOSTS = ("AnomalyCount", "TotalCount", "SampledAnomalyCount")


def get_sampling_rules(viewer: Viewer, body: Body) -> Body:  # noqa: ARG001 - all rules are one page
    """Return every rule."""
    return {"SamplingRuleRecords": viewer.rules.records()}


def get_sampling_targets(viewer: Viewer, body: Body) -> Body:
    """Say what each client may sample from now on."""
    statistics = listed(body, "SamplingStatisticsDocuments", dict, _MOST)
    boosts = listed(body, "SamplingBoostStatisticsDocuments", dict, _MOST, needed=False)
    for document in statistics:
        _check(document, _STATISTICS, ("BorrowCount",))
        if not isinstance(document.get("ClientID"), str) or len(document["ClientID"]) != 24:
            raise Refused("ClientID: expected 24 characters")
    for document in boosts:
        _check(document, _BOOSTS)
    targets: Body = viewer.rules.targets(statistics, boosts)
    return targets


def _check(document: Body, counts: Iterable[str], optional: Iterable[str] = ()) -> None:
    name = document.get("RuleName")
    if not isinstance(name, str) or not 1 <= len(name) <= 32:
        raise Refused("RuleName: expected a text of 1 to 32 characters")
    timestamp(document, "Timestamp")
    for count in [*counts, *(name for name in optional if name in document)]:
        value = document.get(count)
        if type(value) is not int or value < 0:
            raise Refused(f"{count}: expected a whole number from 0")


def get_sampling_statistic_summaries(viewer: Viewer, body: Body) -> Body:  # noqa: ARG001 - they are one page
    """Return what clients reported lately."""
    return {"SamplingStatisticSummaries": viewer.rules.summaries()}


def create_sampling_rule(viewer: Viewer, body: Body) -> Body:
    """Add a rule."""
    rule = _given(body, "SamplingRule")
    rules = viewer.rules.rules
    if any(known["RuleName"] == rule.get("RuleName") for known in rules):
        raise Refused(f"there is a rule {rule['RuleName']!r} already")
    return _changed(viewer, [*rules, rule], str(rule.get("RuleName")))


def update_sampling_rule(viewer: Viewer, body: Body) -> Body:
    """Change those fields of a rule that are given."""
    update = _given(body, "SamplingRuleUpdate")
    found = _named(viewer, update)
    changed = {**found, **{key: value for key, value in update.items() if key != "RuleARN"}}
    others = [rule for rule in viewer.rules.rules if rule["RuleName"] != found["RuleName"]]
    return _changed(viewer, [*others, changed], found["RuleName"])


def delete_sampling_rule(viewer: Viewer, body: Body) -> Body:
    """Remove a rule."""
    found = _named(viewer, body)
    if found["RuleName"] == DEFAULT:
        raise Refused(f"the rule {DEFAULT} cannot be deleted")
    record = _record(viewer, found["RuleName"])
    _replace(viewer, [rule for rule in viewer.rules.rules if rule != found])
    return record


def _given(body: Body, name: str) -> Body:
    found = body.get(name)
    if not isinstance(found, dict):
        raise Refused(f"{name}: expected an object")
    return found


def _named(viewer: Viewer, given: Body) -> Body:
    name = given.get("RuleName") or str(given.get("RuleARN", "")).rpartition("/")[2]
    for rule in viewer.rules.rules:
        if rule["RuleName"] == name:
            return dict(rule)
    raise Refused(f"there is no rule {name!r}")


def _changed(viewer: Viewer, rules: list[Body], name: str) -> Body:
    _replace(viewer, rules)
    return _record(viewer, name)


def _replace(viewer: Viewer, rules: list[Body]) -> None:
    try:
        viewer.rules.replace(rules)
    except RulesError as error:
        raise Refused(str(error)) from None


def _record(viewer: Viewer, name: str) -> Body:
    return {"SamplingRuleRecord": next(r for r in viewer.rules.records() if r["SamplingRule"]["RuleName"] == name)}
