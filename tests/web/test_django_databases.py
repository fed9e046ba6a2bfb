"""Django's databases: one call is one subsegment named `database@host` on every backend, its literals left out."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler, OperationalError, ProgrammingError
from django.test.utils import CaptureQueriesContext

from tests.schema import checked
from tests.servers import mariadb as of_mariadb
from tests.servers import postgres as of_postgres
from tests.servers.process import HOST, free_port
from tests.web import django_site  # noqa: F401 - it sets Django up
from xray_lambda import patch, segment, unpatch
from xray_lambda.testing import capture
from xray_lambda.web.django import databases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from xray_lambda.testing import Node, Traces

SECRET = "hunter2-in-a-value"
ENGINE = "django.db.backends."


@pytest.fixture(autouse=True)
def traced() -> None:
    databases.trace_them()


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as caught:
        yield caught
        for document in caught._emitter.documents:
            checked(document)


@contextmanager
def connected(engine: str, name: object, **more: Any) -> Iterator[Any]:
    """Yield a connection of Django's that is closed in the end."""
    connection: Any = ConnectionHandler({"default": {"ENGINE": ENGINE + engine, "NAME": name, **more}})["default"]
    try:
        yield connection
    finally:
        BaseDatabaseWrapper.close(connection)  # SQLite's own leaves a database in memory open


def queries(node: Node) -> list[Any]:
    return [child.document["sql"].get("sanitized_query") for child in node.children]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Any]:
    with connected("sqlite3", tmp_path / "shop.db") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE items (id INTEGER, name TEXT)")
        yield connection


def test_a_query_is_one_subsegment_that_says_where_it_went(traces: Traces, file: Any, tmp_path: Path) -> None:
    with segment("request"), file.cursor() as cursor:
        cursor.execute(f"SELECT * FROM items WHERE name = '{SECRET}' AND id = %s", [7])
    (query,) = traces.one.children
    assert (query.name, query.document["namespace"]) == ("shop.db", "remote")
    assert query.document["sql"] == {
        "url": str(tmp_path / "shop.db"),
        "database_type": "SQLite",
        "database_version": sqlite3.sqlite_version,
        "driver_version": "Django, sqlite",
        "sanitized_query": "SELECT * FROM items WHERE name = ? AND id = %s",
    }


@pytest.mark.parametrize("is_driver_traced", [True, False])
def test_every_way_to_run_a_query_is_one_subsegment_traced_driver_or_not(
    traces: Traces, tmp_path: Path, is_driver_traced: bool
) -> None:
    if is_driver_traced:
        patch("sqlite3")
    with (
        connected("sqlite3", tmp_path / "shop.db") as connection,
        segment("request"),
        connection.cursor() as cursor,
        connection.chunked_cursor() as chunked,
    ):
        cursor.execute("CREATE TABLE items (id INTEGER)")
        cursor.executemany("INSERT INTO items VALUES (%s)", [[1], [2]])
        chunked.execute("SELECT id FROM items")
        assert chunked.fetchall() == [(1,), (2,)]
        with CaptureQueriesContext(connection) as noted:
            connection.cursor().execute("SELECT 1 + id FROM items")
        assert len(noted) == 1
    unpatch()
    told = [one for one in queries(traces.one) if not one.startswith(("PRAGMA", "select sqlite_"))]  # on connecting
    assert told == [
        "CREATE TABLE items (id INTEGER)",
        "INSERT INTO items VALUES (%s)",
        "SELECT id FROM items",
        "SELECT ? + id FROM items",
    ]
    assert all(child.children == [] for child in traces.one.children)


def test_the_orm_the_savepoints_and_wrappers_of_the_programs_own_are_seen(traces: Traces) -> None:
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    wrapped: list[str] = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        wrapped.append(sql)
        return execute(sql, params, many, context)

    with segment("request"), connection.execute_wrapper(wrapper), transaction.atomic():
        User.objects.create(username=SECRET)
        with transaction.atomic():
            assert list(User.objects.filter(username=SECRET).iterator()) != []
    connection.close()
    told = queries(traces.one)
    assert [one.split()[0] for one in told] == ["BEGIN", "INSERT", "SAVEPOINT", "SELECT", "RELEASE"][-len(told) :]
    assert len(wrapped) == len(told)
    assert SECRET not in str(traces.documents)


def test_the_text_of_queries_may_be_left_out(traces: Traces, file: Any) -> None:
    databases.trace_them(statements=False)
    with segment("request"), file.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert queries(traces.one) == [None]


def test_a_query_that_fails_is_a_fault_without_the_values_that_the_database_quotes(traces: Traces, file: Any) -> None:
    with pytest.raises(OperationalError), segment("request"), file.cursor() as cursor:
        cursor.execute("SELECT * FROM nowhere WHERE a = 'x'")
    (query,) = traces.one.children
    assert query.flags == {"fault"}
    assert "no such table: nowhere" in query.exceptions[0]["message"]
    assert traces.one.document["cause"] == query.exceptions[0]["id"]


def test_a_file_that_cannot_be_opened_is_told_of(traces: Traces, tmp_path: Path) -> None:
    with (
        connected("sqlite3", tmp_path / "no" / "shop.db") as connection,
        segment("request"),
        pytest.raises(OperationalError),
    ):
        connection.cursor()
    assert queries(traces.one) == ["CONNECT"]
    assert traces.one["shop.db"].flags == {"fault"}


def test_outside_a_trace_and_unsampled_nothing_is_recorded(traces: Traces, file: Any) -> None:
    with file.cursor() as cursor:
        cursor.execute("SELECT 1")
        with segment("request", sampled=False):
            cursor.execute("SELECT 1")
    assert len(traces) == 0


@pytest.mark.parametrize("name", [":memory:", "file:shared?mode=memory&cache=shared", "shop.db"])
def test_a_database_of_sqlite_has_the_name_that_the_drivers_card_gives_it(
    traces: Traces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    patch("sqlite3")
    with connected("sqlite3", name) as connection, segment("request"):
        connection.cursor().execute("SELECT 1")
        driver = sqlite3.connect(name, uri=name.startswith("file:"))
        driver.execute("SELECT 2")
        driver.close()
    ours, theirs = [child for child in traces.one.children if "SELECT" in child.document["sql"]["sanitized_query"]]
    assert ours.name == theirs.name
    assert ours.document["sql"].get("url") == theirs.document["sql"].get("url")


def _psycopg_that_django_takes() -> bool:
    if find_spec("psycopg") is None:
        return False
    import psycopg

    return tuple(map(int, psycopg.__version__.split(".")[:3])) >= (3, 1, 8)


@pytest.mark.skipif(not _psycopg_that_django_takes(), reason="Django wants psycopg 3.1.8 or newer")
@pytest.mark.parametrize("is_driver_traced", [True, False])
def test_postgresql_is_traced_by_its_name_and_host(traces: Traces, postgres: int, is_driver_traced: bool) -> None:
    if is_driver_traced:
        patch("psycopg")
    login = {"USER": of_postgres.USER, "PASSWORD": of_postgres.PASSWORD, "HOST": HOST, "PORT": str(postgres)}
    with connected("postgresql", of_postgres.DATABASE, **login) as connection, segment("request"):
        with connection.cursor() as cursor:
            cursor.execute("CREATE FUNCTION double(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'")
            cursor.callproc("double", [21])
            assert cursor.fetchone() == (42,)
            cursor.executemany("SELECT %s::int", [[1], [2]])
            cursor.execute("DROP FUNCTION double")
        with transaction_of(connection), connection.chunked_cursor() as chunked:
            chunked.execute(f"SELECT '{SECRET}'")
            assert chunked.fetchone() == (SECRET,)
    place = f"{HOST}:{postgres}"
    assert {child.name for child in traces.one.children} == {f"{of_postgres.DATABASE}@{place}"}
    told = [query for query in queries(traces.one) if not query.startswith(("SET", "SELECT set_config"))]
    assert [query.split("(")[0] for query in told] == [
        "CONNECT", "CREATE FUNCTION double", "CALL double", "SELECT %s::int", "DROP FUNCTION double", "SELECT ?",
    ]  # fmt: skip
    assert traces.one.children[-1].document["sql"]["url"] == f"postgresql://{place}/{of_postgres.DATABASE}"
    assert [child.document["sql"].get("preparation") for child in traces.one.children].count("call") == 1
    assert of_postgres.PASSWORD not in str(traces.documents)
    assert SECRET not in str(traces.documents)


@contextmanager
def transaction_of(connection: Any) -> Iterator[None]:
    """Keep what a server-side cursor needs."""
    connection.set_autocommit(False)
    try:
        yield
    finally:
        connection.rollback()
        connection.set_autocommit(True)


@pytest.mark.skipif(find_spec("MySQLdb") is None, reason="mysqlclient could not be built here")
@pytest.mark.parametrize("is_driver_traced", [True, False])
def test_mariadb_is_traced_by_its_name_and_host(traces: Traces, mariadb: int, is_driver_traced: bool) -> None:
    if is_driver_traced:
        patch("MySQLdb")
    login = {"USER": of_mariadb.USER, "PASSWORD": of_mariadb.PASSWORD, "HOST": HOST, "PORT": mariadb}
    with (
        connected("mysql", of_mariadb.DATABASE, **login) as connection,
        segment("request"),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"SELECT '{SECRET}', %s", [SECRET])
        with pytest.raises(ProgrammingError):
            cursor.execute("SELECT * FROM nowhere")
    assert {child.name for child in traces.one.children} == {f"{of_mariadb.DATABASE}@{HOST}:{mariadb}"}
    told = queries(traces.one)
    assert told[0] == "CONNECT"
    assert told[-2:] == ["SELECT ?, %s", "SELECT * FROM nowhere"]
    assert traces.one.children[-1].flags == {"fault"}
    assert SECRET not in str(traces.documents)
    assert all(child.children == [] for child in traces.one.children)


@pytest.mark.skipif(not _psycopg_that_django_takes(), reason="Django wants psycopg 3.1.8 or newer")
def test_a_server_that_is_not_there_is_told_of_once(traces: Traces) -> None:
    patch("psycopg")
    port = free_port()
    with (
        connected("postgresql", "shop", HOST=HOST, PORT=port) as connection,
        segment("request"),
        pytest.raises(OperationalError),
    ):
        connection.cursor()
    (connect,) = traces.one.children
    assert (connect.name, connect.flags, connect.children) == (f"shop@{HOST}:{port}", {"fault"}, [])


@pytest.mark.parametrize(
    ("vendor", "told", "name", "url"),
    [
        ("oracle", {"NAME": "orcl", "HOST": "db", "PORT": "1521"}, "orcl@db:1521", "oracle://db:1521/orcl"),
        ("microsoft", {"NAME": "shop", "HOST": "db"}, "shop@db", "microsoft://db/shop"),
        ("mysql", {"NAME": "shop"}, "shop@localhost", "mysql://localhost/shop"),
        ("mysql", {"NAME": "shop", "HOST": "/run/mysqld.sock"}, "shop@localhost", "mysql://localhost/shop"),
        ("postgresql", {"NAME": "shop"}, "shop@localhost", "postgresql://localhost/shop"),
        ("postgresql", {"NAME": "shop", "HOST": "/run"}, "shop@localhost", "postgresql://localhost/shop"),
        ("dummy", {}, "dummy", None),
    ],
)
def test_a_backend_of_any_other_vendor_is_described_by_the_settings(
    vendor: str, told: dict[str, str], name: str, url: str | None
) -> None:
    class Backend:
        settings_dict = told
        display_name = vendor.title()

    backend: Any = Backend()
    backend.vendor = vendor
    database = databases._database(backend)
    assert (database.name, database.fields.get("url")) == (name, url)
