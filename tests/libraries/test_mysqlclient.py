"""mysqlclient: each call to the database is one subsegment; rows, errors and classes stay as they are."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import MySQLdb
import pytest
from MySQLdb.connections import Connection
from MySQLdb.cursors import BaseCursor, Cursor, DictCursor, SSCursor

from tests.libraries.databases import UNSAMPLED, exact, run_apart, statements
from tests.servers.mariadb import DATABASE, PASSWORD, USER
from tests.servers.process import HOST, free_port
from xray_lambda import patch, subsegment, unpatch
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

PATCHED = [(BaseCursor, "execute"), (BaseCursor, "executemany"), (Cursor, "callproc"), (Connection, "__init__")]
ORIGINALS = {(owner, name): vars(owner).get(name) for owner, name in PATCHED}
SECRET = "hunter2-in-a-value"


def connect(port: Any, **more: Any) -> Any:
    told = {"host": HOST, "port": port, "user": USER, "passwd": PASSWORD, "db": DATABASE, "autocommit": True}
    return MySQLdb.connect(**{**told, **more})


@pytest.fixture
def connection(mariadb: int) -> Iterator[Any]:
    """A connection to a database with an empty table."""
    patch("mysqlclient")
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
                "driver_version": "mysqlclient " + ".".join(map(str, MySQLdb.version_info[:3])),
                "sanitized_query": "SELECT ?, %s WHERE ? = ?",
            },
        }
    ]


@pytest.mark.parametrize("many", ["INSERT INTO items VALUES (%s, %s)", "UPDATE items SET name = %s WHERE id = %s"])
def test_executemany_is_one_subsegment_whether_the_driver_joins_its_rows_or_not(
    connection: Any, xray: Traces, many: str
) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(many, [(1, SECRET), (2, "b")] if many.startswith("INSERT") else [(SECRET, 1), ("b", 2)])
    assert statements(xray) == [many]


def test_a_stored_procedure_is_a_prepared_call_and_its_result_can_be_read(connection: Any, xray: Traces) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE PROCEDURE doubled(IN n INT) SELECT n * 2")
        cursor.callproc("doubled", (21,))
        assert cursor.fetchall() == ((42,),)
    assert xray.roots[1].document["sql"]["preparation"] == "call"
    assert statements(xray)[1] == "CALL doubled"


@pytest.mark.parametrize("kind", [SSCursor, DictCursor, type("Mine", (DictCursor,), {})])
def test_every_class_of_cursors_is_traced_and_no_row_is_read(connection: Any, xray: Traces, kind: Any) -> None:
    with connection.cursor(kind) as cursor:
        assert type(cursor) is kind
        cursor.execute(b"SELECT seq AS n FROM seq_1_to_3")
        rows = cursor.fetchall()
    assert rows == (({"n": 1}, {"n": 2}, {"n": 3}) if issubclass(kind, DictCursor) else ((1,), (2,), (3,)))
    assert statements(xray) == ["SELECT seq AS n FROM seq_1_to_3"]


def test_connecting_is_a_subsegment_too_whichever_way_it_is_told_where(mariadb: int, xray: Traces) -> None:
    patch("mysqlclient")
    with closing(MySQLdb.connect(HOST, USER, PASSWORD, DATABASE, mariadb)) as connection:
        connection.cursor().execute("SELECT 1")
    assert statements(xray) == ["CONNECT", "SELECT ?"]
    assert {root.document["sql"]["database_type"] for root in xray.roots} == {"MariaDB"}
    assert {root.name for root in xray.roots} == {f"{DATABASE}@{HOST}:{mariadb}"}
    assert [root.document["sql"]["user"] for root in xray.roots] == [USER, USER]


def test_a_connection_made_before_the_patch_is_traced_by_the_host_that_it_knows(mariadb: int, xray: Traces) -> None:
    with closing(connect(mariadb)) as connection, connection.cursor() as cursor:
        patch("mysqlclient")
        cursor.execute("SELECT 1")
    assert xray.one.name == f"{HOST}:{mariadb}"


def test_a_subclass_of_the_connection_is_traced_and_stays_what_it_is(mariadb: int, xray: Traces) -> None:
    class Mine(Connection):  # type: ignore[misc]
        pass

    patch("mysqlclient")
    with closing(Mine(host=HOST, port=mariadb, user=USER, password=PASSWORD, database=DATABASE)) as connection:
        assert type(connection) is Mine
        connection.query("SELECT 1")  # the C library's own way, which no card follows
        assert connection.store_result().fetch_row() == ((1,),)
    assert statements(xray) == ["CONNECT"]


def test_a_failing_statement_is_a_fault_with_the_driver_s_exception_and_without_what_it_quotes(
    connection: Any, xray: Traces
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO items VALUES (7, %s)", (SECRET,))
        with pytest.raises(MySQLdb.IntegrityError) as caught:
            cursor.execute("INSERT INTO items VALUES (7, %s)", (SECRET,))
        with pytest.raises(MySQLdb.ProgrammingError):
            cursor.execute(f"SELEC '{SECRET}'")
    assert caught.value.args == (1062, "Duplicate entry '7' for key 'PRIMARY'")
    assert [root.flags for root in xray.roots] == [set(), {"fault"}, {"fault"}]
    assert xray.roots[1].exceptions[0]["message"] == "1062 Duplicate entry ? for key 'PRIMARY'"
    assert SECRET not in str(xray.documents)


def test_a_refused_connection_and_a_wrong_password_are_faults_where_it_was_tried(mariadb: int, xray: Traces) -> None:
    patch("mysqlclient")
    port = free_port()
    cases: list[tuple[dict[str, Any], str]] = [({"port": port}, "Can't connect"), ({"passwd": SECRET}, "Access denied")]
    for told, said in cases:
        with pytest.raises(MySQLdb.OperationalError, match=said):
            connect(**{"port": mariadb, **told})
    assert [root.name for root in xray.roots] == [f"{DATABASE}@{HOST}:{port}", f"{DATABASE}@{HOST}:{mariadb}"]
    assert [root.flags for root in xray.roots] == [{"fault"}, {"fault"}]
    assert SECRET not in str(xray.documents)


def test_a_closed_cursor_and_a_closed_connection_fail_as_before(mariadb: int, xray: Traces) -> None:
    connection = connect(mariadb)
    patch("mysqlclient")
    closed, cursor = connection.cursor(), connection.cursor()
    closed.close()
    connection.close()
    with pytest.raises(MySQLdb.ProgrammingError, match="cursor closed"):
        closed.execute("SELECT 1")
    with pytest.raises(MySQLdb.Error):
        cursor.execute("SELECT 1")
    assert [(root.name, root.flags) for root in xray.roots] == [("mysql", {"fault"})] * 2


def test_outside_of_a_trace_and_unsampled_nothing_is_recorded(connection: Any) -> None:
    for header in (None, UNSAMPLED):
        with capture(header) as traces, connection.cursor() as cursor:
            assert cursor.execute("SELECT 1") == 1
        assert traces.documents == []


def test_patching_twice_records_once_and_unpatching_restores_every_function(connection: Any, xray: Traces) -> None:
    patch("MySQLdb")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert len(xray) == 1
    unpatch("MySQLdb")
    assert {key: vars(key[0]).get(key[1]) for key in ORIGINALS} == ORIGINALS


def test_the_patch_may_come_before_the_import(mariadb: int) -> None:
    program = """
import json, sys
from xray_lambda import patch
from xray_lambda.testing import capture
patch("mysqlclient")
assert "MySQLdb" not in sys.modules
import MySQLdb
with capture() as traces:
    port, user, password = int(sys.argv[1]), *sys.argv[2:]
    MySQLdb.connect(host="127.0.0.1", port=port, user=user, password=password).cursor().execute("SELECT 1")
print(json.dumps([root.name for root in traces.roots]))
"""
    assert run_apart(program, mariadb, USER, PASSWORD) == [f"{HOST}:{mariadb}"] * 2
