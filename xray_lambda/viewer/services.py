"""A tree of entities -> the services that took part, as X-Ray names them: those that told, and those inferred."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xray_lambda.viewer.tree import Entity, text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

CLIENT = "client"  # X-Ray's type for whoever called the first service
REMOTE = "remote"  # and for a service that nothing is known of but its name
DATABASE = "Database::SQL"


class Service(NamedTuple):
    """One request that a service took part in: a segment, or what a call of another service lets X-Ray infer.

    `type` is empty where it is not known. `start` is in seconds since the epoch; `response_time` (until it answered),
    `duration` (until its last subsegment was over) and `call_time` (as its caller waited) are in seconds, None while
    they are not known. What called it is `caller`; of the first service that is a client of the same name.
    """

    name: str
    type: str
    account_id: str | None
    caller: str
    caller_type: str
    start: float
    response_time: float | None
    duration: float | None
    call_time: float | None
    fault: bool
    error: bool
    throttle: bool
    in_progress: bool
    root: bool
    inferred: bool
    status: int | None
    method: str | None
    url: str | None
    client_ip: str | None
    user_agent: str | None
    user: str | None
    resource_arn: str | None
    instance_id: str | None
    availability_zone: str | None


def services_of(entities: Iterable[Entity]) -> tuple[list[Service], dict[str, int]]:
    """Return every service's part in a trace, and which of them each segment is, by the segment's id."""
    services: list[Service] = []
    places: dict[str, int] = {}
    ends: dict[str, float] = {}
    for entity in entities:
        if entity.is_segment:
            places[entity.id] = len(services)
            services.append(_of_segment(entity))
        elif is_call(entity) and not any(child.is_segment for child in entity.children):
            services.append(_inferred(entity))
        owner = entity.owner
        if entity.end is not None and owner.end is not None and entity.end > ends.get(owner.id, owner.end):
            ends[owner.id] = entity.end
    for key, end in ends.items():
        service = services[places[key]]
        if service.duration is not None:
            services[places[key]] = service._replace(duration=end - service.start)
    return services, places


def is_call(entity: Entity) -> bool:
    """Say whether a subsegment is a call of another service."""
    return not entity.is_segment and entity.body.get("namespace") in ("aws", "remote")


def identity(entity: Entity) -> tuple[str, str]:
    """Return the name and the type of the service that a segment tells of, or that a call went to."""
    body = entity.body
    if not entity.is_segment:
        return _called(entity)
    origin = text(body.get("origin"))
    if body.get("inferred") is not True:
        return entity.name, origin or ""
    return _resource(body.get("aws"), origin or "") or entity.name, origin or REMOTE


def _of_segment(segment: Entity) -> Service:
    name, kind = identity(segment)
    parent = segment.parent
    caller = (name, CLIENT) if parent is None else identity(parent.owner)
    # How long the caller waited is known to its subsegment; a client has none.
    waited = None if parent is None or parent.is_segment else parent.duration
    aws = segment.body.get("aws")
    return _service(
        segment,
        (name, kind, _account(aws), *caller),
        segment.duration if waited is None else waited,
        root=parent is None,
        inferred=segment.body.get("inferred") is True,
        host=_host(segment.body, aws) if isinstance(aws, dict) or "resource_arn" in segment.body else _NOWHERE,
    )


def _inferred(call: Entity) -> Service:
    names = (*_called(call), None, *identity(call.owner))
    return _service(call, names, call.duration, root=False, inferred=True, host=_NOWHERE)


def _service(
    entity: Entity,
    names: tuple[str, str, str | None, str, str],
    call_time: float | None,
    *,
    root: bool,
    inferred: bool,
    host: tuple[str | None, str | None, str | None],
) -> Service:
    body = entity.body
    return Service(
        *names,
        entity.start or 0.0,
        entity.duration,
        entity.duration,
        call_time,
        body.get("fault") is True,
        body.get("error") is True,
        body.get("throttle") is True,
        entity.in_progress,
        root,
        inferred,
        *_http(body["http"]) if isinstance(body.get("http"), dict) else _NO_HTTP,
        text(body.get("user")),
        *host,
    )


Http = tuple["int | None", "str | None", "str | None", "str | None", "str | None"]
_NO_HTTP: Http = (None, None, None, None, None)
_NOWHERE = (None, None, None)


def _http(http: dict[str, Any]) -> Http:
    """Return the status, method, URL, client's address and user agent."""
    request, response = _dictionary(http.get("request")), _dictionary(http.get("response"))
    return (
        _status(response.get("status")),
        text(request.get("method")),
        text(request.get("url")),
        text(request.get("client_ip")),
        text(request.get("user_agent")),
    )


def _account(aws: object) -> str | None:
    return text(aws.get("account_id")) if isinstance(aws, dict) else None


def _host(body: dict[str, Any], aws: object) -> tuple[str | None, str | None, str | None]:
    """Return the resource's ARN, the instance's id and the availability zone."""
    known = _dictionary(aws)
    ec2, ecs = _dictionary(known.get("ec2")), _dictionary(known.get("ecs"))
    return (
        text(body.get("resource_arn")) or text(known.get("function_arn")),
        text(ec2.get("instance_id")),
        text(ec2.get("availability_zone")) or text(ecs.get("availability_zone")),
    )


def _called(call: Entity) -> tuple[str, str]:
    """Name what a call went to: AWS's resource where it is known, else its service; a database; a host."""
    body = call.body
    if body.get("namespace") != "aws":
        return call.name, DATABASE if isinstance(body.get("sql"), dict) else REMOTE
    aws = body.get("aws")
    service = _SERVICES.get(call.name.lower().replace(" ", ""), call.name.replace(" ", ""))
    origin = f"AWS::{service}"
    kind = _KINDS.get(origin)
    resource = _resource(aws, f"{origin}::{kind}") if kind else None
    return (resource, f"{origin}::{kind}") if resource else (service, origin)


def _resource(aws: object, origin: str) -> str | None:
    """Return the name of the table, queue, bucket... that a call was about."""
    if not isinstance(aws, dict):
        return None
    names = aws.get("resource_names") or aws.get("table_names")
    if isinstance(names, list) and len(names) == 1 and text(names[0]):
        return text(names[0])
    for field in _RESOURCES.get(origin, ()):
        name = text(aws.get(field))
        if name:
            return name
    return None


# What the SDKs call AWS's services, in lower case, where X-Ray's own word for it is another.
_SERVICES = {
    "dynamodb": "DynamoDB", "s3": "S3", "sqs": "SQS", "sns": "SNS", "lambda": "Lambda", "kinesis": "Kinesis",
    "sfn": "StepFunctions", "stepfunctions": "StepFunctions", "eventbridge": "Events", "events": "Events",
    "secretsmanager": "SecretsManager", "ssm": "SSM", "sts": "STS", "kms": "KMS", "firehose": "Firehose",
}  # fmt: skip
# The resources that stand in a service graph for themselves, and where in `aws` the SDKs write their names.
_KINDS = {
    "AWS::DynamoDB": "Table", "AWS::SQS": "Queue", "AWS::SNS": "Topic", "AWS::S3": "Bucket", "AWS::Kinesis": "Stream",
    "AWS::Lambda": "Function", "AWS::StepFunctions": "StateMachine", "AWS::Events": "EventBus",
}  # fmt: skip
_RESOURCES = {
    "AWS::DynamoDB::Table": ("table_name",),
    "AWS::SQS::Queue": ("queue_url", "queue_name"),
    "AWS::SNS::Topic": ("topic_arn",),
    "AWS::S3::Bucket": ("bucket_name",),
    "AWS::Kinesis::Stream": ("stream_name",),
    "AWS::Lambda::Function": ("function_name",),
    "AWS::StepFunctions::StateMachine": ("state_machine_arn",),
    "AWS::Events::EventBus": ("event_bus_name",),
}


def _dictionary(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _status(value: object) -> int | None:
    """Return a status as a number; some SDKs send it as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 3:
        return int(value)
    return value if type(value) is int and 0 <= value <= 999 else None
