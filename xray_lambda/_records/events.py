"""Events: where the records lie in what Lambda hands a function, or a client's poll returns."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    # A record, and what the event around it says of where it comes from.
    Found = tuple[Any, str]


def records_in(event: object) -> list[Found] | Iterator[Found]:
    """Return an event's records in their order; what holds none that is known is a record itself.

    A list or another iterable holds records; one that is not a list is read as the caller goes on.
    """
    facts = facts_of(event)
    if facts is not None:
        return _records_of(event, facts)
    if event is None or isinstance(event, (str, bytes)):
        return [] if event is None else [(event, "")]
    if isinstance(event, (list, tuple)):
        return [(record, "") for record in event]
    try:
        records = iter(event)  # type: ignore[call-overload]
    except TypeError:
        return [(event, "")]
    return ((record, "") for record in records)


def facts_of(record: object) -> dict[str, Any] | None:
    """Return what a record or an event says: itself if a dict, else what Powertools or boto3 has in its object."""
    if isinstance(record, dict):
        return record
    module = type(record).__module__
    if module.startswith("aws_lambda_powertools."):
        found = getattr(record, "raw_event", None)
    elif module.startswith("boto3."):
        found = getattr(getattr(record, "meta", None), "data", None)
    else:
        return None
    return found if isinstance(found, dict) else None


def _records_of(event: object, facts: dict[str, Any]) -> list[Found]:
    for key in _places_in(facts):
        found = facts.get(key)
        if isinstance(found, dict):
            return list(_by_group(found))
        if isinstance(found, (list, tuple)):
            hint = name_in_arn(facts.get("deliveryStreamArn") or facts.get("eventSourceArn"))
            return [(record, hint) for record in found]
    return [] if "ResponseMetadata" in facts else [(event, "")]  # a poll that brought none


def _places_in(facts: dict[str, Any]) -> tuple[str, ...]:
    """Return where records may lie; the names that anything could have only where the event is of a source that has."""
    if "detail-type" in facts:  # EventBridge's: one event, whatever it is about
        return ()
    if "eventSource" in facts or "deliveryStreamArn" in facts:  # Kafka, MQ and DocumentDB; Firehose
        return ("rmqMessagesByQueue", "records", "messages", "events")
    return ("Records", "Messages")


def _by_group(groups: dict[Any, Any]) -> Iterator[Found]:
    """Yield the records of Kafka's `topic-partition` and RabbitMQ's `queue::host` groups."""
    for group, records in groups.items():
        hint = group.partition("::")[0] if isinstance(group, str) else ""
        members: Iterable[Any] = records if isinstance(records, (list, tuple)) else [records]
        yield from ((record, hint) for record in members)


def name_in_arn(arn: object) -> str:
    """Return the name of what an ARN names: a queue, topic, table, stream, broker."""
    if not isinstance(arn, str):
        return ""
    resource = arn.split(":", 5)[-1]  # arn:aws:kinesis:eu-west-1:123456789012:stream/clicks
    kind, slash, rest = resource.partition("/")
    if not slash:
        return _broker(resource) if kind.startswith("broker:") else resource
    return rest.partition("/")[0]


def _broker(resource: str) -> str:
    return resource.split(":")[1]  # broker:shop:b-9bcfa592-...
