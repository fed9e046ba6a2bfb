"""boto3 reads from the viewer as from X-Ray: summaries, whole traces, graphs, time series."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tests.viewer.made import NOON, a_trace_id, call, documents, http, segment

if TYPE_CHECKING:
    from tests.viewer.running import Running

pytestmark = pytest.mark.full

RANGE = {"StartTime": NOON - 60, "EndTime": NOON + 60}


def shop(number: int = 1, start: float = 0.0, **more: Any) -> dict[str, Any]:
    """A shop's trace: it asks a table, and a bank that fails."""
    failed = {"exceptions": [{"id": "e" * 16, "type": "Timeout", "message": "too slow"}]}
    table = call("DynamoDB", start + 0.25, 0.5, namespace="aws", aws={"table_name": "baskets", "operation": "GetItem"})
    bank = call("bank", start + 1, 1.0, namespace="remote", http=http(503), fault=True, cause=failed)
    return segment(
        "shop",
        start,
        2.5,
        trace_id=a_trace_id(number),
        http=http(200, "POST", "http://shop.example/orders", user_agent="curl/8", client_ip="10.0.0.1"),
        user="alice",
        annotations={"order": 17, "vip": True, "tier": "gold"},
        aws={"account_id": "123456789012", "ec2": {"instance_id": "i-1", "availability_zone": "eu-1a"}},
        origin="AWS::EC2::Instance",
        resource_arn="arn:aws:ec2:shop",
        subsegments=[table, bank],
        **more,
    )


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOON + seconds, tz=timezone.utc)


def test_a_summary_has_all_that_x_ray_says_of_a_trace(running: Running, xray: Any) -> None:
    running.viewer.add(documents(shop()))
    answer = xray.get_trace_summaries(**RANGE)
    del answer["ResponseMetadata"], answer["ApproximateTime"]
    shop_id = {"Name": "shop", "Names": ["shop"], "AccountId": "123456789012", "Type": "AWS::EC2::Instance"}
    bank_id = {"Name": "bank", "Names": ["bank"], "Type": "remote"}
    exceptions = [{"Name": "Timeout", "Message": "too slow"}]
    assert answer == {
        "TracesProcessedCount": 1,
        "TraceSummaries": [
            {
                "Id": a_trace_id(1),
                "StartTime": at(0),
                "Duration": 2.5,
                "ResponseTime": 2.5,
                "HasFault": False,
                "HasError": False,
                "HasThrottle": False,
                "IsPartial": False,
                "Http": {
                    "HttpURL": "http://shop.example/orders",
                    "HttpStatus": 200,
                    "HttpMethod": "POST",
                    "UserAgent": "curl/8",
                    "ClientIp": "10.0.0.1",
                },
                "Annotations": {
                    "order": [{"AnnotationValue": {"NumberValue": 17}, "ServiceIds": [shop_id]}],
                    "vip": [{"AnnotationValue": {"BooleanValue": True}, "ServiceIds": [shop_id]}],
                    "tier": [{"AnnotationValue": {"StringValue": "gold"}, "ServiceIds": [shop_id]}],
                },
                "Users": [{"UserName": "alice", "ServiceIds": [shop_id]}],
                "ServiceIds": [
                    shop_id,
                    {"Name": "baskets", "Names": ["baskets"], "Type": "AWS::DynamoDB::Table"},
                    bank_id,
                ],
                "ResourceARNs": [{"ARN": "arn:aws:ec2:shop"}],
                "InstanceIds": [{"Id": "i-1"}],
                "AvailabilityZones": [{"Name": "eu-1a"}],
                "EntryPoint": {"Name": "shop", "Names": ["shop"], "Type": "AWS::EC2::Instance"},
                "FaultRootCauses": [
                    {
                        "Services": [
                            {
                                "Name": "shop",
                                "Names": ["shop"],
                                "Type": "AWS::EC2::Instance",
                                "Inferred": False,
                                "EntityPath": [{"Name": "bank", "Exceptions": exceptions, "Remote": True}],
                            },
                            {
                                **bank_id,
                                "Inferred": True,
                                "EntityPath": [{"Name": "bank", "Exceptions": exceptions, "Remote": False}],
                            },
                        ],
                        "ClientImpacting": False,
                    }
                ],
                "ErrorRootCauses": [],
                "ResponseTimeRootCauses": [
                    {
                        "Services": [
                            {
                                "Name": "shop",
                                "Names": ["shop"],
                                "Type": "AWS::EC2::Instance",
                                "Inferred": False,
                                "EntityPath": [{"Name": "shop", "Coverage": 1.0, "Remote": False}],
                            }
                        ],
                        "ClientImpacting": True,
                    }
                ],
                "Revision": 1,
            }
        ],
    }


def test_a_filter_expression_chooses_summaries(running: Running, xray: Any) -> None:
    running.viewer.add(documents(shop(1), segment("other", 1, trace_id=a_trace_id(2), fault=True)))

    def found(expression: str) -> list[str]:
        page = xray.get_trace_summaries(**RANGE, FilterExpression=expression)
        return [summary["Id"] for summary in page["TraceSummaries"]]

    assert found('service("bank") { fault } AND annotation.order = 17') == [a_trace_id(1)]
    assert found("fault") == [a_trace_id(2)]
    assert found("responsetime > 10") == []


def test_a_mistake_in_a_filter_expression_is_an_error_that_says_where(running: Running, xray: Any) -> None:
    with pytest.raises(xray.exceptions.InvalidRequestException, match=r"no keyword.*\(at character 8\)"):
        xray.get_trace_summaries(**RANGE, FilterExpression="ok AND faultt")


def test_boto3s_paginator_gets_every_trace_once(running: Running, xray: Any) -> None:
    running.viewer.add(documents(*(segment("shop", number / 8, trace_id=a_trace_id(number)) for number in range(250))))
    pages = list(xray.get_paginator("get_trace_summaries").paginate(**RANGE))
    ids = [summary["Id"] for page in pages for summary in page["TraceSummaries"]]
    assert [len(page["TraceSummaries"]) for page in pages] == [100, 100, 50]
    assert ids == [a_trace_id(number) for number in reversed(range(250))]


@pytest.mark.parametrize(
    ("kind", "found"),
    [("TraceId", [2]), ("Event", [2, 1]), ("Service", [1])],
)
def test_a_time_range_is_of_starts_of_work_or_of_ends(running: Running, xray: Any, kind: str, found: list[int]) -> None:
    early = segment("shop", -5, 10, trace_id=a_trace_id(1))
    late = segment("shop", 5, 10, trace_id=a_trace_id(2))
    running.viewer.add(documents(early, late))
    answer = xray.get_trace_summaries(StartTime=NOON, EndTime=NOON + 10, TimeRangeType=kind)
    assert [summary["Id"] for summary in answer["TraceSummaries"]] == [a_trace_id(number) for number in found]


def test_a_trace_in_progress_is_partial_and_has_no_response_time(running: Running, xray: Any) -> None:
    running.viewer.add(documents(segment("shop", seconds=None)))
    (summary,) = xray.get_trace_summaries(**RANGE)["TraceSummaries"]
    assert summary["IsPartial"]
    assert "ResponseTime" not in summary


def test_a_whole_trace_has_its_subsegments_in_place_and_what_x_ray_infers(running: Running, xray: Any) -> None:
    one = segment("shop", 0, 2)
    alone = segment("price", 0.5, 1, type="subsegment", parent_id=one["id"])
    asked = call("DynamoDB", 0.6, 0.5, namespace="aws", aws={"table_name": "baskets", "operation": "GetItem"})
    running.viewer.add(documents(one, {**alone, "subsegments": [asked]}))
    answer = xray.batch_get_traces(TraceIds=[one["trace_id"], a_trace_id(99)])
    (trace,) = answer["Traces"]
    inferred = trace["Segments"][1]["Id"]
    assert (trace["Id"], trace["Duration"], trace["LimitExceeded"]) == (one["trace_id"], 2.0, False)
    assert [json.loads(found["Document"]) for found in trace["Segments"]] == [
        {
            **one,
            "subsegments": [
                {
                    "name": "price",
                    "id": alone["id"],
                    "start_time": NOON + 0.5,
                    "end_time": NOON + 1.5,
                    "subsegments": [asked],
                }
            ],
        },
        {
            "id": inferred,
            "name": "DynamoDB",
            "start_time": NOON + 0.6,
            "end_time": NOON + 1.1,
            "parent_id": asked["id"],
            "trace_id": one["trace_id"],
            "inferred": True,
            "aws": {"table_name": "baskets", "operation": "GetItem"},
            "origin": "AWS::DynamoDB::Table",
        },
    ]
    assert [found["Id"] for found in trace["Segments"]] == [one["id"], inferred]
    assert answer["UnprocessedTraceIds"] == []


def test_what_the_viewer_hands_out_it_takes_back_as_the_same(running: Running, xray: Any) -> None:
    body = shop()
    running.viewer.add(documents(body))
    before = xray.get_trace_summaries(**RANGE)["TraceSummaries"]
    (trace,) = xray.batch_get_traces(TraceIds=[body["trace_id"]])["Traces"]
    running.viewer.store.clear()
    xray.put_trace_segments(TraceSegmentDocuments=[found["Document"] for found in trace["Segments"]])
    after = xray.get_trace_summaries(**RANGE)["TraceSummaries"]
    assert [service["Name"] for service in after[0]["ServiceIds"]] == ["shop", "baskets", "bank"]
    assert {**after[0], "Revision": 1} == before[0]


def test_a_service_graph_has_clients_services_and_what_is_inferred(running: Running, xray: Any) -> None:
    running.viewer.add(documents(shop(1), shop(2, 10.0)))
    answer = xray.get_service_graph(**RANGE)
    assert (answer["StartTime"], answer["EndTime"]) == (at(-60), at(60))
    services = {service["Name"] + "|" + service["Type"]: service for service in answer["Services"]}
    assert set(services) == {"shop|client", "shop|AWS::EC2::Instance", "baskets|AWS::DynamoDB::Table", "bank|remote"}
    fine = {
        "OkCount": 2,
        "ErrorStatistics": {"ThrottleCount": 0, "OtherCount": 0, "TotalCount": 0},
        "FaultStatistics": {"OtherCount": 0, "TotalCount": 0},
        "TotalCount": 2,
        "TotalResponseTime": 5.0,
    }
    one = services["shop|AWS::EC2::Instance"]
    bank = services["bank|remote"]
    assert {key: value for key, value in one.items() if key not in ("ReferenceId", "Edges")} == {
        "Name": "shop",
        "Names": ["shop"],
        "Root": True,
        "AccountId": "123456789012",
        "Type": "AWS::EC2::Instance",
        "State": "active",
        "StartTime": at(0),
        "EndTime": at(12.5),
        "SummaryStatistics": fine,
        "DurationHistogram": [{"Value": 2.5, "Count": 2}],
        "ResponseTimeHistogram": [{"Value": 2.5, "Count": 2}],
    }
    assert services["shop|client"]["Edges"][0]["ReferenceId"] == one["ReferenceId"]
    assert {edge["ReferenceId"] for edge in one["Edges"]} == {
        services["baskets|AWS::DynamoDB::Table"]["ReferenceId"],
        bank["ReferenceId"],
    }
    assert bank["SummaryStatistics"]["FaultStatistics"] == {"OtherCount": 2, "TotalCount": 2}
    assert (bank["State"], bank["Edges"]) == ("unknown", [])


def test_a_trace_graph_is_of_the_traces_that_are_asked_for(running: Running, xray: Any) -> None:
    running.viewer.add(documents(shop(1), segment("other", trace_id=a_trace_id(2))))
    found = xray.get_trace_graph(TraceIds=[a_trace_id(2)])["Services"]
    assert [(service["Name"], service.get("Type")) for service in found] == [("other", None), ("other", "client")]
    assert xray.get_trace_graph(TraceIds=[a_trace_id(3)])["Services"] == []


@pytest.mark.parametrize(
    ("selector", "statistics", "counts"),
    [
        ('service("bank")', "ServiceSummaryStatistics", [(0, 1, 1), (60, 1, 1)]),
        ('id(name: "shop", type: "AWS::EC2::Instance")', "ServiceSummaryStatistics", [(0, 1, 0), (60, 1, 0)]),
        ('edge("shop", "bank") { fault }', "EdgeSummaryStatistics", [(0, 1, 1), (60, 1, 1)]),
        ('service("nobody")', "ServiceSummaryStatistics", []),
        (None, "EdgeSummaryStatistics", [(0, 1, 0), (60, 1, 0)]),
    ],
)
def test_a_time_series_has_a_value_for_each_minute(
    running: Running, xray: Any, selector: str | None, statistics: str, counts: list[tuple[int, int, int]]
) -> None:
    base = NOON // 60 * 60 - NOON
    running.viewer.add(documents(shop(1, base + 5), shop(2, base + 70)))
    chosen = {} if selector is None else {"EntitySelectorExpression": selector}
    answer = xray.get_time_series_service_statistics(
        StartTime=NOON + base, EndTime=NOON + base + 120, Period=60, **chosen
    )
    found = answer["TimeSeriesServiceStatistics"]
    assert [
        (
            value["Timestamp"].timestamp() - NOON - base,
            value[statistics]["TotalCount"],
            value[statistics]["FaultStatistics"]["TotalCount"],
        )
        for value in found
    ] == counts
    assert all(value["ResponseTimeHistogram"] for value in found)


@pytest.mark.parametrize(
    ("operation", "arguments", "message"),
    [
        ("get_trace_summaries", {"StartTime": NOON, "EndTime": NOON - 1}, "StartTime is after EndTime"),
        ("get_trace_summaries", {**RANGE, "TimeRangeType": "Moon"}, "TimeRangeType: 'Moon' is none of TraceId, "),
        ("get_trace_summaries", {**RANGE, "NextToken": "beef"}, "NextToken: this is no token of ours"),
        ("get_service_graph", {**RANGE, "GroupName": "slow"}, "there is no group 'slow' here"),
        ("batch_get_traces", {"TraceIds": ["1-2-3"]}, "TraceIds: '1-2-3' is no trace id"),
        ("batch_get_traces", {"TraceIds": ["x"] * 101}, "TraceIds: there are 101, over 100"),
        (
            "get_time_series_service_statistics",
            {**RANGE, "EntitySelectorExpression": "fault"},
            "expected service(...), edge(...) or id(...)",
        ),
        ("get_time_series_service_statistics", {**RANGE, "Period": 0}, "Period: expected whole seconds"),
        (
            "get_time_series_service_statistics",
            {"StartTime": 0, "EndTime": NOON, "Period": 1},
            "more than 1000 periods",
        ),
    ],
)
def test_what_x_ray_would_refuse_is_refused_in_its_words(
    xray: Any, operation: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(xray.exceptions.InvalidRequestException) as caught:
        getattr(xray, operation)(**arguments)
    assert message in caught.value.response["Error"]["Message"]


def test_an_operation_that_is_not_here_says_which_are(xray: Any) -> None:
    with pytest.raises(xray.exceptions.ClientError) as caught:
        xray.get_insight_summaries(StartTime=NOON, EndTime=NOON)
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"
    assert "POST /InsightSummaries is no operation of this viewer" in caught.value.response["Error"]["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
