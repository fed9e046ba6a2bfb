"""pg8000: each call to the database is one subsegment, through all of its three modules; rows stay as they are."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pg8000
import pg8000.dbapi
import pg8000.legacy
import pg8000.native
import pytest
import sqlalchemy
from pg8000.exceptions import DatabaseError, InterfaceError

from tests.libraries.databases import UNSAMPLED, exact, is_sql, run_apart, statements
from tests.libraries.postgresql import SECRET, document, login, name, silent_server
from tests.servers.postgres import DATABASE, PASSWORD, USER
from tests.servers.process import HOST, free_port
from xray_lambda import patch, subsegment, unpatch
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

DRIVER = f"pg8000 {pg8000.__version__}"
PATCHED = [
    (pg8000.core.CoreConnection, "__init__"),
    *((kind, method) for kind in (pg8000.dbapi.Cursor, pg8000.legacy.Cursor) for method in ("execute", "executemany")),
    *((kind.Connection, "__init__") for kind in (pg8000.native, pg8000.dbapi, pg8000.legacy)),
    (pg8000.dbapi.Cursor, "callproc"),
    (pg8000.native.Connection, "run"),
    *((kind.Connection, "prepare") for kind in (pg8000.native, pg8000.legacy)),
    *((kind.PreparedStatement, "run") for kind in (pg8000.native, pg8000.legacy)),
]
ORIGINALS = {(owner, method): vars(owner).get(method) for owner, method in PATCHED}
MADE = "DROP TABLE IF EXISTS items; CREATE TABLE items (id INT PRIMARY KEY, name TEXT)"


def version_of(connection: Any) -> str:
    known = {str(key).strip("b'"): value for key, value in dict(connection.parameter_statuses).items()}
    version = known["server_version"]
    return (version if isinstance(version, str) else version.decode()).split(" ")[0]


@pytest.fixture
def native(postgres: int) -> Iterator[Any]:
    """A native connection to a database with an empty table."""
    patch("pg8000")
    with capture(header=None):
        connection = pg8000.native.Connection(**login(postgres))
        connection.run(MADE)
    with connection:
        yield connection


@pytest.fixture(params=[pg8000.dbapi, pg8000.legacy], ids=["dbapi", "legacy"])
def connection(request: pytest.FixtureRequest, postgres: int) -> Iterator[Any]:
    """A DB-API connection to a database with an empty table."""
    patch("pg8000")
    with capture(header=None):
        made = request.param.connect(**login(postgres))
        made.autocommit = True
        made.cursor().execute(MADE)
    with closing(made):
        yield made


def test_a_statement_is_a_remote_subsegment_named_after_database_and_host(connection: Any, postgres: int) -> None:
    with exact() as traces, subsegment("handler"):
        cursor = connection.cursor()
        cursor.execute("SELECT 7, %s::text WHERE 'x' = 'x'", (SECRET,))
        assert [tuple(row) for row in cursor.fetchall()] == [(7, SECRET)]
    expected = document(postgres, version_of(connection), DRIVER, "SELECT ?, %s::text WHERE ? = ?")
    assert traces.documents[0]["subsegments"] == [expected]


def test_a_native_statement_is_one_subsegment_with_its_named_parameters(native: Any, postgres: int) -> None:
    with exact() as traces, subsegment("handler"):
        assert native.run("SELECT :given::text, 'x'", given=SECRET) == [[SECRET, "x"]]
    expected = document(postgres, version_of(native), DRIVER, "SELECT :given::text, ?")
    assert traces.documents[0]["subsegments"] == [expected]


def test_executemany_is_one_subsegment_and_so_is_the_begin_that_goes_before(connection: Any, xray: Traces) -> None:
    connection.autocommit = False
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO items VALUES (%s, %s)", iter([(1, SECRET), (2, "b")]))
    assert cursor.rowcount == 2
    connection.commit()
    assert statements(xray) == ["INSERT INTO items VALUES (%s, %s)"]


def test_a_stored_procedure_is_a_prepared_call(postgres: int, xray: Traces) -> None:
    patch("pg8000")
    with capture(header=None):
        connection = pg8000.dbapi.connect(**login(postgres))
        connection.cursor().execute("CREATE OR REPLACE PROCEDURE twice(INOUT n INT) LANGUAGE SQL AS 'SELECT n * 2'")
    with closing(connection):
        cursor = connection.cursor()
        cursor.callproc("twice", (21,))
        assert [tuple(row) for row in cursor.fetchall()] == [(42,)]
    assert xray.one.document["sql"]["preparation"] == "call"
    assert statements(xray) == ["CALL twice"]


@pytest.mark.parametrize("module", [pg8000.native, pg8000.legacy])
def test_a_prepared_statement_says_so_when_it_is_prepared_and_at_each_use(
    module: Any, postgres: int, xray: Traces
) -> None:
    patch("pg8000")
    with closing(module.Connection(**login(postgres))) as connection:
        statement = connection.prepare("SELECT 1 + :n")
        assert [tuple(row) for row in statement.run(n=2)] == [(3,)]
        statement.close()
    calls = xray.roots[1:]
    assert [call.document["sql"]["preparation"] for call in calls] == ["statement"] * 2
    assert [one.partition(" + ")[0] for one in statements(xray)[1:]] == ["SELECT ?"] * 2


def test_the_native_methods_of_a_legacy_connection_are_one_subsegment(postgres: int, xray: Traces) -> None:
    patch("pg8000")
    with closing(pg8000.connect(**login(postgres))) as connection:
        assert [tuple(row) for row in connection.run("SELECT :n::int", n=2)] == [(2,)]
    assert statements(xray) == ["CONNECT", "SELECT :n::int"]


def test_copying_is_one_subsegment_and_shows_no_row(native: Any, xray: Traces) -> None:
    native.run("COPY items FROM STDIN", stream=io.BytesIO(f"1\t{SECRET}\n".encode()))
    out = io.BytesIO()
    native.run("COPY items TO STDOUT", stream=out)
    assert out.getvalue() == f"1\t{SECRET}\n".encode()
    assert statements(xray) == ["COPY items FROM STDIN", "COPY items TO STDOUT"]
    assert SECRET not in str(xray.documents)


def test_a_cursor_that_overrides_execute_and_calls_its_base_is_one_subsegment(postgres: int, xray: Traces) -> None:
    class Shouting(pg8000.dbapi.Cursor):  # type: ignore[misc]
        def execute(self, operation: str, args: Any = (), stream: Any = None) -> None:
            super().execute(f"{operation} -- !", args, stream)

    patch("pg8000")
    with closing(pg8000.dbapi.connect(**login(postgres))) as connection:
        Shouting(connection).executemany("SELECT %s", [(1,), (2,)])
    assert statements(xray) == ["CONNECT", "SELECT %s"]


@pytest.mark.parametrize("module", [pg8000.native, pg8000.dbapi, pg8000.legacy])
def test_connecting_is_a_subsegment_too(module: Any, postgres: int) -> None:
    patch("pg8000")
    with exact() as traces, subsegment("handler"):
        connection = module.Connection(USER, HOST, DATABASE, postgres, PASSWORD)
    connection.close()
    expected = document(postgres, version_of(connection), DRIVER, "CONNECT")
    assert traces.documents[0]["subsegments"] == [expected]


def test_a_connection_made_before_the_patch_is_traced_without_asking_for_its_database(
    postgres: int, xray: Traces
) -> None:
    with pg8000.native.Connection(**login(postgres)) as connection:
        patch("pg8000")
        assert connection.run("SELECT 1") == [[1]]
    assert (xray.one.name, xray.one.document["sql"]["user"]) == (f"{HOST}:{postgres}", USER)
    unpatch("pg8000")
    closed = pg8000.native.Connection(**login(postgres))
    closed.close()
    patch("pg8000")
    with pytest.raises(InterfaceError, match="connection is closed"):
        closed.prepare("SELECT 1")
    assert (xray.roots[1].name, xray.roots[1].flags) == ("postgresql", {"fault"})


def test_a_database_of_no_name_is_the_user_s(xray: Traces) -> None:
    patch("pg8000")
    with pytest.raises(InterfaceError):
        pg8000.native.Connection(USER.encode(), port=free_port())
    assert xray.one.name.startswith(f"{USER}@localhost:")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (f"SELECT 1 '{SECRET}'", "syntax error at or near ?"),
        (f"SELECT '{SECRET}'::int", "invalid input syntax for type integer: ?"),
        (
            f"INSERT INTO items VALUES (1, '{SECRET}'), (1, '{SECRET}')",
            'duplicate key value violates unique constraint "items_pkey"',
        ),
        (
            f"INSERT INTO items VALUES (NULL, '{SECRET}')",
            'null value in column "id" of relation "items" violates not-null constraint',
        ),
    ],
)
def test_a_failing_statement_is_a_fault_with_the_driver_s_exception_and_without_what_it_quotes(
    connection: Any, xray: Traces, statement: str, said: str
) -> None:
    with pytest.raises(pg8000.Error) as caught:
        connection.cursor().execute(statement)
    [told] = caught.value.args
    assert told["S"] == "ERROR"
    [node] = xray.roots
    exceptions = node.exceptions
    kind = type(caught.value)
    assert (node.flags, exceptions[0]["type"]) == ({"fault"}, f"{kind.__module__}.{kind.__qualname__}")
    assert {exception["message"] for exception in exceptions} == {said}
    assert SECRET not in str(xray.documents)


def test_a_native_error_passes_unchanged_and_keeps_its_values_to_itself(native: Any, xray: Traces) -> None:
    native.run("CREATE UNIQUE INDEX by_name ON items (name)")
    native.run("INSERT INTO items VALUES (1, :name)", name=SECRET)
    with pytest.raises(DatabaseError, match=SECRET):
        native.run("INSERT INTO items VALUES (2, :name)", name=SECRET)
    failed = xray.roots[-1]
    assert failed.exceptions[0]["message"] == 'duplicate key value violates unique constraint "by_name"'
    assert SECRET not in str(xray.documents)


def test_a_refused_connection_is_a_fault_where_it_was_tried(xray: Traces) -> None:
    patch("pg8000")
    port = free_port()
    with pytest.raises(InterfaceError, match="Can't create a connection"):
        pg8000.native.Connection(**login(port))
    assert (xray.one.name, xray.one.flags) == (name(port), {"fault"})
    assert [one["type"] for one in xray.one.exceptions] == [
        "pg8000.exceptions.InterfaceError",
        "ConnectionRefusedError",
    ]


@pytest.mark.parametrize("module", [pg8000.native, pg8000.dbapi, pg8000.legacy])
def test_a_wrong_password_is_a_fault_and_stays_secret(module: Any, postgres: int, xray: Traces) -> None:
    patch("pg8000")
    with pytest.raises(pg8000.Error) as caught:
        module.Connection(**login(postgres, password=SECRET))
    kind = type(caught.value)
    exception = xray.one.exceptions[0]
    assert (xray.one.flags, exception["type"]) == ({"fault"}, f"{kind.__module__}.{kind.__qualname__}")
    assert exception["message"] == f'password authentication failed for user "{USER}"'
    assert SECRET not in str(xray.documents)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pg8000 leaves its socket open then
def test_a_server_that_does_not_answer_in_time_is_a_fault(xray: Traces) -> None:
    patch("pg8000")
    with silent_server() as port, pytest.raises((InterfaceError, TimeoutError)):
        pg8000.native.Connection(**login(port), timeout=0.05)
    assert (xray.one.name, xray.one.flags) == (name(port), {"fault"})


def test_a_closed_cursor_and_a_closed_connection_fail_as_before(connection: Any, xray: Traces) -> None:
    cursor, other = connection.cursor(), connection.cursor()
    cursor.close()
    with pytest.raises(pg8000.InterfaceError, match="Cursor closed"):
        cursor.execute("SELECT 1")
    connection.close()
    with pytest.raises(pg8000.InterfaceError, match="connection is closed"):
        other.execute("SELECT 1")
    connection.close = lambda: None
    assert [root.name.partition("@")[0] for root in xray.roots] == ["postgresql", DATABASE]
    assert [root.flags for root in xray.roots] == [{"fault"}] * 2


def test_a_call_without_its_arguments_fails_in_the_driver_s_own_words(native: Any, xray: Traces) -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'sql'"):
        native.run()
    assert len(xray) == 0


def test_threads_record_side_by_side(postgres: int) -> None:
    patch("pg8000", "threads")
    meet = threading.Barrier(4, timeout=20)

    def work(number: int) -> Any:
        with pg8000.native.Connection(**login(postgres)) as connection:
            meet.wait()
            return connection.run("SELECT :n::int", n=number)[0][0]

    with capture() as traces, subsegment("handler"), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [0, 1, 2, 3]
    assert [child.children for child in traces.one.children] == [[]] * 8
    assert sum(map(is_sql, traces.one.children)) == 8


def test_under_sqlalchemy_a_statement_is_one_subsegment(postgres: int, xray: Traces) -> None:
    patch("pg8000", "sqlalchemy")
    url = sqlalchemy.engine.URL.create(
        "postgresql+pg8000", username=USER, password=PASSWORD, host=HOST, port=postgres, database=DATABASE
    )
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection, subsegment("work"):
        assert connection.execute(sqlalchemy.text("SELECT :n"), {"n": SECRET}).scalar() == SECRET
        with pytest.raises(sqlalchemy.exc.ProgrammingError):
            connection.execute(sqlalchemy.text(f"SELEC '{SECRET}'"))
    engine.dispose()
    [work] = [root for root in xray.roots if root.name == "work"]
    assert [child.children for child in work.children] == [[], []]
    assert work.children[1].exceptions[0]["message"].endswith("syntax error at or near ?")
    assert SECRET not in str(xray.documents)


def test_outside_of_a_trace_and_unsampled_nothing_is_recorded(native: Any, postgres: int) -> None:
    for header in (None, UNSAMPLED):
        with capture(header) as traces:
            assert native.run("SELECT 1") == [[1]]
            pg8000.native.Connection(**login(postgres)).close()
        assert traces.documents == []


def test_patching_twice_records_once_and_unpatching_restores_every_function(native: Any, xray: Traces) -> None:
    patch("pg8000")
    native.run("SELECT 1")
    assert len(xray) == 1
    unpatch("pg8000")
    assert {key: vars(key[0]).get(key[1]) for key in ORIGINALS} == ORIGINALS


def test_the_patch_may_come_before_the_import(postgres: int) -> None:
    program = """
import json, sys
from xray_lambda import patch
from xray_lambda.testing import capture
patch("pg8000")
assert "pg8000" not in sys.modules
import pg8000.native
with capture() as traces:
    port, user, password, database = sys.argv[1:]
    pg8000.native.Connection(user, "127.0.0.1", database, int(port), password).close()
    import pg8000.dbapi
    pg8000.dbapi.connect(user, "127.0.0.1", database, int(port), password).cursor().execute("SELECT 1")
print(json.dumps([root.name for root in traces.roots]))
"""
    assert run_apart(program, postgres, USER, PASSWORD, DATABASE) == [f"{DATABASE}@{HOST}:{postgres}"] * 3
