"""botocore: each call of a client is one aws subsegment, and nothing of the program changes."""

from __future__ import annotations

import concurrent.futures
import subprocess
import sys
import threading
from typing import Any

import boto3
import botocore.client
import botocore.endpoint
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from tests.libraries.aws import (
    ACCOUNT,
    CREDENTIALS,
    REGION,
    aws,
    client,
    config,
    needs_json,
    of_account,
    only_child,
    traced,
)
from tests.servers.aws import CLOSED, REQUEST_ID, Answer, Service, refusal
from xray_lambda import configure, current_subsegment, patch, patch_all, segment, subsegment, unpatch
from xray_lambda.testing import HEADER, ROOT, capture, counting_ids, fake_clock

UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")
MAKE_API_CALL = vars(botocore.client.BaseClient)["_make_api_call"]
CREATE_REQUEST = vars(botocore.endpoint.Endpoint)["create_request"]


@pytest.fixture(autouse=True)
def patched() -> None:
    patch("boto3")


def get_item(dynamodb: Any) -> Any:
    return dynamodb.get_item(TableName="orders", Key={"id": {"S": "swordfish"}})


# What is recorded.


def test_a_call_is_one_subsegment_with_what_x_ray_wants_to_know(stub: Service) -> None:
    with traced(clock=fake_clock(), new_id=counting_ids()) as traces:
        get_item(client("dynamodb", stub.url))
    assert only_child(traces).document == {
        "name": "DynamoDB",
        "id": "0000000000000002",
        "start_time": 1700000000.001,
        "end_time": 1700000000.002,
        "namespace": "aws",
        "aws": {
            "operation": "GetItem",
            "region": REGION,
            "table_name": "orders",
            "request_id": REQUEST_ID,
            "retries": 0,
        },
        "http": {"response": {"status": 200}},
    }
    assert stub.received[0].trace == [f"Root={ROOT};Parent=0000000000000002;Sampled=1"]


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "name"),
    [
        ("s3", "list_buckets", {}, "S3"),
        ("ses", "get_send_quota", {}, "SES"),
        ("cloudwatch", "list_dashboards", {}, "CloudWatch"),
        ("stepfunctions", "list_activities", {}, "SFN"),
        ("events", "list_event_buses", {}, "EventBridge"),
        ("secretsmanager", "list_secrets", {}, "Secrets Manager"),
        ("sts", "get_caller_identity", {}, "STS"),
    ],
)
def test_the_name_is_the_services_own(service: str, operation: str, parameters: Any, name: str, aws_url: str) -> None:
    with traced() as traces:
        getattr(client(service, aws_url), operation)(**parameters)
    node = only_child(traces)
    assert (node.name, node.document["http"]["response"]["status"], node.flags) == (name, 200, set())


def test_both_of_s3s_request_ids_are_recorded_and_no_account_that_nobody_knows(stub: Service) -> None:
    stub.answers[:] = [Answer(200, b"", x_amz_request_id="first", x_amz_id_2="second")]
    with traced() as traces:
        of_account(client("s3", stub.url), ACCOUNT).head_object(Bucket="shop", Key="a/b.txt")
    assert aws(traces) == {
        "operation": "HeadObject",
        "region": REGION,
        "bucket_name": "shop",
        "key": "a/b.txt",
        "request_id": "first",
        "id_2": "second",
        "retries": 0,
    }


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("dynamodb", "get_item", {"TableName": f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/orders", "Key": {}}),
        ("sqs", "purge_queue", {"QueueUrl": f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/orders"}),
        ("lambda", "get_function", {"FunctionName": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:price"}),
    ],
)
def test_the_account_is_the_owner_of_what_is_called(
    service: str, operation: str, parameters: Any, stub: Service
) -> None:
    needs_json(service)
    with traced() as traces:
        getattr(of_account(client(service, stub.url), "999999999999"), operation)(**parameters)
    assert aws(traces)["account_id"] == ACCOUNT


def test_the_account_is_that_of_the_credentials_where_only_they_tell(stub: Service) -> None:
    with traced() as traces:
        get_item(of_account(client("dynamodb", stub.url), ACCOUNT))
    assert aws(traces)["account_id"] == ACCOUNT


def test_a_call_without_credentials_or_region_is_recorded_without(stub: Service) -> None:
    options = {"aws_access_key_id": None, "aws_secret_access_key": None, "aws_session_token": None}
    with traced() as traces:
        client("s3", stub.url, config=config(signature_version=botocore.UNSIGNED), **options).head_bucket(Bucket="shop")
    assert aws(traces) == {
        "operation": "HeadBucket",
        "region": REGION,
        "bucket_name": "shop",
        "request_id": REQUEST_ID,
        "retries": 0,
    }
    with traced() as traces:
        client("s3", stub.url, region=None).head_bucket(Bucket="shop")
    assert aws(traces)["operation"] == "HeadBucket"


def test_the_url_of_a_queue_shows_no_password(stub: Service) -> None:
    needs_json("sqs")
    with traced() as traces:
        client("sqs", stub.url).purge_queue(QueueUrl=f"http://me:swordfish@sqs.test/{ACCOUNT}/orders?opensesame=1")
    assert aws(traces)["queue_url"] == f"http://sqs.test/{ACCOUNT}/orders"


def test_what_was_sent_and_what_came_back_are_not_recorded(stub: Service) -> None:
    stub.answers[:] = [Answer(200, {"Item": {"id": {"S": "opensesame"}}})]
    with traced() as traces:
        assert get_item(client("dynamodb", stub.url))["Item"] == {"id": {"S": "opensesame"}}
    assert "opensesame" not in str(traces.documents)
    assert "swordfish" not in str(traces.documents)


# One call is one subsegment.


def test_with_everything_patched_a_call_is_still_one_subsegment(stub: Service) -> None:
    patch_all()
    stub.answers[:] = [refusal(500, "InternalServerError"), Answer()]
    with traced() as traces:
        get_item(client("dynamodb", stub.url, config=config(2)))
    assert traces.one.names() == ("handler", [("DynamoDB", [])])


def test_attempts_are_counted_in_the_one_subsegment_and_each_carries_the_header(stub: Service) -> None:
    stub.answers[:] = [refusal(500, "InternalServerError"), refusal(400, "ThrottlingException"), Answer()]
    with traced(new_id=counting_ids()) as traces:
        get_item(client("dynamodb", stub.url, config=config(4)))
    node = only_child(traces)
    assert (node.document["aws"]["retries"], node.flags) == (2, set())
    assert [request.trace for request in stub.received] == 3 * [[f"Root={ROOT};Parent={node.id};Sampled=1"]]


def test_calls_that_a_call_needs_stand_below_it(stub: Service) -> None:
    """Credentials that come from STS at the first call."""
    credentials = {
        "AccessKeyId": "ASIAMADEUP", "SecretAccessKey": "hunter3", "SessionToken": "hunter4",
        "Expiration": "2100-01-01T00:00:00Z",
    }  # fmt: skip
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in credentials.items())
    assumed = f"<R><AssumeRoleResult><Credentials>{inside}</Credentials></AssumeRoleResult></R>".encode()
    stub.answers[:] = [Answer(200, assumed), Answer()]
    sts = client("sts", stub.url)
    role = f"arn:aws:iam::{ACCOUNT}:role/reader"

    def assume() -> dict[str, str]:
        found = sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }

    from botocore.credentials import DeferredRefreshableCredentials

    dynamodb = client("dynamodb", stub.url)
    dynamodb._request_signer._credentials = DeferredRefreshableCredentials(assume, "made-up")
    with traced(new_id=counting_ids()) as traces:
        get_item(dynamodb)
        get_item(dynamodb)
    assert traces.one.names() == ("handler", [("DynamoDB", [("STS", [])]), ("DynamoDB", [])])
    below = traces.find("STS")
    assert below.document["aws"]["role_arn"] == role
    assert stub.received[0].trace == [f"Root={ROOT};Parent={below.id};Sampled=1"]
    assert "hunter" not in str(traces.documents)


def test_what_the_program_does_within_a_call_stands_below_it(stub: Service) -> None:
    dynamodb = client("dynamodb", stub.url)

    def hook(**_: object) -> None:
        with subsegment("mine"):
            pass

    dynamodb.meta.events.register("before-send.dynamodb.GetItem", hook)
    with traced() as traces:
        get_item(dynamodb)
    assert traces.one.names() == ("handler", [("DynamoDB", [("mine", [])])])


def test_pages_and_waits_are_calls_of_their_own(stub: Service) -> None:
    stub.answers[:] = [
        Answer(200, {"TableNames": ["orders"], "LastEvaluatedTableName": "orders"}),
        Answer(200, {"TableNames": []}),
    ]
    with traced() as traces:
        pages = client("dynamodb", stub.url).get_paginator("list_tables").paginate()
        assert len(list(pages)) == 2
    assert [child.name for child in traces.one.children] == ["DynamoDB", "DynamoDB"]


@pytest.mark.parametrize("mode", ["legacy", "adaptive"])
def test_other_ways_to_try_again_are_counted_too(mode: str, stub: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retryhandler.delay_exponential", lambda **_: 0)
    retries: Any = {"total_max_attempts": 3, "mode": mode}
    stub.answers[:] = [refusal(500, "InternalServerError"), CLOSED, Answer()]
    with traced() as traces:
        get_item(client("dynamodb", stub.url, config=Config(retries=retries)))
    assert (only_child(traces).document["aws"]["retries"], len(stub.received)) == (2, 3)


def test_a_presigned_url_is_no_call(stub: Service) -> None:
    s3 = client("s3", stub.url)
    with traced() as traces:
        url = s3.generate_presigned_url("get_object", Params={"Bucket": "shop", "Key": "k"})
    assert traces.one.names() == ("handler", [])
    assert "trace-id" not in url.lower()


def test_under_motos_mock_a_call_is_one_subsegment() -> None:
    from moto import mock_aws

    patch_all()
    with mock_aws(), traced() as traces:
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="shop")
    node = only_child(traces)
    assert (node.name, node.flags, node.document["http"]["response"]["status"]) == ("S3", set(), 200)


def test_a_call_with_an_answer_of_a_test_double_is_recorded(stub: Service) -> None:
    dynamodb = client("dynamodb", stub.url)
    with Stubber(dynamodb) as doubled, traced() as traces:
        doubled.add_response("list_tables", {"TableNames": ["orders"]})
        assert dynamodb.list_tables()["TableNames"] == ["orders"]
    assert aws(traces) == {"operation": "ListTables", "region": REGION, "retries": 0}


def test_a_test_doubles_odd_answer_is_the_programs(stub: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamodb = client("dynamodb", stub.url)
    answers: list[Any] = [None, [], {"ResponseMetadata": {"RequestId": 7, "HTTPStatusCode": "200", "HostId": object()}}]
    for answer in answers:
        unpatch()
        monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", _answering(answer))
        patch("botocore")
        with traced() as traces:
            assert dynamodb.list_tables() is answer
        assert aws(traces) == {"operation": "ListTables", "region": REGION, "retries": 0}


def _answering(answer: object) -> Any:
    def make_api_call(self: object, operation_name: str, api_params: object) -> object:
        return answer

    return make_api_call


# How it is called.


def test_calls_by_keyword_are_recorded_as_others(stub: Service) -> None:
    dynamodb = client("dynamodb", stub.url)
    with traced() as traces:
        dynamodb._make_api_call(operation_name="DescribeTable", api_params={"TableName": "orders"})
        dynamodb._make_api_call("DescribeTable", api_params={"TableName": "orders"})
    assert [child.document["aws"]["table_name"] for child in traces.one.children] == ["orders", "orders"]


def test_wrong_calls_fail_as_they_would(stub: Service) -> None:
    from botocore.model import OperationNotFoundError

    dynamodb = client("dynamodb", stub.url)
    with traced() as traces:
        wrong: list[tuple[object, ...]] = [(), ("GetItem",), ("GetItem", {}, 1)]
        for arguments in wrong:
            with pytest.raises(TypeError):
                dynamodb._make_api_call(*arguments)
        with pytest.raises(TypeError):
            dynamodb._make_api_call(["GetItem"], {})
        with pytest.raises(OperationNotFoundError):
            dynamodb._make_api_call("NoSuchOperation", {})
        with pytest.raises(AttributeError):
            dynamodb.get_items()
    assert traces.one.names() == ("handler", [])


def test_resources_of_boto3_are_traced(stub: Service) -> None:
    table = boto3.resource("dynamodb", region_name=REGION, endpoint_url=stub.url, **CREDENTIALS).Table("orders")
    with traced() as traces:
        table.get_item(Key={"id": "1"})
    assert aws(traces)["table_name"] == "orders"


def test_a_client_made_before_the_patch_is_traced(stub: Service) -> None:
    unpatch()
    dynamodb = client("dynamodb", stub.url)
    patch("botocore")
    with traced() as traces:
        get_item(dynamodb)
    assert only_child(traces).name == "DynamoDB"


def test_a_program_that_imports_botocore_afterwards_is_traced(stub: Service) -> None:
    program = f"""
import sys
from xray_lambda import patch_all
patch_all()
assert "botocore" not in sys.modules
from tests.libraries.aws import client, only_child, traced
with traced() as traces:
    client("dynamodb", {stub.url!r}).list_tables()
assert only_child(traces).name == "DynamoDB"
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_unpatching_puts_all_back() -> None:
    patch("botocore")
    client("dynamodb", "http://127.0.0.1:9")  # from when on the library is in use
    assert vars(botocore.client.BaseClient)["_make_api_call"] is not MAKE_API_CALL
    assert vars(botocore.endpoint.Endpoint)["create_request"] is not CREATE_REQUEST
    unpatch("botocore")
    assert vars(botocore.client.BaseClient)["_make_api_call"] is MAKE_API_CALL
    assert vars(botocore.endpoint.Endpoint)["create_request"] is CREATE_REQUEST


def test_the_function_looks_as_it_did() -> None:
    replaced = vars(botocore.client.BaseClient)["_make_api_call"]
    assert (replaced.__name__, replaced.__qualname__, replaced.__doc__, replaced.__module__) == (
        MAKE_API_CALL.__name__, MAKE_API_CALL.__qualname__, MAKE_API_CALL.__doc__, MAKE_API_CALL.__module__,
    )  # fmt: skip


# Where nothing is recorded.


def test_without_a_trace_the_library_is_left_alone(stub: Service) -> None:
    with capture(header=None) as traces:
        get_item(client("dynamodb", stub.url))
    assert (len(traces), stub.received[0].trace) == (0, [])


def test_an_unsampled_call_passes_the_header_on_and_records_nothing(stub: Service) -> None:
    dynamodb = client("dynamodb", stub.url, config=config(2))
    stub.answers[:] = [refusal(500, "InternalServerError"), Answer()]
    with capture(header=UNSAMPLED) as traces:
        before = current_subsegment()
        get_item(dynamodb)
        with subsegment("mine"):
            get_item(dynamodb)
        assert current_subsegment() is before
    assert len(traces) == 0
    assert [request.trace for request in stub.received] == 3 * [[UNSAMPLED]]


def test_an_unsampled_call_that_fails_fails_as_it_would(stub: Service) -> None:
    stub.answers[:] = [refusal(400, "ResourceNotFoundException")]
    dynamodb = client("dynamodb", stub.url)
    with capture(header=UNSAMPLED), pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
        get_item(dynamodb)


def test_a_new_invocation_that_is_not_sampled_passes_on_its_own_header(stub: Service) -> None:
    dynamodb = client("dynamodb", stub.url)
    other = UNSAMPLED.replace("94272793", "00000000")
    for header in (UNSAMPLED, other, UNSAMPLED):
        with capture(header=header):
            get_item(dynamodb)
    assert [request.trace for request in stub.received] == [[UNSAMPLED], [other], [UNSAMPLED]]


def test_what_is_known_of_an_unsampled_trace_does_not_outlive_it_nor_the_settings(stub: Service) -> None:
    dynamodb = client("dynamodb", stub.url)
    other = UNSAMPLED.replace("94272793", "00000000")
    with capture(header=None) as traces:
        for inject_to in (["shop.test"], ["DynamoDB"], None):
            configure(inject_to=inject_to)
            for header in (UNSAMPLED, other):
                with segment("job", header=header):
                    get_item(dynamodb)
        with segment("job", header=UNSAMPLED):
            get_item(dynamodb)
            configure(inject_to=[])
            get_item(dynamodb)
    assert len(traces) == 0
    assert [request.trace for request in stub.received] == [
        [], [], [UNSAMPLED], [other], [UNSAMPLED], [other], [UNSAMPLED], [],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "ignored", ["DynamoDB", "dynamodb.getitem", "DynamoDB.*", lambda name, what: name == "DynamoDB"]
)
@pytest.mark.parametrize("header", [HEADER, UNSAMPLED])
def test_ignored_calls_leave_no_trace_and_carry_none(ignored: Any, header: str, stub: Service) -> None:
    patch_all()
    with capture(header=header, ignore_calls=ignored) as traces, subsegment("handler"):
        get_item(client("dynamodb", stub.url))
        client("ecs", stub.url).list_clusters()
    assert [root.names() for root in traces.roots] == ([("handler", [("ECS", [])])] if header is HEADER else [])
    assert [len(request.trace) for request in stub.received] == [0, 1]


@pytest.mark.parametrize("header", [HEADER, UNSAMPLED])
def test_what_an_ignored_call_needs_is_ignored_with_it(header: str, stub: Service) -> None:
    patch_all()
    dynamodb, ecs = client("dynamodb", stub.url), client("ecs", stub.url)
    dynamodb.meta.events.register("before-send.dynamodb.*", lambda **_: ecs.list_clusters() and None)
    with capture(header=header, ignore_calls="DynamoDB") as traces, subsegment("handler"):
        get_item(dynamodb)
    assert [root.names() for root in traces.roots] == ([("handler", [])] if header is HEADER else [])
    assert [len(request.trace) for request in stub.received] == [0, 0]


# Concurrency.


def test_threads_keep_their_calls_apart(stub: Service) -> None:
    patch("threads")
    dynamodb = client("dynamodb", stub.url)
    together = threading.Barrier(4)

    def call(number: int) -> None:
        with subsegment(f"work {number}"):
            together.wait()
            dynamodb.describe_table(TableName=f"table {number}")

    with traced() as traces, concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))
    for number in range(4):
        (child,) = traces.find(f"work {number}").children
        assert child.document["aws"]["table_name"] == f"table {number}"
    by_table = {request.json["TableName"]: request.trace for request in stub.received}
    for number in range(4):
        (child,) = traces.find(f"work {number}").children
        assert by_table[f"table {number}"] == [f"Root={ROOT};Parent={child.id};Sampled=1"]


def test_unsampled_threads_share_nothing_that_they_change(stub: Service) -> None:
    patch("threads")
    dynamodb = client("dynamodb", stub.url)
    together = threading.Barrier(4)

    def work(number: int) -> object:
        before = current_subsegment()
        together.wait()
        for _ in range(5):
            dynamodb.describe_table(TableName=f"table {number}")
        return current_subsegment() is before

    with capture(header=UNSAMPLED), concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert [request.trace for request in stub.received] == 20 * [[UNSAMPLED]]
