"""psycopg2: each connect, execute, executemany, callproc and COPY is a remote subsegment named `database@host`.

Connections and cursors are C types that nothing can be put on, so whatever `connect` makes them with is given a
factory: a subclass of the program's own or of psycopg2's, whose cursors are of a subclass too. Connections that are
asynchronous stay as they are: no call of theirs lasts as long as what it starts.
"""

from __future__ import annotations

import sys
from functools import wraps

import psycopg2
from psycopg2 import extensions

from xray_lambda.libraries._card import around
from xray_lambda.libraries._factories import subclass, traced_classes
from xray_lambda.libraries._postgres import PART_OF, connected, described, text_of, told, version_of
from xray_lambda.libraries._sql import database_of, sql
from xray_lambda.libraries._targets import replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from xray_lambda.libraries._card import Call, Steps
    from xray_lambda.libraries._sql import Database

_DRIVER = f"psycopg2 {psycopg2.__version__.partition(' ')[0]}"


def _connect(call: Call) -> Steps:
    sub = sql(call, told(extensions.parse_dsn(call["dsn"]), _DRIVER), "CONNECT")
    connection = yield sub
    connected(sub, database_of(connection, _describe))


def _describe(connection: Any) -> Database:
    info, version = connection.info, version_of(connection.server_version)
    return described(info.dbname, info.host or "/", info.port, info.user, version, _DRIVER)


def execute(call: Call) -> Steps:
    yield sql(call, _database(call), _text(call["query"]))


def copy_expert(call: Call) -> Steps:
    yield sql(call, _database(call), _text(call["sql"]))


def copy_from(call: Call) -> Steps:
    yield sql(call, _database(call), f"COPY {_quoted(call['table'])} FROM STDIN")


def copy_to(call: Call) -> Steps:
    yield sql(call, _database(call), f"COPY {_quoted(call['table'])} TO STDOUT")


def callproc(call: Call) -> Steps:
    statement = f"SELECT * FROM {call['procname']}"  # noqa: S608 - as psycopg2 makes it
    yield sql(call, _database(call), statement, preparation="call")


def _database(call: Call) -> Database:
    return database_of(call["self"].connection, _describe)


def _text(statement: object) -> object:
    return text_of(statement, sys.modules.get("psycopg2.sql"), "_wrapped")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@replacing("psycopg2:_connect")
def connect(original: Callable[..., Any]) -> Callable[..., Any]:
    """Trace what `psycopg2.connect` calls, so that it may have been imported before."""
    traced = around(_connect, ("dsn",), original, PART_OF)

    @wraps(original)
    def connect_traced(dsn: str, connection_factory: Any = None, **kwargs: Any) -> Any:
        if any(kwargs.values()):  # "async" or "async_"
            return original(dsn, connection_factory, **kwargs)
        factory = extensions.connection if connection_factory is None else connection_factory
        return traced(dsn, connection_factory=traced_connection(factory), **kwargs)

    return connect_traced


def _traced_connection(factory: Any) -> Any:
    return subclass(factory, extensions.connection, {}, {"cursor": _cursor})


@wraps(extensions.connection.cursor)
def _cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
    given = args[1] if len(args) > 1 else kwargs.get("cursor_factory")
    factory = traced_cursor(given or self.cursor_factory or extensions.cursor)
    if len(args) > 1:
        return _make_cursor(self, args[0], factory, *args[2:], **kwargs)
    return _make_cursor(self, *args, **{**kwargs, "cursor_factory": factory})


_make_cursor = extensions.connection.cursor
_METHODS: dict[str, tuple[Callable[[Call], Steps], tuple[str, ...]]] = {
    "execute": (execute, ("self", "query")),
    "executemany": (execute, ("self", "query")),
    "callproc": (callproc, ("self", "procname")),
    "copy_expert": (copy_expert, ("self", "sql")),
    "copy_from": (copy_from, ("self", "file", "table")),
    "copy_to": (copy_to, ("self", "file", "table")),
}


def _traced_cursor(factory: Any) -> Any:
    traced = {
        name: around(steps_of, names, getattr(factory, name), PART_OF) for name, (steps_of, names) in _METHODS.items()
    }
    return subclass(factory, extensions.cursor, traced, {})


traced_connection = traced_classes(extensions.connection, _traced_connection)
traced_cursor = traced_classes(extensions.cursor, _traced_cursor)
