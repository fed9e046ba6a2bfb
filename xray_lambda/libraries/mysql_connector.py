"""mysql.connector: each connect, execute, executemany and callproc is a remote subsegment named `database@host`.

In Python, with the C extension and with asyncio alike; a prepared cursor says so.
"""

from __future__ import annotations

from mysql.connector.version import VERSION_TEXT

from xray_lambda.libraries._card import card
from xray_lambda.libraries._mysql import PART_OF, described, text
from xray_lambda.libraries._sql import sql

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from typing import Any

    from xray_lambda.libraries._card import Call, Steps
    from xray_lambda.libraries._sql import Database

_DRIVER = f"mysql-connector-python {VERSION_TEXT}"
_CURSORS = (
    "mysql.connector.cursor:MySQLCursor",
    "mysql.connector.cursor_cext:CMySQLCursor",
    "mysql.connector.aio.cursor:MySQLCursor",
)


def _methods(*methods: str, kind: str = "") -> list[str]:
    return [f"{cursor}{kind}.{method}" for cursor in _CURSORS for method in methods]


@card(*_methods("execute(self, operation)", "executemany(self, operation)"), part_of=PART_OF)
def execute(call: Call) -> Steps:
    if not call.get("multi"):  # it would return before it has begun; newer versions have no such argument
        yield sql(call, _database_behind(call["self"]), text(call["operation"]))


@card(*_methods("execute(self, operation)", "executemany(self, operation)", kind="Prepared"), part_of=PART_OF)
def execute_prepared(call: Call) -> Steps:
    yield sql(call, _database_behind(call["self"]), text(call["operation"]), preparation="statement")


@card(*_methods("callproc(self, procname)"), part_of=PART_OF)
def callproc(call: Call) -> Steps:
    yield sql(call, _database_behind(call["self"]), f"CALL {call['procname']}", preparation="call")


@card(
    "mysql.connector.connection:MySQLConnection._open_connection(self)",
    "mysql.connector.connection_cext:CMySQLConnection._open_connection(self)",
    "mysql.connector.aio.connection:MySQLConnection.connect(self)",
    part_of=PART_OF,
)
def connect(call: Call) -> Steps:
    sub = sql(call, _database(call["self"]), "CONNECT")
    yield sub
    sub.sql(**_database(call["self"]).fields)  # by now the server has said what it is


def _database_behind(cursor: Any) -> Database:
    try:
        # The other name is that of cursors of the C extension before 8.1.
        return _database(cursor._connection if hasattr(cursor, "_connection") else cursor._cnx)  # noqa: SLF001
    except (AttributeError, ReferenceError):  # the cursor is closed, or its connection is gone
        return described(None, None, None, None, None, _DRIVER)


def _database(connection: Any) -> Database:
    """Describe a connection by what it holds: what it answers by, such as `database`, would be a query."""
    port = None if connection._unix_socket else connection._port  # noqa: SLF001
    version = (connection._handshake or {}).get("server_version_original")  # noqa: SLF001
    return described(connection._database, connection._host, port, connection._user, version, _DRIVER)  # noqa: SLF001
