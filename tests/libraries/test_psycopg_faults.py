"""psycopg 3: what goes wrong is recorded as what it is, without what it quotes, and passes on unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.libraries.databases import statements
from tests.libraries.postgresql import SECRET, name, silent_server, told, url
from tests.servers.postgres import DATABASE
from tests.servers.process import HOST, free_port
from xray_lambda import patch, unpatch
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces


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


def test_a_stream_that_fails_half_way_is_a_fault(connection: Any, xray: Traces) -> None:
    rows = connection.cursor().stream("SELECT 1 / (2 - generate_series(1, 3))")
    with pytest.raises(psycopg.errors.DivisionByZero):
        list(rows)
    assert xray.one.exceptions[0]["type"] == "psycopg.errors.DivisionByZero"


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
