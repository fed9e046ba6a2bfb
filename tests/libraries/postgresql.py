"""What the tests of PostgreSQL's drivers share: how to connect, what is recorded, a server that never answers."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.servers.postgres import DATABASE, PASSWORD, USER
from tests.servers.process import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "hunter2-in-a-value"


def login(port: int, **more: Any) -> dict[str, Any]:
    """Return what drivers call by these names."""
    return {"host": HOST, "port": port, "user": USER, "password": PASSWORD, "database": DATABASE, **more}


def told(port: int, **more: Any) -> dict[str, Any]:
    """Return the same under libpq's names."""
    given = login(port, **more)
    return {"dbname": given.pop("database"), **given}


def url(port: int, password: str = PASSWORD, more: str = "") -> str:
    """Return the server's address as a URL, password and all."""
    return f"postgresql://{USER}:{password}@{HOST}:{port}/{DATABASE}{more}"


def name(port: int) -> str:
    """Return what subsegments are called."""
    return f"{DATABASE}@{HOST}:{port}"


def document(port: int, version: str, driver: str, query: str, number: int = 2) -> dict[str, Any]:
    """Return what is recorded, below one other subsegment, of a statement that took one tick of the clock."""
    return {
        "name": name(port),
        "id": f"{number:016x}",
        "start_time": 1700000000.001,
        "end_time": 1700000000.002,
        "namespace": "remote",
        "sql": {
            "url": f"postgresql://{HOST}:{port}/{DATABASE}",
            "user": USER,
            "database_type": "PostgreSQL",
            "database_version": version,
            "driver_version": driver,
            "sanitized_query": query,
        },
    }


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and say nothing; yields the port."""
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen()
        yield silent.getsockname()[1]
