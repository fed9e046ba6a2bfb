"""botocore: what is recorded of parameters and answers, held against botocore's own models; programs add to it."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from functools import cache
from typing import Any

import botocore
import botocore.session
import pytest
from botocore.exceptions import BotoCoreError

from tests.libraries.aws import ACCOUNT, REGION, aws, client, config, needs_json, only_child, traced
from tests.servers.aws import REQUEST_ID, Answer, Service
from xray_lambda import configure, patch
from xray_lambda.libraries._aws_parameters import ROWS, fields_of
from xray_lambda.testing import capture

ARN = f"arn:aws:{{}}:{REGION}:{ACCOUNT}:{{}}"
NEWER = {"Bedrock Runtime.Converse"}  # than the oldest botocore


@pytest.fixture(autouse=True)
def patched() -> None:
    patch("botocore")


@cache
def models() -> dict[str, Any]:
    """Every service that the table names, by its id."""
    session = botocore.session.get_session()
    named = {row.partition(".")[0] for row in ROWS}
    found = {}
    for name in session.get_available_services():
        raw = session.get_component("data_loader").load_service_model(name, "service-2")["metadata"]["serviceId"]
        if raw in named:
            found[raw] = session.get_service_model(name)
    return found


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_about_an_operation_and_a_member_that_exist(row: str) -> None:
    service, operation, _ = row.split(".", 2)
    if f"{service}.{operation}" in NEWER and botocore.__version__.startswith("1.34."):
        pytest.skip("botocore is older than this operation")
    model = models()[service]
    name = row.rpartition("=")[2]
    found = []
    for each in model.operation_names:
        asked, answered = fields_of(model.operation_model(each), ())
        found += [each for field in (*asked, *answered) if field.name == name]
    assert found, f"no operation of {service} has what {row} is about"
    if "*" not in operation:
        assert operation in found


def test_no_two_rows_are_the_same() -> None:
    assert len({row.partition("=")[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_no_row_records_what_is_no_name(row: str) -> None:
    """Numbers and texts that name something, never what a caller sends or gets."""
    private = {"Body", "Payload", "SecretBinary", "SecretString", "Value", "Message", "Data", "Item", "Statement"}
    words = set(re.findall(r"\w+", row.split(".", 2)[2].partition("=")[0]))
    assert not words & private


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "recorded"),
    [
        ("dynamodb", "query", {"TableName": "orders", "IndexName": "by-day"},
         {"table_name": "orders", "index_name": "by-day"}),
        ("dynamodb", "batch_get_item", {"RequestItems": {"shop": {"Keys": [{}]}, "desk": {"Keys": [{}]}}},
         {"table_names": ["shop", "desk"]}),
        ("dynamodb", "batch_write_item", {"RequestItems": {"orders": [{}]}}, {"table_names": ["orders"]}),
        ("dynamodb", "transact_write_items",
         {"TransactItems": [{"Delete": {"TableName": "desk", "Key": {}}}, {"Delete": {"TableName": "shop", "Key": {}}},
                            {"Put": {"TableName": "desk", "Item": {}}}]},
         {"table_names": ["desk", "shop"]}),
        ("dynamodb", "transact_get_items", {"TransactItems": [{"Get": {"TableName": "desk", "Key": {}}}]},
         {"table_names": ["desk"]}),
        ("sqs", "get_queue_url", {"QueueName": "q"}, {"queue_name": "q"}),
        ("lambda", "invoke", {"FunctionName": "price", "InvocationType": "Event", "Payload": b"x"},
         {"function_name": "price", "invocation_type": "Event"}),
        ("kinesis", "put_record", {"StreamName": "s", "Data": b"d", "PartitionKey": "k"}, {"stream_name": "s"}),
        ("firehose", "put_record", {"DeliveryStreamName": "s", "Record": {"Data": b"d"}},
         {"delivery_stream_name": "s"}),
        ("events", "put_events", {"Entries": [{"EventBusName": "a"}, {"EventBusName": "a"}, {"Detail": "{}"}]},
         {"event_bus_names": ["a"]}),
        ("events", "put_events", {"Entries": [{"Detail": "{}"}]}, {}),
        ("events", "put_rule", {"Name": "r", "EventBusName": "b"}, {"event_bus_name": "b"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "db"}, {"secret_name": "db"}),
        ("secretsmanager", "create_secret", {"Name": "db", "SecretString": "x"}, {"secret_name": "db"}),
        ("ssm", "get_parameter", {"Name": "/db/host"}, {"parameter_name": "/db/host"}),
        ("ssm", "get_parameters", {"Names": ["/a", "/b"]}, {"parameter_names": ["/a", "/b"]}),
        ("ssm", "get_parameters_by_path", {"Path": "/db"}, {"parameter_path": "/db"}),
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b"x"}, {"endpoint_name": "e"}),
        ("logs", "describe_log_streams", {"logGroupName": "g"}, {"log_group_name": "g"}),
        ("kms", "decrypt", {"KeyId": "alias/db", "CiphertextBlob": b"x"}, {"key_id": "alias/db"}),
    ],
)  # fmt: skip
def test_the_parameters_that_matter_are_recorded_under_the_sdks_keys(
    service: str, operation: str, parameters: dict[str, Any], recorded: dict[str, object], stub: Service
) -> None:
    needs_json(service)
    with traced() as traces:
        getattr(client(service, stub.url), operation)(**parameters)
    fields = aws(traces)
    assert {
        key: fields[key] for key in fields if key not in ("operation", "region", "request_id", "retries")
    } == recorded


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "body", "recorded"),
    [
        ("sqs", "send_message", {"QueueUrl": "q", "MessageBody": "b"}, {"MessageId": "m1"}, {"message_id": "m1"}),
        ("secretsmanager", "get_secret_value", {"SecretId": ARN.format("secretsmanager", "secret:db-a1b2c3")},
         {"Name": "db", "SecretString": "opensesame"}, {"secret_name": "db", "account_id": ACCOUNT}),
        ("stepfunctions", "start_execution", {"stateMachineArn": ARN.format("states", "stateMachine:m")},
         {"executionArn": ARN.format("states", "execution:m:1"), "startDate": 1},
         {"execution_arn": ARN.format("states", "execution:m:1")}),
        ("bedrock-runtime", "converse", {"modelId": "amazon.nova-lite-v1:0"},
         {"stopReason": "end_turn", "usage": {"inputTokens": 12, "outputTokens": 7, "totalTokens": 19},
          "output": {"message": {"role": "assistant", "content": [{"text": "opensesame"}]}}},
         {"model_id": "amazon.nova-lite-v1:0", "input_tokens": 12, "output_tokens": 7, "stop_reason": "end_turn"}),
    ],
)  # fmt: skip
def test_what_matters_of_an_answer_is_recorded(
    service: str, operation: str, parameters: dict[str, Any], body: Any, recorded: dict[str, object], stub: Service
) -> None:
    if operation == "converse" and botocore.__version__.startswith("1.34."):
        pytest.skip("botocore is older than this operation")
    needs_json(service)
    stub.answers[:] = [Answer(200, body)]
    with traced() as traces:
        getattr(client(service, stub.url), operation)(**parameters)
    assert aws(traces).items() >= recorded.items()
    assert "opensesame" not in str(traces.documents)


def test_the_error_of_an_invoked_function_is_recorded(stub: Service) -> None:
    stub.answers[:] = [Answer(200, {"errorMessage": "opensesame"}, x_amz_function_error="Unhandled")]
    with traced() as traces:
        answer = client("lambda", stub.url).invoke(FunctionName="price")
    assert aws(traces)["function_error"] == "Unhandled"
    assert answer["Payload"].read() == b'{"errorMessage": "opensesame"}'


# Bedrock and other streams.


def test_a_models_tokens_are_read_from_the_headers_and_its_answer_is_the_programs(stub: Service) -> None:
    tokens = {"x_amzn_bedrock_input_token_count": "12", "x_amzn_bedrock_output_token_count": "7"}
    stub.answers[:] = [Answer(200, b'{"completion": "opensesame"}', **tokens)]
    with traced() as traces:
        answer = client("bedrock-runtime", stub.url).invoke_model(modelId="amazon.titan", body=b"{}")
    fields = aws(traces)
    assert (fields["model_id"], fields["input_tokens"], fields["output_tokens"]) == ("amazon.titan", 12, 7)
    assert answer["body"].read() == b'{"completion": "opensesame"}'


def test_a_stream_of_events_is_left_to_the_program(stub: Service) -> None:
    stub.answers[:] = [Answer(200, b"", Content_Type="application/vnd.amazon.eventstream")]
    with traced() as traces:
        answer = client("bedrock-runtime", stub.url).invoke_model_with_response_stream(modelId="m", body=b"{}")
    assert aws(traces)["model_id"] == "m"
    assert list(answer["body"]) == []


def test_a_body_is_left_to_the_program(aws_url: str) -> None:
    s3 = client("s3", aws_url, region="us-east-1")
    s3.create_bucket(Bucket="bodies")
    s3.put_object(Bucket="bodies", Key="k", Body=b"opensesame")
    with traced() as traces:
        body = s3.get_object(Bucket="bodies", Key="k")["Body"]
    assert body.tell() == 0
    assert body.read() == b"opensesame"
    assert only_child(traces).document["aws"]["key"] == "k"


# What a program adds.


@pytest.mark.parametrize(
    ("row", "recorded"),
    [
        ("DynamoDB.Query.Limit", {"limit": 5}),
        ("DynamoDB.*.ConsistentRead", {"consistent_read": True}),
        ("dynamodb.query.Limit=at_most", {"at_most": 5}),
        ("DynamoDB.Query.Count", {"count": 3}),
        ("DynamoDB.Query.keys(ExpressionAttributeNames)=names", {"names": ["#a"]}),
        ("DynamoDB.Query.ExpressionAttributeNames", {"expression_attribute_names": {"#a": "day"}}),
        ("DynamoDB.GetItem.Limit", {}),
        ("DynamoDB.Query.NoSuchMember", {}),
        ("SQS.*.Limit", {}),
    ],
)
def test_a_program_adds_what_it_wants_to_see(row: str, recorded: dict[str, object], stub: Service) -> None:
    stub.answers[:] = [Answer(200, {"Count": 3, "Items": []})]
    with traced(aws_parameters=[row]) as traces:
        client("dynamodb", stub.url).query(
            TableName="orders", Limit=5, ConsistentRead=True, ExpressionAttributeNames={"#a": "day"}
        )
    usual = {"operation": "Query", "region": REGION, "table_name": "orders", "request_id": REQUEST_ID, "retries": 0}
    assert aws(traces) == usual | recorded


def test_what_a_program_adds_later_counts_from_then_on(stub: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamodb = client("dynamodb", stub.url)
    for rows in ([], ["DynamoDB.Query.Limit"], []):
        with traced() as traces:
            configure(aws_parameters=rows)
            dynamodb.query(TableName="orders", Limit=5)
        assert aws(traces).get("limit") == (5 if rows else None)


def test_a_row_that_is_no_jmespath_is_told_of_once(stub: Service, caplog: pytest.LogCaptureFixture) -> None:
    with capture(aws_parameters=["DynamoDB.Query.keys(ExpressionAttributeNames=x"]):
        for _ in range(2):
            client("dynamodb", stub.url).query(TableName="orders")
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(
        "xray_lambda: aws_parameters: 'keys(ExpressionAttributeNames' is no JMESPath: "
    )


def test_a_name_that_no_service_takes_is_recorded_as_text(stub: Service) -> None:
    strange = config(parameter_validation=False)
    for name, recorded in (("ord\ud800rs", "ord?rs"), ("t" * 5000, "t" * 1024), ("", None), (17, 17)):
        with traced() as traces, suppress(UnicodeEncodeError, BotoCoreError):
            client("dynamodb", stub.url, config=strange).describe_table(TableName=name)
        assert aws(traces).get("table_name") == recorded


def test_long_and_strange_values_are_bounded(stub: Service) -> None:
    with traced(aws_parameters=["DynamoDB.Query.ExpressionAttributeNames"]) as traces:
        names = {f"#{number}": "x" * 500 for number in range(100)}
        client("dynamodb", stub.url).query(TableName="t" * 200, ExpressionAttributeNames=names)
    fields = aws(traces)
    assert len(fields["table_name"]) == 200
    assert len(str(fields["expression_attribute_names"])) < 2500
