"""asyncpg: connecting is one subsegment, by itself and in a pool, and so is waiting for a connection of a pool."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.libraries.asyncpg_program import DRIVER, version_of, with_pool
from tests.libraries.databases import exact, is_sql, run_apart, statements
from tests.libraries.postgresql import document, login, name, url
from tests.servers.postgres import DATABASE, PASSWORD, USER
from tests.servers.process import HOST
from xray_lambda import patch, subsegment

if TYPE_CHECKING:
    from xray_lambda.testing import Traces


def test_connecting_is_a_subsegment_too(postgres: int, xray: Traces) -> None:
    async def work() -> str:
        connection = await asyncpg.connect(url(postgres))
        await connection.close()
        with exact() as traces, subsegment("handler"):
            connection = await asyncpg.connect(**login(postgres))
        await connection.close()
        expected = document(postgres, version_of(connection), DRIVER, "CONNECT")
        assert traces.documents[0]["subsegments"] == [expected]
        assert isinstance(connection, asyncpg.Connection)
        return str(expected["sql"]["database_version"])

    patch("asyncpg")
    version = asyncio.run(work())
    assert (xray.one.name, xray.one.children) == (name(postgres), [])
    assert xray.one.document["sql"]["database_version"] == version


def test_a_pool_s_connections_are_recorded_where_they_are_made_and_its_cleaning_up_is_not(
    postgres: int, xray: Traces
) -> None:
    async def work() -> None:
        async with asyncpg.create_pool(url(postgres), min_size=0, max_size=1) as pool:
            assert await pool.fetchval("SELECT 1") == 1
            assert await pool.execute("SELECT 2") == "SELECT 1"
            async with pool.acquire() as connection, connection.transaction():
                assert isinstance(connection, asyncpg.Connection)
                assert await connection.fetchval("SELECT 3") == 3

    patch("asyncpg")
    asyncio.run(work())
    assert statements(xray) == ["CONNECT", "SELECT ?", "SELECT ?", "BEGIN;", "SELECT ?", "COMMIT;"]
    assert {root.name for root in xray.roots} == {name(postgres)}


@pytest.mark.skipif(not hasattr(asyncpg.Pool, "_maintain_min_size"), reason="newer versions have it")
def test_what_a_pool_does_in_the_background_belongs_to_no_call(postgres: int, xray: Traces) -> None:
    async def work(pool: Any) -> None:
        async with pool.acquire() as connection:
            await connection.close()
        await pool._maintenance_task
        assert pool.get_idle_size() == 1

    with_pool(postgres, work)
    assert xray.documents == []


def test_waiting_for_a_pool_that_has_no_connection_to_give_is_a_subsegment(postgres: int, xray: Traces) -> None:
    async def work(pool: Any) -> None:
        taken = await pool.acquire()
        waiting = asyncio.ensure_future(pool.fetchval("SELECT 1"))
        await asyncio.sleep(0)
        await pool.release(taken)
        assert await waiting == 1

    with_pool(postgres, work)
    assert sorted(statements(xray)) == ["ACQUIRE", "SELECT ?"]
    assert {root.name for root in xray.roots} == {name(postgres)}


def test_tasks_side_by_side_are_siblings(postgres: int, xray: Traces) -> None:
    async def work(pool: Any) -> None:
        async def one(number: int) -> None:
            assert await pool.fetchval("SELECT $1::int + 0 * length(pg_sleep(0.01)::text)", number) == number

        with subsegment("handler"):
            await asyncio.gather(*map(one, range(12)))

    with_pool(postgres, work, size=4)
    [handler] = xray.roots
    asked = [one for one in handler.children if "pg_sleep" in one.document["sql"]["sanitized_query"]]
    assert len(asked) == 12
    assert all(is_sql(child) and not child.children for child in handler.children)


def test_a_connection_made_before_the_patch_and_a_function_imported_before_it_are_traced(
    postgres: int, xray: Traces
) -> None:
    connect = asyncpg.connect

    async def work() -> None:
        connection = await connect(**login(postgres))
        patch("asyncpg")
        await connection.fetchval("SELECT 1")
        await connection.close()
        await (await connect(**login(postgres))).close()

    asyncio.run(work())
    assert statements(xray) == ["SELECT ?", "CONNECT"]


def test_the_patch_may_come_before_the_import(postgres: int) -> None:
    program = """
import asyncio, json, sys
from xray_lambda import patch
from xray_lambda.testing import capture
patch("asyncpg")
assert "asyncpg" not in sys.modules
import asyncpg
port, user, password, database = sys.argv[1:]
async def main():
    async with asyncpg.create_pool(
        host="127.0.0.1", port=int(port), user=user, password=password, database=database, min_size=1
    ) as pool:
        await pool.execute("SELECT 1")
with capture() as traces:
    asyncio.run(main())
print(json.dumps([root.name for root in traces.roots]))
"""
    assert run_apart(program, postgres, USER, PASSWORD, DATABASE) == [f"{DATABASE}@{HOST}:{postgres}"] * 2
