"""asyncpg: each call that asks the server for something is one subsegment; rows and classes stay as they are."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.libraries.asyncpg_program import DRIVER, version_of, with_connection, with_pool
from tests.libraries.databases import UNSAMPLED, exact, statements
from tests.libraries.postgresql import SECRET, document, login
from xray_lambda import patch, subsegment, unpatch
from xray_lambda._context import current
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from xray_lambda.testing import Traces

METHODS = [
    "execute", "executemany", "fetch", "fetchval", "fetchrow", "fetchmany", "prepare", "reset",
    "copy_from_table", "copy_from_query", "copy_to_table", "copy_records_to_table",
]  # fmt: skip
ORIGINALS = {name: getattr(asyncpg.Connection, name, None) for name in METHODS}
FUNCTIONS = (asyncpg.connect, asyncpg.connection.connect, asyncpg.connect_utils._connect)


def test_a_statement_is_a_remote_subsegment_named_after_database_and_host(postgres: int) -> None:
    async def work(connection: Any) -> str:
        with exact() as traces, subsegment("handler"):
            [row] = await connection.fetch("SELECT 7 AS n, $1::text AS said WHERE 'x' = 'x'", SECRET)
        assert (type(row), dict(row)) == (asyncpg.Record, {"n": 7, "said": SECRET})
        [handler] = traces.documents
        expected = document(postgres, version_of(connection), DRIVER, "SELECT ? AS n, $1::text AS said WHERE ? = ?")
        assert handler["subsegments"] == [expected]
        return SECRET

    assert with_connection(postgres, work) == SECRET


def test_each_method_is_one_subsegment_and_returns_what_it_did(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        assert await connection.execute("INSERT INTO items VALUES (1, 'a'); SELECT 1") == "SELECT 1"
        assert await connection.execute("DELETE FROM items WHERE name = $1", "b") == "DELETE 0"
        assert await connection.executemany("INSERT INTO items VALUES ($1, $2)", iter([(2, "b"), (3, "c")])) is None
        assert await connection.fetchval("SELECT count(*) FROM items") == 3
        assert (await connection.fetchrow(query="SELECT name FROM items WHERE id = 3"))["name"] == "c"

    with_connection(postgres, work)
    assert statements(xray) == [
        "INSERT INTO items VALUES (?, ?); SELECT ?",
        "DELETE FROM items WHERE name = $1",
        "INSERT INTO items VALUES ($1, $2)",
        "SELECT count(*) FROM items",
        "SELECT name FROM items WHERE id = ?",
    ]
    assert [root.flags for root in xray.roots] == [set()] * 5


@pytest.mark.skipif(ORIGINALS["fetchmany"] is None, reason="newer versions have it")
def test_fetchmany_is_one_subsegment(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        rows = await connection.fetchmany("INSERT INTO items VALUES ($1) RETURNING id", [(1,), (2,)])
        assert [row["id"] for row in rows] == [1, 2]

    with_connection(postgres, work)
    assert statements(xray) == ["INSERT INTO items VALUES ($1) RETURNING id"]


def test_a_prepared_statement_says_so_when_it_is_prepared_and_at_each_use(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        statement = await connection.prepare("SELECT $1::int + 1")
        assert await statement.fetchval(1) == 2
        assert [tuple(row) for row in await statement.fetch(2)] == [(3,)]
        assert tuple(await statement.fetchrow(3)) == (4,)
        await statement.executemany([(1,), (2,)])

    with_connection(postgres, work)
    assert statements(xray) == ["SELECT $1::int + ?"] * 5
    assert {root.document["sql"]["preparation"] for root in xray.roots} == {"statement"}


def test_a_transaction_is_what_it_sends_and_the_current_entity_stays_the_program_s(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        with subsegment("handler") as handler:
            async with connection.transaction(isolation="serializable"):
                assert current.get() is handler
                with pytest.raises(KeyError):
                    async with connection.transaction():
                        raise KeyError
            assert current.get() is handler

    with_connection(postgres, work)
    assert [one.partition(" asyncpg")[0].partition(" __")[0] for one in statements(xray)] == [
        "BEGIN ISOLATION LEVEL SERIALIZABLE;", "SAVEPOINT", "ROLLBACK TO", "COMMIT;",
    ]  # fmt: skip


def test_a_cursor_is_a_subsegment_each_time_that_it_asks_the_server_and_no_row_is_read(
    postgres: int, xray: Traces
) -> None:
    async def work(connection: Any) -> None:
        async with connection.transaction():
            found = [row[0] async for row in connection.cursor("SELECT generate_series(1, 120)")]
            assert found == [*range(1, 121)]
        async with connection.transaction():
            cursor = await connection.cursor("SELECT generate_series(1, 10) AS n")
            assert [row["n"] for row in await cursor.fetch(2)] == [1, 2]
            assert await cursor.forward(3) == 3
            assert (await cursor.fetchrow())["n"] == 6
            assert len(await cursor.fetch(100)) == 4
            assert await cursor.fetch(100) == []

    with_connection(postgres, work)
    asked = [one for one in statements(xray) if "series" in one]
    assert asked == ["SELECT generate_series(?, ?)"] * 3 + ["SELECT generate_series(?, ?) AS n"] * 5
    assert all(not root.flags for root in xray.roots)


def test_an_iteration_that_ends_with_an_empty_answer_is_no_fault(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        statement = await connection.prepare("SELECT generate_series(1, 4)")
        async with connection.transaction():
            assert len([row async for row in statement.cursor(prefetch=2)]) == 4

    with_connection(postgres, work)
    assert [root.flags for root in xray.roots if "series" in str(root.document)] == [set()] * 4


def test_copying_is_one_subsegment_and_shows_no_row(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> bytes:
        rows = [(1, SECRET), (2, "b")]
        assert await connection.copy_records_to_table("items", records=rows, columns=["id", "name"]) == "COPY 2"
        source = io.BytesIO(f"3\t{SECRET}\n".encode())
        assert await connection.copy_to_table("items", source=source, schema_name="public") == "COPY 1"
        out = io.BytesIO()
        await connection.copy_from_table("items", output=out)
        await connection.copy_from_query("SELECT name FROM items WHERE name <> $1 AND id < 3", SECRET, output=out)
        return out.getvalue()

    assert with_connection(postgres, work) == f"1\t{SECRET}\n2\tb\n3\t{SECRET}\nb\n".encode()
    assert statements(xray) == [
        'COPY "items" FROM STDIN',
        'COPY "public"."items" FROM STDIN',
        'COPY "items" TO STDOUT',
        "COPY (SELECT name FROM items WHERE name <> $1 AND id < ?) TO STDOUT",
    ]
    assert SECRET not in str(xray.documents)


def test_what_the_program_asks_for_while_it_feeds_a_copy_is_a_call_of_its_own(postgres: int, xray: Traces) -> None:
    async def work(pool: Any) -> None:
        async def rows() -> AsyncIterator[tuple[int, str]]:
            yield 1, await pool.fetchval("SELECT 'from elsewhere'")

        async with pool.acquire() as connection:
            await connection.execute("CREATE TEMP TABLE copies (id INT, name TEXT)")
            await connection.copy_records_to_table("copies", records=rows())
            assert await connection.fetchval("SELECT name FROM copies") == "from elsewhere"

    with_pool(postgres, work, size=2)
    [copied] = [root for root in xray.roots if root.children]
    assert copied.document["sql"]["sanitized_query"] == 'COPY "copies" FROM STDIN'
    assert [child.document["sql"]["sanitized_query"] for child in copied.children] == ["SELECT ?"]


def test_what_the_driver_asks_for_to_learn_a_type_is_part_of_the_call(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        await connection.execute("DROP TYPE IF EXISTS mood; CREATE TYPE mood AS ENUM ('glad')")
        assert await connection.fetchval("SELECT ARRAY['glad'::mood]") == ["glad"]
        await connection.set_type_codec("mood", encoder=str, decoder=str)

    with_connection(postgres, work)
    assert statements(xray)[1:] == ["SELECT ARRAY[?::mood]"]
    assert xray.roots[1].children == []


def test_a_class_of_connections_of_the_program_s_own_is_traced_once(postgres: int, xray: Traces) -> None:
    class Shouting(asyncpg.Connection):  # type: ignore[misc]
        async def fetchval(self, query: str, *args: object, **more: Any) -> Any:
            return await super().fetchval(f"{query} /* ! */", *args, **more)

    async def work(connection: Any) -> None:
        assert type(connection) is Shouting
        assert await connection.fetchval("SELECT 1") == 1

    with_connection(postgres, work, connection_class=Shouting)
    assert statements(xray) == ["SELECT ?"]


def test_outside_of_a_trace_and_unsampled_nothing_is_recorded(postgres: int) -> None:
    async def work(pool: Any) -> None:
        for header in (None, UNSAMPLED):
            with capture(header) as traces:
                assert await pool.fetchval("SELECT 1") == 1
                async with pool.acquire() as connection, connection.transaction():
                    assert [row[0] async for row in connection.cursor("SELECT 1")] == [1]
                await (await asyncpg.connect(**login(postgres))).close()
            assert traces.documents == []

    with_pool(postgres, work)


def test_patching_twice_records_once_and_unpatching_restores_every_function(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        patch("asyncpg")
        await connection.fetch("SELECT 1")
        unpatch("asyncpg")
        await connection.fetch("SELECT 1")

    with_connection(postgres, work)
    assert len(xray) == 1
    assert {name: getattr(asyncpg.Connection, name, None) for name in METHODS} == ORIGINALS
    assert (asyncpg.connect, asyncpg.connection.connect, asyncpg.connect_utils._connect) == FUNCTIONS
