"""MySQL: what its three drivers know of a connection, in the words of a SQL subsegment."""

from __future__ import annotations

from functools import lru_cache

from xray_lambda.libraries._kinds import LOWEST
from xray_lambda.libraries._sql import Database

PART_OF = ("sql", LOWEST)
_PORT = 3306


def text(value: object) -> object:
    """Return a statement or a name as text: the drivers take and keep bytes as well."""
    return bytes(value).decode(errors="replace") if isinstance(value, (bytes, bytearray)) else value


# By value and not on the connection: a program changes the database of a connection as it goes.
@lru_cache(maxsize=256)
def described(
    database: bytes | str | None,
    host: str | None,
    port: int | None,
    user: bytes | str | None,
    version: bytes | str | None,
    driver: str,
) -> Database:
    """Return what is known of a connection; `port` is None where it goes through a socket file."""
    suffix = "" if port in (None, _PORT) else f":{port}"
    name, server = text(database), str(text(version) or "").removeprefix("5.5.5-")  # so MariaDB greets old clients
    return Database(
        name,
        f"{host}{suffix}" if host else None,
        "mysql",
        url=f"mysql://{f'[{host}]' if ':' in host else host}{suffix}/{name}" if host and name else None,
        user=text(user),
        database_type="MariaDB" if "mariadb" in server.lower() else "MySQL",
        database_version=server or None,
        driver_version=driver,
    )
