"""sqlite3: each call is one subsegment, whatever class it goes through; connections stay as the program knows them."""

from __future__ import annotations

import copy
import pickle
import sqlite3
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.libraries.databases import UNSAMPLED, exact, run_apart, statements
from xray_lambda import patch, subsegment, unpatch
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

ORIGINAL = sqlite3.connect
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


class Shouting(sqlite3.Cursor):
    """A cursor of the program's own, that calls its base as it likes."""

    def execute(self, statement: str, *values: Any) -> Any:
        return sqlite3.Cursor.execute(self, statement.upper(), *values)


class Shop(sqlite3.Connection):
    """A connection of the program's own: with a constructor, an attribute, and other cursors."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shelf = "top"

    def cursor(self, factory: Any = Shouting) -> Any:
        return super().cursor(factory)


class Direct(sqlite3.Connection):
    """A connection that calls the base by its name."""

    def cursor(self, factory: Any = Shouting) -> Any:
        return sqlite3.Connection.cursor(self, factory)


def test_a_statement_is_a_remote_subsegment_named_after_the_file(tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as connection, exact() as traces, subsegment("handler"):
        assert connection.execute("SELECT ?, 'x', 17", (SECRET,)).fetchall() == [(SECRET, "x", 17)]
    [document] = traces.documents
    assert document["subsegments"] == [
        {
            "name": "shop.db",
            "id": "0000000000000002",
            "start_time": 1700000000.001,
            "end_time": 1700000000.002,
            "namespace": "remote",
            "sql": {
                "url": str(file),
                "database_type": "SQLite",
                "database_version": sqlite3.sqlite_version,
                "driver_version": "sqlite3",
                "sanitized_query": "SELECT ?, ?, ?",
            },
        }
    ]


def test_each_way_to_run_a_statement_is_one_subsegment(connection: sqlite3.Connection, xray: Traces) -> None:
    """aws-xray-sdk leaves `executescript` out, and all of a connection's own methods that it does not know."""
    many = [(1, "a"), (2, "b")]
    runners: tuple[Any, ...] = (connection, connection.cursor())
    for runner in runners:
        runner.execute("DELETE FROM items")
        runner.executemany("INSERT INTO items VALUES (?, ?)", many)
        runner.executescript("DELETE FROM items; SELECT 17, 'hunter2'")
    assert statements(xray) == [
        "DELETE FROM items",
        "INSERT INTO items VALUES (?, ?)",
        "DELETE FROM items; SELECT ?, ?",
    ] * 2  # fmt: skip
    assert {root.name for root in xray.roots} == {":memory:"}
    assert all(not root.children for root in xray.roots)


def test_a_statement_in_a_with_block_of_the_connection_is_traced(connection: sqlite3.Connection, xray: Traces) -> None:
    """What `with` gives is the connection itself; in aws-xray-sdk it is the one beneath, which nobody traces."""
    with connection as entered:
        assert entered is connection
        entered.execute("INSERT INTO items VALUES (1, 'a')")
    with pytest.raises(sqlite3.IntegrityError), connection:
        connection.executemany("INSERT INTO items VALUES (?, ?)", [(2, "b"), (1, "c")])
    assert connection.execute("SELECT id FROM items").fetchall() == [(1,)]
    assert len(xray) == 3


def paths(folder: Path) -> list[tuple[dict[str, Any], str, str | None]]:
    file = folder / "shop.db"
    return [
        ({"database": str(file)}, "shop.db", str(file)),
        ({"database": file}, "shop.db", str(file)),
        ({"database": bytes(file)}, "shop.db", str(file)),
        ({"database": f"file:{file}?mode=rwc&key={SECRET}", "uri": True}, "shop.db", str(file)),
        ({"database": f"file://localhost{file}", "uri": True}, "shop.db", str(file)),
        ({"database": "file:memory7?mode=memory", "uri": True}, "memory7", str(Path.cwd() / "memory7")),
        ({"database": ":memory:"}, ":memory:", None),
        ({"database": ""}, "sqlite", None),
    ]


@pytest.mark.parametrize("case", range(8))
def test_the_name_and_url_come_from_what_connect_is_told(tmp_path: Path, xray: Traces, case: int) -> None:
    """`connect(database=...)` fails with an IndexError under aws-xray-sdk."""
    told, name, url = paths(tmp_path)[case]
    with closing(sqlite3.connect(**told)) as connection:
        connection.execute("SELECT 1")
    assert (xray.one.name, xray.one.document["sql"].get("url")) == (name, url)
    assert SECRET not in str(xray.documents)


def test_a_relative_path_is_recorded_whole(tmp_path: Path, xray: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("shop.db")) as connection:
        connection.execute("SELECT 1")
    assert xray.one.document["sql"]["url"] == str(tmp_path / "shop.db")


@pytest.mark.parametrize("base", [sqlite3.Connection, Shop, Direct])
def test_a_connection_looks_like_its_class(base: type[sqlite3.Connection]) -> None:
    with closing(sqlite3.connect(":memory:", factory=base)) as connection:
        assert isinstance(connection, base)
        for kind, like in ((type(connection), base), (type(connection.cursor(sqlite3.Cursor)), sqlite3.Cursor)):
            assert issubclass(kind, like)
            assert (kind.__name__, kind.__qualname__) == (like.__name__, like.__qualname__)
            assert (kind.__module__, kind.__doc__) == (like.__module__, like.__doc__)
        assert repr(connection).startswith(f"<{base.__module__}.{base.__qualname__} object at ")


@pytest.mark.parametrize("base", [Shop, Direct])
def test_a_class_of_the_program_s_own_is_traced_and_works_as_before(base: Any, xray: Traces) -> None:
    with closing(sqlite3.connect(":memory:", factory=base)) as connection, closing(ORIGINAL(":memory:")) as plain:
        with closing(ORIGINAL(":memory:", factory=base)) as untraced:  # which cursor it takes, newer Pythons may change
            expected = untraced.execute("select 'x' as y").description
        assert connection.execute("select 'x' as y").description == expected
        connection.executescript("create table t (a)")
        connection.executemany("insert into t values (?)", [(1,), (2,)])
        connection.commit()
        connection.backup(plain)
        assert plain.execute("select * from t").fetchall() == [(1,), (2,)]
    assert statements(xray) == ["select ? as y", "create table t (a)", "insert into t values (?)"]


def test_cursors_of_the_program_s_own_are_traced_however_they_come_about(xray: Traces) -> None:
    with closing(sqlite3.connect(":memory:", factory=Shop)) as shop, closing(sqlite3.connect(":memory:")) as plain:
        assert shop.shelf == "top"
        for cursor in (shop.cursor(), shop.cursor(factory=Shouting), plain.cursor(Shouting)):
            assert isinstance(cursor, Shouting)
            assert cursor.execute("select 'x' as y").description[0][0] == "Y"
    assert statements(xray) == ["select ? as y"] * 3


def test_a_factory_may_be_given_by_its_place(xray: Traces) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.13 wants it by name
        connection = sqlite3.connect(":memory:", 5.0, 0, None, True, Shop, 100)
    with closing(connection):
        assert isinstance(connection, Shop)
        connection.cursor().execute("select 1")
    assert len(xray) == 1


class Final(sqlite3.Connection):
    def __init_subclass__(cls) -> None:
        raise TypeError("no subclasses, please")


class Maker:
    """A factory that is no class, and cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return (sqlite3.Cursor if isinstance(args[0], sqlite3.Connection) else sqlite3.Connection)(*args)


@pytest.mark.parametrize("factory", [lambda *args, **kwargs: sqlite3.Connection(*args), partial(Shop), Final, Maker()])
def test_a_factory_that_is_no_class_to_build_on_works_as_before(factory: Any, xray: Traces) -> None:
    with closing(sqlite3.connect(":memory:", factory=factory)) as connection:
        assert type(connection) in (sqlite3.Connection, Shop, Final)
        connection.execute("SELECT 1")
        if factory is Final:
            connection.cursor().execute("SELECT 1")
    assert {root.name for root in xray.roots} <= {"sqlite"}


def test_a_cursor_factory_that_is_no_class_works_as_before(connection: sqlite3.Connection) -> None:
    assert type(connection.cursor(partial(Shouting))) is Shouting
    assert type(connection.cursor(Maker())) is sqlite3.Cursor
    with pytest.raises(TypeError):
        connection.cursor(None)


def test_nothing_but_the_program_s_statements_reaches_the_database(tmp_path: Path, xray: Traces) -> None:
    """Not to find out where the file is, and not while a transaction is open."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        seen: list[str] = []
        asked: list[int] = []
        connection.set_trace_callback(seen.append)

        def allow(action: int, *_: object) -> int:
            asked.append(action)
            return sqlite3.SQLITE_OK

        connection.set_authorizer(allow)
        assert (connection.in_transaction, connection.total_changes) == (False, 0)
        connection.execute("SELECT 1")
        assert (seen, asked) == (["SELECT 1"], [sqlite3.SQLITE_SELECT])
        assert (connection.in_transaction, connection.total_changes) == (False, 0)
    assert len(xray) == 1


def test_what_else_a_connection_can_do_it_still_does(connection: sqlite3.Connection, xray: Traces) -> None:
    connection.row_factory = sqlite3.Row
    connection.create_function("twice", 1, lambda number: number * 2)
    connection.execute("INSERT INTO items VALUES (1, 'a')")
    row = connection.cursor().execute("SELECT twice(id) AS two FROM items").fetchone()
    assert (type(row), row["two"]) == (sqlite3.Row, 2)
    connection.commit()
    assert "INSERT INTO \"items\" VALUES(1,'a');" in list(connection.iterdump())
    with closing(sqlite3.connect(":memory:")) as other:
        connection.backup(other)
        assert other.execute("SELECT name FROM items").fetchall() == [("a",)]
    if sys.version_info >= (3, 11):
        with connection.blobopen("items", "name", 1, readonly=True) as blob:
            assert blob.read() == b"a"


def test_copying_and_pickling_fail_as_before(connection: sqlite3.Connection) -> None:
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"cannot pickle '(sqlite3\.)?Connection' object"):
            attempt(connection)


def test_threads_record_side_by_side() -> None:
    patch("threads")
    meet = threading.Barrier(4, timeout=20)

    def work(number: int) -> Any:
        with closing(sqlite3.connect(":memory:")) as connection:
            meet.wait()
            return connection.execute("SELECT ?", (number,)).fetchone()[0]

    with capture() as traces, subsegment("handler"), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [0, 1, 2, 3]
    assert traces.one.names() == ("handler", [(":memory:", [])] * 4)


def test_outside_of_a_trace_and_unsampled_nothing_is_recorded(connection: sqlite3.Connection) -> None:
    for header in (None, UNSAMPLED):
        with capture(header) as traces:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            assert connection.cursor().execute("SELECT 1").fetchone() == (1,)
        assert traces.documents == []


def test_a_connection_from_before_the_patch_works_on_untraced(xray: Traces) -> None:
    unpatch("sqlite3")
    with closing(sqlite3.connect(":memory:")) as connection:
        patch("sqlite3")
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert len(xray) == 0


def test_patching_twice_records_once_and_unpatching_restores_both_names(xray: Traces) -> None:
    patch("sqlite3")
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("SELECT 1")
    assert len(xray) == 1
    unpatch("sqlite3")
    assert sqlite3.connect is ORIGINAL
    assert sqlite3.dbapi2.connect is ORIGINAL


@pytest.mark.parametrize("statement", ["import sqlite3", "from sqlite3 import dbapi2", "import sqlite3.dbapi2"])
def test_the_patch_may_come_before_the_import(statement: str) -> None:
    program = """
import json, sys
from xray_lambda import patch, unpatch
from xray_lambda.testing import capture
patch("sqlite3")
assert "sqlite3" not in sys.modules
exec(sys.argv[1])
from sqlite3 import connect, dbapi2
with capture() as traces:
    connect(":memory:").execute("SELECT 1")
    dbapi2.connect(":memory:").execute("SELECT 1")
unpatch()
import _sqlite3, sqlite3
restored = sqlite3.connect is dbapi2.connect is _sqlite3.connect
print(json.dumps([[root.name for root in traces.roots], restored]))
"""
    assert run_apart(program, statement) == [[":memory:", ":memory:"], True]
