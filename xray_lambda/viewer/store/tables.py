"""The tables of the store, and how a connection to them is opened."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from typing import TYPE_CHECKING

from xray_lambda.viewer.services import Service
from xray_lambda.viewer.summaries import COLUMNS, Annotation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

APPLICATION = 0x58726179  # "Xray", in the file's header

# The columns bear the names of the fields of summaries.py's tuples. They have no types: SQLite keeps what it is given.
TRACES = (*COLUMNS, "bytes", "changed")
PARTS = {"services": ("trace_id", "place", *Service._fields), "annotations": ("trace_id", "place", *Annotation._fields)}


def quoted(names: Iterable[str]) -> str:
    """Return column names for SQL; quoted, since `end` is a word of SQL's."""
    return ", ".join(f'"{name}"' for name in names)


_SCHEMA = (
    "CREATE TABLE documents (trace_id TEXT NOT NULL, id TEXT NOT NULL, complete, body, PRIMARY KEY (trace_id, id))",
    # Traces with documents that no summary has yet, in the same transaction as these: a crash loses neither.
    "CREATE TABLE pending (trace_id TEXT PRIMARY KEY) WITHOUT ROWID",
    f"CREATE TABLE traces ({quoted(TRACES)}, PRIMARY KEY (trace_id))",
    *(
        f"CREATE TABLE {name} ({quoted(part)}, PRIMARY KEY (trace_id, place)) WITHOUT ROWID"
        for name, part in PARTS.items()
    ),
    "CREATE INDEX traces_by_start ON traces (start, trace_id)",
    "CREATE INDEX traces_by_change ON traces (changed)",
    "CREATE INDEX traces_at_fault ON traces (start, trace_id) WHERE fault OR error OR throttle",
    "CREATE INDEX traces_by_duration ON traces (duration)",
    # With all that filters mostly ask of a service, so that its wide row need not be read.
    "CREATE INDEX services_by_name ON services (name, caller, fault, error, throttle, type, response_time)",
    "CREATE INDEX annotations_by_text ON annotations (key, text)",
    "CREATE INDEX annotations_by_number ON annotations (key, number)",
)
# A store with other tables than these is not read.
VERSION = zlib.crc32("\n".join(_SCHEMA).encode()) & 0x7FFF_FFFF


class UnusableStore(Exception):
    """The file cannot be the store; the text says why and what to do."""


_MARKS = {"application_id": APPLICATION, "user_version": VERSION}


def connect(address: str, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a connection that any thread may use, one at a time; statements wait up to 10 s for another's."""
    connection = sqlite3.connect(address, uri=True, timeout=10, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


def address_of(path: Path) -> str:
    """Return the URI of a file, whatever characters its name has."""
    return path.absolute().as_uri()


def prepare(connection: sqlite3.Connection, name: str) -> None:
    """Make the tables where there are none. Raises UnusableStore for a file of another program or version."""
    try:
        application, version = (connection.execute(f"PRAGMA {mark}").fetchone()[0] for mark in _MARKS)
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables:
            # How the file is laid out has to be said before there is anything in it.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            with transaction(connection):
                for statement in (*_SCHEMA, *(f"PRAGMA {mark} = {value}" for mark, value in _MARKS.items())):
                    connection.execute(statement)
        elif application != APPLICATION:
            raise UnusableStore(f"{name} is a database of another program: name another file with --store")
        elif version != VERSION:
            raise UnusableStore(
                f"{name} was written by another version of xray-lambda: remove it, or name another file with --store"
            )
        _tune(connection)
    except sqlite3.DatabaseError as fault:
        raise UnusableStore(f"{name} cannot be used as the store: {fault}") from fault


def _tune(connection: sqlite3.Connection) -> None:
    """Write without waiting for the disk: on a slow one (64 MB/s, measured) that was most of the time under load.

    A process that is killed loses nothing so. After a power cut the file may be damaged, unless `sync` came before it:
    traces of a development machine are worth that.
    """
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA wal_autocheckpoint = 8192")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("PRAGMA temp_store = MEMORY")


def sync(connection: sqlite3.Connection) -> None:
    """Wait until the disk has it all."""
    connection.execute("PRAGMA synchronous = NORMAL")
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    finally:
        connection.execute("PRAGMA synchronous = OFF")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all that happens in the `with` block, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # a full disk has rolled back by itself
            connection.execute("ROLLBACK")
        raise
