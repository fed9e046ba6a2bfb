"""SQL calls: the subsegment of a statement, and what is known of the database that it goes to."""

from __future__ import annotations

from xray_lambda._sections import sql_fields
from xray_lambda.libraries._kinds import LOWEST, opened
from xray_lambda.libraries._messages import message_of
from xray_lambda.libraries._sanitize import sanitized

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Call

_MARK = "_xray_lambda_database"


class Database:
    """What is known of a connection: the name of its subsegments, and what each of them says of it.

    `fields` are those of `Entity.sql`: url, user, database_type, database_version, driver_version. `dialect`
    tells `sanitized` how literals are written: postgresql, mysql, sqlite.
    """

    __slots__ = ("dialect", "fields", "name")

    def __init__(self, database: object, host: object, dialect: str, **fields: object) -> None:
        parts = [str(part) for part in (database, host) if part]
        self.name = "@".join(parts) or dialect or "database"
        self.dialect = dialect
        self.fields = sql_fields(fields)


def database_of(connection: Any, describe: Callable[[Any], Database]) -> Database:
    """Return what is known of a connection; described once, and kept on it where it takes attributes."""
    found: Database | None = getattr(connection, _MARK, None)
    if found is None:
        found = describe(connection)
        remember(connection, found)
    return found


def remember(connection: Any, database: Database) -> None:
    """Keep what is known of a connection on it."""
    try:
        setattr(connection, _MARK, database)
    except AttributeError:  # it takes none, and is described at each call
        return


def sql(
    call: Call,
    database: Database,
    statement: object = None,
    *,
    layer: int = LOWEST,
    preparation: str | None = None,
) -> Entity:
    """Open the subsegment of a SQL call, named `database@host`; the statement's literals become `?`.

    `preparation` is `call` for a stored procedure and `statement` for a prepared one.
    """
    sub = opened(call, database.name, "remote", "sql", layer)
    if sub.sampled:
        fields = {**database.fields}
        if isinstance(statement, str):
            fields["sanitized_query"] = sanitized(statement, database.dialect)
        if preparation is not None:
            fields["preparation"] = preparation
        sub.details["sql"] = fields  # type: ignore[attr-defined]  # one that is sampled has them; no copy, 2 us less
        sub.message_of = message_of  # type: ignore[attr-defined]
    return sub
