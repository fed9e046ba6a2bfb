"""psycopg 3 with asyncio: each task's calls are its own, and a cancelled one is no fault."""

from __future__ import annotations

import asyncio
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline, AsyncServerCursor

from tests.libraries.databases import UNSAMPLED, exact, statements
from tests.libraries.postgresql import SECRET, document, name, silent_server, url
from tests.servers.process import free_port
from xray_lambda import patch, subsegment, unpatch
from xray_lambda._context import current
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from xray_lambda.testing import Traces

PATCHED = [
    (AsyncCursor, "execute"), (AsyncCursor, "executemany"), (AsyncCursor, "stream"), (AsyncCursor, "copy"),
    (AsyncServerCursor, "execute"), (AsyncPipeline, "sync"), (AsyncPipeline, "__aexit__"), (AsyncConnection, "connect"),
]  # fmt: skip
ORIGINALS = {(owner, name): vars(owner)[name] for owner, name in PATCHED}
DRIVER = f"psycopg {psycopg.__version__}"


@pytest.fixture(autouse=True)
def patched() -> None:
    patch("psycopg")


async def connect(port: int) -> AsyncConnection[Any]:
    """Return a connection that commits by itself, with an empty table; that is not recorded."""
    with capture(header=None):
        connection = await AsyncConnection.connect(url(port), autocommit=True)
        await connection.execute("CREATE TEMP TABLE items (id INT PRIMARY KEY, name TEXT)")
    return connection


def test_a_statement_is_a_remote_subsegment_named_after_database_and_host(postgres: int) -> None:
    async def main() -> str:
        async with await connect(postgres) as connection, connection.cursor() as cursor:
            with subsegment("handler"):
                await cursor.execute("SELECT 7, %s WHERE 'x' = 'x'", (SECRET,))
            assert await cursor.fetchall() == [(7, SECRET)]
            return (connection.info.parameter_status("server_version") or "").partition(" ")[0]

    with exact() as traces:
        version = asyncio.run(main())
    [one] = traces.documents
    assert one["subsegments"] == [document(postgres, version, DRIVER, "SELECT ?, %s WHERE ? = ?")]


def test_each_way_to_run_a_statement_is_one_subsegment(postgres: int, xray: Traces) -> None:
    async def main() -> None:
        async with await connect(postgres) as connection, connection.cursor() as cursor:
            await cursor.executemany("INSERT INTO items VALUES (%s, %s)", [(1, SECRET), (2, "b")])
            await connection.execute("SELECT 1")
            async with connection.transaction(), connection.cursor("mine") as named:
                await named.execute("SELECT generate_series(1, 3)")
                assert [row async for (row,) in named] == [1, 2, 3]

    asyncio.run(main())
    insert = "INSERT INTO items VALUES (%s, %s)"
    assert statements(xray) == [insert, "SELECT ?", "SELECT generate_series(?, ?)"]


def test_a_stream_lasts_until_its_last_row_and_reads_none_ahead(postgres: int) -> None:
    async def main() -> None:
        async with await connect(postgres) as connection, connection.cursor() as cursor:
            with subsegment("handler") as handler:
                rows = cursor.stream("SELECT generate_series(1, %s)", (3,))
                assert isinstance(rows, AsyncGeneratorType)
                assert await rows.__anext__() == (1,)
                assert current.get() is handler
                with subsegment("between"):
                    pass
                assert [row async for (row,) in rows] == [2, 3]

    with exact() as traces:
        asyncio.run(main())
    stream, between = (node.document for node in traces.one.children)
    assert stream["start_time"] < between["start_time"] < between["end_time"] < stream["end_time"]
    assert statements(traces) == ["SELECT generate_series(?, %s)"]


def test_a_stream_that_is_left_half_way_is_closed_and_recorded(postgres: int, xray: Traces) -> None:
    async def main() -> None:
        async with await connect(postgres) as connection:
            rows: Any = connection.cursor().stream("SELECT generate_series(1, 3)")
            async for _ in rows:
                break
            await rows.aclose()
            assert xray.one.flags == set()
            failing = connection.cursor().stream("SELECT 1 / (2 - generate_series(1, 3))")
            with pytest.raises(psycopg.errors.DivisionByZero):
                [row async for row in failing]

    asyncio.run(main())
    assert [root.flags for root in xray.roots] == [set(), {"fault"}]


def test_copying_lasts_as_long_as_the_block_and_shows_no_row(postgres: int) -> None:
    async def main() -> None:
        async with await connect(postgres) as connection, connection.cursor() as cursor:
            with subsegment("handler") as handler:
                async with cursor.copy("COPY items FROM STDIN") as copying:
                    assert isinstance(copying, psycopg.AsyncCopy)
                    assert current.get() is handler
                    with subsegment("between"):
                        await copying.write_row((1, SECRET))
            with pytest.raises(psycopg.errors.UndefinedTable):
                async with cursor.copy("COPY nowhere FROM STDIN"):
                    pass

    with exact() as traces:
        asyncio.run(main())
    handler, failed = traces.roots
    copying, between = (node.document for node in handler.children)
    assert copying["start_time"] < between["start_time"] < between["end_time"] < copying["end_time"]
    assert (failed.flags, statements(traces)[1]) == ({"fault"}, "COPY nowhere FROM STDIN")
    assert SECRET not in str(traces.documents)


def test_a_pipeline_s_failure_comes_with_its_sync(postgres: int, xray: Traces) -> None:
    async def run(connection: AsyncConnection[Any]) -> None:
        async with connection.pipeline() as pipeline:
            await connection.execute("SELECT 1")
            await pipeline.sync()
            await connection.execute("SELECT 1 / 0")

    async def main() -> None:
        async with await connect(postgres) as connection:
            with pytest.raises(psycopg.errors.DivisionByZero):
                await run(connection)

    if not AsyncPipeline.is_supported():
        pytest.skip("this libpq has no pipeline mode")
    asyncio.run(main())
    assert statements(xray) == ["SELECT ?", "SYNC", "SELECT ? / ?", "SYNC"]
    assert [root.flags for root in xray.roots] == [set(), set(), set(), {"fault"}]


def test_tasks_record_side_by_side(postgres: int) -> None:
    """Each task's statement stands below that task's own subsegment."""

    async def work(number: int) -> None:
        with subsegment(f"task {number}"):
            async with await AsyncConnection.connect(url(postgres)) as connection:
                cursor = await connection.execute("SELECT %s", (number,))
                assert await cursor.fetchone() == (number,)

    async def main() -> None:
        await asyncio.gather(*map(work, range(5)))

    with capture() as traces, subsegment("handler"):
        asyncio.run(main())
    calls: list[Any] = [(name(postgres), [])] * 2
    assert sorted(child.names() for child in traces.one.children) == [(f"task {n}", calls) for n in range(5)]


def test_a_cancelled_statement_is_no_fault_and_the_cancellation_passes(postgres: int, xray: Traces) -> None:
    async def main() -> None:
        connection, other = await connect(postgres), await connect(postgres)
        task = asyncio.create_task(connection.execute("SELECT pg_sleep(10)"))
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
        count = (0,)
        while count == (0,):  # the server gives no event to wait for
            count = await (await other.execute(sleeping)).fetchone()  # type: ignore[assignment]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await connection.close()
        await other.close()

    asyncio.run(main())
    [cancelled] = [root for root in xray.roots if root.document["sql"]["sanitized_query"] == "SELECT pg_sleep(?)"]
    assert "fault" not in cancelled.flags
    assert not cancelled.exceptions


def test_a_failure_to_connect_is_a_fault_whatever_it_is(postgres: int, xray: Traces) -> None:
    port = free_port()

    async def main() -> None:
        for address in (url(port), url(postgres, SECRET)):
            with pytest.raises(psycopg.OperationalError):
                await AsyncConnection.connect(address)
        with silent_server() as silent, pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(AsyncConnection.connect(url(silent)), 0.05)

    asyncio.run(main())
    assert statements(xray) == ["CONNECT"] * 3
    assert [root.name for root in xray.roots[:2]] == [name(port), name(postgres)]
    assert [root.flags for root in xray.roots[:2]] == [{"fault"}] * 2
    assert SECRET not in str(xray.documents)


def test_outside_of_a_trace_and_unsampled_nothing_is_recorded(postgres: int) -> None:
    async def main() -> None:
        async with await AsyncConnection.connect(url(postgres)) as connection, connection.cursor() as cursor:
            assert await (await cursor.execute("SELECT 1")).fetchone() == (1,)
            assert [row async for row in cursor.stream("SELECT 1")] == [(1,)]

    for header in (None, UNSAMPLED):
        with capture(header) as traces:
            asyncio.run(main())
        assert traces.documents == []


def test_unpatching_restores_every_function() -> None:
    assert all(vars(owner)[name] is not original for (owner, name), original in ORIGINALS.items())
    assert all(asyncio.iscoroutinefunction(getattr(AsyncCursor, name)) for name in ("execute", "executemany"))
    unpatch("psycopg")
    assert {key: vars(key[0])[key[1]] for key in ORIGINALS} == ORIGINALS
