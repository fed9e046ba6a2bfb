"""redis-py: each command and each pipeline is one subsegment that tells names of commands, never keys and values."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.retry
import redis.cluster
from redis.backoff import NoBackoff
from redis.client import Pipeline, Redis
from redis.retry import Retry

from tests.libraries.databases import UNSAMPLED, exact, run_apart
from tests.servers.process import HOST, free_port
from tests.servers.redis import redis_cluster
from xray_lambda import patch, subsegment, unpatch
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from xray_lambda.testing import Node, Traces

PATCHED = [
    (Redis, "execute_command"), (Pipeline, "immediate_execute_command"), (Pipeline, "execute"),
    (redis.asyncio.Redis, "execute_command"), (redis.cluster.RedisCluster, "execute_command"),
    (redis.cluster.ClusterPipeline, "execute"), (redis.asyncio.cluster.RedisCluster, "execute_command"),
]  # fmt: skip
ORIGINALS = {(owner, name): vars(owner)[name] for owner, name in PATCHED}
SECRET = "hunter2-in-a-value"
ONCE: dict[str, Any] = {"retry": Retry(NoBackoff(), 0)}


def told(node: Node) -> Any:
    return node.metadata["redis"]


def commands(traces: Traces) -> list[Any]:
    return [told(root).get("command") or told(root)["commands"] for root in traces.roots]


@pytest.fixture
def client(redis_port: int) -> Iterator[Any]:
    """A client of an empty Redis."""
    made: Any = redis.Redis(HOST, redis_port)
    made.flushall()
    patch("redis")
    yield made
    made.close()


@pytest.fixture(scope="module")
def cluster_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a cluster of one."""
    with redis_cluster(tmp_path_factory.mktemp("redis-cluster")) as port:
        yield port


def test_a_command_is_a_remote_subsegment_that_tells_its_name_alone(client: Any, redis_port: int) -> None:
    with exact() as traces, subsegment("handler"):
        assert client.set(SECRET, SECRET) is True
        assert client.get(SECRET) == SECRET.encode()
    [document] = traces.documents
    assert document["subsegments"] == [
        {
            "name": f"redis@{HOST}:{redis_port}",
            "id": f"000000000000000{number}",
            "start_time": 1700000000 + start / 1000,
            "end_time": 1700000000 + (start + 1) / 1000,
            "namespace": "remote",
            "metadata": {"redis": {"command": command}},
        }
        for number, start, command in ((2, 1, "SET"), (3, 3, "GET"))
    ]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("CONFIG GET", SECRET), "CONFIG GET"),
        (("config", "get", SECRET), "CONFIG GET"),
        ((f"SET {SECRET} {SECRET}",), "SET"),
        ((b"set", SECRET, SECRET), "SET"),
        (("CLIENT",), "CLIENT"),
        ((f"{SECRET}!",), "?"),
        ((f"OBJECT {SECRET}!",), "?"),
        ((7, SECRET), "?"),
    ],
)
def test_whatever_is_sent_the_name_is_that_of_a_command(
    client: Any, xray: Traces, words: tuple[Any, ...], name: str
) -> None:
    try:
        client.execute_command(*words)
    except (redis.RedisError, TypeError):
        assert xray.one.flags == {"fault"}
    assert commands(xray) == [name]
    assert SECRET not in str(xray.documents)


@pytest.mark.parametrize("transaction", [True, False])
def test_a_pipeline_is_one_subsegment_with_the_names_of_its_commands(
    client: Any, xray: Traces, transaction: bool
) -> None:
    with client.pipeline(transaction=transaction) as pipe:
        assert pipe.set("a", SECRET).get("a").execute() == [True, SECRET.encode()]
        assert pipe.execute() == []
    assert told(xray.one) == {"commands": ["SET", "GET"], "count": 2}
    assert SECRET not in str(xray.documents)


def test_of_a_long_pipeline_the_first_names_are_told_and_how_many_there_are(client: Any, xray: Traces) -> None:
    with client.pipeline() as pipe:
        for number in range(1000):
            pipe.incr(f"n{number % 3}")
        pipe.execute()
    assert told(xray.one) == {"commands": ["INCRBY"] * 50, "count": 1000}


def test_what_a_watching_pipeline_asks_at_once_is_a_command(client: Any, xray: Traces) -> None:
    with client.pipeline() as pipe:
        pipe.watch("a")
        assert pipe.get("a") is None
        pipe.multi()
        assert pipe.set("a", 1).execute() == [True]
    assert commands(xray) == ["WATCH", "GET", ["SET"]]


def test_a_script_in_a_pipeline_is_part_of_it(client: Any, xray: Traces) -> None:
    script = client.register_script("return ARGV[1]")
    xray.clear()
    with client.pipeline() as pipe:
        script(args=[SECRET], client=pipe)
        assert pipe.execute() == [SECRET.encode()]
    assert commands(xray) == [["EVALSHA"]]


def test_an_error_of_the_server_is_a_fault_without_the_keys_that_it_quotes(client: Any, xray: Traces) -> None:
    client.set("a", "1")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE") as caught:
        client.lpush("a", SECRET)
    with pytest.raises(redis.ResponseError, match=SECRET):
        client.execute_command("SOT", SECRET)
    assert caught.value.args == ("WRONGTYPE Operation against a key holding the wrong kind of value",)
    [_, wrong, unknown] = xray.roots
    assert (wrong.flags, wrong.exceptions[0]["message"]) == ({"fault"}, caught.value.args[0])
    assert unknown.exceptions[0]["message"].startswith("unknown command ?, with args beginning with: ?")
    assert SECRET not in str(xray.documents)


def test_an_error_in_a_pipeline_is_a_fault_without_the_command_that_it_quotes(client: Any, xray: Traces) -> None:
    with client.pipeline() as pipe, pytest.raises(redis.ResponseError, match=SECRET):
        pipe.set("a", 1).lpush("a", SECRET).execute()
    assert xray.one.exceptions[0]["message"].startswith("Command # 2 of pipeline caused error: ")
    assert SECRET not in str(xray.documents)


def test_a_refused_connection_is_a_fault_and_trying_again_belongs_to_the_call(xray: Traces) -> None:
    patch("redis")
    port, tried = free_port(), []

    class Counting(redis.Connection):
        def connect(self) -> None:
            tried.append(self)
            super().connect()  # type: ignore[no-untyped-call]

    pool = redis.ConnectionPool(
        Counting,
        host=HOST,
        port=port,
        password=SECRET,
        retry=Retry(NoBackoff(), 3),
        retry_on_error=[redis.ConnectionError],
    )
    with pytest.raises(redis.ConnectionError, match="Connection refused"):
        redis.Redis(connection_pool=pool).get("a")
    assert tried
    assert (xray.one.name, xray.one.flags) == (f"redis@{HOST}:{port}", {"fault"})
    assert xray.one.exceptions[0]["type"] == "redis.exceptions.ConnectionError"
    assert SECRET not in str(xray.documents)


def test_a_wrong_password_is_a_fault_and_stays_secret(redis_port: int, xray: Traces) -> None:
    patch("redis")
    client: Any = redis.Redis.from_url(f"redis://someone:{SECRET}@{HOST}:{redis_port}/3?client_name={SECRET}")
    with pytest.raises(redis.AuthenticationError):
        client.get("a")
    assert xray.one.flags == {"fault"}
    assert SECRET not in str(xray.documents)


def test_a_server_that_does_not_answer_in_time_is_a_fault(xray: Traces) -> None:
    patch("redis")
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen()
        client: Any = redis.Redis(HOST, silent.getsockname()[1], socket_timeout=0.05, **ONCE)
        with pytest.raises(redis.TimeoutError):
            client.get("a")
    assert xray.one.exceptions[0]["type"] == "redis.exceptions.TimeoutError"


def test_waiting_is_part_of_a_blocking_command(client: Any, xray: Traces) -> None:
    assert client.blpop("a", timeout=0.05) is None
    assert commands(xray) == ["BLPOP"]
    assert xray.one.duration >= 0.05


def test_publishing_is_recorded_and_listening_is_not(client: Any, xray: Traces) -> None:
    listener = client.pubsub()
    listener.subscribe(SECRET)
    assert listener.get_message(timeout=5)["type"] == "subscribe"
    client.publish(SECRET, SECRET)
    assert listener.get_message(timeout=5)["data"] == SECRET.encode()
    listener.close()
    assert commands(xray) == ["PUBLISH"]
    assert SECRET not in str(xray.documents)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # 4.5 forgets a socket that fails
def test_a_socket_and_sentinel_s_name_stand_for_the_place(xray: Traces, tmp_path: object) -> None:
    patch("redis")
    by_socket: Any = redis.Redis(unix_socket_path=f"{tmp_path}/r.sock", **ONCE)
    sentinel: Any = redis.Sentinel
    named = sentinel([(HOST, free_port())], sentinel_kwargs=ONCE).master_for("orders", **ONCE)
    for client in (by_socket, named):
        with pytest.raises(redis.ConnectionError):
            client.get("a")
    gc.collect()
    names = [root.name for root in xray.roots]
    assert names[0] == f"redis@{tmp_path}/r.sock"
    assert "redis@orders" in names


def test_threads_record_side_by_side(client: Any, redis_port: int) -> None:
    patch("threads")
    meet = threading.Barrier(4, timeout=20)

    def work(number: int) -> Any:
        meet.wait()
        return client.incr(str(number))

    with capture() as traces, subsegment("handler"), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [1] * 4
    assert [(child.name, child.children) for child in traces.one.children] == [(f"redis@{HOST}:{redis_port}", [])] * 4


def test_tasks_record_side_by_side_and_a_pipeline_of_theirs_is_one(redis_port: int, xray: Traces) -> None:
    async def one(client: Any, number: int) -> None:
        async with client.pipeline() as pipe:
            assert await pipe.set(str(number), SECRET).get(str(number)).execute() == [True, SECRET.encode()]
        assert await client.get(str(number)) == SECRET.encode()

    async def work() -> None:
        client: Any = redis.asyncio.Redis(host=HOST, port=redis_port)
        with subsegment("handler"):
            await asyncio.gather(*(one(client, number) for number in range(3)))
        await client.connection_pool.disconnect()

    patch("redis")
    asyncio.run(work())
    assert [child.children for child in xray.one.children] == [[]] * 6
    found = sorted((told(child) for child in xray.one.children), key=str)
    assert found == [{"command": "GET"}] * 3 + [{"commands": ["SET", "GET"], "count": 2}] * 3
    assert SECRET not in str(xray.documents)


def test_a_cancelled_command_is_no_fault_and_an_async_refusal_is_one(redis_port: int, xray: Traces) -> None:
    async def work() -> None:
        client: Any = redis.asyncio.Redis(host=HOST, port=redis_port)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.blpop("never", timeout=0), 0.05)
        await client.connection_pool.disconnect()
        refused: Any = redis.asyncio.Redis(host=HOST, port=free_port(), retry=redis.asyncio.retry.Retry(NoBackoff(), 0))
        with pytest.raises(redis.ConnectionError):
            await refused.get("a")

    patch("redis")
    asyncio.run(work())
    assert [root.flags for root in xray.roots] == [set(), {"fault"}]
    assert xray.roots[0].metadata["xray_lambda"] == {"cancelled": True}


@pytest.mark.filterwarnings("ignore:Call to '__init__' function with deprecated:DeprecationWarning")  # redis 6 itself
def test_a_cluster_s_commands_and_pipelines_are_recorded_once(cluster_port: int, xray: Traces) -> None:
    patch("redis")
    client: Any = redis.cluster.RedisCluster(HOST, cluster_port)
    xray.clear()
    assert client.set("a", SECRET) is True
    assert client.pipeline().set("b", SECRET).get("b").execute() == [True, SECRET.encode()]
    client.close()
    assert commands(xray) == ["SET", ["SET", "GET"]]
    assert {root.name for root in xray.roots} == {f"redis@{HOST}:{cluster_port}"}
    assert all(not root.children for root in xray.roots)


def test_an_async_cluster_s_commands_and_pipelines_are_recorded_once(cluster_port: int, xray: Traces) -> None:
    async def work() -> None:
        client: Any = redis.asyncio.cluster.RedisCluster(host=HOST, port=cluster_port)
        assert await client.set("a", SECRET) is True
        async with client.pipeline() as pipe:
            assert await pipe.set("b", SECRET).get("b").execute() == [True, SECRET.encode()]
        await closing(client)

    def closing(client: Any) -> Awaitable[None]:
        close: Callable[[], Awaitable[None]] = getattr(client, "aclose", client.close)
        return close()

    patch("redis")
    asyncio.run(work())
    assert commands(xray) == ["SET", ["SET", "GET"]]
    assert {root.name for root in xray.roots} == {f"redis@{HOST}:{cluster_port}"}


@pytest.mark.parametrize("header", [None, UNSAMPLED])
def test_outside_of_a_trace_and_unsampled_nothing_is_recorded(client: Any, header: str | None) -> None:
    with capture(header) as traces:
        assert client.set("a", 1) is True
        assert client.pipeline().get("a").execute() == [b"1"]
    assert traces.documents == []


def test_the_program_may_ignore_commands_by_their_names(client: Any) -> None:
    with capture(ignore_calls="Redis.GET") as traces:
        client.set("a", 1)
        client.get("a")
    assert commands(traces) == ["SET"]


def test_patching_twice_records_once_and_unpatching_restores_every_function(client: Any, xray: Traces) -> None:
    patch("redis")
    client.get("a")
    assert len(xray) == 1
    unpatch("redis")
    client.get("a")
    assert len(xray) == 1
    assert {key: vars(key[0])[key[1]] for key in ORIGINALS} == ORIGINALS


def test_the_patch_may_come_before_the_import(redis_port: int) -> None:
    program = """
import json, sys
from xray_lambda import patch
from xray_lambda.testing import capture
patch("redis")
assert "redis" not in sys.modules
import redis
with capture() as traces:
    redis.Redis(port=int(sys.argv[1])).ping()
print(json.dumps(traces.one.metadata))
"""
    assert run_apart(program, redis_port) == {"redis": {"command": "PING"}}
