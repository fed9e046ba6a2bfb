"""botocore: how a call can fail, and what is recorded of that; the program gets the exception that it would get."""

from __future__ import annotations

import socket
import traceback
from typing import Any

import botocore.exceptions
import pytest
from botocore.retries.standard import ThrottledRetryableChecker

from tests.libraries.aws import REGION, client, config, only_child, traced
from tests.servers.aws import CLOSED, NOTHING, REQUEST_ID, Answer, Service, refusal
from tests.servers.process import HOST, free_port
from xray_lambda import configure, patch, patch_all, unpatch
from xray_lambda.libraries._aws import THROTTLES

PARAMETERS: dict[str, Any] = {"TableName": "orders", "Key": {"id": {"S": "1"}}}
ERROR, THROTTLE, FAULT = {"error"}, {"error", "throttle"}, {"fault"}


@pytest.fixture(autouse=True)
def patched() -> None:
    patch("botocore")


def test_every_code_that_botocore_takes_for_throttling_is_known() -> None:
    assert set(vars(ThrottledRetryableChecker)["_THROTTLED_ERROR_CODES"]) == set(THROTTLES)


@pytest.mark.parametrize(
    ("status", "code", "flags"),
    [
        (400, "ValidationException", ERROR),
        (403, "AccessDeniedException", ERROR),
        (404, "ResourceNotFoundException", ERROR),
        (409, "ConflictException", ERROR),
        (429, "AnythingAtAll", THROTTLE),
        (400, "ThrottlingException", THROTTLE),
        (400, "ProvisionedThroughputExceededException", THROTTLE),
        (503, "SlowDown", THROTTLE),
        (500, "InternalServerError", FAULT),
        (503, "ServiceUnavailable", FAULT),
        (307, "TemporaryRedirect", ERROR),
    ],
)
def test_a_refusal_is_an_error_and_a_fault_only_where_the_service_failed(
    status: int, code: str, flags: set[str], stub: Service
) -> None:
    stub.answers[:] = [refusal(status, code, "so not")]
    with traced() as traces:
        with pytest.raises(botocore.exceptions.ClientError) as raised:
            client("dynamodb", stub.url).get_item(**PARAMETERS)
        node_is_open = traces.roots
    node = only_child(traces)
    assert node_is_open == []
    assert node.flags == flags
    assert node.document["http"] == {"response": {"status": status}}
    assert node.document["aws"] == {
        "operation": "GetItem", "region": REGION, "table_name": "orders", "request_id": REQUEST_ID, "retries": 0,
    }  # fmt: skip
    [exception] = node.exceptions
    assert exception["message"] == str(raised.value)
    assert exception["type"] == type(raised.value).__qualname__ or exception["type"].endswith(
        type(raised.value).__name__
    )
    assert exception["remote"] is True
    assert traces.one.flags == set()


def test_what_is_not_there_in_s3_is_an_error(aws_url: str) -> None:
    s3 = client("s3", aws_url)
    with traced() as traces, pytest.raises(botocore.exceptions.ClientError):
        s3.head_object(Bucket="no-such-bucket", Key="a")
    node = only_child(traces)
    assert (node.flags, node.document["http"]["response"]["status"]) == (ERROR, 404)


def test_what_has_not_changed_is_no_error(stub: Service) -> None:
    stub.answers[:] = [Answer(304)]
    with traced() as traces, pytest.raises(botocore.exceptions.ClientError):
        client("s3", stub.url).get_object(Bucket="shop", Key="a", IfNoneMatch="tag")
    node = only_child(traces)
    assert (node.flags, node.exceptions, node.document["http"]["response"]["status"]) == (set(), [], 304)


def test_attempts_that_all_fail_are_counted(stub: Service) -> None:
    stub.answers[:] = [refusal(500, "InternalServerError")]
    with traced() as traces, pytest.raises(botocore.exceptions.ClientError):
        client("dynamodb", stub.url, config=config(3)).get_item(**PARAMETERS)
    node = only_child(traces)
    assert (node.flags, node.document["aws"]["retries"], len(stub.received)) == (FAULT, 2, 3)


def closed(stub: Service) -> str:
    stub.answers[:] = [CLOSED]
    return stub.url


def silent(stub: Service) -> str:
    stub.answers[:] = [NOTHING]
    return stub.url


def refused(_: Service) -> str:
    return f"http://{HOST}:{free_port()}"


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize(
    ("url_of", "kind"),
    [
        (closed, botocore.exceptions.ConnectionClosedError),
        (silent, botocore.exceptions.ReadTimeoutError),
        (refused, botocore.exceptions.EndpointConnectionError),
    ],
)
def test_a_connection_that_fails_is_a_fault_with_its_exception(
    url_of: Any, kind: type[Exception], everything: bool, stub: Service
) -> None:
    if everything:
        patch_all()
    options = config(2, timeout=0.1 if url_of is silent else 20)
    with traced() as traces, pytest.raises(kind) as raised:
        client("dynamodb", url_of(stub), config=options).get_item(**PARAMETERS)
    node = only_child(traces)
    assert node.flags == FAULT
    assert node.document["aws"]["retries"] == 1
    assert "http" not in node.document
    assert node.exceptions[0]["message"] == str(raised.value)
    assert node.exceptions[0]["type"].endswith(kind.__name__)


def test_a_name_that_does_not_resolve_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with traced() as traces, pytest.raises(botocore.exceptions.EndpointConnectionError):
        client("dynamodb", "http://no-such-host.test").get_item(**PARAMETERS)
    assert only_child(traces).flags == FAULT


def test_missing_credentials_are_a_fault(stub: Service) -> None:
    dynamodb = client("dynamodb", stub.url)
    dynamodb._request_signer._credentials = None
    with traced() as traces, pytest.raises(botocore.exceptions.NoCredentialsError):
        dynamodb.get_item(**PARAMETERS)
    node = only_child(traces)
    assert (node.flags, node.document["aws"]["retries"]) == (FAULT, 0)


def test_parameters_that_botocore_does_not_take_are_a_fault_without_their_values(stub: Service) -> None:
    values = {"Value": ["opensesame", ", value: swordfish\n"], "Type": 7, "Description": b"plugh"}
    with traced() as traces, pytest.raises(botocore.exceptions.ParamValidationError, match="opensesame"):
        client("ssm", stub.url).put_parameter(Name="password", **values)
    node = only_child(traces)
    assert (node.flags, node.document["aws"]["parameter_name"], stub.received) == (FAULT, "password", [])
    assert set(node.exceptions[0]["message"].split("\n")) == {
        "Parameter validation failed:",
        "Invalid type for parameter Value, value: ?, type: <class 'list'>, valid types: <class 'str'>",
        "Invalid type for parameter Type, value: ?, type: <class 'int'>, valid types: <class 'str'>",
        "Invalid type for parameter Description, value: ?, type: <class 'bytes'>, valid types: <class 'str'>",
    }


def test_a_value_that_a_service_quotes_is_left_out(stub: Service) -> None:
    message = "1 validation error detected: Value 'open sesame' at 'password' failed to satisfy constraint"
    stub.answers[:] = [refusal(400, "ValidationException", message)]
    with traced() as traces, pytest.raises(botocore.exceptions.ClientError, match="open sesame"):
        client("dynamodb", stub.url).get_item(**PARAMETERS)
    assert only_child(traces).exceptions[0]["message"].endswith("Value ? at 'password' failed to satisfy constraint")


def test_the_exception_is_the_librarys_own(stub: Service) -> None:
    stub.answers[:] = [refusal(404, "ResourceNotFoundException", "so not")]
    dynamodb = client("dynamodb", stub.url)

    def fail() -> tuple[BaseException, list[str]]:
        try:
            dynamodb.get_item(**PARAMETERS)
        except dynamodb.exceptions.ResourceNotFoundException as error:
            frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
            return error, [name for name in frames if name != "traced_call"]
        raise AssertionError("it did not fail")

    with traced():
        error, frames = fail()
    unpatch()
    plain, plain_frames = fail()
    assert (type(error), str(error), vars(error).keys()) == (type(plain), str(plain), vars(plain).keys())
    assert frames == plain_frames


def test_the_programs_handler_gets_the_exception_that_was_recorded_below(stub: Service) -> None:
    stub.answers[:] = [refusal(404, "ResourceNotFoundException")]
    with pytest.raises(botocore.exceptions.ClientError), traced() as traces:  # noqa: PT012
        try:
            client("dynamodb", stub.url).get_item(**PARAMETERS)
        finally:
            documents = traces
    node = documents.one
    assert node.flags == FAULT
    assert node.document["cause"] == documents.one.children[0].exceptions[0]["id"]


@pytest.mark.parametrize(("status", "flags"), [(404, ERROR), (500, set())])
def test_an_exception_that_the_program_ignores_is_not_recorded(status: int, flags: set[str], stub: Service) -> None:
    stub.answers[:] = [refusal(status, "Something")]
    with traced(ignore=botocore.exceptions.ClientError) as traces, pytest.raises(botocore.exceptions.ClientError):
        client("dynamodb", stub.url).get_item(**PARAMETERS)
    node = only_child(traces)
    assert (node.flags, node.exceptions, node.document["http"]["response"]["status"]) == (flags, [], status)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("mine")])
def test_what_the_program_raises_within_a_call_passes_and_is_recorded(error: BaseException, stub: Service) -> None:
    dynamodb = client("dynamodb", stub.url)

    def hook(**_: object) -> None:
        raise error

    dynamodb.meta.events.register("before-call.dynamodb.GetItem", hook)
    with traced() as traces, pytest.raises(type(error)) as raised:
        dynamodb.get_item(**PARAMETERS)
    assert raised.value is error
    assert only_child(traces).flags == FAULT


def test_a_fault_of_ours_does_not_reach_the_program(stub: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from xray_lambda.libraries import _aws, _aws_clients

    monkeypatch.delenv("XRAY_LAMBDA_STRICT")
    dynamodb = client("dynamodb", stub.url)

    def fail(*_: object) -> object:
        raise RuntimeError("ours")

    for module, name in ((_aws_clients, "aws"), (_aws, "record"), (_aws_clients, "ended"), (_aws, "outgoing")):
        with monkeypatch.context() as broken:
            broken.setattr(module, name, fail)
            with traced(strict=False):
                assert "ResponseMetadata" in dynamodb.get_item(**PARAMETERS)
            stub.answers[:] = [refusal(404, "ResourceNotFoundException")]
            with traced(strict=False), pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
                dynamodb.get_item(**PARAMETERS)
            stub.answers[:] = [Answer()]
    configure(strict=True)
