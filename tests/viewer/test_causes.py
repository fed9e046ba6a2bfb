"""Root causes: where a fault, an error or the time of a trace came from."""

from __future__ import annotations

import json
from typing import Any

from tests.viewer.made import alone, call, segment
from xray_lambda.viewer.summaries import summarize


def causes(*documents: dict[str, Any]) -> Any:
    found = summarize(documents).root_causes
    return json.loads(found) if found else {}


def way(cause: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Say which services a cause leads through, and which entities in each."""
    return [(service["Name"], [entity["Name"] for entity in service["EntityPath"]]) for service in cause["Services"]]


def test_a_fault_is_followed_to_the_service_where_it_began() -> None:
    asked = call("bank.example", 0, 1, namespace="remote", fault=True)
    thrown = {"exceptions": [{"id": "e" * 16, "type": "KeyError", "message": "'id'"}, {"id": "f" * 16, "type": "E"}]}
    inner = call("lookup", 0, 0.5, fault=True, cause=thrown)
    bank = segment("bank", 0, 1, parent_id=asked["id"], fault=True, subsegments=[inner])
    outer = call("checkout", 0, 1, fault=True, subsegments=[asked])
    (cause,) = causes(segment("shop", 0, 1, fault=True, subsegments=[outer]), bank)["fault"]
    assert way(cause) == [("shop", ["shop", "checkout", "bank.example"]), ("bank", ["bank", "lookup"])]
    assert cause["ClientImpacting"] is True
    entity = cause["Services"][1]["EntityPath"][1]
    assert entity == {
        "Name": "lookup",
        "Exceptions": [{"Name": "KeyError", "Message": "'id'"}, {"Name": "E", "Message": ""}],
        "Remote": False,
    }


def test_what_failed_below_and_was_handled_does_not_concern_the_client() -> None:
    (cause,) = causes(segment("shop", subsegments=[call("try", error=True)]))["error"]
    assert (way(cause), cause["ClientImpacting"]) == ([("shop", ["try"])], False)


def test_each_place_where_something_began_is_a_cause_and_ten_are_enough() -> None:
    failing = [call(f"part {number}", fault=True) for number in range(12)]
    found = causes(segment("shop", fault=True, subsegments=failing))["fault"]
    assert [way(cause) for cause in found] == [[("shop", ["shop", f"part {number}"])] for number in range(10)]


def test_the_time_is_followed_as_long_as_one_child_takes_half_of_it() -> None:
    asked = call("DynamoDB", 1, 4, namespace="aws", aws={"table_name": "baskets"})
    work = call("work", 0, 6, subsegments=[asked, call("short", 5, 1)])
    (cause,) = causes(segment("shop", 0, 10, subsegments=[call("other", 6, 4), work]))["responsetime"]
    assert way(cause) == [("shop", ["shop", "work", "DynamoDB"]), ("baskets", ["DynamoDB"])]
    assert [entity["Coverage"] for entity in cause["Services"][0]["EntityPath"]] == [1.0, 0.6, 0.4]
    assert [service["Inferred"] for service in cause["Services"]] == [False, True]


def test_what_has_not_ended_has_no_cause_for_its_time() -> None:
    assert causes(segment("shop", seconds=None)) == {}


def test_a_function_whose_segment_never_came_has_its_causes_too() -> None:
    (cause,) = causes(alone("f" * 16, "handler", fault=True, annotations={"ColdStart": True}))["fault"]
    assert way(cause) == [("handler", ["handler", "handler"])]
    assert cause["Services"][0]["Type"] == "AWS::Lambda::Function"
