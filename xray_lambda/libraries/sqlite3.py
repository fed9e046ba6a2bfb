"""sqlite3: each execute, executemany and executescript is a remote subsegment named after the database's file.

Connections and cursors are C types that nothing can be put on, so `connect` is given a factory: a subclass of the
program's own or of sqlite3's, whose cursors are of a subclass too. Connecting opens no file yet, and is recorded where
it fails.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache, wraps
from os import fsdecode
from os.path import abspath, basename

from xray_lambda._guard import guarded
from xray_lambda._recorder import current_entity
from xray_lambda.libraries._card import Call, around
from xray_lambda.libraries._factories import subclass, traced_classes
from xray_lambda.libraries._kinds import LOWEST
from xray_lambda.libraries._sql import Database, database_of, remember, sql
from xray_lambda.libraries._targets import replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from xray_lambda.libraries._card import Steps

_FACTORY = 5  # its place among the arguments of `connect`
_PART_OF = ("sql", LOWEST)
_METHODS = ("execute", "executemany", "executescript")


def execute(call: Call) -> Steps:
    yield sql(call, database_of(call["self"], _unknown), call["statement"])


def execute_by_cursor(call: Call) -> Steps:
    yield sql(call, database_of(call["self"].connection, _unknown), call["statement"])


# In the package, which takes it from `sqlite3.dbapi2`, and there: once both are loaded.
@replacing("sqlite3:connect", "sqlite3:dbapi2.connect")
def connect(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def connect_traced(*args: Any, **kwargs: Any) -> Any:
        if len(args) > _FACTORY:
            args = (*args[:_FACTORY], traced_connection(args[_FACTORY]), *args[_FACTORY + 1 :])
        else:
            kwargs = {**kwargs, "factory": traced_connection(kwargs.get("factory", sqlite3.Connection))}
        try:
            connection = original(*args, **kwargs)
        except Exception as error:
            _failed(error, *args[:1], **kwargs)
            raise
        _connected(connection, *args[:1], **kwargs)
        return connection

    return connect_traced


@guarded
def _connected(connection: object, database: Any = None, **_: object) -> None:
    remember(connection, _described(fsdecode(database)))


@guarded
def _failed(error: Exception, database: Any = None, **_: object) -> None:
    if isinstance(error, sqlite3.Error):
        sub = sql(Call({}, current_entity(), (), {}), _described(fsdecode(database)), "CONNECT")
        if sub.sampled:
            sub.__enter__()
            sub.__exit__(type(error), error, error.__traceback__)


def _described(path: str) -> Database:
    """Describe a database by what `connect` is told; to ask the connection would be a query."""
    if path.startswith("file:"):
        path = path[5:].partition("?")[0]
        path = "/" + path[2:].partition("/")[2] if path.startswith("//") else path
    return _database(path if path in ("", ":memory:") else abspath(path))


@lru_cache(maxsize=64)
def _database(path: str) -> Database:
    return Database(
        basename(path),
        None,
        "sqlite",
        url=path if path.startswith("/") else None,
        database_type="SQLite",
        database_version=sqlite3.sqlite_version,
        driver_version="sqlite3",
    )


def _unknown(_: object) -> Database:
    """Describe a connection that no `connect` has made."""
    return _database("")


def _traced_connection(factory: Any) -> Any:
    return subclass(factory, sqlite3.Connection, _around(factory, execute), {"cursor": _cursor})


def _traced_cursor(factory: Any) -> Any:
    return subclass(factory, sqlite3.Cursor, _around(factory, execute_by_cursor), {})


def _around(base: Any, steps_of: Callable[[Call], Steps]) -> dict[str, object]:
    return {name: around(steps_of, ("self", "statement"), getattr(base, name), _PART_OF) for name in _METHODS}


@wraps(sqlite3.Connection.cursor)
def _cursor(self: sqlite3.Connection, factory: Any = sqlite3.Cursor) -> Any:
    return _make_cursor(self, traced_cursor(factory))


_make_cursor = sqlite3.Connection.cursor
traced_connection = traced_classes(sqlite3.Connection, _traced_connection)
traced_cursor = traced_classes(sqlite3.Cursor, _traced_cursor)
