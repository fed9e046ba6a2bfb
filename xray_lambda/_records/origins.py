"""Origins: what a record tells of where it comes from: the queue or the like, its id, its sender's trace."""

from __future__ import annotations

import json

from xray_lambda import _header
from xray_lambda._records.events import facts_of, name_in_arn

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from xray_lambda._header import TraceHeader

    Facts = dict[str, Any]

# The name of a record that tells of no source.
UNKNOWN = "record"
# A notification in a queue: SNS takes 256 kB a message, its envelope comes on top. Longer bodies are not read.
_MAX_BODY = 300_000
_MAX_TEXT = 1000
_CARRIERS = (_header.NAME.lower(), _header.TRACEPARENT)


class Origin:
    """Where a record comes from: `name` of the queue, topic, table...; `id` of the record; `header` of its sender."""

    __slots__ = ("header", "id", "name", "source")

    def __init__(self, source: str, name: str, record_id: str = "", header: TraceHeader | None = None) -> None:
        self.source = source
        self.name = name
        self.id = record_id
        self.header = header


def origin_of(record: object, hint: str = "") -> Origin:
    """Return where a record comes from; of one that is malformed what can be told. `hint` is a name for the source."""
    facts = facts_of(record)
    if facts is None:
        return Origin("", hint or UNKNOWN)
    for mark, reader in _READERS.items():
        if mark in facts:
            found = reader(facts)
            found.name = (found.name or hint or UNKNOWN)[:_MAX_TEXT]
            return found
    source = _text(facts.get("eventSource"))
    arn = facts.get("eventSourceARN")
    return Origin(source, name_in_arn(arn) or hint or source.rpartition(":")[2] or UNKNOWN, _text(facts.get("eventID")))


def identifier_of(record: object) -> str:
    """Return what Lambda knows a record by in a response that names those that failed; empty where it has none.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html, and the pages of Kinesis
    and DynamoDB. Lambda takes an empty one as the failure of the whole batch.
    """
    facts = facts_of(record) or {}
    places = (facts.get("messageId"), _at(facts, "kinesis", "sequenceNumber"), _at(facts, "dynamodb", "SequenceNumber"))
    return next((place for place in places if isinstance(place, str)), "")


def _sqs(facts: Facts) -> Origin:
    header = _parsed(_at(facts, "attributes", "AWSTraceHeader")) or _carried(
        facts.get("messageAttributes"), "stringValue"
    )
    name = name_in_arn(facts.get("eventSourceARN"))
    return Origin("aws:sqs", name, _text(facts["messageId"]), header or _of_notification(facts.get("body")))


def _polled(facts: Facts) -> Origin:
    """Read a message as `receive_message` returns it, where it was asked for `AWSTraceHeader`."""
    header = _parsed(_at(facts, "Attributes", "AWSTraceHeader")) or _carried(
        facts.get("MessageAttributes"), "StringValue"
    )
    return Origin("aws:sqs", "", _text(facts.get("MessageId")), header or _of_notification(facts.get("Body")))


def _sns(facts: Facts) -> Origin:
    message = facts["Sns"]
    name = name_in_arn(_at(message, "TopicArn"))
    return Origin(
        "aws:sns", name, _text(_at(message, "MessageId")), _carried(_at(message, "MessageAttributes"), "Value")
    )


def _kinesis(facts: Facts) -> Origin:
    return Origin("aws:kinesis", name_in_arn(facts.get("eventSourceARN")), _text(facts.get("eventID")))


def _dynamodb(facts: Facts) -> Origin:
    return Origin("aws:dynamodb", name_in_arn(facts.get("eventSourceARN")), _text(facts.get("eventID")))


def _s3(facts: Facts) -> Origin:
    return Origin("aws:s3", _text(_at(facts, "s3", "bucket", "name")))


def _eventbridge(facts: Facts) -> Origin:
    return Origin("aws:events", _text(facts.get("source")), _text(facts.get("id")))


def _kafka(facts: Facts) -> Origin:
    topic, partition, offset = _text(facts["topic"]), facts.get("partition"), facts.get("offset")
    place = f"{topic}-{partition}@{offset}" if isinstance(partition, int) and isinstance(offset, int) else ""
    headers = facts.get("headers")
    pairs = [one for one in headers if isinstance(one, dict)] if isinstance(headers, list) else []
    found = {key: value for one in pairs for key, value in one.items()}
    return Origin("aws:kafka", topic, place, _carried(found))


def _activemq(facts: Facts) -> Origin:
    name = _text(_at(facts, "destination", "physicalName"))
    return Origin("aws:mq", name, _text(facts["messageID"]), _carried(facts.get("properties")))


def _rabbitmq(facts: Facts) -> Origin:
    properties = facts["basicProperties"]
    return Origin("aws:rmq", "", _text(_at(properties, "messageId")), _carried(_at(properties, "headers"), "bytes"))


def _documentdb(facts: Facts) -> Origin:
    place = _at(facts, "event", "ns")
    return Origin("aws:docdb", ".".join(filter(None, (_text(_at(place, "db")), _text(_at(place, "coll"))))))


# What a record of each source has and no other: the first one found counts.
_READERS: dict[str, Callable[[Facts], Origin]] = {
    "messageId": _sqs,
    "ReceiptHandle": _polled,
    "Sns": _sns,
    "kinesis": _kinesis,
    "dynamodb": _dynamodb,
    "s3": _s3,
    "detail-type": _eventbridge,
    "topic": _kafka,
    "messageID": _activemq,
    "basicProperties": _rabbitmq,
    "event": _documentdb,
}


def _at(value: object, *path: str) -> Any:
    """Return what lies deep in dicts; None where one of them is missing."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _text(value: object) -> str:
    return value[:_MAX_TEXT] if isinstance(value, str) else ""


def _carried(attributes: object, within: str = "") -> TraceHeader | None:
    """Return the sender's header among a message's attributes, each of which may be a dict with its text `within`."""
    if not isinstance(attributes, dict):
        return None
    found = {name.lower(): value for name, value in attributes.items() if isinstance(name, str)}
    values = [found.get(name) for name in _CARRIERS]
    parsed = (_parsed(value.get(within) if isinstance(value, dict) else value) for value in values)
    return next((header for header in parsed if header is not None), None)


def _parsed(value: object) -> TraceHeader | None:
    """Read a header, or a `traceparent`, that may be the numbers of its bytes; None where it names no trace."""
    if isinstance(value, list):
        value = _decoded(value)
    if not isinstance(value, str):
        return None
    header = _header.parse(value)
    header = header if header.root else _header.parse_traceparent(value)
    return header if header.root else None


def _decoded(numbers: list[Any]) -> str:
    try:
        return bytes(number & 0xFF for number in numbers[: _header.MAX_LENGTH]).decode("ascii")
    except (TypeError, ValueError):
        return ""


def _of_notification(body: object) -> TraceHeader | None:
    """Return the header among the attributes of an SNS notification that came through a queue."""
    if not isinstance(body, str) or len(body) > _MAX_BODY or '"TopicArn"' not in body:
        return None
    if not any(name in body.lower() for name in _CARRIERS):
        return None
    try:
        return _carried(_at(json.loads(body), "MessageAttributes"), "Value")
    except (ValueError, RecursionError):
        return None
