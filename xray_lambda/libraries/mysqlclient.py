"""MySQLdb (mysqlclient): each connect, execute, executemany and callproc is a remote subsegment, `database@host`."""

from __future__ import annotations

from functools import wraps

import MySQLdb
import MySQLdb.release

from xray_lambda._guard import guarded
from xray_lambda.libraries._card import Call, around, card
from xray_lambda.libraries._mysql import PART_OF, described, text
from xray_lambda.libraries._sql import database_of, remember, sql
from xray_lambda.libraries._targets import replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from xray_lambda.libraries._card import Steps
    from xray_lambda.libraries._sql import Database

_DRIVER = f"mysqlclient {MySQLdb.release.__version__}"
# The arguments of `connect`, by their places; two of them have another name as well.
_ARGUMENTS = ("self", "host", "user", "password", "database", "port", "unix_socket")


@card(
    "MySQLdb.cursors:BaseCursor.execute(self, query)",
    "MySQLdb.cursors:BaseCursor.executemany(self, query)",
    part_of=PART_OF,
)
def execute(call: Call) -> Steps:
    yield sql(call, _database(call["self"].connection), text(call["query"]))


@card("MySQLdb.cursors:BaseCursor.callproc(self, procname)", part_of=PART_OF)
def callproc(call: Call) -> Steps:
    yield sql(call, _database(call["self"].connection), f"CALL {text(call['procname'])}", preparation="call")


@replacing("MySQLdb.connections:Connection.__init__(self)")
def connect(original: Callable[..., None]) -> Callable[..., None]:
    """Trace the connecting, and keep what it was told: older versions know none of that later."""
    traced = around(_connect, _ARGUMENTS, original, PART_OF)

    @wraps(original)
    def connect_and_remember(self: Any, *args: Any, **kwargs: Any) -> None:
        traced(self, *args, **kwargs)
        _remember(self, _told(args, kwargs))

    return connect_and_remember


def _connect(call: Call) -> Steps:
    told = _told(call.args[1:], call.kwargs)
    name, user, host = _name(told), told.get("user"), told.get("host") or "localhost"
    port = None if told.get("unix_socket") else told.get("port") or None
    sub = sql(call, described(name, host, port, user, None, _DRIVER), "CONNECT")
    yield sub
    sub.sql(**_describe(call["self"], name, user).fields)  # by now the server has said what it is


@guarded
def _remember(connection: Any, told: dict[str, Any]) -> None:
    remember(connection, _describe(connection, _name(told), told.get("user")))


def _told(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**dict(zip(_ARGUMENTS[1:], args, strict=False)), **kwargs}


def _name(told: dict[str, Any]) -> Any:
    return told.get("database") or told.get("db")


def _database(connection: Any) -> Database:
    """Describe a connection; None is that of a closed cursor."""
    if connection is None:
        return described(None, None, None, None, None, _DRIVER)
    return database_of(connection, _describe)


def _describe(connection: Any, database: Any = None, user: Any = None) -> Database:
    """Describe a connection by what the C library says of it, which is nothing of the database and the user."""
    try:
        host, _, way = connection.get_host_info().partition(" via ")
        version = connection.get_server_info()
    except MySQLdb.Error:  # it is closed
        return described(database, None, None, user, None, _DRIVER)
    return described(database, host.lower(), connection.port if way == "TCP/IP" else None, user, version, _DRIVER)
