"""psycopg2: each call to the database is one subsegment, and its C functions know the objects for what they are."""

from __future__ import annotations

import io
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg2
import psycopg2.extras
import psycopg2.pool
import pytest
from psycopg2 import connect, extensions, sql

from tests.libraries.databases import UNSAMPLED, exact, run_apart, statements
from tests.libraries.postgresql import SECRET, document, login, name, url
from tests.servers.postgres import DATABASE, PASSWORD, USER
from tests.servers.process import HOST
from xray_lambda import patch, subsegment, unpatch
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

ORIGINAL = psycopg2._connect
DRIVER = f"psycopg2 {psycopg2.__version__.partition(' ')[0]}"


@pytest.fixture(autouse=True)
def patched() -> None:
    patch("psycopg2")


@pytest.fixture
def connection(postgres: int) -> Iterator[Any]:
    """A connection that commits by itself, with an empty table."""
    with closing(connect(**login(postgres))) as made:
        made.autocommit = True
        with capture(header=None), made.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE items (id INT PRIMARY KEY, name TEXT)")
        yield made


def test_a_statement_is_a_remote_subsegment_named_after_database_and_host(connection: Any, postgres: int) -> None:
    with exact() as traces, subsegment("handler"), connection.cursor() as cursor:
        cursor.execute("SELECT 7, %s WHERE 'x' = 'x'", (SECRET,))
        assert cursor.fetchall() == [(7, SECRET)]
    [one] = traces.documents
    version = connection.get_parameter_status("server_version").partition(" ")[0]
    assert one["subsegments"] == [document(postgres, version, DRIVER, "SELECT ?, %s WHERE ? = ?")]


def dsns(port: int) -> list[Any]:
    words = f"host={HOST} port={port} user={USER} dbname={DATABASE} password={PASSWORD}"
    return [
        partial(connect, words),
        partial(connect, url(port, more="?application_name=hunter2")),
        partial(connect, dsn=url(port).replace(PASSWORD, "wrong"), password=PASSWORD),
        partial(connect, **login(port)),
    ]


@pytest.mark.parametrize("case", range(4))
def test_whatever_form_the_dsn_has_connecting_is_recorded_without_the_password(
    postgres: int, xray: Traces, case: int
) -> None:
    """A DSN in the form of a URL is `postgresql://unknown@unknown:unknown/unknown` under aws-xray-sdk."""
    with closing(dsns(postgres)[case]()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert statements(xray) == ["CONNECT", "SELECT ?"]
    assert {root.name for root in xray.roots} == {name(postgres)}
    assert all("database_version" in root.document["sql"] for root in xray.roots)
    assert {root.document["sql"]["url"] for root in xray.roots} == {f"postgresql://{HOST}:{postgres}/{DATABASE}"}
    assert "hunter2" not in str(xray.documents)


def test_what_the_environment_tells_libpq_is_told_too(
    postgres: int, xray: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in {"HOST": HOST, "PORT": str(postgres), "USER": USER, "DATABASE": DATABASE}.items():
        monkeypatch.setenv(f"PG{variable}", value)
    connect("", password=PASSWORD).close()
    with pytest.raises(psycopg2.OperationalError):
        connect("", password="wrong")
    assert [root.name for root in xray.roots] == [name(postgres)] * 2


def test_a_statement_in_a_with_block_of_the_connection_is_traced(postgres: int, xray: Traces) -> None:
    with closing(connect(**login(postgres))) as connection:
        with connection as entered, entered.cursor() as cursor:
            assert entered is connection
            cursor.execute("CREATE TEMP TABLE t (a INT)")
        with pytest.raises(psycopg2.DataError), connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO t VALUES (1 / %s)", [(1,), (0,)])
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM t")
            assert cursor.fetchall() == []
    assert statements(xray)[1:] == ["CREATE TEMP TABLE t (a INT)", "INSERT INTO t VALUES (? / %s)", "SELECT * FROM t"]


def test_each_way_to_run_a_statement_is_one_subsegment(connection: Any, xray: Traces) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO items VALUES (%s, %s)", [(1, SECRET), (2, "b")])
        cursor.callproc("upper", (SECRET,))
        assert cursor.fetchone() == (SECRET.upper(),)
        cursor.execute(b"SELECT 'b'")
    assert statements(xray) == ["INSERT INTO items VALUES (%s, %s)", "SELECT * FROM upper", "SELECT ?"]
    assert [root.document["sql"].get("preparation") for root in xray.roots] == [None, "call", None]


def test_the_helpers_for_many_rows_show_no_value(connection: Any, xray: Traces) -> None:
    rows = [(number, f"{SECRET} '{number}'") for number in range(5)]
    with connection.cursor() as cursor:
        psycopg2.extras.execute_values(cursor, "INSERT INTO items VALUES %s", rows)
        psycopg2.extras.execute_batch(cursor, "UPDATE items SET name = %s WHERE id = %s", [(b, a) for a, b in rows[:2]])
    update = "UPDATE items SET name = ? WHERE id = ?"
    assert statements(xray) == ["INSERT INTO items VALUES (?,?)", f"{update};{update}"]


def test_copying_lasts_as_long_as_the_call_and_shows_no_row(connection: Any, xray: Traces) -> None:
    with connection.cursor() as cursor:
        cursor.copy_from(io.StringIO(f"1\t{SECRET}\n"), "items")
        cursor.copy_to(output := io.StringIO(), "items")
        cursor.copy_expert("COPY items (name) FROM STDIN WITH (DELIMITER ';', NULL 'x')", io.StringIO(""))
    assert output.getvalue() == f"1\t{SECRET}\n"
    assert statements(xray) == [
        'COPY "items" FROM STDIN',
        'COPY "items" TO STDOUT',
        "COPY items (name) FROM STDIN WITH (DELIMITER ?, NULL ?)",
    ]


def test_composed_sql_shows_its_names_and_its_literals_are_not_looked_at(connection: Any, xray: Traces) -> None:
    adapted: list[object] = []

    class Price:
        def __conform__(self, _protocol: object) -> Any:
            adapted.append(self)
            return extensions.AsIs("17")

    parts = (sql.Literal(Price()), sql.Placeholder(), sql.Identifier('a"b'))
    named = sql.Composed([sql.SQL("SELECT "), sql.Literal(SECRET), sql.SQL(", "), sql.Placeholder("name")])
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {}, {} AS {}").format(*parts), (18,))
        assert cursor.fetchone() == (17, 18)
        cursor.execute(named, {"name": 19})
        assert cursor.fetchone() == (SECRET, 19)
    assert statements(xray) == ['SELECT ?, %s AS "a""b"', "SELECT ?, %(name)s"]
    assert len(adapted) == 1


def test_the_c_functions_take_connections_and_cursors_for_what_they_are(connection: Any, xray: Traces) -> None:
    """Under aws-xray-sdk they are proxies, and each of these functions has to be patched too."""
    with connection.cursor() as cursor:
        for known in (connection, cursor):
            extensions.register_type(extensions.UNICODE, known)
            assert extensions.quote_ident('a"b', known) == '"a""b"'
            psycopg2.extras.register_uuid(None, known)
            psycopg2.extras.register_default_json(known)
            psycopg2.extras.register_default_jsonb(known)
            psycopg2.extras.register_json(known, oid=114, array_oid=199)
        assert isinstance(connection, extensions.connection)
        assert isinstance(cursor, extensions.cursor)
        assert (type(connection).__name__, type(cursor).__name__) == ("connection", "cursor")
        assert type(cursor).__module__ == extensions.cursor.__module__
        assert cursor.connection is connection
    assert len(xray) == 0


class Shop(extensions.connection):  # type: ignore[misc]
    """A connection of the program's own, with cursors of its own."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        return super().cursor(*args, **{"cursor_factory": Shouting, **kwargs})


class Shouting(psycopg2.extras.DictCursor):  # type: ignore[misc]
    def execute(self, query: str, vars: Any = None) -> Any:  # noqa: A002 - as psycopg2 calls it
        return psycopg2.extras.DictCursor.execute(self, f"{query} -- !", vars)


@pytest.mark.parametrize(
    ("options", "kind", "row"),
    [
        ({"connection_factory": Shop}, Shouting, [1]),
        ({"connection_factory": psycopg2.extras.DictConnection}, psycopg2.extras.DictCursor, [1]),
        ({"connection_factory": psycopg2.extras.RealDictConnection}, psycopg2.extras.RealDictCursor, {"a": 1}),
        ({"cursor_factory": psycopg2.extras.NamedTupleCursor}, psycopg2.extras.NamedTupleCursor, (1,)),
        ({"cursor_factory": Shouting}, Shouting, [1]),
    ],
)
def test_classes_of_the_program_s_own_are_traced_and_work_as_before(
    postgres: int, xray: Traces, options: dict[str, Any], kind: Any, row: object
) -> None:
    with closing(connect(**login(postgres), **options)) as connection, connection.cursor() as cursor:
        assert isinstance(connection, options.get("connection_factory", extensions.connection))
        assert isinstance(cursor, kind)
        assert type(cursor).__name__ == kind.__name__
        assert connection.cursor_factory in (None, kind)
        cursor.execute("SELECT 1 AS a")
        assert cursor.fetchone() == row
    assert statements(xray)[1:] == ["SELECT ? AS a"]


def test_a_cursor_s_class_may_be_given_by_its_place(connection: Any, xray: Traces) -> None:
    one, other = connection.cursor(None, Shouting), connection.cursor(None, None)
    assert isinstance(one, Shouting)
    one.execute("SELECT 1")
    other.execute("SELECT 2")
    assert len(xray) == 2


def test_connections_that_log_go_on_logging(postgres: int, caplog: pytest.LogCaptureFixture, xray: Traces) -> None:
    caplog.set_level(logging.DEBUG, "shop")
    told = login(postgres, connection_factory=psycopg2.extras.LoggingConnection)
    with closing(connect(**told)) as connection:
        connection.initialize(logging.getLogger("shop"))
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert [record.message for record in caplog.records] == ["b'SELECT 1'"]
    assert len(xray) == 2


@pytest.mark.parametrize("factory", [extensions.connection, partial(extensions.connection), partial(Shop)])
def test_a_factory_that_is_no_class_works_as_before(postgres: int, xray: Traces, factory: Any) -> None:
    with closing(connect(**login(postgres), connection_factory=factory)) as connection, connection.cursor() as cursor:
        assert isinstance(connection, getattr(factory, "func", factory))
        cursor.execute("SELECT 1")
    assert statements(xray) == ["CONNECT", "SELECT ?"][: 2 if isinstance(factory, type) else 1]


def test_a_named_cursor_declares_its_statement_and_reads_rows_by_itself(postgres: int, xray: Traces) -> None:
    with closing(connect(**login(postgres))) as connection, connection.cursor("mine", scrollable=True) as cursor:
        assert cursor.name == "mine"
        cursor.execute("SELECT generate_series(1, 3)")
        assert [row for (row,) in cursor] == [1, 2, 3]
    assert statements(xray)[1:] == ["SELECT generate_series(?, ?)"]


def test_notifications_arrive(connection: Any, xray: Traces) -> None:
    with connection.cursor() as cursor:
        cursor.execute("LISTEN shop")
        cursor.execute("NOTIFY shop, %s", (SECRET,))
    connection.poll()
    assert [notify.payload for notify in connection.notifies] == [SECRET]
    assert statements(xray) == ["LISTEN shop", "NOTIFY shop, %s"]


@pytest.mark.parametrize("spelt", ["async", "async_"])
def test_asynchronous_connections_are_left_alone(postgres: int, xray: Traces, spelt: str) -> None:
    with closing(connect(**login(postgres), **{spelt: 1})) as connection:
        assert type(connection) is extensions.connection
        psycopg2.extras.wait_select(connection)
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        psycopg2.extras.wait_select(connection)
        assert cursor.fetchone() == (1,)
    assert len(xray) == 0


def test_a_pool_s_connections_are_traced(postgres: int, xray: Traces) -> None:
    pool = psycopg2.pool.ThreadedConnectionPool(1, 2, **login(postgres))
    connection = pool.getconn()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    pool.putconn(connection)
    pool.closeall()
    with pytest.raises(psycopg2.pool.PoolError, match="connection pool is closed"):
        pool.getconn()
    assert statements(xray) == ["CONNECT", "SELECT ?"]


def test_threads_record_side_by_side(postgres: int) -> None:
    patch("threads")
    meet = threading.Barrier(4, timeout=20)

    def work(number: int) -> Any:
        with closing(connect(**login(postgres))) as connection, connection.cursor() as cursor:
            meet.wait()
            cursor.execute("SELECT %s", (number,))
            return cursor.fetchone()[0]

    with capture() as traces, subsegment("handler"), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [0, 1, 2, 3]
    assert traces.one.names() == ("handler", [(name(postgres), [])] * 8)


def test_outside_of_a_trace_and_unsampled_nothing_is_recorded(postgres: int) -> None:
    for header in (None, UNSAMPLED):
        with capture(header) as traces, closing(connect(**login(postgres))) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
        assert traces.documents == []


def test_a_connection_from_before_the_patch_works_on_untraced(postgres: int, xray: Traces) -> None:
    unpatch("psycopg2")
    with closing(connect(**login(postgres))) as connection:
        patch("psycopg2")
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
    assert len(xray) == 0


def test_patching_twice_records_once_and_unpatching_restores_the_function(postgres: int, xray: Traces) -> None:
    patch("psycopg2")
    connect(**login(postgres)).close()
    assert len(xray) == 1
    unpatch("psycopg2")
    assert psycopg2._connect is ORIGINAL


def test_the_patch_may_come_before_the_import(postgres: int) -> None:
    program = """
import json, sys
from xray_lambda import patch, unpatch
from xray_lambda.testing import capture
patch("psycopg2")
assert "psycopg2" not in sys.modules
from psycopg2 import connect
with capture() as traces:
    connect(sys.argv[1]).cursor().execute("SELECT 1")
assert "psycopg2.sql" not in sys.modules
unpatch()
import psycopg2
restored = psycopg2._connect is psycopg2._psycopg._connect
print(json.dumps([[root.name for root in traces.roots], restored]))
"""
    assert run_apart(program, url(postgres)) == [[name(postgres)] * 2, True]
