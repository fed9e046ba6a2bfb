"""mysql-connector-python: each call is one subsegment, in Python, with the C extension and with asyncio."""

from __future__ import annotations

import asyncio
import importlib
import re
from contextlib import asynccontextmanager, closing, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import mysql.connector
import pytest
from mysql.connector.connection import MySQLConnection
from mysql.connector.cursor import MySQLCursor, MySQLCursorPrepared
from mysql.connector.pooling import MySQLConnectionPool

from tests.libraries.databases import UNSAMPLED, exact, run_apart, run_untidy, statements
from tests.servers.mariadb import DATABASE, PASSWORD, USER
from tests.servers.process import HOST, free_port
from xray_lambda import patch, subsegment, unpatch
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from xray_lambda.testing import Traces

PATCHED = [
    (MySQLCursor, "execute"), (MySQLCursor, "executemany"), (MySQLCursor, "callproc"),
    (MySQLCursorPrepared, "execute"), (MySQLCursorPrepared, "executemany"), (MySQLConnection, "_open_connection"),
]  # fmt: skip
ORIGINALS = {(owner, name): vars(owner)[name] for owner, name in PATCHED}
SECRET = "hunter2-in-a-value"
with_asyncio = pytest.mark.skipif(find_spec("mysql.connector.aio") is None, reason="8.3 brought asyncio")


def settings(port: int, **more: Any) -> dict[str, Any]:
    told = {"host": HOST, "port": port, "user": USER, "password": PASSWORD, "database": DATABASE, "autocommit": True}
    return {**told, "ssl_disabled": True, **more}


def connect(port: Any, **more: Any) -> Any:
    return mysql.connector.connect(use_pure=True, **settings(port, **more))


@pytest.fixture
def connection(mariadb: int) -> Iterator[Any]:
    """A connection to a database with an empty table."""
    patch("mysql.connector")
    with closing(connect(mariadb)) as made:
        with capture(header=None):
            made.cursor().execute("CREATE OR REPLACE TABLE items (id INT PRIMARY KEY, name VARCHAR(100))")
        yield made


def test_a_statement_is_a_remote_subsegment_named_after_database_and_host(connection: Any, mariadb: int) -> None:
    with exact() as traces, subsegment("handler"), closing(connection.cursor()) as cursor:
        cursor.execute("SELECT 7, %s WHERE 'x' = 'x'", (SECRET,))
        assert cursor.fetchall() == [(7, SECRET)]
    [document] = traces.documents
    version = document["subsegments"][0]["sql"].pop("database_version")
    assert re.match(r"\d+\.\d+\.\d+-MariaDB", version)
    assert document["subsegments"] == [
        {
            "name": f"{DATABASE}@{HOST}:{mariadb}",
            "id": "0000000000000002",
            "start_time": 1700000000.001,
            "end_time": 1700000000.002,
            "namespace": "remote",
            "sql": {
                "url": f"mysql://{HOST}:{mariadb}/{DATABASE}",
                "user": USER,
                "database_type": "MariaDB",
                "driver_version": f"mysql-connector-python {mysql.connector.__version__}",
                "sanitized_query": "SELECT ?, %s WHERE ? = ?",
            },
        }
    ]


@pytest.mark.parametrize("many", ["INSERT INTO items VALUES (%s, %s)", "UPDATE items SET name = %s WHERE id = %s"])
@pytest.mark.parametrize("prepared", [False, True])
def test_executemany_is_one_subsegment_whether_the_driver_joins_its_rows_or_not(
    connection: Any, xray: Traces, many: str, prepared: bool
) -> None:
    with closing(connection.cursor(prepared=prepared)) as cursor:
        cursor.executemany(many, [(1, SECRET), (2, "b")] if many.startswith("INSERT") else [(SECRET, 1), ("b", 2)])
    assert statements(xray) == [many]


def test_a_prepared_statement_says_so_and_is_prepared_once(connection: Any, xray: Traces) -> None:
    statement = "SELECT %s"
    with closing(connection.cursor(prepared=True)) as cursor:
        for number in (1, 2):
            cursor.execute(statement, (number,))
            assert cursor.fetchall() == [(number,)]
    with closing(connection.cursor()) as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Com_stmt_prepare'")
        assert cursor.fetchall() == [("Com_stmt_prepare", "1")]
    assert [root.document["sql"].get("preparation") for root in xray.roots] == ["statement", "statement", None]


@pytest.mark.filterwarnings("ignore:Call to deprecated function stored_results")
def test_a_stored_procedure_is_a_prepared_call_and_its_results_can_be_read(connection: Any, xray: Traces) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute("CREATE OR REPLACE PROCEDURE doubled(IN n INT) SELECT n * 2")
        cursor.callproc("doubled", (21,))
        assert [result.fetchall() for result in cursor.stored_results()] == [[(42,)]]
    assert xray.roots[1].document["sql"]["preparation"] == "call"
    assert statements(xray)[1] == "CALL doubled"


@pytest.mark.parametrize("kind", ["dictionary", "raw", "buffered"])
def test_every_kind_of_cursor_is_traced_and_no_row_is_read(connection: Any, xray: Traces, kind: str) -> None:
    with closing(connection.cursor(**{kind: True})) as cursor:
        cursor.execute("SELECT 'a' AS n")
        row = cursor.fetchone()
    assert row == {"dictionary": {"n": "a"}, "raw": (b"a",), "buffered": ("a",)}[kind]
    assert statements(xray) == ["SELECT ? AS n"]


def test_connecting_is_a_subsegment_too_and_a_pooled_connection_is_traced(mariadb: int, xray: Traces) -> None:
    patch("mysql")
    pool = MySQLConnectionPool(pool_size=1, pool_name="shop", use_pure=True, **settings(mariadb))
    with closing(pool.get_connection()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()
    assert statements(xray) == ["CONNECT", "SELECT ?"]
    assert {root.document["sql"]["database_type"] for root in xray.roots} == {"MariaDB"}
    assert pool._remove_connections() == 1


def test_a_connection_made_before_the_patch_is_traced(mariadb: int, xray: Traces) -> None:
    with closing(connect(mariadb)) as connection, closing(connection.cursor()) as cursor:
        patch("mysql.connector")
        cursor.execute("SELECT 1")
        cursor.fetchall()
    assert statements(xray) == ["SELECT ?"]


def test_nothing_is_asked_of_the_server(connection: Any, xray: Traces) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Questions'")
        [(_, before)] = cursor.fetchall()
        cursor.execute("SHOW SESSION STATUS LIKE 'Questions'")
        assert cursor.fetchall() == [("Questions", str(int(before) + 1))]
    assert len(xray) == 2


@pytest.mark.skipif(mysql.connector.__version_info__ >= (9, 2), reason="9.2 took `multi` away")
def test_many_statements_in_one_are_left_alone(connection: Any, xray: Traces) -> None:
    with closing(connection.cursor()) as cursor:
        assert [one.fetchall() for one in cursor.execute("SELECT 1; SELECT 2", multi=True)] == [[(1,)], [(2,)]]
    assert len(xray) == 0


def test_a_failing_statement_is_a_fault_with_the_driver_s_exception_and_without_what_it_quotes(
    connection: Any, xray: Traces
) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute("INSERT INTO items VALUES (7, %s)", (SECRET,))
        with pytest.raises(mysql.connector.IntegrityError) as caught:
            cursor.execute("INSERT INTO items VALUES (7, %s)", (SECRET,))
        with pytest.raises(mysql.connector.ProgrammingError):
            cursor.execute(f"SELEC '{SECRET}'")
    assert (caught.value.errno, caught.value.sqlstate) == (1062, "23000")
    assert [root.flags for root in xray.roots] == [set(), {"fault"}, {"fault"}]
    assert xray.roots[1].exceptions[0]["message"] == "1062 (23000): Duplicate entry ? for key 'PRIMARY'"
    assert SECRET not in str(xray.documents)


def test_a_refused_connection_and_a_wrong_password_are_faults_where_it_was_tried(mariadb: int, xray: Traces) -> None:
    patch("mysql.connector")
    port = free_port()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"port": port}, "Can't connect"),
        ({"password": SECRET}, "Access denied"),
    ]
    for told, said in cases:
        with pytest.raises(mysql.connector.Error, match=said):
            connect(**{"port": mariadb, **told})
    assert [root.name for root in xray.roots] == [f"{DATABASE}@{HOST}:{port}", f"{DATABASE}@{HOST}:{mariadb}"]
    assert [root.flags for root in xray.roots] == [{"fault"}, {"fault"}]
    assert SECRET not in str(xray.documents)


def test_a_closed_cursor_and_a_cursor_whose_connection_is_gone_fail_as_before(mariadb: int, xray: Traces) -> None:
    connection = connect(mariadb)
    patch("mysql.connector")
    closed, orphan = connection.cursor(), connection.cursor()
    closed.close()
    with pytest.raises(mysql.connector.ProgrammingError, match="Cursor is not connected"):
        closed.execute("SELECT 1")
    connection.close()
    del connection
    with pytest.raises(mysql.connector.Error):
        orphan.execute("SELECT 1")
    assert [root.flags for root in xray.roots] == [{"fault"}, {"fault"}]
    assert xray.roots[0].name == "mysql"


def test_outside_of_a_trace_and_unsampled_nothing_is_recorded(connection: Any) -> None:
    for header in (None, UNSAMPLED):
        with capture(header) as traces, closing(connection.cursor()) as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == [(1,)]
        assert traces.documents == []


def test_patching_twice_records_once_and_unpatching_restores_every_function(connection: Any, xray: Traces) -> None:
    patch("mysql.connector")
    with closing(connection.cursor()) as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()
    assert len(xray) == 1
    unpatch("mysql.connector")
    assert {key: vars(key[0])[key[1]] for key in ORIGINALS} == ORIGINALS


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Any]:
    aio = importlib.import_module("mysql.connector.aio")
    connection = await aio.connect(**settings(port))
    try:
        yield connection
    finally:
        with suppress(RuntimeError):  # 9.1 stumbles over cursors that are still open
            await connection.close()


@with_asyncio
def test_tasks_of_asyncio_record_side_by_side(mariadb: int) -> None:
    async def work(number: int) -> Any:
        async with connected(mariadb) as connection:
            cursor = await connection.cursor(prepared=bool(number))
            await cursor.execute("SELECT %s", (number,))
            return (await cursor.fetchone())[0]

    async def handler() -> list[Any]:
        with subsegment("handler"):
            return await asyncio.gather(*map(work, range(3)))

    patch("mysql.connector")
    with capture() as traces:
        assert run_untidy(handler()) == [0, 1, 2]
    assert [child.children for child in traces.one.children] == [[]] * 6
    assert sorted(statements(traces)) == ["CONNECT"] * 3 + ["SELECT %s"] * 3
    kinds = [child.document["sql"].get("preparation") for child in traces.one.children]
    assert sorted(kinds, key=str) == [None] * 4 + ["statement"] * 2


@with_asyncio
def test_a_cancelled_task_is_no_fault_and_its_subsegment_is_closed(mariadb: int, xray: Traces) -> None:
    async def work() -> None:
        async with connected(mariadb) as connection:
            cursor = await connection.cursor()
            await asyncio.wait_for(cursor.execute("SELECT SLEEP(30)"), 0.1)

    patch("mysql.connector")
    with pytest.raises(asyncio.TimeoutError):
        run_untidy(work())
    assert statements(xray) == ["CONNECT", "SELECT SLEEP(?)"]
    assert (xray.roots[1].flags, xray.roots[1].metadata) == (set(), {"xray_lambda": {"cancelled": True}})


def test_the_patch_may_come_before_the_import_and_the_c_extension_is_traced(mariadb: int) -> None:
    program = """
import json, sys
import _mysql_connector  # before Python's ssl, which may bring an older OpenSSL than this wants
from xray_lambda import patch
from xray_lambda.testing import capture
patch("mysql.connector")
assert "mysql.connector" not in sys.modules
import mysql.connector
with capture() as traces:
    port, user, password = int(sys.argv[1]), *sys.argv[2:]
    connection = mysql.connector.connect(host="127.0.0.1", port=port, user=user, password=password)
    assert type(connection).__name__ == "CMySQLConnection"
    for how in ({}, {"prepared": True}, {"dictionary": True}):
        cursor = connection.cursor(**how)
        cursor.execute("SELECT 1 AS n")
        assert list(cursor) in ([(1,)], [{"n": 1}])
        cursor.close()
    try:
        connection.cursor().execute("SELEC 'hunter2'")
    except mysql.connector.ProgrammingError as error:
        assert "hunter2" in error.msg
    connection.close()
    try:
        cursor.execute("SELECT 1")
    except mysql.connector.Error:
        pass
assert "hunter2" not in str(traces.documents)
print(json.dumps([[root.name, root.document["sql"].get("preparation"), sorted(root.flags)] for root in traces.roots]))
"""
    place = f"{HOST}:{mariadb}"
    assert run_apart(program, mariadb, USER, PASSWORD) == [
        [place, None, []],
        [place, None, []],
        [place, "statement", []],
        [place, None, []],
        [place, None, ["fault"]],
        ["mysql", None, ["fault"]],
    ]
