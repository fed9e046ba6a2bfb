"""What tests of doors start from: a daemon, and nothing patched afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.emitters.daemon import Daemon
from tests.installed import is_left_out
from tests.servers.mariadb import mariadb_server
from tests.servers.postgres import postgres_server
from xray_lambda import unpatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Tests of installed frameworks and servers, by the group that an environment has or has not.
INSTALLED = {
    "web": {
        "aiohttp_server", "asgi_fastapi", "asgi_servers", "asgi_services", "asgi_starlette", "bottle", "django",
        "flask", "gunicorn", "mangum", "pages",
    },
    "newest-web": {"asgi_hypercorn", "asgi_page", "asgi_quart"},
}  # fmt: skip
IMPORTED_AS = {
    "aiohttp_server": "aiohttp", "asgi_fastapi": "fastapi", "asgi_hypercorn": "hypercorn", "asgi_page": "quart",
    "asgi_quart": "quart", "asgi_servers": "uvicorn", "asgi_services": "fastapi", "asgi_starlette": "starlette",
    "pages": "django",
}  # fmt: skip


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the tests of frameworks that this environment is made without."""
    return True if is_left_out(collection_path, INSTALLED, IMPORTED_AS) else None


@pytest.fixture(autouse=True)
def nothing_patched_afterwards() -> Iterator[None]:
    yield
    unpatch()


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon() as listening:
        yield listening


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a PostgreSQL server."""
    with postgres_server(tmp_path_factory.mktemp("postgres")) as port:
        yield port


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a MariaDB server."""
    with mariadb_server(tmp_path_factory.mktemp("mariadb")) as port:
        yield port
