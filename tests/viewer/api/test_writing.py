"""What daemons and SDKs send to the API: documents, telemetry, and what is wrong with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.viewer.made import TRACE, segment
from tests.viewer.running import ask, until

if TYPE_CHECKING:
    from tests.viewer.running import Running

pytestmark = pytest.mark.full


def post(running: Running, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    status, answer = ask(running.port, "POST", path, body, **headers)
    return status, json.loads(answer)


def test_documents_are_stored_and_those_that_x_ray_refuses_are_named(running: Running, xray: Any) -> None:
    good, bad = segment("shop"), segment("shop", trace_id="1-nonsense")
    answer = xray.put_trace_segments(TraceSegmentDocuments=[json.dumps(bad), json.dumps(good), "no json"])
    first, second = answer["UnprocessedTraceSegments"]
    assert (first["Id"], first["ErrorCode"]) == (bad["id"], "InvalidTraceId")
    assert "trace_id" in first["Message"]
    assert second["ErrorCode"] == "InvalidSegment"
    assert "Id" not in second
    assert running.viewer.store.trace(TRACE) == [good]
    assert [rejection.source for rejection in running.viewer.rejections] == ["PutTraceSegments"] * 2


def test_documents_need_no_signature_and_no_content_type(running: Running) -> None:
    body = json.dumps({"TraceSegmentDocuments": [json.dumps(segment("shop"))]}).encode()
    assert post(running, "/TraceSegments", body) == (200, {"UnprocessedTraceSegments": []})
    assert len(running.viewer.store.trace(TRACE)) == 1


def test_telemetry_is_taken(xray: Any) -> None:
    answer = xray.put_telemetry_records(TelemetryRecords=[{"Timestamp": 1.0, "SegmentsReceivedCount": 3}])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        ("/TraceSegments", b"{", "SerializationException", "the body is no JSON: "),
        ("/TraceSegments", b"[]", "SerializationException", "the body is no JSON object"),
        ("/TraceSegments", b"\xff", "SerializationException", "the body is no JSON: "),
        ("/TraceSegments", b"[" * 100_000, "SerializationException", "the body is no JSON: "),
        ("/TraceSegments", b"{}", "InvalidRequestException", "TraceSegmentDocuments: expected a list of texts"),
        ("/TraceSegments", b'{"TraceSegmentDocuments": [{}]}', "InvalidRequestException", "TraceSegmentDocuments: exp"),
        ("/TraceSummaries", b"{}", "InvalidRequestException", "StartTime: expected a time in seconds since the epoch"),
        ("/TraceSummaries", b'{"StartTime": true}', "InvalidRequestException", "StartTime: expected a time"),
        ("/TraceSummaries", b'{"StartTime": "1"}', "InvalidRequestException", "StartTime: expected a time"),
        ("/TelemetryRecords", b'{"TelemetryRecords": [{}]}', "InvalidRequestException", "TelemetryRecords: each has a"),
        ("/SamplingTargets", b'{"SamplingStatisticsDocuments": 3}', "InvalidRequestException", "SamplingStatistics"),
    ],
)
def test_a_call_that_makes_no_sense_is_an_error_as_aws_writes_it(
    running: Running, path: str, body: bytes, code: str, message: str
) -> None:
    status, answer = post(running, path, body)
    assert (status, answer["__type"], answer["message"][: len(message)]) == (400, code, message)


def test_a_get_says_what_can_be_asked(running: Running) -> None:
    status, answer = ask(running.port, "GET", "/", None)
    assert status == 404
    assert b"it answers POST to: TraceSegments, " in answer


def test_sql_in_any_field_stays_text(running: Running, xray: Any) -> None:
    evil = "'); DROP TABLE traces; --"
    body = segment(evil[:20], user=evil, annotations={"order": evil}, http={"request": {"url": evil, "method": evil}})
    running.send({**body, "name": "shop"})
    until(running.viewer.store.count)
    times = {"StartTime": body["start_time"] - 1, "EndTime": body["start_time"] + 1}
    for expression in (
        f'user = "{evil}"',
        f'http.url ENDSWITH "{evil}"',
        f'annotation.order CONTAINS "{evil}"',
        f'!service("{evil}") {{ name = "{evil}" }}',
        f'!annotation["{evil}"]',
    ):
        assert len(xray.get_trace_summaries(**times, FilterExpression=expression)["TraceSummaries"]) == 1, expression
    assert xray.get_trace_graph(TraceIds=[f"1-{evil}"[:35]])["Services"] == []
    assert running.viewer.store.count() == 1
