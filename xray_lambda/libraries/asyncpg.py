"""asyncpg: each call that asks the server for something, connecting included, is a remote subsegment `database@host`.

So is waiting for a connection while a pool has none to give. What the driver asks for by itself, to learn types or to
clean up what goes back to a pool, is none. All targets are named by the package: when it is loaded, pools have made
their own copies of what they show of a connection.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg

from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import LOWEST, Quiet
from xray_lambda.libraries._postgres import PART_OF, connected, described, told
from xray_lambda.libraries._sql import database_of, sql

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from typing import Any

    from xray_lambda.libraries._card import Call, Steps
    from xray_lambda.libraries._sql import Database

_DRIVER = f"asyncpg {asyncpg.__version__}"
_CONNECTION = "asyncpg:connection.Connection"
_STATEMENT = "asyncpg:prepared_stmt.PreparedStatement"
# What gives COPY its rows or sets a new connection up is the program's: what it asks for is no part of the call.
_AROUND_THE_PROGRAM = LOWEST - 1


# The last one is what both come to, when the program had one of them in hand before.
@card(
    "asyncpg:connect(dsn)",
    "asyncpg:connection.connect(dsn)",
    "asyncpg:connect_utils._connect",
    part_of=PART_OF,
)
def connect(call: Call) -> Steps:
    sub = sql(call, _named(call.get("dsn"), call.kwargs), "CONNECT")
    connection = yield sub
    connected(sub, database_of(connection, _describe))


@card(
    f"{_CONNECTION}.execute(self, query)",
    f"{_CONNECTION}.fetch(self, query)",
    f"{_CONNECTION}.fetchval(self, query)",
    f"{_CONNECTION}.fetchrow(self, query)",
    f"{_CONNECTION}.fetchmany(self, query)?",
    part_of=PART_OF,
)
def execute(call: Call) -> Steps:
    yield sql(call, _database(call), call["query"])


@card(f"{_CONNECTION}.executemany(self, command)", part_of=PART_OF)
def executemany(call: Call) -> Steps:
    yield sql(call, _database(call), call["command"])


@card(f"{_CONNECTION}.prepare(self, query)", part_of=PART_OF)
def prepare(call: Call) -> Steps:
    yield sql(call, _database(call), call["query"], preparation="statement")


@card(
    f"{_STATEMENT}.fetch(self)",
    f"{_STATEMENT}.fetchval(self)",
    f"{_STATEMENT}.fetchrow(self)",
    f"{_STATEMENT}.fetchmany(self)?",
    f"{_STATEMENT}.executemany(self)",
    part_of=PART_OF,
)
def execute_prepared(call: Call) -> Steps:
    statement = call["self"]
    yield sql(call, _database_behind(statement), statement._query, preparation="statement")  # noqa: SLF001


@card(
    "asyncpg:cursor.CursorIterator.__anext__(self)",
    "asyncpg:cursor.Cursor._init(self)",
    "asyncpg:cursor.Cursor.fetch(self)",
    "asyncpg:cursor.Cursor.fetchrow(self)",
    "asyncpg:cursor.Cursor.forward(self)",
    part_of=PART_OF,
)
def move_cursor(call: Call) -> Steps:
    cursor = call["self"]
    if cursor._exhausted or getattr(cursor, "_buffer", None):  # noqa: SLF001 - what is there already is not asked for
        return
    try:
        yield sql(call, _database_behind(cursor), cursor._query)  # noqa: SLF001
    except StopAsyncIteration:
        return  # there is no further row


@card(f"{_CONNECTION}.copy_from_table(self, table_name)", part_of=PART_OF)
def copy_from_table(call: Call) -> Steps:
    yield sql(call, _database(call), f"COPY {_table(call)} TO STDOUT", layer=_AROUND_THE_PROGRAM)


@card(
    f"{_CONNECTION}.copy_to_table(self, table_name)",
    f"{_CONNECTION}.copy_records_to_table(self, table_name)",
    part_of=PART_OF,
)
def copy_to_table(call: Call) -> Steps:
    yield sql(call, _database(call), f"COPY {_table(call)} FROM STDIN", layer=_AROUND_THE_PROGRAM)


@card(f"{_CONNECTION}.copy_from_query(self, query)", part_of=PART_OF)
def copy_from_query(call: Call) -> Steps:
    yield sql(call, _database(call), f"COPY ({call['query']}) TO STDOUT")  # it asks for its arguments' types


@card("asyncpg:pool.Pool._acquire(self)", part_of=PART_OF)
def acquire(call: Call) -> Steps:
    pool = call["self"]
    queue = pool._queue  # noqa: SLF001 - of those that are free, connected or not; None before the pool is ready
    if queue is None or queue.empty() or pool.is_closing():
        dsn = pool._connect_args[0] if pool._connect_args else None  # noqa: SLF001
        yield sql(call, _named(dsn, pool._connect_kwargs), "ACQUIRE", layer=_AROUND_THE_PROGRAM)  # noqa: SLF001


@card(f"{_CONNECTION}.reset(self)", "asyncpg:pool.Pool._maintain_min_size(self)?", part_of=PART_OF)
def keep_pool(call: Call) -> Steps:
    """Leave alone what pools do for themselves: after each use of a connection, and in a task that never ends."""
    yield Quiet(call.parent)


def _table(call: Call) -> str:
    names = [call.get("schema_name"), call["table_name"]]
    return ".".join('"' + name.replace('"', '""') + '"' for name in names if name)


def _database(call: Call) -> Database:
    return database_of(call["self"], _describe)


def _database_behind(resource: Any) -> Database:
    return database_of(resource._connection, _describe)  # noqa: SLF001


def _describe(connection: Any) -> Database:
    """Describe a connection by what it holds, closed or not."""
    address, params, version = connection._addr, connection._params, connection.get_server_version()  # noqa: SLF001
    parts = (version.major, version.micro) if version.major >= 10 else version[:3]
    host, port = address if isinstance(address, tuple) else (address, address.rpartition(".")[2])
    return described(params.database, host, port, params.user, ".".join(map(str, parts)), _DRIVER)


def _named(dsn: object, given: dict[str, Any]) -> Database:
    """Describe a database by what the driver is told to connect to: arguments count before the URL."""
    named: dict[str, Any] = {}
    if isinstance(dsn, str):
        try:
            named = _parts(dsn)
        except ValueError:  # it will fail by itself, in the driver's own words
            named = {}
    for name in ("host", "port", "user", "database"):
        value = given.get(name)
        if value is not None:
            value = value[0] if isinstance(value, (list, tuple)) and value else value
            named["dbname" if name == "database" else name] = value
    return told(named, _DRIVER)


def _parts(dsn: str) -> dict[str, Any]:
    url = urlsplit(dsn)
    login, _, hosts = url.netloc.rpartition("@")
    first = urlsplit(f"//{hosts.partition(',')[0]}")
    named = {
        "host": first.hostname,
        "port": first.port,
        "user": unquote(login.partition(":")[0]),
        "dbname": unquote(url.path[1:]),
    }
    return {**named, **{"dbname" if key == "database" else key: value for key, value in parse_qsl(url.query)}}
