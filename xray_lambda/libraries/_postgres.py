"""PostgreSQL: what its drivers know of a connection and a statement, in the words of a SQL subsegment."""

from __future__ import annotations

import os
from functools import lru_cache

from xray_lambda.libraries._kinds import LOWEST
from xray_lambda.libraries._sql import Database

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from xray_lambda._entity import Entity

PART_OF = ("sql", LOWEST)
_PORT = 5432
_MAX_BYTES = 40_000  # more than the trace keeps of a statement


@lru_cache(maxsize=256)
def described(
    database: str | None, host: str | None, port: int | str | None, user: str | None, version: str | None, driver: str
) -> Database:
    """Return what is known of a connection; `host` may be the folder of a socket, and is missing if nothing is told."""
    server = "localhost" if host is not None and host.startswith("/") else host
    suffix = "" if port in (None, "", _PORT, str(_PORT)) else f":{port}"
    return Database(
        database,
        f"{server}{suffix}" if server else None,
        "postgresql",
        url=f"postgresql://{f'[{server}]' if ':' in server else server}{suffix}/{database}"
        if server and database
        else None,
        user=user,
        database_type="PostgreSQL",
        database_version=version,
        driver_version=driver,
    )


def told(given: Mapping[str, Any], driver: str) -> Database:
    """Describe a database by what a driver is told, under libpq's names, to connect to; the first host of several."""
    host = given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST") or "localhost"
    port = given.get("port") or os.environ.get("PGPORT")
    user = given.get("user") or os.environ.get("PGUSER")
    database = given.get("dbname") or os.environ.get("PGDATABASE") or user
    return described(database, _first(host), _first(port), user, None, driver)


def _first(value: object) -> str | None:
    return None if value is None else str(value).partition(",")[0]


def connected(sub: Entity, database: Database) -> None:
    """Correct what a subsegment says of a database by what is known since the connection is there."""
    sub.name = database.name  # type: ignore[attr-defined]  # one that is sampled has both
    sub.details["sql"].update(database.fields)  # type: ignore[attr-defined]


def version_of(number: int) -> str | None:
    """Return the version that libpq has as a number: 150018 is 15.18, and 90624 was 9.6.24."""
    if not number:
        return None
    major, minor = divmod(number, 10_000)
    return f"{major}.{minor}" if major > 9 else f"{major}.{minor // 100}.{minor % 100}"


def text_of(statement: object, sql: Any, held: str) -> object:
    """Return a statement as text: bytes are decoded, and of composed SQL a literal is never looked at.

    `sql` is the driver's module of that name, if anybody has loaded it; its objects have what they are made of as
    `held`.
    """
    if isinstance(statement, (bytes, bytearray)):
        return bytes(statement[:_MAX_BYTES]).decode(errors="replace")
    return _composed(statement, sql, held) if sql is not None and isinstance(statement, sql.Composable) else statement


def _composed(part: object, sql: Any, held: str) -> str:
    inside: Any = getattr(part, held)
    if isinstance(part, sql.Composed):
        return "".join(_composed(one, sql, held) for one in inside)
    if isinstance(part, sql.SQL):
        return str(inside)
    if isinstance(part, sql.Identifier):
        return ".".join('"' + name.replace('"', '""') + '"' for name in inside)
    if isinstance(part, sql.Placeholder):
        return f"%({inside})s" if inside else "%s"
    return "?"
