"""Django's databases: each query through any backend is a remote subsegment named `database@host`.

So is connecting, but to SQLite, where that is recorded when it fails. A driver that is traced itself is part of it.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from pathlib import Path

from django.db.backends import utils
from django.db.backends.base import base

from xray_lambda.libraries import _mysql, _postgres
from xray_lambda.libraries._attempt import Attempt
from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import MIDDLE
from xray_lambda.libraries._sql import Database, sql
from xray_lambda.web._frameworks import trace

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from typing import Any

    from xray_lambda.libraries._card import Call, Steps

_PART_OF = ("sql", MIDDLE)
_without_statements: list[bool] = []


def trace_them(*, statements: bool = True) -> None:
    """Trace every backend, now and later; without `statements`, the text of a query is not recorded."""
    _without_statements[:] = [] if statements else [True]
    trace("Django", utils, execute, callproc)
    trace("Django", base, connect)


@card(
    "django.db.backends.utils:CursorWrapper.execute(self, sql)",
    "django.db.backends.utils:CursorWrapper.executemany(self, sql)",
    part_of=_PART_OF,
)
def execute(call: Call) -> Steps:
    """Record a query."""
    statement = None if _without_statements else call["sql"]
    yield sql(call, _database(call["self"].db), statement, layer=MIDDLE)


@card("django.db.backends.utils:CursorWrapper.callproc(self, procname)", part_of=_PART_OF)
def callproc(call: Call) -> Steps:
    """Record a stored procedure."""
    yield sql(call, _database(call["self"].db), f"CALL {call['procname']}", layer=MIDDLE, preparation="call")


@card("django.db.backends.base.base:BaseDatabaseWrapper.connect(self)", part_of=_PART_OF)
def connect(call: Call) -> Steps:
    """Record a new connection: many programs make one for each request."""
    database = _database(call["self"])
    if database.dialect != "sqlite":
        yield sql(call, database, "CONNECT", layer=MIDDLE)
    elif call.parent.sampled:
        yield Attempt(call.parent, lambda: sql(call, database, "CONNECT", layer=MIDDLE))


def _database(db: Any) -> Database:
    told = db.settings_dict
    name, host, port, user = (str(told.get(key) or "") for key in ("NAME", "HOST", "PORT", "USER"))
    kind = getattr(type(db), "display_name", None)  # the class's: MySQL's own asks the database what it is
    return _described(db.vendor, kind if isinstance(kind, str) else db.vendor, name, host, port, user)


@lru_cache(maxsize=256)
def _described(vendor: str, kind: str, name: str, host: str, port: str, user: str) -> Database:
    """Describe a database by what the settings say of it: to ask it for more would be a query."""
    driver = f"Django, {vendor}"
    if vendor == "sqlite":
        return _of_a_file(name)
    if vendor == "postgresql":
        return _postgres.described(name or None, host or "/", port or None, user or None, None, driver)
    if vendor == "mysql":
        is_socket = host.startswith("/")
        number = int(port) if port.isdigit() and not is_socket else None
        server = "localhost" if is_socket or not host else host
        return _mysql.described(name or None, server, number, user or None, None, driver)
    place = f"{host}:{port}" if host and port else host
    url = f"{vendor}://{place}/{name}" if place and name else None
    more = {"url": url, "user": user or None, "database_type": kind, "driver_version": driver}
    return Database(Path(name).name, place, vendor, **more)


def _of_a_file(name: str) -> Database:
    """Describe a database of SQLite as the card of sqlite3 does."""
    path = name[5:].partition("?")[0] if name.startswith("file:") else name
    whole = path if path in ("", ":memory:") else str(Path(path).absolute())
    return Database(
        Path(path).name,
        None,
        "sqlite",
        url=whole if whole.startswith("/") else None,
        database_type="SQLite",
        database_version=sqlite3.sqlite_version,
        driver_version="Django, sqlite",
    )
