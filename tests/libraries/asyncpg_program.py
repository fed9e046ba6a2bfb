"""What the tests of asyncpg share: a program that has a connection, and one that has a pool."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg

from tests.libraries.postgresql import login
from xray_lambda import patch
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Work = Callable[[Any], Awaitable[Any]]


DRIVER = f"asyncpg {asyncpg.__version__}"


def version_of(connection: Any) -> str:
    """Return the server's version, which a closed connection tells too."""
    version = connection.get_server_version()
    return f"{version.major}.{version.micro}"


def with_connection(port: int, work: Work, **more: Any) -> Any:
    """Run work with a connection to a database with an empty table; connecting is not recorded."""

    async def program() -> Any:
        with capture(header=None):
            connection = await asyncpg.connect(**login(port), **more)
            await connection.execute("DROP TABLE IF EXISTS items; CREATE TABLE items (id INT PRIMARY KEY, name TEXT)")
        try:
            return await work(connection)
        finally:
            await connection.close()

    patch("asyncpg")
    return asyncio.run(program())


def with_pool(port: int, work: Work, size: int = 1) -> Any:
    """Run work with a pool of connections that are there; connecting is not recorded."""

    async def program() -> Any:
        with capture(header=None):
            pool = await asyncpg.create_pool(**login(port), min_size=size, max_size=size)
        try:
            return await work(pool)
        finally:
            pool.terminate()

    patch("asyncpg")
    return asyncio.run(program())
