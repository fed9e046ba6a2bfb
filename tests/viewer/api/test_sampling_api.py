"""Sampling rules and targets, as SDKs ask a daemon for them and as people change them with boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.viewer.running import ask

if TYPE_CHECKING:
    from tests.viewer.running import Running

pytestmark = pytest.mark.full

RULE = {
    "RuleName": "checkout",
    "Priority": 5,
    "FixedRate": 0.5,
    "ReservoirSize": 3,
    "ServiceName": "shop",
    "ServiceType": "*",
    "Host": "*",
    "HTTPMethod": "POST",
    "URLPath": "/orders/*",
    "ResourceARN": "*",
    "Version": 1,
}


def report(rule: str, client: str = "a" * 24) -> dict[str, Any]:
    return {"RuleName": rule, "ClientID": client, "Timestamp": 1.0, "RequestCount": 9, "SampledCount": 3}


def names(xray: Any) -> list[str]:
    records = xray.get_sampling_rules()["SamplingRuleRecords"]
    return [record["SamplingRule"]["RuleName"] for record in records]


def test_the_default_rule_is_there_from_the_start(xray: Any) -> None:
    (record,) = xray.get_sampling_rules()["SamplingRuleRecords"]
    assert record["SamplingRule"] == {
        "RuleName": "Default",
        "ResourceARN": "*",
        "Priority": 10_000,
        "FixedRate": 0.05,
        "ReservoirSize": 1,
        "ServiceName": "*",
        "ServiceType": "*",
        "Host": "*",
        "HTTPMethod": "*",
        "URLPath": "*",
        "Version": 1,
        "Attributes": {},
    }
    assert record["CreatedAt"] == record["ModifiedAt"]


def test_an_sdk_may_ask_for_rules_without_a_body(running: Running) -> None:
    status, answer = ask(running.port, "POST", "/GetSamplingRules", b"")
    assert status == 200
    assert b'"RuleName":"Default"' in answer


def test_rules_are_created_changed_and_deleted(xray: Any) -> None:
    created = xray.create_sampling_rule(SamplingRule=RULE)["SamplingRuleRecord"]["SamplingRule"]
    assert created == {**RULE, "Attributes": {}}
    assert names(xray) == ["checkout", "Default"]
    xray.update_sampling_rule(SamplingRuleUpdate={"RuleName": "checkout", "FixedRate": 0.25})
    xray.update_sampling_rule(SamplingRuleUpdate={"RuleName": "Default", "ReservoirSize": 7})
    rules = [record["SamplingRule"] for record in xray.get_sampling_rules()["SamplingRuleRecords"]]
    assert [(rule["FixedRate"], rule["ReservoirSize"]) for rule in rules] == [(0.25, 3), (0.05, 7)]
    xray.delete_sampling_rule(RuleName="checkout")
    assert names(xray) == ["Default"]


@pytest.mark.parametrize(
    ("operation", "arguments", "message"),
    [
        (
            "create_sampling_rule",
            {"SamplingRule": {**RULE, "RuleName": "Default"}},
            "there is a rule 'Default' already",
        ),
        ("update_sampling_rule", {"SamplingRuleUpdate": {"RuleName": "none"}}, "there is no rule 'none'"),
        ("delete_sampling_rule", {"RuleName": "Default"}, "the rule Default cannot be deleted"),
        (
            "update_sampling_rule",
            {"SamplingRuleUpdate": {"RuleName": "Default", "HTTPMethod": "GET"}},
            "Default: HTTPMethod: cannot be changed for Default",
        ),
    ],
)
def test_a_change_that_x_ray_would_refuse_changes_nothing(
    xray: Any, operation: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(xray.exceptions.InvalidRequestException, match=message):
        getattr(xray, operation)(**arguments)
    assert names(xray) == ["Default"]


def test_two_clients_share_a_reservoir(xray: Any) -> None:
    xray.create_sampling_rule(SamplingRule=RULE)
    (first,) = xray.get_sampling_targets(SamplingStatisticsDocuments=[report("checkout")])["SamplingTargetDocuments"]
    assert (first["ReservoirQuota"], first["Interval"], first["FixedRate"]) == (3, 10, 0.5)
    both = xray.get_sampling_targets(
        SamplingStatisticsDocuments=[report("checkout"), report("checkout", "b" * 24), report("gone")]
    )
    assert [target["ReservoirQuota"] for target in both["SamplingTargetDocuments"]] == [2, 1]
    assert both["UnprocessedStatistics"] == [
        {"RuleName": "gone", "ErrorCode": "400", "Message": "there is no such rule"}
    ]
    assert both["LastRuleModification"] >= xray.get_sampling_rules()["SamplingRuleRecords"][0]["ModifiedAt"]
    (summary,) = xray.get_sampling_statistic_summaries()["SamplingStatisticSummaries"]
    assert (summary["RuleName"], summary["RequestCount"], summary["SampledCount"]) == ("checkout", 27, 9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ClientID": "z"}, "ClientID: expected 24"),
        ({"RequestCount": -1}, "RequestCount: exp"),
        ({"RuleName": ""}, "Ru"),
    ],
)
def test_statistics_that_make_no_sense_are_refused(running: Running, change: dict[str, Any], message: str) -> None:
    import json

    body = json.dumps({"SamplingStatisticsDocuments": [{**report("Default"), **change}]}).encode()
    status, answer = ask(running.port, "POST", "/SamplingTargets", body)
    assert (status, json.loads(answer)["message"][: len(message)]) == (400, message)
