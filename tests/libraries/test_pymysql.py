"""PyMySQL: each call to the database is one subsegment; rows, errors and classes stay as they are."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from pymysql.cursors import Cursor, DictCursor, SSCursor

from tests.libraries.databases import UNSAMPLED, exact, is_sql, run_apart, statements
from tests.servers.mariadb import DATABASE, PASSWORD, USER
from tests.servers.process import HOST, free_port
from xray_lambda import patch, subsegment, unpatch
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

PATCHED = [(Cursor, "execute"), (Cursor, "executemany"), (Cursor, "callproc"), (pymysql.Connection, "connect")]
ORIGINALS = {(owner, name): vars(owner)[name] for owner, name in PATCHED}
SECRET = "hunter2-in-a-value"


def connect(port: int, **more: Any) -> Any:
    told = {"host": HOST, "port": port, "user": USER, "password": PASSWORD, "database": DATABASE, "autocommit": True}
    return pymysql.connect(**{**told, **more})


@pytest.fixture
def connection(mariadb: int) -> Iterator[Any]:
    """A connection to a database with an empty table."""
    patch("pymysql")
    with closing(connect(mariadb)) as made:
        with capture(header=None):
            made.cursor().execute("CREATE OR REPLACE TABLE items (id INT PRIMARY KEY, name VARCHAR(100))")
        yield made


def test_a_statement_is_a_remote_subsegment_named_after_database_and_host(connection: Any, mariadb: int) -> None:
    with exact() as traces, subsegment("handler"), connection.cursor() as cursor:
        cursor.execute("SELECT 7, %s WHERE 'x' = 'x'", (SECRET,))
        assert cursor.fetchall() == ((7, SECRET),)
    [document] = traces.documents
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
                "database_version": connection.get_server_info().removeprefix("5.5.5-"),
                "driver_version": f"PyMySQL {pymysql.VERSION_STRING}",
                "sanitized_query": "SELECT ?, %s WHERE ? = ?",
            },
        }
    ]


@pytest.mark.parametrize(
    "many",
    ["INSERT INTO items VALUES (%s, %s)", "UPDATE items SET name = %s WHERE id = %s"],
    ids=["bulk", "one by one"],
)
def test_executemany_is_one_subsegment_whether_the_driver_joins_its_rows_or_not(
    connection: Any, xray: Traces, many: str
) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(many, [(1, SECRET), (2, "b")] if many.startswith("INSERT") else [(SECRET, 1), ("b", 2)])
    assert statements(xray) == [many]


def test_a_stored_procedure_is_a_prepared_call_and_its_result_can_be_read(connection: Any, xray: Traces) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE PROCEDURE doubled(IN n INT) SELECT n * 2")
        assert cursor.callproc("doubled", (21,)) == (21,)
        assert cursor.fetchall() == ((42,),)
    assert xray.roots[1].document["sql"]["preparation"] == "call"
    assert statements(xray)[1] == "CALL doubled"


@pytest.mark.parametrize("kind", [SSCursor, DictCursor, type("Mine", (DictCursor,), {})])
def test_every_class_of_cursors_is_traced_and_no_row_is_read(connection: Any, xray: Traces, kind: Any) -> None:
    with connection.cursor(kind) as cursor:
        assert type(cursor) is kind
        cursor.execute("SELECT seq AS n FROM seq_1_to_3")
        rows = cursor.fetchall()
    assert rows == [{"n": 1}, {"n": 2}, {"n": 3}] if issubclass(kind, DictCursor) else ((1,), (2,), (3,))
    assert len(xray) == 1


def test_a_cursor_that_overrides_execute_and_calls_its_base_is_one_subsegment(connection: Any, xray: Traces) -> None:
    class Shouting(Cursor):  # type: ignore[misc]
        def execute(self, query: str, args: object = None) -> Any:
            return super().execute(f"{query} -- !", args)

    with connection.cursor(Shouting) as cursor:
        cursor.executemany("update items set name = %s where id = %s", [("a", 1), ("b", 2)])
        cursor.execute("select 1")
    assert statements(xray) == ["update items set name = %s where id = %s", "select ?"]


def test_connecting_is_a_subsegment_too_and_the_connection_a_context_manager(mariadb: int, xray: Traces) -> None:
    patch("pymysql")
    with connect(mariadb) as connection, connection.cursor() as cursor:
        cursor.execute(b"SELECT 1")
    assert statements(xray) == ["CONNECT", "SELECT ?"]
    assert {root.document["sql"]["database_type"] for root in xray.roots} == {"MariaDB"}


def test_a_connection_and_a_cursor_made_before_the_patch_are_traced(mariadb: int, xray: Traces) -> None:
    with closing(connect(mariadb)) as connection, connection.cursor() as cursor:
        patch("pymysql")
        cursor.execute("SELECT 1")
    assert statements(xray) == ["SELECT ?"]


@pytest.mark.parametrize(
    ("statement", "kind", "said"),
    [
        (f"SELEC '{SECRET}'", pymysql.err.ProgrammingError, "to use near ? at line 1"),
        (
            f"SET @@sort_buffer_size = '{SECRET}'",
            pymysql.err.OperationalError,
            "1232 Incorrect argument type to variable",
        ),
        (f"ALTER TABLE items COMMENTED '{SECRET}'", pymysql.err.ProgrammingError, "to use near ? at line 1"),
        (f"CALL nowhere('{SECRET}')", pymysql.err.OperationalError, "1305 PROCEDURE shop.nowhere does not exist"),
    ],
)
def test_a_failing_statement_is_a_fault_with_the_driver_s_exception_and_without_what_it_quotes(
    connection: Any, xray: Traces, statement: str, kind: type[Exception], said: str
) -> None:
    with connection.cursor() as cursor, pytest.raises(kind):
        cursor.execute(statement)
    [node] = xray.roots
    [exception] = node.exceptions
    assert (node.flags, exception["type"]) == ({"fault"}, f"pymysql.err.{kind.__name__}")
    assert said in exception["message"]
    assert SECRET not in str(xray.documents)


def test_a_violated_constraint_is_a_fault_that_names_the_constraint_and_no_value(connection: Any, xray: Traces) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE items ADD UNIQUE by_name (name)")
        cursor.execute("INSERT INTO items VALUES (1, %s)", (SECRET,))
        with pytest.raises(pymysql.err.IntegrityError, match=SECRET) as caught:
            cursor.execute("INSERT INTO items VALUES (2, %s)", (SECRET,))
    assert caught.value.args[0] == 1062
    assert xray.roots[-1].exceptions[0]["message"] == "1062 Duplicate entry ? for key 'by_name'"
    assert SECRET not in str(xray.documents)


def test_a_refused_connection_is_a_fault_where_it_was_tried(xray: Traces) -> None:
    patch("pymysql")
    port = free_port()
    with pytest.raises(pymysql.err.OperationalError, match="Connection refused"):
        connect(port)
    assert xray.one.name == f"{DATABASE}@{HOST}:{port}"
    assert xray.one.flags == {"fault"}
    assert [one["type"] for one in xray.one.exceptions] == [
        "pymysql.err.OperationalError",
        "ConnectionRefusedError",
    ]


def test_a_wrong_password_is_a_fault_and_stays_secret(mariadb: int, xray: Traces) -> None:
    patch("pymysql")
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        connect(mariadb, password=SECRET)
    assert xray.one.exceptions[0]["message"].startswith(f"1045 Access denied for user '{USER}'@'")
    assert SECRET not in str(xray.documents)


def test_a_server_that_does_not_answer_in_time_is_a_fault(xray: Traces) -> None:
    patch("pymysql")
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen()
        with pytest.raises(pymysql.err.OperationalError):
            connect(silent.getsockname()[1], read_timeout=0.05)
    assert xray.one.flags == {"fault"}


def test_a_closed_cursor_fails_as_before_and_names_no_database(connection: Any, xray: Traces) -> None:
    cursor = connection.cursor()
    cursor.close()
    with pytest.raises(pymysql.err.ProgrammingError, match="Cursor closed"):
        cursor.execute("SELECT 1")
    assert (xray.one.name, xray.one.flags) == ("mysql", {"fault"})


def test_a_call_without_its_arguments_fails_in_the_driver_s_own_words(connection: Any, xray: Traces) -> None:
    with (
        connection.cursor() as cursor,
        pytest.raises(TypeError, match="missing 1 required positional argument: 'query'"),
    ):
        cursor.execute()
    assert len(xray) == 0


def test_threads_record_side_by_side(mariadb: int) -> None:
    patch("pymysql", "threads")
    meet = threading.Barrier(4, timeout=20)

    def work(number: int) -> Any:
        with closing(connect(mariadb)) as connection, connection.cursor() as cursor:
            meet.wait()
            cursor.execute("SELECT %s", (number,))
            return cursor.fetchone()[0]

    with capture() as traces, subsegment("handler"), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [0, 1, 2, 3]
    assert [child.children for child in traces.one.children] == [[]] * 8
    assert sum(map(is_sql, traces.one.children)) == 8


def test_outside_of_a_trace_and_unsampled_nothing_is_recorded(connection: Any) -> None:
    for header in (None, UNSAMPLED):
        with capture(header) as traces, connection.cursor() as cursor:
            assert cursor.execute("SELECT 1") == 1
        assert traces.documents == []


def test_patching_twice_records_once_and_unpatching_restores_every_function(connection: Any, xray: Traces) -> None:
    patch("pymysql")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert len(xray) == 1
    unpatch("pymysql")
    assert {key: vars(key[0])[key[1]] for key in ORIGINALS} == ORIGINALS


def test_the_patch_may_come_before_the_import(mariadb: int) -> None:
    program = """
import json, sys
from xray_lambda import patch
from xray_lambda.testing import capture
patch("pymysql")
assert "pymysql" not in sys.modules
import pymysql
with capture() as traces:
    pymysql.connect(host="127.0.0.1", port=int(sys.argv[1]), user=sys.argv[2], password=sys.argv[3]).close()
print(json.dumps([root.name for root in traces.roots]))
"""
    assert run_apart(program, mariadb, USER, PASSWORD) == [f"{HOST}:{mariadb}"]
