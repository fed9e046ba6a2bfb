"""aiobotocore: as botocore, in tasks that run side by side."""

from __future__ import annotations

import asyncio
import contextvars
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiobotocore.client
import aiobotocore.endpoint
import botocore.exceptions
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from tests.libraries.aws import CREDENTIALS, REGION, config, needs_json, only_child, traced
from tests.libraries.aws import client as sync_client
from tests.servers.aws import CLOSED, NOTHING, REQUEST_ID, Answer, Service, refusal
from tests.servers.process import HOST, free_port
from xray_lambda import current_subsegment, patch, patch_all, subsegment, unpatch
from xray_lambda.libraries._aws_clients import _traced
from xray_lambda.testing import HEADER, ROOT, capture, counting_ids, fake_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Generator

UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")
MAKE_API_CALL = vars(aiobotocore.client.AioBaseClient)["_make_api_call"]
CREATE_REQUEST = vars(aiobotocore.endpoint.AioEndpoint)["create_request"]
CHILD = f"Root={ROOT};Parent=0000000000000002;Sampled=1"


@pytest.fixture(autouse=True)
def patched() -> None:
    patch("aioboto3")


@asynccontextmanager
async def client(service: str, url: str, attempts: int = 1, timeout: float = 20) -> AsyncIterator[Any]:
    options = AioConfig().merge(config(attempts, timeout=timeout))
    create = get_session().create_client
    async with create(service, region_name=REGION, endpoint_url=url, config=options, **CREDENTIALS) as made:
        yield made


def run(program: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(program)


async def get_item(url: str, **options: Any) -> Any:
    async with client("dynamodb", url, **options) as dynamodb:
        return await dynamodb.get_item(TableName="orders", Key={"id": {"S": "swordfish"}})


def test_a_call_is_one_subsegment_whatever_carries_it(stub: Service) -> None:
    patch_all()
    with traced(clock=fake_clock(), new_id=counting_ids()) as traces:
        run(get_item(stub.url))
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
    assert stub.received[0].trace == [CHILD]


@pytest.mark.filterwarnings("ignore:aiobotocore's httpx backend:DeprecationWarning")
@pytest.mark.parametrize("everything", [True, False])
def test_a_call_over_httpx_is_one_subsegment(everything: bool, stub: Service) -> None:
    httpxsession = pytest.importorskip("aiobotocore.httpxsession", reason="this aiobotocore has no other transport")
    pytest.importorskip("httpx")
    if everything:
        patch_all()

    async def program() -> None:
        options = AioConfig(http_session_cls=httpxsession.HttpxSession).merge(config(3))
        create = get_session().create_client
        async with create("dynamodb", region_name=REGION, endpoint_url=stub.url, config=options, **CREDENTIALS) as made:
            await made.list_tables()

    stub.answers[:] = [refusal(500, "InternalServerError"), Answer()]
    with traced(new_id=counting_ids()) as traces:
        run(program())
    assert only_child(traces).document["aws"]["retries"] == 1
    assert [request.trace for request in stub.received] == [[CHILD], [CHILD]]


def test_attempts_are_counted_and_each_carries_the_header(stub: Service) -> None:
    stub.answers[:] = [refusal(500, "InternalServerError"), Answer()]
    with traced(new_id=counting_ids()) as traces:
        run(get_item(stub.url, attempts=3))
    assert only_child(traces).document["aws"]["retries"] == 1
    assert [request.trace for request in stub.received] == [[CHILD], [CHILD]]


def test_calls_at_the_same_time_are_siblings(stub: Service) -> None:
    async def program() -> None:
        async with client("dynamodb", stub.url) as dynamodb:

            async def work(number: int) -> None:
                with subsegment(f"work {number}"):
                    await dynamodb.describe_table(TableName=f"table {number}")

            await asyncio.gather(*(dynamodb.describe_table(TableName="orders") for _ in range(20)))
            await asyncio.gather(*(work(number) for number in range(20)))

    with traced() as traces:
        run(program())
    children = traces.one.children
    assert [child.name for child in children[:20]] == 20 * ["DynamoDB"]
    assert {child.name for child in children[20:]} == {f"work {number}" for number in range(20)}
    for number in range(20):
        (child,) = traces.find(f"work {number}").children
        assert child.document["aws"]["table_name"] == f"table {number}"
    assert len({request.trace[0] for request in stub.received}) == 40


@pytest.mark.parametrize(
    ("status", "code", "flags"),
    [(404, "ResourceNotFoundException", {"error"}), (400, "ThrottlingException", {"error", "throttle"}),
     (500, "InternalServerError", {"fault"})],
)  # fmt: skip
def test_refusals_are_recorded_as_what_they_are(status: int, code: str, flags: set[str], stub: Service) -> None:
    stub.answers[:] = [refusal(status, code)]
    with traced() as traces, pytest.raises(botocore.exceptions.ClientError):
        run(get_item(stub.url))
    node = only_child(traces)
    assert (node.flags, node.document["http"]["response"]["status"], len(node.exceptions)) == (flags, status, 1)


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("how", ["closed", "silent", "refused"])
def test_a_connection_that_fails_is_a_fault_with_its_exception(how: str, everything: bool, stub: Service) -> None:
    if everything:
        patch_all()
    stub.answers[:] = [CLOSED if how == "closed" else NOTHING]
    url = f"http://{HOST}:{free_port()}" if how == "refused" else stub.url
    with traced() as traces, pytest.raises((botocore.exceptions.BotoCoreError, OSError)) as raised:
        run(get_item(url, attempts=2, timeout=0.1 if how == "silent" else 20))
    node = only_child(traces)
    assert (node.flags, node.document["aws"]["retries"]) == ({"fault"}, 1)
    assert node.exceptions[0]["type"].endswith(type(raised.value).__name__)


def test_a_cancelled_call_is_marked_and_no_fault(stub: Service) -> None:
    stub.answers[:] = [NOTHING]

    async def program() -> None:
        task = asyncio.ensure_future(get_item(stub.url))
        assert await asyncio.to_thread(stub.arrived.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with traced() as traces:
        run(program())
    node = only_child(traces)
    assert (node.flags, node.metadata) == (set(), {"xray_lambda": {"cancelled": True}})
    assert node.document["aws"]["retries"] == 0


def test_messages_carry_the_header(stub: Service) -> None:
    needs_json("sqs")

    async def program() -> None:
        async with client("sqs", stub.url) as sqs:
            await sqs.send_message(QueueUrl="https://sqs.test/1/q", MessageBody="b")

    with traced(new_id=counting_ids()):
        run(program())
    with capture(header=UNSAMPLED):
        run(program())
    sent = [request.json["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"] for request in stub.received]
    assert sent == [request.trace[0] for request in stub.received] == [CHILD, UNSAMPLED]


def test_unsampled_calls_at_the_same_time_pass_the_header_on_alone(stub: Service) -> None:
    async def program() -> None:
        async with client("dynamodb", stub.url) as dynamodb:
            before = current_subsegment()
            await asyncio.gather(*(dynamodb.list_tables() for _ in range(5)))
            await dynamodb.list_tables()
            assert current_subsegment() is before

    patch_all()
    with capture(header=UNSAMPLED) as traces:
        run(program())
    assert len(traces) == 0
    assert [request.trace for request in stub.received] == 6 * [[UNSAMPLED]]


@pytest.mark.parametrize("header", [HEADER, UNSAMPLED])
def test_a_call_that_is_dropped_half_way_in_another_context_leaves_nothing_current(header: str, stub: Service) -> None:
    class Forever:
        def __await__(self) -> Generator[None, None, None]:
            while True:
                yield

    async def make_api_call(self: object, operation_name: str, api_params: object) -> None:
        await Forever()

    with capture(header=header), subsegment("handler"):
        before = current_subsegment()
        pending = _traced(make_api_call)(sync_client("dynamodb", stub.url), "ListTables", {})
        contextvars.copy_context().run(pending.send, None)
        contextvars.copy_context().run(pending.close)
        assert current_subsegment() is before


def test_ignored_calls_leave_no_trace(stub: Service) -> None:
    patch_all()
    with traced(ignore_calls="DynamoDB.GetItem") as traces:
        run(get_item(stub.url))
    assert traces.one.names() == ("handler", [])
    assert stub.received[0].trace == []


def test_without_a_trace_the_library_is_left_alone(stub: Service) -> None:
    with capture(header=None) as traces:
        run(get_item(stub.url))
    assert (len(traces), stub.received[0].trace) == (0, [])


def test_a_body_is_left_to_the_program(aws_url: str) -> None:
    async def program() -> bytes:
        async with client("s3", aws_url) as s3:
            where = {"LocationConstraint": REGION}
            await s3.create_bucket(Bucket="aio-bodies", CreateBucketConfiguration=where)
            await s3.put_object(Bucket="aio-bodies", Key="k", Body=b"opensesame")
            with traced() as traces:
                found = await s3.get_object(Bucket="aio-bodies", Key="k")
            assert only_child(traces).document["aws"]["key"] == "k"
            async with found["Body"] as body:
                content: bytes = await body.read()
                return content

    assert run(program()) == b"opensesame"


def test_both_libraries_are_traced_apart(stub: Service) -> None:
    patch("botocore", "aiobotocore")
    unpatch("botocore")
    with traced() as traces:
        run(get_item(stub.url))
        sync_client("dynamodb", stub.url).list_tables()
    assert [child.document["aws"]["operation"] for child in traces.one.children] == ["GetItem"]
    assert len(stub.received[0].trace) == 1


def test_unpatching_puts_all_back() -> None:
    assert vars(aiobotocore.client.AioBaseClient)["_make_api_call"] is not MAKE_API_CALL
    patch("aiobotocore")
    unpatch("aiobotocore")
    assert vars(aiobotocore.client.AioBaseClient)["_make_api_call"] is MAKE_API_CALL
    assert vars(aiobotocore.endpoint.AioEndpoint)["create_request"] is CREATE_REQUEST


def test_the_function_is_a_coroutine_function_as_it_was() -> None:
    replaced = vars(aiobotocore.client.AioBaseClient)["_make_api_call"]
    assert asyncio.iscoroutinefunction(replaced)
    assert (replaced.__name__, replaced.__doc__) == (MAKE_API_CALL.__name__, MAKE_API_CALL.__doc__)
