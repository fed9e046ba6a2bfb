"""psycopg 3: each call to the database is one subsegment, streams and COPY to their end; and psycopg_pool."""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg_pool
import pytest
from psycopg import ClientCursor, Cursor, Pipeline, ServerCursor, connect, sql
from psycopg.rows import dict_row

from tests.libraries.databases import UNSAMPLED, exact, run_apart, statements
from tests.libraries.postgresql import SECRET, document, login, name, silent_server, url
from tests.servers.postgres import DATABASE, PASSWORD, USER
from tests.servers.process import HOST, free_port
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


def told(port: int, **more: Any) -> dict[str, Any]:
    given = login(port, **more)
    return {"dbname": given.pop("database"), **given}


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


def test_a_stream_that_fails_half_way_is_a_fault(connection: Any, xray: Traces) -> None:
    rows = connection.cursor().stream("SELECT 1 / (2 - generate_series(1, 3))")
    with pytest.raises(psycopg.errors.DivisionByZero):
        list(rows)
    assert xray.one.exceptions[0]["type"] == "psycopg.errors.DivisionByZero"


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


def test_copying_that_fails_is_a_fault_whoever_made_it_fail(connection: Any, xray: Traces) -> None:
    def stop(copying: Any) -> None:
        raise ZeroDivisionError

    def violate(copying: Any) -> None:
        copying.write_row((1, SECRET))
        copying.write_row((1, SECRET))

    def run(statement: str, work: Any) -> None:
        with connection.cursor().copy(statement) as copying:
            work(copying)

    cases: list[tuple[str, Any, Any]] = [
        ("COPY nowhere FROM STDIN", stop, psycopg.errors.UndefinedTable),
        # Before 3.1.10, what the server made of it passes on.
        ("COPY items FROM STDIN", stop, (ZeroDivisionError, psycopg.errors.QueryCanceled)),
        ("COPY items FROM STDIN", violate, psycopg.errors.UniqueViolation),
    ]
    for statement, work, kind in cases:
        with pytest.raises(kind):
            run(statement, work)
    assert [root.flags for root in xray.roots] == [{"fault"}] * 3
    assert SECRET not in str(xray.documents)


def test_a_pipeline_s_failure_comes_with_its_sync(connection: Any, xray: Traces) -> None:
    def run() -> None:
        with connection.pipeline() as pipeline, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            pipeline.sync()
            assert cursor.fetchone() == (1,)
            cursor.execute("SELECT 1 / 0")

    if not psycopg.Pipeline.is_supported():
        pytest.skip("this libpq has no pipeline mode")
    with pytest.raises(psycopg.errors.DivisionByZero):
        run()
    assert statements(xray) == ["SELECT ?", "SYNC", "SELECT ? / ?", "SYNC"]
    assert [root.flags for root in xray.roots] == [set(), set(), set(), {"fault"}]


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


def test_a_pool_s_connections_are_traced_and_a_closed_pool_fails_as_before(postgres: int, xray: Traces) -> None:
    with psycopg_pool.ConnectionPool(url(postgres), min_size=1, open=False) as pool:
        pool.open()
        with pool.connection() as connection:
            connection.execute("SELECT 1")
    with pytest.raises(psycopg_pool.PoolClosed):
        pool.getconn()
    assert "SELECT ?" in statements(xray)
    assert set(statements(xray)) <= {"CONNECT", "SELECT ?"}


@pytest.mark.parametrize(
    ("statement", "kind", "said"),
    [
        (f"SELEC '{SECRET}'", psycopg.errors.SyntaxError, "syntax error at or near ?"),
        ("SELECT nothing FROM items", psycopg.errors.UndefinedColumn, 'column "nothing" does not exist'),
        (f"SELECT '{SECRET}'::int", psycopg.errors.InvalidTextRepresentation,
         "invalid input syntax for type integer: ?"),
        ("INSERT INTO items VALUES (1, 'hunter2-in-a-value'), (1, 'x')", psycopg.errors.UniqueViolation,
         'duplicate key value violates unique constraint "items_pkey"'),
        ("SET statement_timeout = 10; SELECT pg_sleep(10)", psycopg.errors.QueryCanceled,
         "canceling statement due to statement timeout"),
    ],
)  # fmt: skip
def test_a_failing_statement_is_a_fault_with_the_driver_s_exception_and_without_what_it_quotes(
    connection: Any, xray: Traces, statement: str, kind: type[psycopg.Error], said: str
) -> None:
    with pytest.raises(kind) as caught:
        connection.execute(statement)
    assert caught.value.diag.sqlstate == kind.sqlstate
    [exception] = xray.one.exceptions
    assert (xray.one.flags, exception["type"]) == ({"fault"}, f"psycopg.errors.{kind.__name__}")
    assert exception["message"].strip() == said
    assert SECRET not in str(xray.documents)


def test_a_refused_connection_is_a_fault_where_it_was_tried(xray: Traces) -> None:
    port = free_port()
    with pytest.raises(psycopg.OperationalError, match="Connection refused"):
        psycopg.connect(**told(port))
    assert (xray.one.name, xray.one.flags, statements(xray)) == (name(port), {"fault"}, ["CONNECT"])


def test_a_wrong_password_is_a_fault_and_stays_secret(postgres: int, xray: Traces) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url(postgres, SECRET))
    assert 'password authentication failed for user "shop"' in xray.one.exceptions[0]["message"]
    assert SECRET not in str(xray.documents)


def test_a_dsn_that_cannot_be_read_is_a_fault_that_shows_none_of_it(xray: Traces) -> None:
    with pytest.raises(psycopg.ProgrammingError, match="hunter2"):
        psycopg.connect("password=open hunter2", host=HOST, dbname=DATABASE)
    assert (xray.one.name, xray.one.flags) == (f"{DATABASE}@{HOST}", {"fault"})
    assert "hunter2" not in str(xray.documents)


def test_a_server_that_does_not_answer_in_time_is_a_fault(xray: Traces) -> None:
    with silent_server() as port, pytest.raises(psycopg.OperationalError, match="timeout expired"):
        psycopg.connect(**told(port, connect_timeout=2))  # libpq knows no shorter time
    assert xray.one.flags == {"fault"}


def test_closed_cursors_and_connections_fail_as_before(connection: Any, postgres: int, xray: Traces) -> None:
    cursor = connection.cursor()
    cursor.close()
    with pytest.raises(psycopg.InterfaceError, match="the cursor is closed"):
        cursor.execute("SELECT 1")
    cursor = connection.cursor()
    connection.close()
    with pytest.raises(psycopg.OperationalError, match="the connection is closed"):
        cursor.execute("SELECT 1")
    assert [(root.name, root.flags) for root in xray.roots] == [(name(postgres), {"fault"})] * 2


def test_a_connection_that_was_closed_before_its_first_trace_names_no_database(postgres: int, xray: Traces) -> None:
    unpatch("psycopg")
    with psycopg.connect(**told(postgres)) as connection:
        cursor = connection.cursor()
    patch("psycopg")
    with pytest.raises(psycopg.OperationalError, match="the connection is closed"):
        cursor.execute("SELECT 1")
    assert xray.one.name == "postgresql"


def test_a_call_without_its_arguments_fails_in_the_driver_s_own_words(connection: Any, xray: Traces) -> None:
    with connection.cursor() as cursor:
        for method in (cursor.execute, cursor.executemany, cursor.stream, cursor.copy):
            with pytest.raises(TypeError, match=r"missing \d required positional argument"):
                next(method())
    assert len(xray) == 0
    with pytest.raises(AttributeError, match="'int' object has no attribute 'encode'"):
        psycopg.connect(17)  # type: ignore[arg-type]
    assert xray.one.flags == {"fault"}


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
