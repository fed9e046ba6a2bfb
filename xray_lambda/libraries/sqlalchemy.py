"""sqlalchemy: each statement, Core's or the ORM's, sync or async, is a remote subsegment named `database@host`.

So is the wait for a connection that ends in vain.

What runs a statement is replaced, and no listener is added: there is none for the end of every statement. A listener
of the program's that raises, or a task that is cancelled, would leave between two events a subsegment open.
"""

from __future__ import annotations

import re
from functools import lru_cache
from os.path import basename

import sqlalchemy

from xray_lambda._scalars import type_name
from xray_lambda.libraries import _messages
from xray_lambda.libraries._attempt import Attempt
from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import MIDDLE
from xray_lambda.libraries._sql import Database, sql

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from typing import Any

    from xray_lambda.libraries._card import Call, Steps

_KNOWN = {
    "mariadb": ("MariaDB", 3306),
    "mssql": ("SQL Server", 1433),
    "mysql": ("MySQL", 3306),
    "oracle": ("Oracle", 1521),
    "postgresql": ("PostgreSQL", 5432),
    "sqlite": ("SQLite", None),
}
# What takes the place of values, and of schemas, only when the statement is run.
_LATER = re.compile(r"__\[[A-Z]+_[^\]]*\]")


@card(
    "sqlalchemy.engine.base:Connection._execute_context(self, dialect, constructor, statement)",
    "sqlalchemy.engine.base:Connection._cursor_execute(self, cursor, statement)",
    part_of=("sql", MIDDLE),
)
def execute(call: Call) -> Steps:
    statement = str(call["statement"])  # it may be a compiled one
    if "__[" in statement:
        statement = _LATER.sub("?", statement)
    sub = sql(call, _database(call["self"]), statement, layer=MIDDLE)
    if sub.sampled:
        sub.message_of = _message_of  # type: ignore[attr-defined]
    yield sub


@card("sqlalchemy.engine.base:Engine.raw_connection(self)", part_of=("sql", MIDDLE))
def connect(call: Call) -> Steps:
    """Record why a pool has no connection to give, unless the driver's card has: most often, all are in use."""
    engine = call["self"]
    if call.parent.sampled:
        yield Attempt(call.parent, lambda: sql(call, _database(engine), "CONNECT", layer=MIDDLE))


def _database(source: Any) -> Database:
    url, dialect = source.engine.url, source.dialect
    kind = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    version = getattr(dialect, "server_version_info", None)  # none before the first connection
    return _described(dialect.name, kind, dialect.driver, version, url.database, url.host, url.port, url.username)


@lru_cache(maxsize=256)
def _described(  # noqa: PLR0917 - by value, to be remembered
    dialect: str,
    kind: str,
    driver: str,
    version: tuple[object, ...] | None,
    database: str | None,
    host: str | None,
    port: int | None,
    user: str | None,
) -> Database:
    kind, own_port = _KNOWN.get(kind, (kind, None))
    place = host and (host if port in (None, own_port) else f"{host}:{port}")
    if dialect == "sqlite":
        database = database or ":memory:"
    return Database(
        basename(database) if dialect == "sqlite" and database else database,
        place,
        dialect,
        url=f"{dialect}://{place or ''}/{database}" if database else None,
        user=user,
        database_type=kind,
        database_version=".".join(map(str, version)) if version else None,
        driver_version=f"SQLAlchemy {sqlalchemy.__version__}, {driver}",
    )


def _message_of(error: BaseException) -> str:
    """Return the message of an exception as its driver has it: SQLAlchemy adds the statement and its parameters."""
    original = getattr(error, "orig", None)
    if not isinstance(original, BaseException):
        return _messages.message_of(error)
    return f"({type_name(type(original))}) {_messages.message_of(original)}"
