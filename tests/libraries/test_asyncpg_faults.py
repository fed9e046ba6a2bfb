"""asyncpg: what goes wrong is recorded as what it is; the program gets the driver's exception, the trace no value."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.libraries.asyncpg_program import with_connection, with_pool
from tests.libraries.databases import statements
from tests.libraries.postgresql import SECRET, login, name, silent_server, url
from tests.servers.postgres import DATABASE, USER
from tests.servers.process import HOST, free_port
from xray_lambda import patch, subsegment
from xray_lambda._context import current

if TYPE_CHECKING:
    from xray_lambda.testing import Traces

CARD_NUMBER = 4111111111111111
errors: Any = asyncpg.exceptions


@pytest.mark.parametrize(
    ("statement", "values", "kind", "said"),
    [
        (f"SELECT 1 '{SECRET}'", [], errors.PostgresSyntaxError, "syntax error at or near ?"),
        (
            f"SELECT '{SECRET}'::int",
            [],
            errors.InvalidTextRepresentationError,
            "invalid input syntax for type integer: ?",
        ),
        ("SELECT nowhere FROM items", [], errors.UndefinedColumnError, 'column "nowhere" does not exist'),
        (
            "INSERT INTO items VALUES (1, $1), (1, $1)",
            [SECRET],
            errors.UniqueViolationError,
            'duplicate key value violates unique constraint "items_pkey"',
        ),
        (
            "INSERT INTO items VALUES (NULL, $1)",
            [SECRET],
            errors.NotNullViolationError,
            'null value in column "id" of relation "items" violates not-null constraint',
        ),
        (
            "SELECT $1::int",
            [CARD_NUMBER],
            errors.DataError,
            "invalid input for query argument $1 (value out of int32 range)",
        ),
        (
            "SELECT $1::uuid",
            [SECRET],
            errors.DataError,
            "invalid input for query argument $1 (invalid UUID ?: length must be between 32..36 characters, got 18)",
        ),
    ],
)  # fmt: skip
def test_a_failing_statement_is_a_fault_with_the_driver_s_exception_and_without_what_it_quotes(
    postgres: int, xray: Traces, statement: str, values: list[object], kind: type[Exception], said: str
) -> None:
    async def work(connection: Any) -> None:
        with pytest.raises(kind) as caught:
            await connection.fetch(statement, *values)
        assert type(caught.value) is kind

    with_connection(postgres, work)
    exception = xray.one.exceptions[0]
    assert (xray.one.flags, exception["type"]) == ({"fault"}, f"{kind.__module__}.{kind.__qualname__}")
    assert exception["message"] == said
    assert SECRET not in str(xray.documents)
    assert str(CARD_NUMBER) not in str(xray.documents)


def test_a_value_that_fits_no_column_is_hidden_in_executemany_too(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        with pytest.raises(errors.DataError, match=str(CARD_NUMBER)):
            await connection.executemany("INSERT INTO items VALUES ($1)", [(1,), (CARD_NUMBER,)])

    with_connection(postgres, work)
    assert xray.one.flags == {"fault"}
    assert str(CARD_NUMBER) not in str(xray.documents)


def test_a_row_that_fails_while_a_cursor_goes_on_is_a_fault(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        async with connection.transaction():
            with pytest.raises(errors.DivisionByZeroError):
                async for _ in connection.cursor("SELECT 1 / (n - 60) FROM generate_series(1, 99) AS n"):
                    pass

    with_connection(postgres, work)
    asked = [root.flags for root in xray.roots if "series" in root.document["sql"]["sanitized_query"]]
    assert asked == [set(), {"fault"}]


def test_a_cursor_of_a_wrong_statement_is_a_fault(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        with pytest.raises(errors.PostgresSyntaxError):
            await connection.cursor(f"SELEC '{SECRET}'")
        with pytest.raises(errors.PostgresSyntaxError):
            async for _ in connection.cursor(f"SELEC '{SECRET}'"):
                pass

    with_connection(postgres, work)
    assert statements(xray) == ["SELEC ?", "SELEC ?"]
    assert [root.flags for root in xray.roots] == [{"fault"}, {"fault"}]


def test_a_statement_that_takes_too_long_is_a_fault(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await connection.execute("SELECT pg_sleep(60)", timeout=0.05)

    with_connection(postgres, work)
    assert xray.one.flags == {"fault"}
    assert xray.one.exceptions[0]["type"].endswith("TimeoutError")


def test_a_cancelled_statement_is_no_fault_and_is_closed(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        with subsegment("handler") as handler:
            task = asyncio.ensure_future(connection.execute("SELECT pg_sleep(60)"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert current.get() is handler

    with_connection(postgres, work)
    [call] = xray.one.children
    assert (call.flags, call.metadata) == (set(), {"xray_lambda": {"cancelled": True}})


def test_a_closed_connection_is_a_fault_that_still_names_the_database(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        statement = await connection.prepare("SELECT 1")
        await connection.close()
        for call in (connection.fetchval, connection.execute):
            with pytest.raises(errors.InterfaceError, match="connection is closed"):
                await call("SELECT 2")
        with pytest.raises(errors.InterfaceError, match="is closed"):
            await statement.fetch()

    with_connection(postgres, work)
    assert {root.name for root in xray.roots} == {name(postgres)}
    assert [root.flags for root in xray.roots] == [set(), {"fault"}, {"fault"}, {"fault"}]


def test_a_closed_pool_and_one_that_gives_no_connection_in_time_are_faults(postgres: int, xray: Traces) -> None:
    async def work(pool: Any) -> None:
        taken = await pool.acquire()
        with pytest.raises(asyncio.TimeoutError):
            await pool.acquire(timeout=0.01)
        await pool.release(taken)
        await pool.close()
        with pytest.raises(errors.InterfaceError, match="pool is clos"):
            await pool.fetch("SELECT 1")
        with pytest.raises(errors.InterfaceError, match="pool is not initialized"):
            await asyncpg.create_pool(url(postgres)).acquire()

    with_pool(postgres, work)
    assert statements(xray) == ["ACQUIRE"] * 3
    assert [root.flags for root in xray.roots] == [{"fault"}] * 3
    assert {root.name for root in xray.roots} == {name(postgres)}


def test_a_refused_connection_is_a_fault_where_it_was_tried(xray: Traces) -> None:
    patch("asyncpg")
    port = free_port()
    for told in (login(port), {"dsn": url(port)}, {"dsn": url(1), "port": port, "host": [HOST]}):
        with pytest.raises(ConnectionRefusedError):
            asyncio.run(asyncpg.connect(**told))
    assert [(root.name, root.flags) for root in xray.roots] == [(name(port), {"fault"})] * 3
    assert {root.exceptions[0]["type"] for root in xray.roots} == {"ConnectionRefusedError"}


@pytest.mark.parametrize(
    ("dsn", "named"),
    [
        (f"postgres://{USER}:{SECRET}@{HOST}:{{port}},{HOST}:{{port}}/{DATABASE}?ssl=disable", f"{DATABASE}@{HOST}"),
        (f"postgresql://{USER}:{SECRET}@/{DATABASE}?host={HOST}&port={{port}}&ssl=disable", f"{DATABASE}@{HOST}"),
        (f"postgresql://{HOST}:{{port}}?user={USER}&password={SECRET}&database=sh%2Fop", f"sh/op@{HOST}"),
        (f"postgresql://{USER}:{SECRET}@{HOST}:{{port}}", f"{USER}@{HOST}"),
    ],
)
def test_a_url_gives_the_name_and_never_the_password(xray: Traces, dsn: str, named: str) -> None:
    patch("asyncpg")
    port = free_port()
    with pytest.raises(OSError, match=r"refused|failed"):
        asyncio.run(asyncpg.connect(dsn.format(port=port)))
    assert xray.one.name == f"{named}:{port}"
    assert SECRET not in str(xray.documents)


@pytest.mark.parametrize("dsn", [f"postgres://u:p@h:{SECRET}/d", f"postgresql://[{SECRET}/d"])
def test_a_url_that_is_none_is_a_fault_in_the_driver_s_words_and_stays_secret(xray: Traces, dsn: str) -> None:
    patch("asyncpg")
    with pytest.raises(ValueError, match=r"invalid literal|IPv6") as caught:
        asyncio.run(asyncpg.connect(dsn))
    assert xray.one.flags == {"fault"}
    assert xray.one.exceptions[0]["type"].rpartition(".")[2] == type(caught.value).__name__
    assert SECRET not in str(xray.documents)


def test_a_wrong_password_is_a_fault_and_stays_secret(postgres: int, xray: Traces) -> None:
    patch("asyncpg")
    with pytest.raises(errors.InvalidPasswordError):
        asyncio.run(asyncpg.connect(url(postgres, SECRET)))
    assert xray.one.exceptions[0]["message"] == f'password authentication failed for user "{USER}"'
    assert SECRET not in str(xray.documents)


def test_a_server_that_does_not_answer_in_time_is_a_fault(xray: Traces) -> None:
    patch("asyncpg")
    with silent_server() as port, pytest.raises(asyncio.TimeoutError):
        asyncio.run(asyncpg.connect(**login(port), timeout=0.05))
    assert (xray.one.name, xray.one.flags) == (name(port), {"fault"})
    assert xray.one.exceptions[0]["type"].endswith("TimeoutError")


def test_a_call_without_its_arguments_fails_in_the_driver_s_own_words(postgres: int, xray: Traces) -> None:
    async def work(connection: Any) -> None:
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'query'"):
            await connection.fetch()

    with_connection(postgres, work)
    assert len(xray) == 0
