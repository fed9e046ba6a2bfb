"""pg8000: each connect, execute, executemany, callproc, run and prepare is a remote subsegment named `database@host`.

Through `pg8000.native` and through both of its DB-API modules alike.
"""

from __future__ import annotations

from functools import wraps

from pg8000 import core

from xray_lambda._guard import guarded
from xray_lambda.libraries._card import card
from xray_lambda.libraries._postgres import PART_OF, connected, described
from xray_lambda.libraries._sql import database_of, remember, sql
from xray_lambda.libraries._targets import replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from xray_lambda.libraries._card import Call, Steps
    from xray_lambda.libraries._sql import Database

_DRIVER = f"pg8000 {core.ver}"


@card(
    "pg8000.dbapi:Cursor.execute(self, operation)",
    "pg8000.dbapi:Cursor.executemany(self, operation)",
    "pg8000.legacy:Cursor.execute(self, operation)",
    "pg8000.legacy:Cursor.executemany(self, operation)",
    part_of=PART_OF,
)
def execute(call: Call) -> Steps:
    yield sql(call, _database(call["self"]._c), call["operation"])  # noqa: SLF001


@card("pg8000.dbapi:Cursor.callproc(self, procname)?", part_of=PART_OF)
def callproc(call: Call) -> Steps:
    yield sql(call, _database(call["self"]._c), f"CALL {call['procname']}", preparation="call")  # noqa: SLF001


@card("pg8000.native:Connection.run(self, sql)", part_of=PART_OF)
def run(call: Call) -> Steps:
    yield sql(call, _database(call["self"]), call["sql"])


@card("pg8000.native:Connection.prepare(self, sql)", part_of=PART_OF)
def prepare(call: Call) -> Steps:
    yield sql(call, _database(call["self"]), call["sql"], preparation="statement")


@card("pg8000.legacy:Connection.prepare(self, operation)", part_of=PART_OF)
def prepare_by_legacy(call: Call) -> Steps:
    yield sql(call, _database(call["self"]), call["operation"], preparation="statement")


@card("pg8000.native:PreparedStatement.run(self)", "pg8000.legacy:PreparedStatement.run(self)", part_of=PART_OF)
def run_prepared(call: Call) -> Steps:
    statement = call["self"]
    text = getattr(statement, "operation", None) or statement.statement  # the first one in `legacy`
    yield sql(call, _database(statement.con), text, preparation="statement")


@card(
    "pg8000.native:Connection.__init__(self, user, host, database, port)",
    "pg8000.dbapi:Connection.__init__(self, user, host, database, port)",
    "pg8000.legacy:Connection.__init__(self, user, host, database, port)",
    part_of=PART_OF,
)
def connect(call: Call) -> Steps:
    told = {name: call.get(name) for name in ("host", "database", "port", "unix_sock") if call.get(name) is not None}
    sub = sql(call, _told(call["user"], **told), "CONNECT")
    yield sub
    connected(sub, _database(call["self"]))


@replacing("pg8000.core:CoreConnection.__init__(self, user, host, database, port)")
def keep_what_is_told(original: Callable[..., None]) -> Callable[..., None]:
    """Remember where a connection goes, in a trace or not: it keeps no more than the user's name."""

    @wraps(original)
    def init(self: object, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        _remember(self, *args[:4], **kwargs)

    return init


@guarded
def _remember(connection: Any, *args: Any, **kwargs: Any) -> None:
    remember(connection, _told(*args, version=_version(connection), **kwargs))


def _told(
    user: object,
    host: str | None = "localhost",
    database: object = None,
    port: int = 5432,
    *,
    unix_sock: str | None = None,
    version: str | None = None,
    **_: object,
) -> Database:
    name = _text(user if database is None else database)
    return described(name, unix_sock or host, None if unix_sock else port, _text(user), version, _DRIVER)


def _database(connection: Any) -> Database:
    """Describe a connection; None is that of a closed cursor."""
    if connection is None:
        return described(None, None, None, None, None, _DRIVER)
    return database_of(connection, _describe)


def _describe(connection: Any) -> Database:
    """Describe a connection that was there before: to ask for its database would be a query."""
    try:
        peer = connection._usock.getpeername()  # noqa: SLF001
    except (AttributeError, OSError):  # it is closed
        peer = (None, None)
    host, port = peer[:2] if isinstance(peer, tuple) else ("/", None)
    return described(None, host, port, _text(connection.user), _version(connection), _DRIVER)


def _version(connection: Any) -> str | None:
    known = dict(connection.parameter_statuses)  # pairs of bytes before 1.30
    version = _text(known.get("server_version") or known.get(b"server_version"))
    return version and version.partition(" ")[0]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else value.decode(errors="replace") if isinstance(value, bytes) else None
