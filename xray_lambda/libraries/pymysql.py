"""pymysql: each connect, execute, executemany and callproc is a remote subsegment named `database@host`."""

from __future__ import annotations

import pymysql

from xray_lambda.libraries._card import card
from xray_lambda.libraries._mysql import PART_OF, described, text
from xray_lambda.libraries._sql import sql

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from typing import Any

    from xray_lambda.libraries._card import Call, Steps
    from xray_lambda.libraries._sql import Database


@card(
    "pymysql.cursors:Cursor.execute(self, query)",
    "pymysql.cursors:Cursor.executemany(self, query)",
    part_of=PART_OF,
)
def execute(call: Call) -> Steps:
    yield sql(call, _database(call["self"].connection), text(call["query"]))


@card("pymysql.cursors:Cursor.callproc(self, procname)", part_of=PART_OF)
def callproc(call: Call) -> Steps:
    yield sql(call, _database(call["self"].connection), f"CALL {call['procname']}", preparation="call")


@card("pymysql.connections:Connection.connect(self)", part_of=PART_OF)
def connect(call: Call) -> Steps:
    sub = sql(call, _database(call["self"]), "CONNECT")
    yield sub
    sub.sql(**_database(call["self"]).fields)  # by now the server has said what it is


def _database(connection: Any) -> Database:
    """Describe a connection; None is that of a closed cursor, and one that never was open knows no version."""
    driver = f"PyMySQL {pymysql.VERSION_STRING}"  # its __version__ is one of mysqlclient's
    if connection is None:
        return described(None, None, None, None, None, driver)
    port = None if connection.unix_socket else connection.port
    version = getattr(connection, "server_version", None)
    return described(connection.db, connection.host, port, connection.user, version, driver)
