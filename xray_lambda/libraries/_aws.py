"""AWS calls: the subsegment of a call to a service, what is recorded of its answer, the trace header in its requests.

Each attempt's request gets the header after it has been signed: AWS leaves it out of signatures, and botocore's own,
Lambda's of the invocation, gives way to that of the call.
"""

from __future__ import annotations

import re

from xray_lambda import _header
from xray_lambda._context import current
from xray_lambda._entity import FLAGS, flags_of
from xray_lambda._guard import swallow
from xray_lambda._recorder import active
from xray_lambda._sections import without_secrets
from xray_lambda.libraries._aws_messages import CARRIERS, MAX_LENGTH
from xray_lambda.libraries._aws_parameters import fields_of, record
from xray_lambda.libraries._card import NotOurCall
from xray_lambda.libraries._filters import ignores, sends_header_to
from xray_lambda.libraries._kinds import AWS, WITHIN, LibraryCall, Passing, Quiet, outgoing
from xray_lambda.libraries._urls import host_of, message_of

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from typing import Any

    from botocore.exceptions import ClientError

    from xray_lambda._config import CallFilter, Config
    from xray_lambda._entity import Entity, Flag

    Headers = list[tuple[str, str]]

# What botocore retries as throttling; a test holds it to that.
THROTTLES = frozenset({
    "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException", "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException",
    "SlowDown", "ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException",
    "TransactionInProgressException",
})  # fmt: skip

_NOT_MODIFIED = 304

# In messages, the values that botocore and the services quote.
_VALUES = re.compile(r"(?<=, value: ).*?(?=, (?:type: <|valid m))|(?<=\bValue )'.*?'(?= at ')", re.DOTALL)

_operations: dict[tuple[str, str, tuple[str, ...]], Operation] = {}


class Operation:
    """What is known of an operation: its service, what to record of it, and how its messages carry the header."""

    __slots__ = ("answered", "asked", "carrier", "name", "path", "service")

    def __init__(self, model: Any, extra: tuple[str, ...]) -> None:
        self.service = str(model.service_model.service_id)
        self.name = str(model.name)
        self.path = f"{self.service}.{self.name}"
        self.carrier = CARRIERS.get(self.path)
        self.asked, self.answered = fields_of(model, extra)


class AwsCall(LibraryCall):
    """The subsegment of a call; `attempts` counts its requests, `headers` are what each of them carries.

    `seen` is what is known of the answer where the library keeps that from its caller, as botocore's metadata.
    """

    __slots__ = ("attempts", "client", "headers", "operation", "seen")

    attempts: int
    client: Any
    headers: Headers
    operation: Operation
    seen: dict[str, Any] | None


class Unsampled(Passing):
    """Stands for a call that is not recorded; its requests carry the header on all the same."""

    __slots__ = ("headers", "operation")

    headers: Headers
    operation: Operation


def aws(parent: Any, client: Any, operation_name: str, parameters: Any, layer: int = AWS) -> Entity:
    """Return the subsegment of a call to an AWS service, not entered yet.

    What the call makes other clients do is not part of it: STS, for credentials. A library above botocore has a
    higher `layer`; the call of its own client is part of its call.
    """
    config = active().config
    meta = client.meta
    key = (meta.service_model.service_id, operation_name, config.aws_parameters)
    operation = _operations.get(key) or _described(meta.service_model, key)
    sub = _opened(parent, operation, layer, config)
    if type(sub) is not AwsCall and type(sub) is not Unsampled:
        return sub
    sub.operation = operation
    sub.headers = outgoing(sub, "", "") if config.inject_to is None else _headers(sub, client, config.inject_to)
    if type(sub) is AwsCall:
        sub.client = client
        sub.attempts = 0
        sub.seen = None
        fields: dict[str, object] = {"operation": operation.name}
        if meta.region_name:
            fields["region"] = meta.region_name
        if operation.asked and isinstance(parameters, dict):
            record(fields, operation.asked, parameters)
        sub.details = {"namespace": "aws", "aws": fields}
    return sub


def refused(sub: Any, error: ClientError) -> None:
    """Record what the service refused: an error or a throttle; a fault where it failed."""
    metadata = ended(sub, error.response)
    status = metadata.get("HTTPStatusCode")
    if type(status) is not int:
        status = 0
    if status == _NOT_MODIFIED or sub.details is None:
        return
    flags = _flags(status, error.response.get("Error", {}).get("Code"))
    if not isinstance(error, active().config.ignore):
        sub.exception(error, remote=True)
    elif flags == ("fault",):
        flags = ()
    for flag in FLAGS:
        sub.details.pop(flag, None)
    sub.flag(*flags)


def ended(sub: Any, answer: Any) -> dict[str, Any]:
    """Record what is known of a call once it has ended, of the answer most of all; returns botocore's metadata."""
    given = answer if isinstance(answer, dict) else {}
    metadata: dict[str, Any] = given.get("ResponseMetadata") or sub.seen or {}
    if sub.details is None:  # closed meanwhile
        return metadata
    fields = sub.details["aws"]
    request_id, id_2, status = metadata.get("RequestId"), metadata.get("HostId"), metadata.get("HTTPStatusCode")
    if request_id and isinstance(request_id, str):
        fields["request_id"] = request_id
    if id_2 and isinstance(id_2, str):
        fields["id_2"] = id_2
    fields["retries"] = sub.attempts - 1 if sub.attempts else 0
    if "account_id" not in fields and "bucket_name" not in fields:  # a bucket's name does not tell its owner
        account = _account_of(sub.client)
        if account:
            fields["account_id"] = account
    if sub.operation.answered:
        record(fields, sub.operation.answered, given)
    if type(status) is int:
        sub.details["http"] = {"response": {"status": status}}
    return metadata


def stamp(request: Any, layer: int = AWS) -> None:
    """Put the trace header of the call that is being made into one of its requests, and count that."""
    sub: Any = current.get()
    kind = type(sub)
    if (kind is not AwsCall and kind is not Unsampled) or sub.layer != layer:
        return
    try:
        for name, value in sub.headers:
            request.headers[name] = value
        if kind is AwsCall:
            sub.attempts += 1
            sub.seen = None
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)


def _described(model: Any, key: tuple[str, str, tuple[str, ...]]) -> Operation:
    name = key[1]
    if name not in model.operation_names:
        raise NotOurCall(name)
    found = _operations[key] = Operation(model.operation_model(name), key[2])
    return found


def _opened(parent: Any, operation: Operation, layer: int, config: Config) -> Entity:
    if parent.layer > layer and isinstance(parent, (AwsCall, Unsampled)):
        if parent.operation.service == operation.service:
            return WITHIN
    elif type(parent) is Quiet:
        return WITHIN
    if config.ignore_calls and ignores(config.ignore_calls, operation.service, operation.path):
        return Quiet(parent)
    if not parent.sampled:
        return Unsampled(parent, layer)
    sub = AwsCall(operation.service, parent, "aws", "http", layer)
    sub.message_of = _words_of
    return sub


def _headers(sub: AwsCall | Unsampled, client: Any, inject_to: tuple[CallFilter, ...]) -> Headers:
    """Return the headers that carry the trace on, where the program names who gets them: service, operation or host."""
    if sends_header_to(inject_to, sub.operation.service, sub.operation.path):
        return outgoing(sub, sub.operation.service, sub.operation.path)
    url = without_secrets(client.meta.endpoint_url)
    return outgoing(sub, host_of(url), url)


def carrying(sub: AwsCall | Unsampled, parameters: Any) -> Any:
    """Return the parameters with the trace header in each message; those of the program stay as they are."""
    text = dict(sub.headers).get(_header.NAME)
    header, change = sub.header(), sub.operation.carrier
    if text is None or header is None or change is None or not isinstance(parameters, dict):
        return parameters
    if len(text) > MAX_LENGTH:
        text = str(_header.TraceHeader(header.root, header.parent, header.sampled))
    return change(parameters, text)


def _flags(status: int, code: object) -> tuple[Flag, ...]:
    if code in THROTTLES:
        return ("error", "throttle")
    return flags_of(status) if status >= 400 else ("error",)


def _account_of(client: Any) -> str | None:
    """Return the account of the credentials, which a call does not ask for anything: that might fetch new ones."""
    try:
        state = client._request_signer._credentials.__dict__  # noqa: SLF001 - botocore has no other place for it
    except AttributeError:  # a call without credentials
        return None
    found = state.get("account_id") or state.get("_account_id")
    return found if isinstance(found, str) else None


def _words_of(error: BaseException) -> str:
    """Return the message of an exception without the values in it."""
    return _VALUES.sub("?", message_of(error))
