"""Powertools' batch utility with `@traced_record` on its handler of records: each has its subsegment and outcome."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    BatchProcessor,
    EventType,
    async_process_partial_response,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes import SQSEvent

from tests.events import event, sender_root
from xray_lambda import records, subsegment, traced_record
from xray_lambda.testing import capture

IDS = [record["messageId"] for record in event("sqs")["Records"]]
FAILED = {"batchItemFailures": [{"itemIdentifier": IDS[0]}]}


@traced_record
def work(record: Any) -> Any:
    if "17" in record.body:
        raise ValueError("no such order")
    return record.message_id


@traced_record
async def work_async(record: Any) -> Any:
    await asyncio.sleep(0)
    return work.__wrapped__(record)  # type: ignore[attr-defined]  # by functools.wraps


def process(event: Any) -> Any:
    return process_partial_response(event, work, BatchProcessor(event_type=EventType.SQS))


def process_async(event: Any) -> Any:
    return async_process_partial_response(event, work_async, AsyncBatchProcessor(event_type=EventType.SQS))


@pytest.mark.parametrize("processing", [process, process_async])
def test_its_batches_go_through_as_ever_and_each_record_is_recorded(processing: Any) -> None:
    with capture() as traces, subsegment("handler"):
        response = processing(event("sqs"))
    assert response == FAILED
    recorded = {node.annotations.get("sender_trace_id"): node for node in traces.one.children}
    assert [*recorded] == [sender_root(1), sender_root(3), None]  # the sender of the second one was not sampled
    assert [node.name for node in recorded.values()] == ["orders"] * 3
    assert [node.flags for node in recorded.values()] == [{"fault"}, set(), set()]


def test_its_data_classes_are_records_and_their_events_hold_them() -> None:
    with capture() as traces, subsegment("handler"):
        seen = [record.message_id for record in records(SQSEvent(event("sqs")).records)]
        raw = [record["messageId"] for record in records(SQSEvent(event("sqs")))]
    assert seen == raw == IDS
    assert [node.name for node in traces.one.children] == ["orders"] * 6
