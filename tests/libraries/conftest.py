"""What library tests start from: servers, started by the first test that asks; nothing patched afterwards."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.servers.mariadb import mariadb_server
from tests.servers.moto import moto_server
from tests.servers.postgres import postgres_server
from tests.servers.redis import redis_server
from xray_lambda import unpatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Those whose libraries come with the extra `libraries`: the core tests run without it.
INSTALLED = {
    "aiobotocore", "aiohttp", "asyncpg", "botocore", "flask_sqlalchemy", "httpx", "mysql_connector", "mysqlclient",
    "pg8000", "psycopg", "psycopg2", "pymongo", "pymysql", "pynamodb", "redis", "requests", "s3transfer", "secrets",
    "sqlalchemy", "urllib3",
}  # fmt: skip


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests of installed libraries to the whole suite."""
    core_only = "not full" in config.option.markexpr and find_spec("pynamodb") is None
    return True if core_only and collection_path.stem.removeprefix("test_") in INSTALLED else None


@pytest.fixture(autouse=True)
def nothing_patched_afterwards() -> Iterator[None]:
    yield
    unpatch()


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


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis server."""
    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture(scope="session")
def aws_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of moto's server."""
    with moto_server(tmp_path_factory.mktemp("moto")) as url:
        yield url
