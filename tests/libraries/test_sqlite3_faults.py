"""sqlite3: what goes wrong is recorded as what it is, and passes on unchanged."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.libraries.databases import UNSAMPLED, statements
from xray_lambda import patch, subsegment
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def patched() -> None:
    patch("sqlite3")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """A connection to a database with an empty table."""
    with closing(sqlite3.connect(":memory:")) as made:
        with capture(header=None):
            made.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        yield made


def test_a_syntax_error_is_a_fault_and_passes_unchanged(connection: sqlite3.Connection, xray: Traces) -> None:
    with pytest.raises(sqlite3.OperationalError, match=r"""near "'hunter2'": syntax error""") as caught:
        connection.execute("SELECT 1 FRM 'hunter2'")
    assert vars(caught.value).keys() <= {"sqlite_errorcode", "sqlite_errorname"}
    [exception] = xray.one.exceptions
    assert (exception["type"], exception["message"]) == ("sqlite3.OperationalError", "near ?: syntax error")
    assert (xray.one.flags, statements(xray)) == ({"fault"}, ["SELECT ? FRM ?"])


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("INSERT INTO items VALUES (1, 'hunter2')", "UNIQUE constraint failed: items.id"),
        ("INSERT INTO items VALUES (2, NULL)", "NOT NULL constraint failed: items.name"),
    ],
)
def test_a_violated_constraint_is_a_fault(
    connection: sqlite3.Connection, xray: Traces, statement: str, said: str
) -> None:
    connection.execute("INSERT INTO items VALUES (1, 'a')")
    with pytest.raises(sqlite3.IntegrityError, match=said):
        connection.cursor().execute(statement)
    node = xray.roots[-1]
    assert (node.flags, node.exceptions[0]["message"]) == ({"fault"}, said)
    assert SECRET not in str(xray.documents)


def test_a_locked_database_is_a_fault(tmp_path: Path, xray: Traces) -> None:
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as one, closing(sqlite3.connect(file, timeout=0)) as other:
        one.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            other.execute("BEGIN EXCLUSIVE")
    assert [root.flags for root in xray.roots] == [set(), {"fault"}]


def test_a_closed_connection_fails_as_before(xray: Traces) -> None:
    connection = sqlite3.connect(":memory:")
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError, match="Cannot operate on a closed database"):
        connection.execute("SELECT 1")
    assert xray.one.flags == {"fault"}


def test_a_connection_of_another_thread_fails_as_before(connection: sqlite3.Connection, xray: Traces) -> None:
    caught: list[Exception] = []

    def work() -> None:
        try:
            connection.execute("SELECT 1")
        except sqlite3.ProgrammingError as error:
            caught.append(error)

    patch("threads")
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "created in a thread can only be used in that same thread" in str(caught[0])
    assert xray.one.flags == {"fault"}


def test_connecting_is_recorded_where_it_fails(tmp_path: Path, xray: Traces) -> None:
    sqlite3.connect(tmp_path / "shop.db").close()
    assert len(xray) == 0
    with pytest.raises(sqlite3.OperationalError, match="unable to open database file"):
        sqlite3.connect(tmp_path / "missing" / "shop.db")
    assert (xray.one.name, statements(xray), xray.one.flags) == ("shop.db", ["CONNECT"], {"fault"})


@pytest.mark.parametrize("header", [None, UNSAMPLED])
def test_a_failure_to_connect_outside_of_a_trace_is_the_program_s_alone(tmp_path: Path, header: str | None) -> None:
    caught = pytest.raises(sqlite3.OperationalError, match="unable to open")
    with capture(header) as traces, caught, subsegment("handler"):
        sqlite3.connect(tmp_path / "missing" / "shop.db")
    assert traces.documents == []


def test_wrong_arguments_fail_in_sqlite_s_own_words(connection: sqlite3.Connection, xray: Traces) -> None:
    calls: list[Any] = [sqlite3.connect, partial(sqlite3.connect, 17.5), connection.execute]
    calls += [partial(sqlite3.connect, ":memory:", nonsense=1), partial(connection.cursor, 1, 2)]
    for call in calls:
        with pytest.raises(TypeError) as ours:
            call()
        assert "xray" not in str(ours.value)
    assert len(xray) == 0
    with pytest.raises(TypeError, match="must be str, not int"):
        connection.execute(17)  # type: ignore[arg-type]
    assert xray.one.flags == {"fault"}
