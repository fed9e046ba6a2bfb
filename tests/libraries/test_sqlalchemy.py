"""SQLAlchemy: each statement is one subsegment, whichever driver runs it, and however it ends."""

from __future__ import annotations

import re
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.orm import Query, Session, declarative_base, relationship, sessionmaker

from tests.libraries.databases import UNSAMPLED, exact, is_sql, run_apart, statements
from tests.servers.mariadb import DATABASE, PASSWORD, USER
from tests.servers.process import HOST, free_port
from xray_lambda import patch, patch_all, subsegment, unpatch
from xray_lambda._context import current
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

sa: Any = sqlalchemy  # its types differ from version to version
PATCHED = [(Connection, "_execute_context"), (Connection, "_cursor_execute"), (Engine, "raw_connection")]
ORIGINALS = {(owner, name): vars(owner)[name] for owner, name in PATCHED}
SECRET = "hunter2-in-a-value"
IS_2 = sa.__version__ >= "2"

Base: Any = declarative_base()


class Order(Base):  # type: ignore[misc]
    __tablename__ = "orders"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(100), unique=True)
    items = relationship("Item")


class Item(Base):  # type: ignore[misc]
    __tablename__ = "items"
    id = sa.Column(sa.Integer, primary_key=True)
    order_id = sa.Column(sa.ForeignKey("orders.id"))


def place(port: int, driver: str = "pymysql", **more: Any) -> URL:
    told = {"drivername": f"mysql+{driver}", "host": HOST, "port": port, "username": USER, "password": PASSWORD}
    return URL.create(**{**told, "database": DATABASE, **more})


@pytest.fixture
def engine() -> Iterator[Any]:
    """An engine in memory, with the tables made."""
    made = sa.create_engine("sqlite://", future=True, poolclass=sa.pool.StaticPool)
    with capture(header=None):
        Base.metadata.create_all(made)
    patch("sqlalchemy")
    yield made
    made.dispose()


@pytest.fixture
def maria(mariadb: int) -> Iterator[Any]:
    """An engine over PyMySQL, connected, with the tables made."""
    made = sa.create_engine(place(mariadb), future=True)
    Base.metadata.drop_all(made)
    Base.metadata.create_all(made)
    patch("sqlalchemy", "pymysql")
    yield made
    made.dispose()


def test_a_statement_is_a_remote_subsegment_named_after_database_and_host(maria: Any, mariadb: int) -> None:
    statement = sa.select(Order.id).where(Order.name == SECRET, sa.text("'x' = 'x'"))
    with exact() as traces, subsegment("handler"), maria.connect() as connection:
        assert connection.execute(statement).all() == []
    [document] = traces.documents
    assert document["subsegments"] == [
        {
            "name": f"{DATABASE}@{HOST}:{mariadb}",
            "id": "0000000000000002",
            "start_time": 1700000000.002,  # after a look at the clock where a connection was asked for
            "end_time": 1700000000.003,
            "namespace": "remote",
            "sql": {
                "url": f"mysql://{HOST}:{mariadb}/{DATABASE}",
                "user": USER,
                "database_type": "MariaDB",
                "database_version": ".".join(map(str, maria.dialect.server_version_info)),
                "driver_version": f"SQLAlchemy {sa.__version__}, pymysql",
                "sanitized_query": "SELECT orders.id FROM orders WHERE orders.name = %(name_1)s AND ? = ?",
            },
        }
    ]


@pytest.mark.parametrize("driver", ["pymysql", "mysqldb", "mysqlconnector"])
def test_over_a_patched_driver_a_statement_is_one_subsegment(mariadb: int, driver: str) -> None:
    patch_all()
    engine = sa.create_engine(place(mariadb, driver), future=True)
    with capture(), engine.connect():  # the first connection asks for this and that
        pass
    with capture() as traces, engine.begin() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
        connection.execute(sa.text("SELECT :n"), [{"n": 1}, {"n": 2}])
    engine.dispose()
    assert statements(traces)[0] == "SELECT ?"
    assert len(traces) == 2
    assert all(not root.children for root in traces.roots)


def test_what_a_driver_is_asked_for_directly_is_recorded_by_its_own_card(maria: Any, xray: Traces) -> None:
    raw = maria.raw_connection()
    raw.cursor().execute("SELECT 1")
    raw.close()
    assert xray.one.document["sql"]["driver_version"].startswith("PyMySQL")


def test_a_failing_connect_is_a_fault_by_the_driver_s_card(mariadb: int, xray: Traces) -> None:
    patch("sqlalchemy", "pymysql")
    refused, denied = free_port(), place(mariadb, password=SECRET + "@#:/")
    for url in (place(refused), denied):
        with pytest.raises(sa.exc.OperationalError):
            sa.create_engine(url, future=True).connect()
    assert [(root.name, root.flags) for root in xray.roots] == [
        (f"{DATABASE}@{HOST}:{refused}", {"fault"}),
        (f"{DATABASE}@{HOST}:{mariadb}", {"fault"}),
    ]
    assert SECRET not in str(xray.documents)


def test_a_pool_that_has_no_connection_to_give_is_a_fault(maria: Any, mariadb: int, xray: Traces) -> None:
    engine = sa.create_engine(place(mariadb), future=True, pool_size=1, max_overflow=0, pool_timeout=0.05)
    with engine.connect():
        xray.clear()
        with pytest.raises(sa.exc.TimeoutError, match="QueuePool limit"):
            engine.connect()
    engine.dispose()
    assert (xray.one.name, statements(xray)) == (f"{DATABASE}@{HOST}:{mariadb}", ["CONNECT"])
    assert (xray.one.flags, xray.one.exceptions[0]["type"]) == ({"fault"}, "sqlalchemy.exc.TimeoutError")
    assert xray.one.duration >= 0.05


def test_a_failing_connect_is_a_fault_where_the_driver_is_not_traced_too(xray: Traces) -> None:
    patch("sqlalchemy")
    port = free_port()
    with pytest.raises(sa.exc.OperationalError):
        sa.create_engine(place(port), future=True).connect()
    assert (xray.one.name, xray.one.flags) == (f"{DATABASE}@{HOST}:{port}", {"fault"})


def test_a_pool_that_asks_whether_its_connection_lives_records_what_it_then_does(mariadb: int, xray: Traces) -> None:
    patch("sqlalchemy", "pymysql")
    engine = sa.create_engine(place(mariadb), future=True, pool_pre_ping=True, pool_size=1)
    with engine.connect() as connection:
        connection.connection.dbapi_connection.close()
    xray.clear()
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    engine.dispose()
    assert (statements(xray)[0], statements(xray)[-1]) == ("CONNECT", "SELECT ?")


def test_the_orm_records_each_statement_that_it_makes_lazy_ones_too(engine: Any, xray: Traces) -> None:
    with Session(engine, future=True) as session:
        session.add(Order(id=1, name=SECRET, items=[Item(id=1), Item(id=2)]))
        session.commit()
        order = session.execute(sa.select(Order)).scalar_one()
        assert len(order.items) == 2
    assert [re.match(r"\w+( INTO)? [\w.]+", one)[0] for one in statements(xray)] == [  # type: ignore[index]
        "INSERT INTO orders",
        "INSERT INTO items",
        "SELECT orders.id",
        "SELECT items.id",
    ]
    assert SECRET not in str(xray.documents)


def test_many_rows_are_one_subsegment_in_however_many_batches_they_go(maria: Any, xray: Traces) -> None:
    rows = [{"name": f"{SECRET}{number}"} for number in range(5)]
    with maria.begin() as connection:
        connection.execute(sa.insert(Order), rows)
        if IS_2:
            batched = connection.execution_options(insertmanyvalues_page_size=2)
            given = batched.execute(sa.insert(Order).returning(Order.id), [{"name": str(n)} for n in range(5)])
            assert len(given.all()) == 5
    assert statements(xray)[0].replace("(%(name)s)", "(?)") == "INSERT INTO orders (name) VALUES (?)"
    assert len(xray) == 1 + IS_2
    assert all(len(statement) < 80 for statement in statements(xray))


def test_what_is_only_known_when_a_statement_runs_is_left_open(engine: Any, xray: Traces) -> None:
    with engine.connect().execution_options(schema_translate_map={None: "main"}) as connection:
        connection.execute(sa.select(Order.id).where(Order.id.in_([1, 2, 3])))
    assert statements(xray) == ["SELECT ?.orders.id FROM ?.orders WHERE ?.orders.id IN (?)"]


def test_a_sequence_that_is_asked_for_is_a_subsegment(maria: Any, xray: Traces) -> None:
    with maria.begin() as connection:
        connection.exec_driver_sql("CREATE OR REPLACE SEQUENCE numbers")
        asked = connection.scalar(sa.Sequence("numbers")) if IS_2 else connection.execute(sa.Sequence("numbers"))
        assert asked == 1
    assert statements(xray)[1] == "select nextval(numbers)"
    assert [root.document["sql"]["driver_version"].split()[0] for root in xray.roots] == ["SQLAlchemy"] * 2


def test_a_violated_constraint_is_a_fault_without_the_statement_and_its_parameters(maria: Any, xray: Traces) -> None:
    with maria.begin() as connection:
        connection.execute(sa.insert(Order).values(id=1, name=SECRET))
    with pytest.raises(sa.exc.IntegrityError, match=SECRET) as caught, maria.begin() as connection:
        connection.execute(sa.insert(Order).values(id=2, name=SECRET))
    assert caught.value.orig.args[0] == 1062
    assert caught.value.params == {"id": 2, "name": SECRET}
    [exception, cause] = xray.roots[1].exceptions
    assert exception["type"] == "sqlalchemy.exc.IntegrityError"
    assert exception["message"] == "(pymysql.err.IntegrityError) 1062 Duplicate entry ? for key 'name'"
    assert (exception["cause"], cause["type"]) == (cause["id"], "pymysql.err.IntegrityError")
    assert xray.roots[1].flags == {"fault"}
    assert SECRET not in str(xray.documents)


def test_an_exception_that_passes_through_the_program_s_blocks_is_recorded_once(engine: Any, xray: Traces) -> None:
    with pytest.raises(sa.exc.OperationalError), subsegment("handler"), engine.connect() as connection:
        connection.execute(sa.select(sa.literal_column(f"'{SECRET}' FROM nowhere")))
    [call] = xray.one.children
    assert xray.one.document["cause"] == call.exceptions[0]["id"]
    assert SECRET not in str(xray.documents)


def test_parameters_that_do_not_fit_are_a_fault_of_the_call(engine: Any, xray: Traces) -> None:
    with engine.connect() as connection, pytest.raises(sa.exc.StatementError):
        connection.execute(sa.insert(Order).values(id=sa.bindparam("missing"), name=SECRET))
    assert xray.one.flags == {"fault"}
    assert SECRET not in str(xray.documents)


@pytest.mark.parametrize("name", ["before_cursor_execute", "after_cursor_execute"])
def test_a_listener_of_the_program_that_raises_leaves_nothing_open(engine: Any, xray: Traces, name: str) -> None:
    def listen(*_: object) -> None:
        raise KeyError("theirs")

    event.listen(engine, name, listen)
    with subsegment("handler") as handler:
        with engine.connect() as connection, pytest.raises(KeyError, match="theirs"):
            connection.execute(sa.text("SELECT 1"))
        assert current.get() is handler
    assert xray.one.children[0].exceptions[0]["type"] == "KeyError"


def test_a_listener_of_the_program_may_change_the_error_and_that_is_recorded(engine: Any, xray: Traces) -> None:
    def listen(_: object) -> None:
        raise LookupError("theirs")

    event.listen(engine, "handle_error", listen)
    with engine.connect() as connection, pytest.raises(LookupError, match="theirs"):
        connection.execute(sa.text("SELEC"))
    assert [one["type"] for one in xray.one.exceptions] == ["LookupError", "sqlite3.OperationalError"]


def test_the_program_s_own_listeners_are_called_as_before(engine: Any, xray: Traces) -> None:
    heard = []
    event.listen(engine, "before_cursor_execute", lambda *told: heard.append(told[2]))
    event.listen(engine, "after_cursor_execute", lambda *told: heard.append(told[2]))
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    assert (heard, len(xray)) == (["SELECT 1"] * 2, 1)


def test_an_interrupt_in_a_driver_closes_the_subsegment(engine: Any, xray: Traces) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with engine.connect() as connection:
        connection.connection.dbapi_connection.create_function("interrupt", 0, interrupt)
        with pytest.raises((KeyboardInterrupt, sa.exc.OperationalError)), subsegment("handler"):
            connection.execute(sa.text("SELECT interrupt()"))
    assert xray.one.children[0].flags == {"fault"}


def test_nothing_is_added_to_a_list_of_the_standard_library_and_no_other_class_changes(engine: Any) -> None:
    netloc = list(urllib.parse.uses_netloc)
    unpatch("sqlalchemy")
    classes: dict[type, dict[str, Any]] = {one: dict(vars(one)) for one in (Session, Query, sessionmaker, sa.pool.Pool)}
    patch("sqlalchemy")
    with capture(), Session(engine, future=True) as session:
        for _ in range(3):
            session.execute(sa.text("SELECT 1"))
    assert urllib.parse.uses_netloc == netloc
    assert {one: {name: vars(one)[name] for name in was} for one, was in classes.items()} == classes


@pytest.mark.parametrize(
    ("url", "name"),
    [("sqlite://", ":memory:"), ("sqlite:///{folder}/stock.db", "stock.db"), ("sqlite+pysqlite://", ":memory:")],
)
def test_sqlite_is_named_after_its_file(url: str, name: str, tmp_path: object) -> None:
    patch("sqlalchemy")
    engine = sa.create_engine(url.format(folder=tmp_path), future=True)
    with capture() as traces, engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    engine.dispose()
    assert {root.name for root in traces.roots} == {name}


def test_threads_record_side_by_side(maria: Any) -> None:
    meet = threading.Barrier(4, timeout=20)

    def work(number: int) -> Any:
        with maria.connect() as connection:
            meet.wait()
            return connection.execute(sa.select(sa.literal(number))).scalar()

    patch("threads")
    with capture() as traces, subsegment("handler"), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [0, 1, 2, 3]
    selects = [child for child in traces.one.children if is_sql(child)]
    assert all(not child.children for child in selects)
    assert statements(traces).count("SELECT %(param_1)s AS anon_1") == 4


@pytest.mark.parametrize("header", [None, UNSAMPLED])
def test_outside_of_a_trace_and_unsampled_nothing_is_recorded(maria: Any, header: str | None) -> None:
    with capture(header) as traces, maria.connect() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    assert traces.documents == []


def test_patching_twice_records_once_and_unpatching_restores_every_function(engine: Any, xray: Traces) -> None:
    patch("sqlalchemy", "sqlalchemy_core", "flask_sqlalchemy")
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    assert len(xray) == 1
    unpatch("sqlalchemy")
    assert {key: vars(key[0])[key[1]] for key in ORIGINALS} == ORIGINALS
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    assert len(xray) == 1


def test_the_patch_may_come_before_the_import() -> None:
    program = """
import json, sys
from xray_lambda import patch
from xray_lambda.testing import capture
patch("sqlalchemy")
assert "sqlalchemy" not in sys.modules
from sqlalchemy import create_engine, text
with capture() as traces, create_engine("sqlite://").connect() as connection:
    connection.execute(text("SELECT 1"))
print(json.dumps(traces.roots[-1].document["sql"]["sanitized_query"]))
"""
    assert run_apart(program) == "SELECT ?"


def test_the_program_may_ignore_its_database(engine: Any) -> None:
    patch("sqlite3")
    with capture(ignore_calls=":memory:") as traces, engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    assert traces.documents == []
