"""psycopg2: what goes wrong is recorded as what it is, without what it quotes, and passes on unchanged."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from psycopg2 import connect

from tests.libraries.databases import statements
from tests.libraries.postgresql import SECRET, login, name, silent_server, url
from tests.servers.process import free_port
from xray_lambda import patch
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces


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


@pytest.mark.parametrize(
    ("statement", "kind", "said"),
    [
        (f"SELEC '{SECRET}'", psycopg2.errors.SyntaxError, "syntax error at or near ?"),
        ("SELECT nothing FROM items", psycopg2.errors.UndefinedColumn, 'column "nothing" does not exist'),
        (f"SELECT '{SECRET}'::int", psycopg2.errors.InvalidTextRepresentation,
         "invalid input syntax for type integer: ?"),
        ("INSERT INTO items VALUES (1, 'hunter2-in-a-value'), (1, 'x')", psycopg2.errors.UniqueViolation,
         'duplicate key value violates unique constraint "items_pkey"'),
        ("SET statement_timeout = 10; SELECT pg_sleep(10)", psycopg2.errors.QueryCanceled,
         "canceling statement due to statement timeout"),
    ],
)  # fmt: skip
def test_a_failing_statement_is_a_fault_with_the_driver_s_exception_and_without_what_it_quotes(
    connection: Any, xray: Traces, statement: str, kind: type[Exception], said: str
) -> None:
    with connection.cursor() as cursor, pytest.raises(kind) as caught:
        cursor.execute(statement)
    assert caught.value.cursor is cursor  # type: ignore[attr-defined]
    [exception] = xray.one.exceptions
    assert (xray.one.flags, exception["type"]) == ({"fault"}, f"psycopg2.errors.{kind.__name__}")
    assert exception["message"].strip() == said
    assert SECRET not in str(xray.documents)


def test_a_refused_connection_is_a_fault_where_it_was_tried(xray: Traces) -> None:
    port = free_port()
    with pytest.raises(psycopg2.OperationalError, match="Connection refused"):
        connect(**login(port))
    assert (xray.one.name, xray.one.flags, statements(xray)) == (name(port), {"fault"}, ["CONNECT"])


def test_a_wrong_password_is_a_fault_and_stays_secret(postgres: int, xray: Traces) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect(url(postgres, SECRET))
    assert 'password authentication failed for user "shop"' in xray.one.exceptions[0]["message"]
    assert SECRET not in str(xray.documents)


def test_a_server_that_does_not_answer_in_time_is_a_fault(xray: Traces) -> None:
    with silent_server() as port, pytest.raises(psycopg2.OperationalError, match="timeout expired"):
        connect(**login(port, connect_timeout=2))  # libpq knows no shorter time
    assert xray.one.flags == {"fault"}


def test_closed_cursors_and_connections_fail_as_before(connection: Any, postgres: int, xray: Traces) -> None:
    cursor = connection.cursor()
    cursor.close()
    with pytest.raises(psycopg2.InterfaceError, match="cursor already closed"):
        cursor.execute("SELECT 1")
    cursor = connection.cursor()
    connection.close()
    with pytest.raises(psycopg2.InterfaceError, match="cursor already closed"):
        cursor.execute("SELECT 1")
    with pytest.raises(psycopg2.InterfaceError, match="connection already closed"):
        connection.cursor()
    assert [(root.name, root.flags) for root in xray.roots] == [(name(postgres), {"fault"})] * 2


def test_wrong_arguments_fail_in_the_driver_s_own_words(connection: Any, xray: Traces) -> None:
    with connection.cursor() as cursor:
        calls: list[Any] = [cursor.execute, partial(cursor.execute, nonsense=1), cursor.copy_from, cursor.callproc]
        calls += [partial(connect, "nonsense"), partial(connection.cursor, nonsense=1)]
        for call in calls:
            with pytest.raises((TypeError, psycopg2.ProgrammingError)) as ours:
                call()
            assert "traced" not in str(ours.value)
    assert len(xray) == 0
