"""AWS parameters: what is recorded of a call's parameters and of its answer, row by row; programs may add rows."""

from __future__ import annotations

import re

from xray_lambda._guard import say_once
from xray_lambda._sections import without_secrets
from xray_lambda._values import Budget, clean, snapshot

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any

    Search = Callable[[Any], object]

_HEADERS = "ResponseMetadata.HTTPHeaders"

# `Service.Operation.member=recorded_name`, names as botocore's models have them. `*` stands for anything, a member
# that is no plain name is a JMESPath, and without `=` it is recorded under its name in snake case. A member belongs
# to the parameters where the operation takes it, else to the answer.
ROWS = (
    "API Gateway.*.restApiId=rest_api_id",
    "AppSync.*.apiId=api_id",
    "Bedrock Agent Runtime.*.agentId=agent_id",
    "Bedrock Agent Runtime.*.knowledgeBaseId=knowledge_base_id",
    "Bedrock Runtime.*.modelId=model_id",
    "Bedrock Runtime.Converse.stopReason=stop_reason",
    "Bedrock Runtime.Converse.usage.inputTokens=input_tokens",
    "Bedrock Runtime.Converse.usage.outputTokens=output_tokens",
    f'Bedrock Runtime.InvokeModel.to_number({_HEADERS}."x-amzn-bedrock-input-token-count")=input_tokens',
    f'Bedrock Runtime.InvokeModel.to_number({_HEADERS}."x-amzn-bedrock-output-token-count")=output_tokens',
    "CloudWatch Logs.*.logGroupName=log_group_name",
    "Cognito Identity Provider.*.UserPoolId=user_pool_id",
    "DynamoDB.*.TableName=table_name",
    "DynamoDB.*.IndexName=index_name",
    "DynamoDB.Batch*Item.keys(RequestItems)=table_names",
    "DynamoDB.Transact*Items.TransactItems[].*.TableName[]=table_names",
    "DynamoDB Streams.*.StreamArn=stream_arn",
    "ECR.*.repositoryName=repository_name",
    "ECS.*.cluster=cluster_name",
    "EventBridge.*.EventBusName=event_bus_name",
    "EventBridge.PutEvents.Entries[].EventBusName=event_bus_names",
    "Firehose.*.DeliveryStreamName=delivery_stream_name",
    "Kinesis.*.StreamName=stream_name",
    "Kinesis.*.StreamARN=stream_arn",
    "KMS.*.KeyId=key_id",
    "Lambda.*.FunctionName=function_name",
    "Lambda.Invoke.InvocationType=invocation_type",
    "Lambda.Invoke.Qualifier=qualifier",
    "Lambda.Invoke.FunctionError=function_error",
    "S3.*.Bucket=bucket_name",
    "S3.*.Key=key",
    "S3.UploadPart*.PartNumber=part_number",
    "SageMaker Runtime.*.EndpointName=endpoint_name",
    "Secrets Manager.*.SecretId=secret_name",
    "Secrets Manager.*.Name=secret_name",
    "SFN.*.activityArn=activity_arn",
    "SFN.*.executionArn=execution_arn",
    "SFN.*.stateMachineArn=state_machine_arn",
    "SNS.*.TopicArn=topic_arn",
    "SNS.Publish.TargetArn=target_arn",
    "SNS.Publish.MessageId=message_id",
    "SQS.*.QueueName=queue_name",
    "SQS.*.QueueUrl=queue_url",
    "SQS.SendMessage.MessageId=message_id",
    "SSM.*Parameter.Name=parameter_name",
    "SSM.*Parameters.Names=parameter_names",
    "SSM.GetParametersByPath.Path=parameter_path",
    "STS.AssumeRole*.RoleArn=role_arn",
)

_ROW = re.compile(r"([^.]+)\.([^.]+)\.(.+?)(?:=(\w+))?")
_account_in = re.compile(r"arn:[^:]*:[^:]*:[^:]*:(\d{12}):|https?://[^/]+/(\d{12})/").match
_MAX_TEXT = 1024  # the longest key of S3


class Field:
    """What one row says for an operation: the member to read, or a search for it, and under which name to record it."""

    __slots__ = ("member", "name", "search")

    def __init__(self, name: str, member: str, search: Search | None = None) -> None:
        self.name = name
        self.member = member
        self.search = search


def fields_of(model: Any, extra: tuple[str, ...]) -> tuple[list[Field], list[Field]]:
    """Return what is to be read of an operation's parameters, and of its answer; `model` is botocore's."""
    service, operation = str(model.service_model.service_id), str(model.name)
    taken, given = _members(model.input_shape), {*_members(model.output_shape), "ResponseMetadata"}
    asked: list[Field] = []
    answered: list[Field] = []
    for row in (*ROWS, *extra):
        member, name = _member_of(row, service, operation)
        if not member:
            continue
        if _mentions(member, taken):
            asked += _field(row, member, name)
        elif _mentions(member, given):
            answered += _field(row, member, name)
    return asked, answered


def record(into: dict[str, object], fields: Iterable[Field], values: Any) -> None:
    """Put what the fields say of a call's parameters, or of its answer, under their names; an ARN's account too."""
    for field in fields:
        value = values.get(field.member) if field.search is None else field.search(values)
        if type(value) is str:
            if value:
                _record_text(value[:_MAX_TEXT], field.name, into)
        elif value is not None and not (type(value) is list and not value):
            into[field.name] = value if type(value) is int else _plain(value)


def _record_text(text: str, name: str, into: dict[str, object]) -> None:
    if not text.isascii():
        text = clean(text)
    into[name] = text
    if ":" in text:
        _look_into(text, name, into)


def _look_into(text: str, name: str, into: dict[str, object]) -> None:
    """Read the account in an ARN or in a queue's URL, and leave out what may be secret of a URL."""
    found = _account_in(text)
    if found is not None:
        into["account_id"] = found[1] or found[2]
    if "://" in text:
        into[name] = without_secrets(text)


def _plain(value: object) -> object:
    if isinstance(value, list) and all(type(one) is str for one in value):
        value = list(dict.fromkeys(value))
    return snapshot(value, Budget(_MAX_TEXT))


def _members(shape: Any) -> Collection[str]:
    return getattr(shape, "members", None) or ()


def _member_of(row: str, service: str, operation: str) -> tuple[str, str]:
    """Return the member that a row names for an operation, and what to record it as; nothing where it is not meant."""
    parts = _ROW.fullmatch(row)
    if parts is None or not _is(parts[1], service) or not _is(parts[2], operation):
        return "", ""
    return parts[3], parts[4] or _snake_case(parts[3])


def _is(pattern: str, name: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.IGNORECASE) is not None


def _mentions(member: str, members: Collection[str]) -> bool:
    return any(word in members for word in re.findall(r"\w+", member))


def _field(row: str, member: str, name: str) -> list[Field]:
    if member.isidentifier():
        return [Field(name, member)]
    import jmespath  # type: ignore[import-untyped]  # noqa: PLC0415 - botocore has it loaded

    try:
        search = jmespath.compile(member).search
    except jmespath.exceptions.JMESPathError as error:
        say_once(30, f"row {row}", "xray_lambda: aws_parameters: %r is no JMESPath: %s", member, error)
        return []
    return [Field(name, member, _lenient(search, jmespath.exceptions.JMESPathError))]


def _lenient(search: Search, no_such_type: type[Exception]) -> Search:
    def find(values: object) -> object:
        try:
            return search(values)
        except no_such_type:  # the parameters are not as the service wants them
            return None

    return find


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
