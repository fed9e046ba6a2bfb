"""psycopg 3: each connect, execute, executemany, stream and COPY is a remote subsegment named `database@host`.

A stream and a COPY last until they are read or written to their end. In pipeline mode a statement lasts as long as it
takes to send it: the answers, and what went wrong, come with SYNC. Waiting for a pool that has no connection to give is
a subsegment too, ACQUIRE.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager

import psycopg
from psycopg import sql as composed
from psycopg.conninfo import conninfo_to_dict

from xray_lambda.libraries._card import card
from xray_lambda.libraries._kinds import LOWEST
from xray_lambda.libraries._postgres import PART_OF, connected, described, text_of, told, version_of
from xray_lambda.libraries._sql import database_of, sql
from xray_lambda.libraries._targets import replacing

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Any

    from xray_lambda.libraries._card import Call, Done, Steps
    from xray_lambda.libraries._sql import Database

_DRIVER = f"psycopg {psycopg.__version__}"
# A pool that opens no connections of its own accord connects while it is asked for one: a call of its own.
_AROUND_CONNECT = LOWEST - 1


@card(
    "psycopg:Connection.connect(cls, conninfo)",
    "psycopg:AsyncConnection.connect(cls, conninfo)",
    part_of=PART_OF,
)
def connect(call: Call) -> Steps:
    if call.parent.end_ns is not None:
        return  # a pool's thread, started in a trace that is over
    sub = sql(call, _told(call.get("conninfo", ""), call.kwargs), "CONNECT")
    connection = yield sub
    connected(sub, database_of(connection, _describe))


@card("psycopg_pool:ConnectionPool.getconn(self)", "psycopg_pool:AsyncConnectionPool.getconn(self)", part_of=PART_OF)
def acquire(call: Call) -> Steps:
    pool = call["self"]
    if pool.closed or not pool._pool:  # noqa: SLF001 - those that are free
        told_by_pool = _told(getattr(pool, "conninfo", ""), getattr(pool, "kwargs", None))
        yield sql(call, told_by_pool, "ACQUIRE", layer=_AROUND_CONNECT)


@replacing("psycopg:connect")
def connect_alone(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let the function be the method again, which is traced since."""
    return getattr(getattr(original, "__self__", None), "connect", original)


@card(
    "psycopg:Cursor.execute(self, query)",
    "psycopg:Cursor.executemany(self, query)",
    "psycopg:ServerCursor.execute(self, query)",
    "psycopg:AsyncCursor.execute(self, query)",
    "psycopg:AsyncCursor.executemany(self, query)",
    "psycopg:AsyncServerCursor.execute(self, query)",
    part_of=PART_OF,
)
def execute(call: Call) -> Steps:
    prepared = "statement" if call.kwargs.get("prepare") else None
    yield sql(call, _database(call), _text(call["query"]), preparation=prepared)


@card(
    "psycopg:Pipeline.sync(self)",
    "psycopg:Pipeline.__exit__(self)",
    "psycopg:AsyncPipeline.sync(self)",
    "psycopg:AsyncPipeline.__aexit__(self)",
    part_of=PART_OF,
)
def sync(call: Call) -> Steps:
    yield sql(call, _database(call), "SYNC")


@card("psycopg:Cursor.stream(self, query)", part_of=PART_OF)
def stream(call: Call) -> Steps:
    yield from _lasting(call, call["query"], _rows)


@card("psycopg:AsyncCursor.stream(self, query)", part_of=PART_OF)
def stream_async(call: Call) -> Steps:
    yield from _lasting(call, call["query"], _rows_async)


@card("psycopg:Cursor.copy(self, statement)", part_of=PART_OF)
def copy(call: Call) -> Steps:
    yield from _lasting(call, call["statement"], _copying)


@card("psycopg:AsyncCursor.copy(self, statement)", part_of=PART_OF)
def copy_async(call: Call) -> Steps:
    yield from _lasting(call, call["statement"], _copying_async)


def _lasting(call: Call, statement: object, until_over: Callable[[Any, Done], Any]) -> Steps:
    """Give the program what it gets in a form that says when it is over."""
    result = yield sql(call, _database(call), _text(statement))

    def until(done: Done) -> None:
        call.result = until_over(result, done)

    yield until


def _rows(rows: Any, done: Done) -> Iterator[Any]:
    try:
        yield from rows
    except BaseException as error:
        done(error)
        raise
    done()


async def _rows_async(rows: Any, done: Done) -> AsyncIterator[Any]:
    try:
        async for row in rows:
            yield row
    except BaseException as error:
        await rows.aclose()
        done(error)
        raise
    done()


@contextmanager
def _copying(copying: Any, done: Done) -> Iterator[Any]:
    try:
        with copying as copy:
            yield copy
    except BaseException as error:
        done(error)
        raise
    done()


@asynccontextmanager
async def _copying_async(copying: Any, done: Done) -> AsyncIterator[Any]:
    try:
        async with copying as copy:
            yield copy
    except BaseException as error:
        done(error)
        raise
    done()


def _told(conninfo: object, more: object) -> Database:
    try:
        given = conninfo_to_dict(conninfo) if isinstance(conninfo, str) else {}
    except psycopg.ProgrammingError:  # with which connecting will fail too
        given = {}
    return told({**given, **more} if isinstance(more, dict) else given, _DRIVER)


def _database(call: Call) -> Database:
    return database_of(call["self"]._conn, _describe)  # noqa: SLF001 - of cursors and pipelines alike


def _describe(connection: Any) -> Database:
    try:
        info = connection.info
        version = version_of(info.server_version)
        return described(info.dbname, info.host or "/", info.port, info.user, version, _DRIVER)
    except psycopg.OperationalError:  # it is closed
        return described(None, None, None, None, None, _DRIVER)


def _text(statement: object) -> object:
    strings = getattr(statement, "strings", None)  # of a t-string, which stand between what is put in
    return "?".join(strings) if isinstance(strings, tuple) else text_of(statement, composed, "_obj")
