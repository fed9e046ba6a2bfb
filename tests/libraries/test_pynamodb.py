"""pynamodb: one logical call is one subsegment, in version 5, which sends by itself, as in version 6."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pynamodb.connection.base
import pynamodb.exceptions
import pytest
from botocore.httpsession import URLLib3Session
from pynamodb.attributes import UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.models import Model

from tests.libraries.aws import ACCOUNT, REGION, SECRETS, only_child, traced
from tests.servers.aws import CLOSED, NOTHING, REQUEST_ID, Answer, Service, refusal
from xray_lambda import patch, patch_all, subsegment, unpatch
from xray_lambda.testing import HEADER, ROOT, capture, counting_ids, fake_clock

UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")
CHILD = f"Root={ROOT};Parent=0000000000000002;Sampled=1"
MAKE_API_CALL = vars(pynamodb.connection.base.Connection)["_make_api_call"]
SEND = vars(URLLib3Session)["send"]
LIBRARIES = (["pynamodb"], ["pynamodb", "botocore"], None)
TABLE = {"Table": {"TableName": "orders", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                   "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}}  # fmt: skip


@pytest.fixture(params=LIBRARIES, ids=["alone", "with botocore", "with all"])
def patched(request: pytest.FixtureRequest) -> None:
    patch_all() if request.param is None else patch(*request.param)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in zip(("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"), SECRETS, strict=True):
        monkeypatch.setenv(f"AWS_{name}", secret)


def connection(stub: Service, **options: Any) -> Connection:
    options = {"read_timeout_seconds": 20, "connect_timeout_seconds": 20, "max_retry_attempts": 0, **options}
    return Connection(region=REGION, host=stub.url, **options)


def order(url: str) -> Any:
    class Order(Model):
        class Meta:
            table_name = "orders"
            region = REGION
            host = url

        id = UnicodeAttribute(hash_key=True)
        note = UnicodeAttribute(null=True)

    return Order


@pytest.mark.usefixtures("patched")
def test_a_call_is_one_subsegment_with_the_right_region(stub: Service) -> None:
    with traced(clock=fake_clock(), new_id=counting_ids()) as traces:
        connection(stub).dispatch("GetItem", {"TableName": "orders", "Key": {"id": {"S": "swordfish"}}})
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
    assert [request.trace for request in stub.received] == [[CHILD]]


@pytest.mark.usefixtures("patched")
def test_attempts_are_counted_in_the_one_subsegment_and_each_carries_the_header(stub: Service) -> None:
    stub.answers[:] = [refusal(500, "InternalServerError"), CLOSED, refusal(503, "ServiceUnavailable"), Answer()]
    with traced(new_id=counting_ids()) as traces:
        connection(stub, max_retry_attempts=3).dispatch("ListTables", {})
    node = only_child(traces)
    assert (node.document["aws"]["retries"], node.document["http"]["response"]["status"]) == (3, 200)
    assert (node.flags, node.exceptions) == (set(), [])
    assert [request.trace for request in stub.received] == 4 * [[CHILD]]


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    ("status", "code", "flags"),
    [
        (400, "ConditionalCheckFailedException", {"error"}),
        (400, "ProvisionedThroughputExceededException", {"error", "throttle"}),
        (500, "InternalServerError", {"fault"}),
    ],
)
def test_a_refusal_is_recorded_as_what_it_is(status: int, code: str, flags: set[str], stub: Service) -> None:
    stub.answers[:] = [refusal(status, code)]
    with traced() as traces, pytest.raises(pynamodb.exceptions.VerboseClientError):
        connection(stub).dispatch("GetItem", {"TableName": "orders", "Key": {"id": {"S": "1"}}})
    node = only_child(traces)
    assert (node.flags, node.document["http"]["response"]["status"]) == (flags, status)
    assert (node.document["aws"]["request_id"], node.exceptions[0]["remote"]) == (REQUEST_ID, True)


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("how", ["closed", "silent"])
def test_a_connection_that_fails_is_a_fault_with_its_exception(how: str, stub: Service) -> None:
    stub.answers[:] = [refusal(500, "InternalServerError"), CLOSED if how == "closed" else NOTHING]
    options = {"max_retry_attempts": 1, "read_timeout_seconds": 0.2 if how == "silent" else 20}
    with traced() as traces, pytest.raises(Exception) as raised:  # noqa: PT011 - differs by version
        connection(stub, **options).dispatch("ListTables", {})
    node = only_child(traces)
    assert (node.flags, node.document["aws"]["retries"], len(stub.received)) == ({"fault"}, 1, 2)
    assert node.exceptions[0]["type"].endswith(type(raised.value).__name__)
    assert "http" not in node.document
    assert "request_id" not in node.document["aws"]


@pytest.mark.usefixtures("patched")
def test_models_are_traced(aws_url: str) -> None:
    model = order(aws_url)
    model.create_table(read_capacity_units=1, write_capacity_units=1, wait=True)
    with traced() as traces:
        model(hash_key="swordfish", note="opensesame").save()
        assert model.get("swordfish").note == "opensesame"
        with pytest.raises(model.DoesNotExist):
            model.get("nothing")
        with model.batch_write() as batch:
            batch.save(model(hash_key="a"))
        assert {one.id for one in model.batch_get(["a", "swordfish"])} == {"a", "swordfish"}
        with pytest.raises(pynamodb.exceptions.PutError):
            model(hash_key="a").save(condition=model.id.does_not_exist())
    model.delete_table()
    said = [(child.document["aws"]["operation"], child.flags) for child in traces.one.children]
    assert said[:3] == [("PutItem", set()), ("GetItem", set()), ("GetItem", set())]
    assert said[3:] == [("BatchWriteItem", set()), ("BatchGetItem", set()), ("PutItem", {"error"})]
    assert [child.document["aws"].get("table_names") for child in traces.one.children][3:5] == [["orders"], ["orders"]]
    assert {child.name for child in traces.one.children} == {"DynamoDB"}
    assert all("request_id" in child.document["aws"] for child in traces.one.children)
    assert "swordfish" not in str(traces.documents)
    assert "opensesame" not in str(traces.documents)


@pytest.mark.usefixtures("patched")
def test_unsampled_calls_pass_the_header_on_alone(stub: Service) -> None:
    stub.answers[:] = [refusal(500, "InternalServerError"), Answer()]
    with capture(header=UNSAMPLED) as traces:
        connection(stub, max_retry_attempts=1).dispatch("ListTables", {})
    assert len(traces) == 0
    assert [request.trace for request in stub.received] == [[UNSAMPLED], [UNSAMPLED]]


@pytest.mark.usefixtures("patched")
def test_ignored_calls_leave_no_trace_and_carry_none(stub: Service) -> None:
    with traced(ignore_calls="DynamoDB.ListTables") as traces:
        connection(stub).dispatch("ListTables", {})
        connection(stub).dispatch("DescribeTable", {"TableName": "orders"})
    assert [child.document["aws"]["operation"] for child in traces.one.children] == ["DescribeTable"]
    assert [len(request.trace) for request in stub.received] == [0, 1]


@pytest.mark.usefixtures("patched")
def test_without_a_trace_the_library_is_left_alone(stub: Service) -> None:
    with capture(header=None) as traces:
        connection(stub).dispatch("ListTables", {})
    assert (len(traces), stub.received[0].trace) == (0, [])


def test_other_clients_of_botocore_are_none_of_its_calls(stub: Service) -> None:
    from tests.libraries.aws import client

    patch("pynamodb")
    with traced() as traces:
        client("dynamodb", stub.url).list_tables()
    assert traces.one.names() == ("handler", [])
    assert stub.received[0].trace == []


@pytest.mark.usefixtures("patched")
def test_what_a_call_needs_for_its_credentials_is_no_attempt_of_it(stub: Service) -> None:
    """A request by the same session, as to the metadata of an instance."""
    from botocore.awsrequest import AWSRequest

    dynamodb = connection(stub)
    with traced() as traces:

        def fetch(**_: object) -> None:
            dynamodb.client._endpoint.http_session.send(AWSRequest("GET", stub.url).prepare())

        dynamodb.client.meta.events.register("before-send.dynamodb.*", fetch)
        dynamodb.dispatch("ListTables", {})
    assert [request.method for request in stub.received] == ["GET", "POST"]
    assert [len(request.trace) for request in stub.received] == [0, 1]
    assert traces.one.children[0].document["aws"]["retries"] == 0


@pytest.mark.usefixtures("patched")
def test_a_call_of_another_service_within_stands_below(stub: Service) -> None:
    from tests.libraries.aws import client

    patch("botocore")
    sts = client("sts", stub.url)
    identity = f"<R><GetCallerIdentityResult><Account>{ACCOUNT}</Account></GetCallerIdentityResult></R>"
    stub.answers[:] = [Answer(200, identity.encode()), Answer()]
    dynamodb = connection(stub)
    with traced() as traces:
        with subsegment("outside"):
            dynamodb.client.meta.events.register(
                "before-send.dynamodb.*", lambda **_: sts.get_caller_identity() and None
            )
        dynamodb.dispatch("ListTables", {})
    assert traces.one.names()[1][1] == ("DynamoDB", [("STS", [])])
    assert [len(request.trace) for request in stub.received] == [1, 1]
    assert stub.received[0].trace != stub.received[1].trace


def test_a_client_that_cannot_be_made_fails_as_it_would(stub: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    patch_all()
    broken = connection(stub)

    def fail(*_: object, **__: object) -> object:
        raise LookupError("no client")

    monkeypatch.setattr(broken.session, "create_client", fail)
    with traced(), pytest.raises(LookupError, match="no client"):
        broken.dispatch("ListTables", {})


def test_a_program_that_imports_pynamodb_afterwards_is_traced(stub: Service) -> None:
    program = f"""
import sys
from xray_lambda import patch_all
patch_all()
assert "botocore" not in sys.modules
from pynamodb.connection import Connection
from tests.libraries.aws import only_child, traced
with traced() as traces:
    Connection(region="eu-west-1", host={stub.url!r}).list_tables()
assert only_child(traces).name == "DynamoDB", traces
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_unpatching_puts_all_back() -> None:
    patch("pynamodb")
    patch("pynamodb")
    assert vars(Connection)["_make_api_call"] is not MAKE_API_CALL
    assert vars(URLLib3Session)["send"] is not SEND
    unpatch("pynamodb")
    assert vars(Connection)["_make_api_call"] is MAKE_API_CALL
    assert vars(URLLib3Session)["send"] is SEND
