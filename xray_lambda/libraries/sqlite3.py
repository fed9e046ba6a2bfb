"""sqlite3: each execute, executemany and executescript is a remote subsegment named after the database's file.

Connections and cursors are C types that nothing can be put on, so `connect` is given a factory: a subclass of the
program's own or of sqlite3's, whose cursors are of a subclass too.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache, wraps
from os.path import basename

from xray_lambda.libraries._card import around
from xray_lambda.libraries._sql import Database, database_of, sql
from xray_lambda.libraries._targets import replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from xray_lambda.libraries._card import Call, Steps

_FACTORY = 5  # its place among the arguments of `connect`


def execute(call: Call) -> Steps:
    yield sql(call, database_of(call["self"], _describe), call["statement"])


def execute_by_cursor(call: Call) -> Steps:
    yield sql(call, database_of(call["self"].connection, _describe), call["statement"])


def _describe(connection: sqlite3.Connection) -> Database:
    path = str(sqlite3.Connection.execute(connection, "PRAGMA database_list").fetchone()[2] or ":memory:")
    version = sqlite3.sqlite_version
    return Database(basename(path), None, "sqlite", database_type="SQLite", url=path, database_version=version)


@replacing("sqlite3.dbapi2:connect(database)", "sqlite3:connect(database)")
def connect(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def connect_traced(*args: Any, **kwargs: Any) -> Any:
        if len(args) > _FACTORY:
            args = (*args[:_FACTORY], traced_connection(args[_FACTORY]), *args[_FACTORY + 1 :])
        else:
            kwargs["factory"] = traced_connection(kwargs.get("factory", sqlite3.Connection))
        return original(*args, **kwargs)

    return connect_traced


@lru_cache(maxsize=64)
def traced_connection(factory: Any) -> Any:
    """Return a subclass whose calls are traced; what is no class of connections stays as it is."""
    if not isinstance(factory, type) or not issubclass(factory, sqlite3.Connection):
        return factory
    original = factory.cursor

    @wraps(original)
    def cursor(self: sqlite3.Connection, factory: Any = sqlite3.Cursor) -> Any:
        return original(self, traced_cursor(factory))

    return _subclass(factory, execute, cursor=cursor)


@lru_cache(maxsize=64)
def traced_cursor(factory: Any) -> Any:
    """Return a subclass whose calls are traced; what is no class of cursors stays as it is."""
    if not isinstance(factory, type) or not issubclass(factory, sqlite3.Cursor):
        return factory
    return _subclass(factory, execute_by_cursor)


def _subclass(base: type, steps_of: Callable[[Call], Steps], **more: object) -> type:
    """Return a subclass that looks like its base."""
    functions = {
        name: around(steps_of, ("self", "statement"), getattr(base, name))
        for name in ("execute", "executemany", "executescript")
    }
    return type(base.__name__, (base,), {"__module__": base.__module__, "__doc__": base.__doc__, **functions, **more})
