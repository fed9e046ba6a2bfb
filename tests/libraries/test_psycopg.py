"""psycopg 3: each call to the database is one subsegment, streams and COPY to their end."""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import ClientCursor, Cursor, Pipeline, ServerCursor, connect, sql
from psycopg.rows import dict_row

from tests.libraries.databases import UNSAMPLED, exact, run_apart, statements
from tests.libraries.postgresql import SECRET, document, name, told, url
from tests.servers.postgres import DATABASE, PASSWORD, USER
from tests.servers.process import HOST
from xray_lambda import patch, subsegment, unpatch
from xray_lambda._context import current
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

PATCHED = [
    (Cursor, "execute"), (Cursor, "executemany"), (Cursor, "stream"), (Cursor, "copy"), (ServerCursor, "execute"),
    (Pipeline, "sync"), (Pipeline, "__exit__"), (psycopg.Connection, "connect"), (psycopg, "connect"),
]  # fmt: skip
ORIGINALS = {(owner, name): vars(owner)[name] for owner, name in PATCHED}
DRIVER = f"psycopg {psycopg.__version__}"


@pytest.fixture(autouse=True)
def patched() -> None:
    patch("psycopg")


@pytest.fixture
def connection(postgres: int) -> Iterator[psycopg.Connection]:
    """A connection that commits by itself, with an empty table."""
    with psycopg.connect(**told(postgres), autocommit=True) as made:
        with capture(header=None):
            made.execute("CREATE TEMP TABLE items (id INT PRIMARY KEY, name TEXT)")
        yield made


def test_a_statement_is_a_remote_subsegment_named_after_database_and_host(connection: Any, postgres: int) -> None:
    with exact() as traces, subsegment("handler"), connection.cursor() as cursor:
        cursor.execute("SELECT 7, %s WHERE 'x' = 'x'", (SECRET,))
        assert cursor.fetchall() == [(7, SECRET)]
    [one] = traces.documents
    version = connection.info.parameter_status("server_version").partition(" ")[0]
    assert one["subsegments"] == [document(postgres, version, DRIVER, "SELECT ?, %s WHERE ? = ?")]


def dsns(port: int) -> list[Any]:
    return [
        partial(psycopg.connect, f"host={HOST} port={port} user={USER} dbname={DATABASE} password={PASSWORD}"),
        partial(psycopg.connect, url(port, more="?application_name=hunter2")),
        partial(psycopg.connect, conninfo=url(port).replace(PASSWORD, "wrong"), password=PASSWORD),
        partial(psycopg.Connection.connect, **told(port)),
    ]


@pytest.mark.parametrize("case", range(4))
def test_whatever_form_the_dsn_has_connecting_is_recorded_without_the_password(
    postgres: int, xray: Traces, case: int
) -> None:
    """Under aws-xray-sdk `with psycopg.connect()` traces nothing, and neither does `connection.execute`."""
    with dsns(postgres)[case]() as connection:
        connection.execute("SELECT 1")
    assert statements(xray) == ["CONNECT", "SELECT ?"]
    assert {root.name for root in xray.roots} == {name(postgres)}
    assert all("database_version" in root.document["sql"] for root in xray.roots)
    assert {root.document["sql"]["url"] for root in xray.roots} == {f"postgresql://{HOST}:{postgres}/{DATABASE}"}
    assert "hunter2" not in str(xray.documents)


def test_a_connect_that_was_imported_before_makes_connections_that_are_traced(postgres: int, xray: Traces) -> None:
    with connect(**told(postgres)) as connection:
        connection.execute("SELECT 1")
    assert statements(xray) == ["SELECT ?"]


def test_each_way_to_run_a_statement_is_one_subsegment(connection: Any, xray: Traces) -> None:
    with connection.cursor() as cursor:
        assert cursor.execute(b"SELECT 'b'") is cursor
        cursor.executemany("INSERT INTO items VALUES (%s, %s)", [(1, SECRET), (2, "b")])
        connection.execute("SELECT 1", prepare=True)
        with connection.transaction():
            cursor.execute(query="SELECT 2", params=None)
    assert statements(xray) == ["SELECT ?", "INSERT INTO items VALUES (%s, %s)", "SELECT ?", "SELECT ?"]
    assert [root.document["sql"].get("preparation") for root in xray.roots] == [None, None, "statement", None]


def test_composed_sql_shows_its_names_and_its_literals_are_not_looked_at(connection: Any, xray: Traces) -> None:
    dumped: list[object] = []

    class Price:
        pass

    class Dumper(psycopg.adapt.Dumper):
        def dump(self, obj: object) -> bytes:
            dumped.append(obj)
            return b"17"

    connection.adapters.register_dumper(Price, Dumper)
    parts = (sql.Literal(Price()), sql.Placeholder(), sql.Identifier("t", 'a"b'))
    named = sql.SQL(", ").join([sql.Literal(SECRET), sql.Placeholder("name")])
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL('SELECT {}, {}, {} FROM (SELECT 19) AS t ("a""b")').format(*parts), (18,))
        assert cursor.fetchone() == ("17", 18, 19)
        cursor.execute(sql.SQL("SELECT ") + named, {"name": 20})
        assert cursor.fetchone() == (SECRET, 20)
    assert statements(xray) == [
        'SELECT ?, %s, "t"."a""b" FROM (SELECT ?) AS t ("a""b")',
        "SELECT ?, %(name)s",
    ]
    assert len(dumped) == 1


def test_a_stream_lasts_until_its_last_row_and_reads_none_ahead(connection: Any) -> None:
    with exact() as traces, subsegment("handler") as handler, connection.cursor() as cursor:
        rows = cursor.stream("SELECT generate_series(1, %s)", (3,))
        assert isinstance(rows, GeneratorType)
        assert next(rows) == (1,)
        with subsegment("between") as between:
            assert current.get() is between
        assert current.get() is handler
        assert list(rows) == [(2,), (3,)]
    between_node, stream = sorted(traces.one.children, key=lambda node: node.name)
    assert stream.document["start_time"] < between_node.document["start_time"]
    assert stream.document["end_time"] > between_node.document["end_time"]
    assert (statements(traces), stream.flags) == (["SELECT generate_series(?, %s)"], set())


@pytest.mark.parametrize("leave", [lambda rows: rows.close(), lambda rows: None], ids=["closed", "dropped"])
def test_a_stream_that_is_not_read_to_its_end_is_recorded(connection: Any, xray: Traces, leave: Any) -> None:
    rows = connection.cursor().stream("SELECT generate_series(1, 3)")
    next(rows)
    leave(rows)
    del rows
    assert (xray.one.flags, statements(xray)) == (set(), ["SELECT generate_series(?, ?)"])
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_copying_lasts_as_long_as_the_block_and_shows_no_row(connection: Any) -> None:
    with exact() as traces, subsegment("handler") as handler, connection.cursor() as cursor:
        with cursor.copy("COPY items FROM STDIN WITH (DELIMITER ';')") as copying:
            assert isinstance(copying, psycopg.Copy)
            assert current.get() is handler
            with subsegment("between"):
                copying.write(f"1;{SECRET}\n")
        with cursor.copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier("items"))) as copying:
            assert list(copying.rows()) == [("1", SECRET)]
    assert statements(traces) == ["COPY items FROM STDIN WITH (DELIMITER ?)", 'COPY "items" TO STDOUT']
    between = traces.find("between").document
    first = traces.one.children[0].document
    assert first["start_time"] < between["start_time"] < between["end_time"] < first["end_time"]
    assert SECRET not in str(traces.documents)


@pytest.mark.parametrize("kind", [ClientCursor, getattr(psycopg, "RawCursor", Cursor), type("Mine", (Cursor,), {})])
def test_every_class_of_cursors_is_traced(postgres: int, xray: Traces, kind: Any) -> None:
    made = psycopg.connect(**told(postgres), cursor_factory=kind, row_factory=dict_row)
    with made as connection, connection.cursor() as cursor:
        assert type(cursor) is kind
        cursor.execute("SELECT 1 AS a")
        assert cursor.fetchall() == [{"a": 1}]
    assert statements(xray)[1:] == ["SELECT ? AS a"]


def test_a_named_cursor_declares_its_statement_and_reads_rows_by_itself(postgres: int, xray: Traces) -> None:
    with psycopg.connect(**told(postgres)) as connection, connection.cursor("mine") as cursor:
        assert type(cursor) is ServerCursor
        cursor.execute("SELECT generate_series(1, 3)")
        assert [row for (row,) in cursor] == [1, 2, 3]
    assert statements(xray)[1:] == ["SELECT generate_series(?, ?)"]


def test_a_cursor_that_overrides_execute_and_calls_its_base_is_one_subsegment(connection: Any, xray: Traces) -> None:
    class Shouting(Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
            return super().execute(f"{query} -- !", params, **more)

    connection.cursor_factory = Shouting
    connection.execute("SELECT 1")
    assert statements(xray) == ["SELECT ?"]


def test_a_class_of_connections_of_the_program_s_own_is_traced(postgres: int, xray: Traces) -> None:
    class Shop(psycopg.Connection[Any]):
        @classmethod
        def connect(cls, conninfo: str = "", **more: Any) -> Any:
            return super().connect(conninfo, **{**told(postgres), **more})

    with Shop.connect() as connection:
        assert type(connection) is Shop
        connection.execute("SELECT 1")
    assert statements(xray) == ["CONNECT", "SELECT ?"]


def test_threads_record_side_by_side(postgres: int) -> None:
    patch("threads")
    meet = threading.Barrier(4, timeout=20)

    def work(number: int) -> Any:
        with psycopg.connect(**told(postgres)) as connection:
            meet.wait()
            return connection.execute("SELECT %s", (number,)).fetchone()[0]  # type: ignore[index]

    with capture() as traces, subsegment("handler"), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [0, 1, 2, 3]
    assert traces.one.names() == ("handler", [(name(postgres), [])] * 8)


def test_outside_of_a_trace_and_unsampled_nothing_is_recorded(connection: Any) -> None:
    for header in (None, UNSAMPLED):
        with capture(header) as traces, connection.cursor() as cursor:
            assert cursor.execute("SELECT 1").fetchone() == (1,)
            assert list(cursor.stream("SELECT 1")) == [(1,)]
            with cursor.copy("COPY items TO STDOUT") as copying:
                assert list(copying.rows()) == []
        assert traces.documents == []


def test_a_connection_and_a_cursor_made_before_the_patch_are_traced(postgres: int, xray: Traces) -> None:
    unpatch("psycopg")
    with psycopg.connect(**told(postgres)) as connection, connection.cursor() as cursor:
        patch("psycopg")
        cursor.execute("SELECT 1")
        connection.execute("SELECT 2")
    assert statements(xray) == ["SELECT ?"] * 2
    assert xray.roots[0].name == name(postgres)


def test_patching_twice_records_once_and_unpatching_restores_every_function(connection: Any, xray: Traces) -> None:
    patch("psycopg")
    connection.execute("SELECT 1")
    assert len(xray) == 1
    unpatch("psycopg")
    assert {key: vars(key[0])[key[1]] for key in ORIGINALS} == ORIGINALS


def test_copies_of_what_is_patched_work(connection: Any) -> None:
    assert copy.copy(psycopg.connect) == psycopg.connect


def test_the_patch_may_come_before_the_import(postgres: int) -> None:
    program = """
import json, sys
from xray_lambda import patch, unpatch
from xray_lambda.testing import capture
patch("psycopg")
assert "psycopg" not in sys.modules
from psycopg import connect
with capture() as traces:
    connect(sys.argv[1]).close()
unpatch()
import psycopg
with capture() as later:
    psycopg.connect(sys.argv[1]).close()
print(json.dumps([[root.name for root in traces.roots], len(later)]))
"""
    assert run_apart(program, url(postgres)) == [[name(postgres)], 0]
