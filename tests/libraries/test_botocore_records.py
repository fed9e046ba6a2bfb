"""Messages of a real queue: sent by boto3 with their sender's trace, polled by a worker that continues it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from xray_lambda import patch, records, segment, trace_id
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

OPTIONS = {"region_name": "eu-west-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}

ASKED = {"AttributeNames": ["All"]}  # MessageSystemAttributeNames, which botocore 1.34.0 does not know


@pytest.fixture
def queue(aws_url: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A queue of its own, and a client for it, as a resource of boto3's."""
    resource = boto3.resource("sqs", endpoint_url=aws_url, **OPTIONS)
    with closing(resource.meta.client):
        yield resource.create_queue(QueueName=f"orders-{abs(hash(request.node.name))}")


def send(queue: Any) -> tuple[str | None, str]:
    """Send a message in a trace; return that and the id of the subsegment that sent it."""
    with capture(None) as traces, segment("shop"):
        patch("botocore")
        queue.send_message(MessageBody="17")
        sent = trace_id()
    return sent, traces.find("SQS").id


def test_a_polled_message_continues_its_sender_s_trace_below_the_call_that_sent_it(queue: Any) -> None:
    trace, sender = send(queue)
    polled = queue.meta.client.receive_message(QueueUrl=queue.url, **ASKED)
    with capture(None) as traces:
        (message,) = records(polled, name="stock", continue_trace=True)
    assert message is polled["Messages"][0]
    document = traces.one.document
    assert (document["name"], document["trace_id"], document["parent_id"]) == ("stock", trace, sender)


def test_a_resource_s_messages_continue_it_as_well(queue: Any) -> None:
    trace, sender = send(queue)
    polled = queue.receive_messages(**ASKED)
    with capture(None) as traces:
        (message,) = records(polled, name="stock", continue_trace=True)
    assert message is polled[0]
    document = traces.one.document
    assert (document["trace_id"], document["parent_id"]) == (trace, sender)
    assert document["metadata"]["record"]["id"] == message.message_id


def test_a_message_polled_without_its_header_begins_a_trace(queue: Any) -> None:
    trace, _ = send(queue)
    polled = queue.meta.client.receive_message(QueueUrl=queue.url)
    with capture(None) as traces:
        list(records(polled, name="stock", continue_trace=True))
    assert traces.one.document["trace_id"] != trace
    assert "parent_id" not in traces.one.document


def test_a_poll_without_messages_has_no_records(queue: Any) -> None:
    with capture(None) as traces:
        assert list(records(queue.meta.client.receive_message(QueueUrl=queue.url), continue_trace=True)) == []
    assert len(traces) == 0
