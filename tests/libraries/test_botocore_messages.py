"""botocore: the trace goes on in each request and in each message, and never over what the program has put there."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.libraries.aws import ACCOUNT, client, config, needs_json, only_child, traced
from tests.servers.aws import CLOSED, Answer, Service
from xray_lambda import patch, patch_all
from xray_lambda.libraries._aws_messages import CARRIERS
from xray_lambda.testing import HEADER, ROOT, capture, counting_ids

CHILD = f"Root={ROOT};Parent=0000000000000002;Sampled=1"
LINEAGE = ";Lineage=1:5d8ee57f:0;Unknown=kept"
UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0") + LINEAGE
QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:price"
OWN = "Root=1-00000000-00000000000000000000000a;Parent=000000000000000b;Sampled=1"


@pytest.fixture(autouse=True)
def patched() -> None:
    patch("botocore")


def attribute(text: str) -> dict[str, object]:
    return {"AWSTraceHeader": {"DataType": "String", "StringValue": text}}


def sent(service: str, operation: str, parameters: dict[str, Any], stub: Service, **options: Any) -> Any:
    """Make a call in a trace with counted ids, and return the JSON that arrived; the parameters stay as they are."""
    needs_json(service)
    before = copy.deepcopy(parameters)
    with traced(new_id=counting_ids(), **options):
        getattr(client(service, stub.url), operation)(**parameters)
    assert parameters == before
    return stub.received[-1].json


def test_every_carrier_is_an_operation_that_takes_the_header() -> None:
    import botocore.session

    found = {}
    session = botocore.session.get_session()
    for service in ("sqs", "events", "stepfunctions"):
        model = session.get_service_model(service)
        for name in model.operation_names:
            path = f"{model.service_id}.{name}"
            if path in CARRIERS:
                found[path] = str(shape_names(model.operation_model(name).input_shape))
    assert found.keys() == CARRIERS.keys()
    for path, names in found.items():
        assert "traceheader" in names.lower() or "MessageSystemAttributes" in names, path


def shape_names(shape: Any, depth: int = 0) -> list[str]:
    """The names of all members, however deep."""
    if depth > 4:
        return []
    inside = list(getattr(shape, "members", {}).items())
    below = [member for _, member in inside] + [getattr(shape, name) for name in ("member",) if hasattr(shape, name)]
    return [name for name, _ in inside] + [name for one in below for name in shape_names(one, depth + 1)]


def test_a_message_carries_the_header(stub: Service) -> None:
    body = sent("sqs", "send_message", {"QueueUrl": QUEUE, "MessageBody": "b"}, stub)
    assert body["MessageSystemAttributes"] == attribute(CHILD)
    assert stub.received[-1].trace == [CHILD]


def test_each_message_of_a_batch_carries_the_header_but_those_that_have_one(stub: Service) -> None:
    entries: list[dict[str, Any]] = [
        {"Id": "1", "MessageBody": "b"},
        {"Id": "2", "MessageBody": "b", "MessageSystemAttributes": attribute(OWN)},
        {"Id": "3", "MessageBody": "b", "MessageAttributes": {"mine": {"DataType": "String", "StringValue": "x"}}},
    ]
    body = sent("sqs", "send_message_batch", {"QueueUrl": QUEUE, "Entries": entries}, stub)
    assert [entry["MessageSystemAttributes"] for entry in body["Entries"]] == [
        attribute(CHILD), attribute(OWN), attribute(CHILD),
    ]  # fmt: skip
    assert body["Entries"][2]["MessageAttributes"] == entries[2]["MessageAttributes"]


def test_a_header_of_the_programs_own_stays(stub: Service) -> None:
    parameters: dict[str, Any] = {"QueueUrl": QUEUE, "MessageBody": "b", "MessageSystemAttributes": attribute(OWN)}
    assert sent("sqs", "send_message", parameters, stub)["MessageSystemAttributes"] == attribute(OWN)
    parameters = {"stateMachineArn": MACHINE, "traceHeader": OWN}
    assert sent("stepfunctions", "start_execution", parameters, stub)["traceHeader"] == OWN
    parameters = {"Entries": [{"Detail": "{}", "TraceHeader": OWN}, {"Detail": "{}"}]}
    assert [entry["TraceHeader"] for entry in sent("events", "put_events", parameters, stub)["Entries"]] == [OWN, CHILD]


@pytest.mark.parametrize("operation", ["start_execution", "start_sync_execution"])
def test_an_execution_carries_the_header(operation: str, stub: Service) -> None:
    from botocore.config import Config

    stub.answers[:] = [Answer(200, {"executionArn": f"{MACHINE}:1", "startDate": 1})]
    parameters = {"stateMachineArn": MACHINE, "input": "{}"}
    with traced(new_id=counting_ids()) as traces:
        machines = client("stepfunctions", stub.url, config=config().merge(Config(inject_host_prefix=False)))
        getattr(machines, operation)(**parameters)
    assert stub.received[-1].json["traceHeader"] == CHILD
    fields = only_child(traces).document["aws"]
    assert (fields["state_machine_arn"], fields["execution_arn"]) == (MACHINE, f"{MACHINE}:1")


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("lambda", "invoke", {"FunctionName": "price", "Payload": b"{}"}),
        ("sns", "publish", {"TopicArn": "arn:aws:sns:eu-west-1:123456789012:orders", "Message": "m"}),
        ("kinesis", "put_record", {"StreamName": "s", "Data": b"d", "PartitionKey": "k"}),
    ],
)
def test_where_the_service_reads_the_request_the_header_is_there_alone(
    service: str, operation: str, parameters: dict[str, Any], stub: Service
) -> None:
    if service == "sns":
        stub.answers[:] = [Answer(200, b"<R><PublishResult><MessageId>m1</MessageId></PublishResult></R>")]
    with traced(new_id=counting_ids()):
        getattr(client(service, stub.url), operation)(**parameters)
    assert stub.received[-1].trace == [CHILD]
    assert ROOT.encode() not in stub.received[-1].body


def test_the_queue_hands_the_header_on(aws_url: str) -> None:
    sqs = client("sqs", aws_url)
    queue = sqs.create_queue(QueueName="handed-on")["QueueUrl"]
    with traced() as traces:
        sqs.send_message(QueueUrl=queue, MessageBody="one")
    received = sqs.receive_message(QueueUrl=queue, AttributeNames=["AWSTraceHeader"])["Messages"]
    parent = only_child(traces).id
    assert [one["Attributes"]["AWSTraceHeader"] for one in received] == [f"Root={ROOT};Parent={parent};Sampled=1"]


def test_other_services_take_what_is_sent(aws_url: str) -> None:
    sqs = client("sqs", aws_url)
    queue = sqs.create_queue(QueueName="batches")["QueueUrl"]
    with traced() as traces:
        entries = [{"Id": str(number), "MessageBody": "more"} for number in range(2)]
        assert len(sqs.send_message_batch(QueueUrl=queue, Entries=entries)["Successful"]) == 2
        entry = {"Source": "shop", "DetailType": "order", "Detail": "{}"}
        assert client("events", aws_url).put_events(Entries=[entry])["FailedEntryCount"] == 0
        topic = client("sns", aws_url).create_topic(Name="orders")["TopicArn"]
        client("sns", aws_url).publish(TopicArn=topic, Message="m")
    assert [child.name for child in traces.one.children if not child.flags] == ["SQS", "EventBridge", "SNS", "SNS"]
    published = traces.one.children[3].document["aws"]
    assert (published["topic_arn"], published["account_id"], len(published["message_id"])) == (topic, ACCOUNT, 36)


def test_what_is_unknown_of_the_header_goes_on(stub: Service) -> None:
    body = sent("sqs", "send_message", {"QueueUrl": QUEUE, "MessageBody": "b"}, stub, header=HEADER + LINEAGE)
    assert body["MessageSystemAttributes"] == attribute(CHILD + LINEAGE)
    assert stub.received[-1].trace == [CHILD + LINEAGE]


def test_a_header_too_long_for_a_message_goes_without_what_is_unknown(stub: Service) -> None:
    long = ";Unknown=" + 300 * "x"
    body = sent("stepfunctions", "start_execution", {"stateMachineArn": MACHINE}, stub, header=HEADER + long)
    assert body["traceHeader"] == CHILD
    assert stub.received[-1].trace == [CHILD + long]


def test_unsampled_messages_carry_the_header_that_came_in(stub: Service) -> None:
    needs_json("sqs")
    with capture(header=UNSAMPLED) as traces:
        client("sqs", stub.url).send_message(QueueUrl=QUEUE, MessageBody="b")
        client("events", stub.url).put_events(Entries=[{"Detail": "{}"}])
        client("stepfunctions", stub.url).start_execution(stateMachineArn=MACHINE)
    assert len(traces) == 0
    first, second, third = (request.json for request in stub.received)
    assert first["MessageSystemAttributes"] == attribute(UNSAMPLED)
    assert second["Entries"][0]["TraceHeader"] == third["traceHeader"] == UNSAMPLED
    assert [request.trace for request in stub.received] == 3 * [[UNSAMPLED]]


def test_without_a_trace_messages_are_as_the_program_made_them(stub: Service) -> None:
    needs_json("sqs")
    with capture(header=None):
        client("sqs", stub.url).send_message(QueueUrl=QUEUE, MessageBody="b")
    assert stub.received[0].json.keys() == {"QueueUrl", "MessageBody"}
    assert stub.received[0].trace == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"QueueUrl": QUEUE, "Entries": "nonsense"},
        {"QueueUrl": QUEUE, "Entries": ["nonsense"]},
        {"QueueUrl": QUEUE, "Entries": [{"Id": "1", "MessageBody": "b", "MessageSystemAttributes": 17}]},
        {"QueueUrl": QUEUE},
    ],
)
def test_wrong_parameters_are_the_services_to_refuse(parameters: dict[str, Any], stub: Service) -> None:
    from botocore.exceptions import ParamValidationError

    with traced() as traces, pytest.raises(ParamValidationError):
        client("sqs", stub.url).send_message_batch(**parameters)
    assert only_child(traces).flags == {"fault"}


def test_the_header_is_ours_and_not_lambdas_on_every_attempt(stub: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library puts the invocation's there by itself, so that AWS finds functions that call each other for ever."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "price")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", HEADER + LINEAGE)
    patch_all()
    stub.answers[:] = [CLOSED, Answer(500), Answer()]
    with traced(new_id=counting_ids(), header=HEADER + LINEAGE):
        client("dynamodb", stub.url, config=config(3)).list_tables()
    assert [request.trace for request in stub.received] == 3 * [[CHILD + LINEAGE]]


def test_the_signature_holds_with_the_header(stub: Service) -> None:
    with traced():
        client("dynamodb", stub.url).list_tables()
    authorization = dict(stub.received[0].headers)["authorization"]
    signed = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert "x-amz-date" in signed
    assert "x-amzn-trace-id" not in signed


@pytest.mark.parametrize(
    ("inject_to", "carries"),
    [
        ([], False),
        (["shop.test"], False),
        (["SQS"], True),
        (["SQS.SendMessage"], True),
        (["127.0.0.1"], True),
        (["127.0.0.1:*"], True),
        ([lambda name, what: what == "SQS.SendMessage"], True),
        ([lambda name, what: name.startswith("127.0.0.1:") and what.startswith("http://")], True),
    ],
)
@pytest.mark.parametrize("header", [HEADER, HEADER.replace("Sampled=1", "Sampled=0")])
def test_the_program_may_say_who_gets_the_header(inject_to: Any, carries: bool, header: str, stub: Service) -> None:
    needs_json("sqs")
    patch_all()
    with capture(header=header, inject_to=inject_to):
        client("sqs", stub.url).send_message(QueueUrl=QUEUE, MessageBody="b")
    assert (len(stub.received[0].trace), "MessageSystemAttributes" in stub.received[0].json) == (carries, carries)


@pytest.mark.parametrize(("propagate", "xray", "w3c"), [("w3c", 0, 1), ("xray,w3c", 1, 1), ("xray", 1, 0)])
def test_the_program_may_say_which_headers(propagate: str, xray: int, w3c: int, stub: Service) -> None:
    needs_json("sqs")
    with traced(propagate=propagate):
        client("sqs", stub.url).send_message(QueueUrl=QUEUE, MessageBody="b")
    [request] = stub.received
    assert (len(request.trace), len([name for name, _ in request.headers if name == "traceparent"])) == (xray, w3c)
    assert ("MessageSystemAttributes" in json.loads(request.body)) == bool(xray)
