"""What library tests start from: servers, started by the first test that asks; nothing patched afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.installed import is_left_out
from tests.servers.aws import service
from tests.servers.http import http_server, https_server, proxy_server
from tests.servers.mariadb import mariadb_server
from tests.servers.mongo import mongo_server
from tests.servers.moto import moto_server
from tests.servers.postgres import postgres_server
from tests.servers.redis import redis_server
from xray_lambda import unpatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.aws import Service
    from tests.servers.http import Server

# Tests of installed libraries, by the group that an environment has or has not.
INSTALLED = {
    "libraries": {
        "aiohttp", "asyncpg", "aws_lambda_powertools", "celery", "flask_sqlalchemy", "httpx", "mysql_connector",
        "pg8000", "psycopg", "psycopg2", "pymongo", "pymysql", "redis", "requests", "secrets", "sqlalchemy", "urllib3",
    },
    "boto": {"botocore", "pynamodb", "s3transfer"},
    "aws": {"aiobotocore"},
    "mysqlclient": {"mysqlclient"},
}  # fmt: skip
IMPORTED_AS = {
    "mysql_connector": "mysql.connector",
    "mysqlclient": "MySQLdb",
    "s3transfer": "boto3",
    "secrets": "pynamodb",
}


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the tests of libraries that this environment is made without."""
    return True if is_left_out(collection_path, INSTALLED, IMPORTED_AS) else None


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
def mongo_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of what plays MongoDB."""
    with mongo_server(tmp_path_factory.mktemp("mongo")) as port:
        yield port


@pytest.fixture(scope="session")
def aws_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of moto's server."""
    with moto_server(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture(scope="session")
def aws_service() -> Iterator[Service]:
    with service() as server:
        yield server


@pytest.fixture
def stub(aws_service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """An AWS service that answers as told; clients that try again do so at once."""
    from botocore.retries import standard

    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda self, context: 0)
    with aws_service.asked() as server:
        yield server


@pytest.fixture(scope="session")
def http_servers() -> Iterator[dict[str, Server]]:
    with http_server() as plain, proxy_server() as proxy:
        yield {"plain": plain, "proxy": proxy}


@pytest.fixture
def web(http_servers: dict[str, Server]) -> Iterator[Server]:
    """An HTTP server."""
    with http_servers["plain"].asked() as server:
        yield server


@pytest.fixture
def proxy(http_servers: dict[str, Server]) -> Iterator[Server]:
    """An HTTP proxy."""
    with http_servers["proxy"].asked() as server:
        yield server


@pytest.fixture(scope="session")
def https_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with https_server(tmp_path_factory.mktemp("https")) as server:
        yield server


@pytest.fixture
def secure_web(https_servers: Server) -> Iterator[Server]:
    """An HTTPS server."""
    with https_servers.asked() as server:
        yield server
