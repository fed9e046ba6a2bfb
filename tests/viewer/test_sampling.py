"""Sampling rules are checked field by field, kept in a file, and their reservoirs shared among clients."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from xray_lambda.viewer.rules import RulesError, read_rules
from xray_lambda.viewer.sampling import Sampling

RULE: dict[str, Any] = {"RuleName": "orders", "Priority": 10, "FixedRate": 0.5, "ReservoirSize": 5}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def names(rules: list[dict[str, Any]]) -> list[str]:
    return [rule["RuleName"] for rule in rules]


def report(client: str, rule: str = "orders") -> dict[str, Any]:
    return {"RuleName": rule, "ClientID": client * 24, "Timestamp": 1.0, "RequestCount": 1, "SampledCount": 1}


def test_a_rule_applies_to_everything_that_it_does_not_restrict() -> None:
    orders, default = read_rules([RULE])
    everything = dict.fromkeys(("ServiceName", "ServiceType", "Host", "HTTPMethod", "URLPath", "ResourceARN"), "*")
    assert orders == {**RULE, **everything, "Version": 1, "Attributes": {}}
    assert (default["RuleName"], default["FixedRate"], default["ReservoirSize"]) == ("Default", 0.05, 1)


@pytest.mark.parametrize(
    "given",
    [
        [RULE],
        {"rules": [RULE]},
        {"SamplingRuleRecords": [{"SamplingRule": RULE, "CreatedAt": 1}]},
    ],
)
def test_rules_come_in_each_form_that_people_have_them_in(given: object) -> None:
    assert names(read_rules(given)) == ["orders", "Default"]


def test_rules_are_tried_by_priority_then_by_name() -> None:
    rules = [{**RULE, "RuleName": name, "Priority": priority} for name, priority in (("c", 2), ("b", 1), ("a", 2))]
    assert names(read_rules(rules)) == ["b", "a", "c", "Default"]


@pytest.mark.parametrize(
    ("change", "rule", "field", "message"),
    [
        ({"Priority": 0}, "orders", "Priority", "expected a whole number from 1 to 9999, got 0"),
        ({"Priority": True}, "orders", "Priority", "expected a whole number from 1 to 9999, got True"),
        ({"FixedRate": 1.5}, "orders", "FixedRate", "expected a number from 0 to 1, got 1.5"),
        ({"FixedRate": float("nan")}, "orders", "FixedRate", "expected a number from 0 to 1, got nan"),
        ({"ReservoirSize": -1}, "orders", "ReservoirSize", "expected a whole number from 0 to 1000000, got -1"),
        ({"Host": 3}, "orders", "Host", "expected a text of 0 to 64 characters, got 3"),
        ({"HTTPMethod": "x" * 11}, "orders", "HTTPMethod", f"expected a text of 0 to 10 characters, got '{'x' * 11}'"),
        ({"RuleName": ""}, "rule 1", "RuleName", "expected a text of 1 to 32 characters, got ''"),
        ({"Version": 2}, "orders", "Version", "expected 1, got 2"),
        ({"Attributes": {"": "x"}}, "orders", "Attributes", "expected a text of 1 to 32 characters, got ''"),
        ({"Attributes": {str(n): "x" for n in range(6)}}, "orders", "Attributes", "expected an object with at most 5"),
        ({"SamplingRateBoost": {"MaxRate": 1}}, "orders", "SamplingRateBoost", "expected MaxRate and Cooldown"),
        (
            {"SamplingRateBoost": {"MaxRate": 2, "CooldownWindowMinutes": 1}},
            "orders",
            "SamplingRateBoost",
            "MaxRate: expected a number from 0 to 1, got 2",
        ),
        ({"Rate": 1}, "orders", "Rate", "is no field of a rule; known: RuleName, RuleARN, "),
        ({"RuleName": "Default", "Host": "a"}, "Default", "Host", "cannot be changed for Default"),
    ],
)
def test_a_mistake_is_told_with_rule_and_field(change: dict[str, Any], rule: str, field: str, message: str) -> None:
    given = {**RULE, **change}
    if change.get("RuleName") == "Default":
        given = {"RuleName": "Default", "FixedRate": 1, **change}
    with pytest.raises(RulesError) as caught:
        read_rules([given])
    ((found_rule, found_field, what),) = caught.value.problems
    assert (found_rule, found_field, what[: len(message)]) == (rule, field, message)
    assert str(caught.value).startswith(f"{rule}: {field}: ")


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(RulesError) as caught:
        read_rules([{"RuleName": "a"}, RULE, {**RULE, "Priority": 3}])
    assert caught.value.problems == [
        ("a", "Priority", "is missing"),
        ("a", "FixedRate", "is missing"),
        ("a", "ReservoirSize", "is missing"),
        ("orders", "RuleName", "there is another rule of that name"),
    ]


@pytest.mark.parametrize("given", [None, 3, {}, {"rules": 3}, [3], [RULE] * 1_001])
def test_what_is_no_list_of_rules_is_refused(given: object) -> None:
    with pytest.raises(RulesError):
        read_rules(given)


def test_an_edited_file_counts_at_the_next_look(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps([RULE]))
    sampling = Sampling(path)
    assert names(sampling.rules) == ["orders", "Default"]
    path.write_text(json.dumps([{**RULE, "RuleName": "payments"}]))
    assert names(sampling.rules) == ["payments", "Default"]


def test_a_mistake_in_an_edited_file_leaves_the_rules_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps([RULE]))
    sampling = Sampling(path)
    path.write_text('[{"RuleName": "orders", "FixedRate": "all"}]')
    assert (names(sampling.rules), sampling.rules[0]["FixedRate"]) == (["orders", "Default"], 0.5)
    assert f"{path}: orders: FixedRate: expected a number" in str(sampling.problem)
    path.write_text(json.dumps([{**RULE, "FixedRate": 1}]))
    assert (sampling.rules[0]["FixedRate"], sampling.problem) == (1, None)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "is no JSON"), ("[" * 100_000, "is no JSON"), ("\xff", "is no JSON")]
)
def test_a_file_that_is_no_json_is_refused_at_the_start(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RulesError, match=message):
        Sampling(path)


def test_replaced_rules_are_in_the_file_when_the_viewer_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    assert names(Sampling(path).replace([RULE])) == ["orders", "Default"]
    assert names(Sampling(path).rules) == ["orders", "Default"]
    assert list(tmp_path.iterdir()) == [path]


def test_rules_that_cannot_be_kept_are_refused_and_change_nothing(tmp_path: Path) -> None:
    sampling = Sampling(tmp_path / "nowhere" / "rules.json")
    with pytest.raises(RulesError, match="cannot be written: No such file"):
        sampling.replace([RULE])
    assert names(sampling.rules) == ["Default"]


def test_a_rule_keeps_its_times_until_it_changes() -> None:
    clock = Clock()
    sampling = Sampling(None, clock)
    sampling.replace([RULE])
    clock.now = 2_000.0
    sampling.replace([RULE, {**RULE, "RuleName": "new"}])
    clock.now = 3_000.0
    sampling.replace([{**RULE, "FixedRate": 0}, {**RULE, "RuleName": "new"}])
    times = {
        record["SamplingRule"]["RuleName"]: (record["CreatedAt"], record["ModifiedAt"]) for record in sampling.records()
    }
    assert times == {"orders": (1_000.0, 3_000.0), "new": (2_000.0, 2_000.0), "Default": (1_000.0, 1_000.0)}
    clock.now = 4_000.0
    sampling.replace([])
    assert sampling.modified == 4_000.0


def test_what_is_returned_is_nobodys_handle_on_the_rules() -> None:
    sampling = Sampling(None)
    sampling.rules[0]["FixedRate"] = 9
    assert sampling.rules[0]["FixedRate"] == 0.05


def test_shares_are_whole_requests_and_make_up_the_reservoir() -> None:
    clock = Clock()
    sampling = Sampling(None, clock)
    sampling.replace([RULE])
    answer = sampling.targets([report("a"), report("b"), report("c")], [])
    targets = answer["SamplingTargetDocuments"]
    assert [target["ReservoirQuota"] for target in targets] == [2, 2, 1]
    assert {target["ReservoirQuotaTTL"] for target in targets} == {1_015.0}
    clock.now += 16
    (alone,) = sampling.targets([report("b")], [])["SamplingTargetDocuments"]
    assert alone["ReservoirQuota"] == 5


def test_anomalies_bring_a_minute_at_the_highest_rate_then_a_pause() -> None:
    clock = Clock()
    sampling = Sampling(None, clock)
    sampling.replace([{**RULE, "SamplingRateBoost": {"MaxRate": 1, "CooldownWindowMinutes": 5}}])
    boost = {"RuleName": "orders", "AnomalyCount": 1}

    def boosted(after: float, *boosts: dict[str, Any]) -> Any:
        clock.now = 1_000.0 + after
        (target,) = sampling.targets([report("a")], list(boosts))["SamplingTargetDocuments"]
        return target.get("SamplingBoost")

    assert boosted(0) is None
    assert boosted(1, boost) == {"BoostRate": 1, "BoostRateTTL": 1_061.0}
    assert boosted(30, boost) == {"BoostRate": 1, "BoostRateTTL": 1_061.0}
    assert boosted(61, boost) is None
    assert boosted(301, boost) == {"BoostRate": 1, "BoostRateTTL": 1_361.0}
    assert boosted(500, {"RuleName": "orders", "AnomalyCount": 0}) is None


def test_reports_are_summed_up_by_ten_seconds() -> None:
    clock = Clock()
    sampling = Sampling(None, clock)
    sampling.replace([RULE])
    for after in count(0, 4):
        if after > 12:
            break
        clock.now = 1_000.0 + after
        sampling.targets([report("a")], [])
    assert [(found["Timestamp"], found["RequestCount"], found["BorrowCount"]) for found in sampling.summaries()] == [
        (1_000.0, 3, 0),
        (1_010.0, 1, 0),
    ]


def test_more_documents_than_x_ray_takes_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 25"):
        Sampling(None).targets([report("a", "Default")] * 26, [])
