"""A trace is summed up as X-Ray would, whatever of it has come and in whatever order."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.viewer.filters.strategies import trace
from tests.viewer.made import NOON, TRACE, alone, call, http, segment
from xray_lambda.viewer.summaries import COLUMNS, Annotation, Summary, summarize


def kinds(summary: Summary) -> list[tuple[str, str]]:
    return [(service.name, service.type) for service in summary.services]


def test_a_segment_alone_is_a_service_that_a_client_called() -> None:
    body = segment("shop", 0, 2, http=http(404, "PUT", "http://a/", user_agent="curl", client_ip="::1"), error=True)
    summary = summarize([{**body, "origin": "AWS::EC2::Instance", "user": "alice", "annotations": {"order": 17}}])
    expected = {
        "trace_id": TRACE,
        "start": NOON,
        "end": NOON + 2,
        "duration": 2.0,
        "response_time": 2.0,
        "name": "shop",
        "origin": "AWS::EC2::Instance",
        "method": "PUT",
        "url": "http://a/",
        "status": 404,
        "client_ip": "::1",
        "user": "alice",
        "user_agent": "curl",
        "fault": False,
        "error": True,
        "throttle": False,
        "in_progress": False,
        "inferred": False,
        "cold_start": None,
        "documents": 1,
        "subsegments": 0,
    }
    assert {name: getattr(summary, name) for name in COLUMNS if name != "root_causes"} == expected
    assert summary.annotations == [Annotation(0, "order", None, 17.0, None)]
    (service,) = summary.services
    assert (service.caller, service.caller_type, service.root, service.call_time) == ("shop", "client", True, 2.0)


@pytest.mark.parametrize(
    ("subsegment", "name", "kind"),
    [
        (call("bank.example", namespace="remote", http=http(200)), "bank.example", "remote"),
        (call("shop@db.example", namespace="remote", sql={}), "shop@db.example", "Database::SQL"),
        (call("DynamoDB", namespace="aws", aws={"table_name": "baskets"}), "baskets", "AWS::DynamoDB::Table"),
        (call("dynamodb", namespace="aws", aws={"table_names": ["baskets"]}), "baskets", "AWS::DynamoDB::Table"),
        (call("DynamoDB", namespace="aws", aws={"table_names": ["a", "b"]}), "DynamoDB", "AWS::DynamoDB"),
        (call("DynamoDB", namespace="aws", aws={"operation": "ListTables"}), "DynamoDB", "AWS::DynamoDB"),
        (call("S3", namespace="aws", aws={"bucket_name": "photos"}), "photos", "AWS::S3::Bucket"),
        (call("SQS", namespace="aws", aws={"queue_url": "http://q"}), "http://q", "AWS::SQS::Queue"),
        (call("SNS", namespace="aws", aws={"resource_names": ["news"]}), "news", "AWS::SNS::Topic"),
        (call("lambda", namespace="aws", aws={"function_name": "price"}), "price", "AWS::Lambda::Function"),
        (call("EventBridge", namespace="aws", aws={}), "Events", "AWS::Events"),
        (call("Secrets Manager", namespace="aws"), "SecretsManager", "AWS::SecretsManager"),
        (call("Bedrock Runtime", namespace="aws", aws={}), "BedrockRuntime", "AWS::BedrockRuntime"),
    ],
)
def test_a_call_that_no_segment_answers_to_is_an_inferred_service(
    subsegment: dict[str, Any], name: str, kind: str
) -> None:
    summary = summarize([segment("shop", origin="AWS::EC2::Instance", subsegments=[subsegment])])
    inferred = summary.services[1]
    assert (inferred.name, inferred.type, inferred.inferred, summary.inferred) == (name, kind, True, True)
    assert (inferred.caller, inferred.caller_type) == ("shop", "AWS::EC2::Instance")


def test_a_call_that_a_segment_answers_to_is_that_service_and_the_caller_waited_longer() -> None:
    asked = call("bank.example", 1, 3, namespace="remote")
    bank = segment("bank", 2, 1, parent_id=asked["id"])
    summary = summarize([bank, segment("shop", 0, 5, subsegments=[asked])])
    assert kinds(summary) == [("shop", ""), ("bank", "")]
    called = summary.services[1]
    assert (called.caller, called.response_time, called.call_time, called.root) == ("shop", 1.0, 3.0, False)
    assert summary.name == "shop"


def test_local_subsegments_are_no_services() -> None:
    inner = call("inner", subsegments=[call("innermost")])
    summary = summarize([segment("shop", subsegments=[inner])])
    assert (kinds(summary), summary.subsegments) == ([("shop", "")], 2)


def test_a_lambda_function_is_known_by_its_own_subsegment_alone() -> None:
    table = call("DynamoDB", 0.1, 0.2, namespace="aws", aws={"table_name": "baskets"})
    handler = alone("f" * 16, "handler", 0, 0.5, annotations={"ColdStart": True}, subsegments=[table], fault=True)
    summary = summarize([handler])
    assert kinds(summary) == [("handler", "AWS::Lambda::Function"), ("baskets", "AWS::DynamoDB::Table")]
    assert (summary.name, summary.origin, summary.response_time) == ("handler", "AWS::Lambda::Function", 0.5)
    assert (summary.cold_start, summary.fault, summary.in_progress, summary.subsegments) == (True, True, False, 2)
    assert summary.services[1].caller == "handler"


def test_a_functions_service_is_what_it_says_of_itself() -> None:
    handler = alone("f" * 16, "handler", annotations={"ColdStart": False, "Service": "checkout"})
    assert (summarize([handler]).name, summarize([handler]).cold_start) == ("checkout", False)


def test_several_subsegments_of_a_segment_that_never_came_are_one_service() -> None:
    parts = [alone("f" * 16, "first", 0, 1), alone("f" * 16, "second", 2, 1), alone("f" * 16, "third", 1, None)]
    summary = summarize(parts)
    assert kinds(summary) == [("first", "")]
    assert (summary.start, summary.end, summary.in_progress) == (NOON, NOON + 3, True)
    assert summary.response_time is None
    assert summarize(parts[:2]).response_time == 3.0


def test_lambdas_own_segments_are_two_services_and_show_a_cold_start() -> None:
    asked = call("Lambda", 0, 3, namespace="aws", aws={"function_name": "price"})
    service = segment("price", 0.5, 2, parent_id=asked["id"], origin="AWS::Lambda")
    start = call("Initialization", 0.5, 0.5, aws={"function_arn": "arn"})
    function = segment("price", 1, 1, parent_id=service["id"], origin="AWS::Lambda::Function", subsegments=[start])
    summary = summarize([segment("shop", 0, 4, subsegments=[asked]), service, function])
    assert [(found.type, found.caller, found.caller_type) for found in summary.services] == [
        ("", "shop", "client"),
        ("AWS::Lambda", "shop", ""),
        ("AWS::Lambda::Function", "price", "AWS::Lambda"),
    ]
    assert summary.cold_start is True


def test_segments_that_x_ray_inferred_itself_are_not_inferred_once_more() -> None:
    asked = call("DynamoDB", namespace="aws", aws={"table_name": "baskets"})
    table = segment("DynamoDB", parent_id=asked["id"], inferred=True, origin="AWS::DynamoDB::Table", aws=asked["aws"])
    summary = summarize([segment("shop", subsegments=[asked]), table])
    assert kinds(summary) == [("shop", ""), ("baskets", "AWS::DynamoDB::Table")]
    assert summary.services[1].inferred


@pytest.mark.parametrize("more", [{}, {"namespace": "remote"}])
def test_work_that_goes_on_after_the_answer_is_duration_and_no_response_time(more: dict[str, Any]) -> None:
    late = alone("a" * 16, "late", 1, 4, **more)
    summary = summarize([segment("shop", 0, 2, id="a" * 16), late])
    assert (summary.response_time, summary.duration) == (2.0, 5.0)
    assert (summary.services[0].response_time, summary.services[0].duration) == (2.0, 5.0)


def test_a_complete_document_takes_the_place_of_the_one_in_progress_in_any_order() -> None:
    announced = alone("a" * 16, "work", 1, None)
    ended = {**call("work", 1, 0.5), "id": announced["id"]}
    shop = segment("shop", 0, 2, id="a" * 16, subsegments=[ended])
    for order in ([announced, shop], [shop, announced]):
        summary = summarize(order)
        assert (summary.subsegments, summary.in_progress) == (1, False)


def test_a_throttle_counts_in_any_segment_but_a_fault_in_the_first_alone() -> None:
    asked = call("bank", 0, 1, namespace="remote")
    bank = segment("bank", 0, 1, parent_id=asked["id"], error=True, throttle=True, fault=True)
    summary = summarize([segment("shop", subsegments=[asked]), bank])
    assert (summary.throttle, summary.error, summary.fault) == (True, False, False)


def test_where_a_trace_began_is_the_segment_that_names_no_parent() -> None:
    lost = segment("lost", -5, 1, parent_id="9" * 16)
    assert summarize([lost, segment("shop")]).name == "shop"
    assert summarize([lost]).name == "lost"


def test_entities_that_name_each_other_as_parents_are_all_there() -> None:
    one, other = alone("b" * 16, "one", id="a" * 16), alone("a" * 16, "other", id="b" * 16)
    summary = summarize([one, other, alone("c" * 16, "own parent", id="c" * 16)])
    assert summary.subsegments + len(summary.services) == 3
    assert summary.documents == 3


def test_a_chain_of_ten_thousand_subsegments_exhausts_no_stack() -> None:
    chain = [alone(f"{number:016x}", "step", number, 1, id=f"{number + 1:016x}") for number in range(10_000)]
    random.Random(1).shuffle(chain)
    assert summarize(chain).subsegments == 10_000


def test_without_documents_there_is_no_summary() -> None:
    with pytest.raises(ValueError, match="without documents"):
        summarize([])


@pytest.mark.parametrize(
    "odd",
    [
        {"http": 3, "aws": [], "annotations": "x", "subsegments": {}, "cause": 5, "user": 7, "origin": []},
        {"http": {"request": 1, "response": {"status": "abc"}}, "subsegments": [None, 3, {}]},
        {"subsegments": [{"name": 3, "id": [], "start_time": "x", "namespace": "aws", "aws": 4}]},
        {"annotations": {"list": [], "null": None, "huge": 10**400}, "cause": {"exceptions": [3, {}]}, "fault": True},
        {"start_time": float("nan"), "end_time": float("inf")},
    ],
)
def test_fields_of_the_wrong_type_are_passed_over(odd: dict[str, Any]) -> None:
    assert summarize([segment("shop") | odd]).name == "shop"


def test_a_status_that_an_sdk_sends_as_text_is_a_number() -> None:
    assert summarize([segment("shop", http={"response": {"status": "503"}})]).status == 503


@pytest.mark.full
@settings(max_examples=150, deadline=None)
@given(trace(), st.randoms())
def test_the_order_of_arrival_makes_no_difference(documents: list[dict[str, Any]], random: random.Random) -> None:
    shuffled = list(documents)
    random.shuffle(shuffled)

    def plain(summary: Summary) -> tuple[Any, ...]:
        services = sorted(map(repr, summary.services))
        return (*summary[: len(COLUMNS) - 1], services, sorted(repr(given[1:]) for given in summary.annotations))

    assert plain(summarize(shuffled)) == plain(summarize(documents))
