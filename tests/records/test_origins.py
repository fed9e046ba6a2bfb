"""Where records lie in each kind of event, and what each tells: its source's name, its id, its sender's trace."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.events import NAMES, event, sender
from xray_lambda._records.events import name_in_arn, records_in
from xray_lambda._records.origins import Origin, identifier_of, origin_of

SQS_ID = "059f36b4-87a3-44ab-83d2-66197000000"
STREAM_ID = "shardId-000000000006:4959033827149025660855969253836157109592157598913625813"

# Of each record: source, name, id, and the trace header that its sender put there.
TOLD: dict[str, list[tuple[str, str, str, str | None]]] = {
    "activemq": [
        (
            "aws:mq",
            "orders",
            "ID:b-9bcfa592-423a-4942-879d-eb284b418fc8-1.mq.eu-west-1.amazonaws.com-37557-1234520418293-4:1:1:1:1",
            sender(4),
        )
    ],
    "documentdb": [("aws:docdb", "shop.orders", "", None)],
    "dynamodb": [("aws:dynamodb", "orders", f"c4ca4238a0b923820dcc509a6f75849{n}", None) for n in (1, 2)],
    "eventbridge": [("aws:events", "shop.orders", "fe8d3c65-xmpl-c5c3-2c87-81584709a377", None)],
    "eventbridge_in_sqs": [("aws:sqs", "orders", SQS_ID + "1", sender(1))],
    "firehose": [("", "clicks", "", None)] * 2,
    "kafka": [
        ("aws:kafka", "clicks", "clicks-0@15", sender(4)),
        ("aws:kafka", "clicks", "clicks-0@16", None),
        ("aws:kafka", "clicks", "clicks-1@3", sender(5)),
    ],
    "kinesis": [("aws:kinesis", "clicks", f"{STREAM_ID}{n}", None) for n in (1, 2)],
    "rabbitmq": [("aws:rmq", "orders", "", sender(4))],
    "received": [
        ("aws:sqs", "record", "219f8380-5770-4cc2-8c3e-5c715e145f5e", sender(1)),
        ("aws:sqs", "record", "219f8380-5770-4cc2-8c3e-5c715e145f5f", sender(2, sampled=0)),
    ],
    "s3": [("aws:s3", "invoices", "", None)],
    "self_managed_kafka": [("aws:kafka", "clicks", "clicks-0@15", None)],
    "sns": [("aws:sns", "order-events", "95df01b4-ee98-5cb9-9903-4c221d41eb5e", sender(4))],
    "sns_in_sqs": [
        ("aws:sqs", "orders", SQS_ID + "1", sender(4)),
        ("aws:sqs", "orders", SQS_ID + "2", sender(2)),
    ],
    "sqs": [
        ("aws:sqs", "orders", SQS_ID + "1", sender(1)),
        ("aws:sqs", "orders", SQS_ID + "2", sender(2, sampled=0)),
        ("aws:sqs", "orders", SQS_ID + "3", sender(3)),
        ("aws:sqs", "orders", SQS_ID + "4", None),
    ],
    "sqs_fifo": [("aws:sqs", "orders.fifo", f"{SQS_ID}{n}", sender(n)) for n in (1, 2, 3)],
}


def plain(origin: Origin) -> tuple[str, str, str, str | None]:
    return origin.source, origin.name, origin.id, None if origin.header is None else str(origin.header)


@pytest.mark.parametrize("name", NAMES)
def test_each_record_tells_its_source_its_id_and_its_sender(name: str) -> None:
    assert [plain(origin_of(*found)) for found in records_in(event(name))] == TOLD[name]


@pytest.mark.parametrize(
    ("name", "identifiers"),
    [
        ("sqs", [f"{SQS_ID}{n}" for n in (1, 2, 3, 4)]),
        ("kinesis", [f"4959033827149025660855969253836157109592157598913625813{n}" for n in (1, 2)]),
        ("dynamodb", [f"442158400000000001712350{n}" for n in (1, 2)]),
        ("s3", [""]),
    ],
)
def test_lambda_knows_a_record_by_its_message_id_or_its_sequence_number(name: str, identifiers: list[str]) -> None:
    assert [identifier_of(record) for record, _ in records_in(event(name))] == identifiers


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (None, []),
        ([], []),
        ((1, 2), [1, 2]),
        ((one for one in "ab"), ["a", "b"]),
        ("text", ["text"]),
        (b"bytes", [b"bytes"]),
        (17, [17]),
        ({}, [{}]),
        ({"Records": []}, []),
        ({"Records": None}, [{"Records": None}]),
        ({"Records": 17}, [{"Records": 17}]),
        ({"Records": [None, 17, {}]}, [None, 17, {}]),
        ({"Messages": ()}, []),
        ({"ResponseMetadata": {}}, []),
        ({"messages": [1]}, [{"messages": [1]}]),
        ({"eventSource": "aws:kafka", "records": {"t-0": [1, 2], "t-1": 3}}, [1, 2, 3]),
        ({"eventSource": "aws:kafka"}, [{"eventSource": "aws:kafka"}]),
        ({"detail-type": "x", "records": [1]}, [{"detail-type": "x", "records": [1]}]),
    ],
)
def test_no_record_is_lost_or_made_up(held: object, expected: list[object]) -> None:
    assert [record for record, _ in records_in(held)] == expected


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:sqs:eu-west-1:123456789012:orders", "orders"),
        ("arn:aws:kinesis:eu-west-1:123456789012:stream/clicks", "clicks"),
        ("arn:aws:kinesis:eu-west-1:123456789012:stream/clicks/consumer/shop:1506112330", "clicks"),
        ("arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2015-06-27T00:48:05.899", "orders"),
        ("arn:aws:mq:eu-west-1:123456789012:broker:shop:b-9bcfa592", "shop"),
        ("orders", "orders"),
        ("arn:aws:sqs", "sqs"),
        ("", ""),
        (None, ""),
        (["arn"], ""),
    ],
)
def test_an_arn_gives_the_name_of_the_queue_or_the_like(arn: object, name: str) -> None:
    assert name_in_arn(arn) == name


@pytest.mark.parametrize(
    "record",
    [
        {"eventSource": "aws:ses", "ses": {"mail": {}}},
        {"eventSource": "aws:codecommit", "eventSourceARN": "arn:aws:codecommit:eu-west-1:123456789012:ses"},
    ],
)
def test_a_record_of_any_other_source_is_named_after_what_it_tells(record: dict[str, Any]) -> None:
    assert origin_of(record).name == "ses"


@pytest.mark.parametrize("record", [None, 17, "text", {}, {"messageId": None}, {"Sns": "x"}, {"topic": {}}, {"s3": []}])
def test_a_malformed_record_is_a_record(record: Any) -> None:
    assert origin_of(record).name == "record"
    assert origin_of(record, "orders").name == "orders"
    assert identifier_of(record) == ""


def test_a_notification_that_is_no_json_or_far_too_deep_or_long_has_no_sender() -> None:
    name = "traceparent"
    bodies = [
        f'{{"TopicArn" {name}',
        '{"TopicArn":' + "[" * 100_000 + name,
        '{"TopicArn": "traceparent"}' + " " * 400_000,
    ]
    for body in [*bodies, json.dumps({"TopicArn": "", "MessageAttributes": {name: {"Value": "garbage"}}}), None, 17]:
        assert origin_of({"messageId": "1", "body": body}).header is None


def test_the_service_s_own_attribute_wins_over_the_program_s() -> None:
    attributes = {"traceparent": {"stringValue": "00-5759e988000000000000000000000009-0000000000000009-01"}}
    record = {"messageId": "1", "attributes": {"AWSTraceHeader": sender(1)}, "messageAttributes": attributes}
    assert str(origin_of(record).header) == sender(1)
    record["attributes"] = {"AWSTraceHeader": "garbage"}
    assert str(origin_of(record).header) == sender(9)
