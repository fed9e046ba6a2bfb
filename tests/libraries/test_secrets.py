"""A secret never shows: every library is given one in each place that can hold one, and no document has it."""

from __future__ import annotations

import asyncio
import http.client
import sqlite3
import threading
import urllib.request
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import aiohttp
import asyncpg
import boto3
import httpx
import mysql.connector
import pg8000.dbapi
import psycopg
import psycopg2
import pymongo
import pymysql
import pynamodb.attributes
import pynamodb.models
import pytest
import redis
import requests
import sqlalchemy
import urllib3

from tests.libraries import celery_program
from tests.libraries.databases import run_untidy
from tests.servers import mariadb as mariadb_server
from tests.servers import postgres as postgres_server
from tests.servers.redis import redis_server
from xray_lambda import patch_all, subsegment
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "hunter2"  # in every password, token, key and literal below
HEADERS = {"Authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET, "Cookie": f"session={SECRET}"}
QUERY = f"token={SECRET}&page=2"
LITERALS = f"SELECT '{SECRET}' AS a, 'x{SECRET}''y' AS b, 17 AS c /* {SECRET} */ -- {SECRET}"
WRONG = f"SELECT '{SECRET}' FROM no_such_table WHERE lower('{SECRET}') = '{SECRET}"
DUPLICATE = f"INSERT INTO secrets (name) VALUES ('{SECRET}')"


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(500 if "broken" in self.path else 200)
        self.send_header("Content-Length", "7")
        self.send_header("Set-Cookie", f"session={SECRET}")
        self.end_headers()
        self.wfile.write(SECRET.encode())

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """`host:port` of a server that answers with the secret."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextmanager
def recorded(least: int) -> Iterator[None]:
    """Run the block traced; fails where less was recorded, or the secret was."""
    patch_all()
    with capture() as traces:
        with subsegment("handler"):
            yield
        text = "\n".join(traces._emitter.documents)
        calls = [node.name for root in traces.roots for node in root.walk()]
    assert len(calls) > least, calls
    place = text.lower().find(SECRET)
    assert place < 0, text[max(place - 300, 0) : place + 100]


def urls(web: str) -> list[str]:
    return [f"http://user:{SECRET}@{web}/{path}?{QUERY}#{SECRET}" for path in ("fine", "broken")]


def nowhere(scheme: str = "http") -> str:
    return f"{scheme}://user:{SECRET}@127.0.0.1:9/{scheme}?{QUERY}"


def test_celery() -> None:
    with celery_program.application("memory://") as app, recorded(4):
        app.send_task("shop.add", (SECRET,), {"key": SECRET}, headers={"X-Api-Key": SECRET}, argsrepr=SECRET)
        app.tasks["shop.fail"].apply((SECRET,))
        with suppress(Exception):
            app.send_task("shop.add", ({SECRET}, object()))
        app.tasks["shop.try_twice"].apply()


def test_requests(web: str) -> None:
    with recorded(3):
        for url in urls(web):
            requests.post(url, params={"key": SECRET}, headers=HEADERS, data={"password": SECRET}, timeout=5)
        with suppress(requests.ConnectionError):
            requests.get(nowhere(), headers=HEADERS, timeout=5)


def test_urllib3(web: str) -> None:
    with recorded(3), urllib3.PoolManager(retries=False) as pool:
        for url in urls(web):
            pool.request("POST", url.replace(f"user:{SECRET}@", ""), headers=HEADERS, fields={"password": SECRET})
        with suppress(urllib3.exceptions.HTTPError):
            pool.request("GET", nowhere(), headers=HEADERS)


def test_httpx(web: str) -> None:
    async def both(url: str) -> None:
        async with httpx.AsyncClient(headers=HEADERS) as client:
            await client.post(url, params={"key": SECRET}, json={"password": SECRET})

    with recorded(5), httpx.Client(headers=HEADERS, cookies={"session": SECRET}) as client:
        for url in urls(web):
            client.post(url, params={"key": SECRET}, json={"password": SECRET})
            asyncio.run(both(url))
        with suppress(httpx.ConnectError):
            client.get(nowhere())


def test_aiohttp(web: str) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(cookies={"session": SECRET}) as session:
            for url in urls(web):
                async with session.post(url, json={"password": SECRET}, headers={"X-Api-Key": SECRET}) as answer:
                    await answer.read()
            with suppress(aiohttp.ClientError):
                await session.get(nowhere())

    with recorded(3):
        run_untidy(main())


def test_http_client(web: str) -> None:
    with recorded(2):
        with closing(http.client.HTTPConnection(web)) as connection:
            connection.request("POST", f"/fine?{QUERY}", body=SECRET, headers=HEADERS)
            connection.getresponse().read()
        request = urllib.request.Request(f"http://{web}/fine?{QUERY}", headers=HEADERS)
        with urllib.request.urlopen(request) as answer:
            answer.read()


def test_aws(aws_url: str) -> None:
    account = {"aws_access_key_id": SECRET, "aws_secret_access_key": SECRET, "aws_session_token": SECRET}
    session = boto3.Session(region_name="eu-west-1", **account)
    clients: dict[str, Any] = {
        name: session.client(name, endpoint_url=aws_url) for name in ("secretsmanager", "ssm", "sqs", "dynamodb", "sns")
    }
    with recorded(6):
        clients["secretsmanager"].create_secret(Name="database", SecretString=SECRET)
        clients["secretsmanager"].get_secret_value(SecretId="database")
        clients["ssm"].put_parameter(Name="database", Value=SECRET, Type="SecureString")
        url = clients["sqs"].create_queue(QueueName="secrets")["QueueUrl"]
        clients["sqs"].send_message(QueueUrl=url, MessageBody=SECRET)
        with suppress(clients["dynamodb"].exceptions.ClientError):
            clients["dynamodb"].get_item(TableName="nothing", Key={"id": {"S": SECRET}})
        with suppress(Exception):
            clients["dynamodb"].get_item(TableName="nothing", Key=SECRET)


def test_pynamodb(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", SECRET)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)

    class Secret(pynamodb.models.Model):
        class Meta:
            table_name, host, region = "secrets", aws_url, "eu-west-1"

        key = pynamodb.attributes.UnicodeAttribute(hash_key=True)

    with recorded(3):
        Secret.create_table(read_capacity_units=1, write_capacity_units=1, wait=True)
        Secret(SECRET).save()
        Secret.get(SECRET)


def statements(connect: Callable[[], Any], mark: str) -> None:
    """Give a DB-API library the secret as literal, parameter, in faults, and in a constraint's violation."""
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS secrets")
    cursor.execute("CREATE TABLE secrets (name VARCHAR(50) PRIMARY KEY)")
    connection.commit()
    for statement in (DUPLICATE, DUPLICATE, WRONG):
        with suppress(Exception):
            cursor.execute(statement)
            connection.commit()
        with suppress(Exception):
            connection.rollback()
    cursor.execute(LITERALS)
    cursor.fetchall()
    cursor.execute(f"SELECT name FROM secrets WHERE name = {mark}", (SECRET,))
    cursor.fetchall()
    cursor.executemany(f"INSERT INTO secrets VALUES ({mark})", [(f"{SECRET}{number}",) for number in range(3)])
    with suppress(Exception):
        cursor.executemany(f"INSERT INTO secrets VALUES ({mark})", [(f"{SECRET}0",)])
    connection.close()


def test_sqlite3(tmp_path: Path) -> None:
    with recorded(7):
        statements(lambda: sqlite3.connect(tmp_path / "shop.db"), "?")
        with closing(sqlite3.connect(f"file:{tmp_path}/shop.db?key={SECRET}", uri=True)) as connection:
            connection.executescript(f"SELECT '{SECRET}'; SELECT 1 -- {SECRET}")


def postgres_url(port: int, password: str = postgres_server.PASSWORD) -> str:
    return f"postgresql://{postgres_server.USER}:{password}@127.0.0.1:{port}/{postgres_server.DATABASE}"


@pytest.mark.parametrize("library", [psycopg2, psycopg])
def test_postgres_drivers(library: Any, postgres: int) -> None:
    dsn = f"host=127.0.0.1 port={postgres} user={postgres_server.USER} password={postgres_server.PASSWORD}"
    with recorded(8):
        statements(lambda: library.connect(postgres_url(postgres)), "%s")
        library.connect(f"{dsn} dbname={postgres_server.DATABASE}").close()
        for bad in (postgres_url(postgres, SECRET), postgres_url(9, SECRET), f"{dsn}{SECRET} dbname=x"):
            with suppress(library.OperationalError):
                library.connect(bad)


def test_pg8000(postgres: int) -> None:
    known = {"user": postgres_server.USER, "host": "127.0.0.1", "port": postgres, "database": postgres_server.DATABASE}
    with recorded(8):
        statements(lambda: pg8000.dbapi.connect(password=postgres_server.PASSWORD, **known), "%s")
        with suppress(pg8000.dbapi.Error):
            pg8000.dbapi.connect(password=SECRET, **known)


def test_asyncpg(postgres: int) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(postgres_url(postgres))
        await connection.execute("DROP TABLE IF EXISTS secrets")
        await connection.execute("CREATE TABLE secrets (name text PRIMARY KEY)")
        for statement in (DUPLICATE, DUPLICATE, WRONG, LITERALS):
            with suppress(asyncpg.PostgresError):
                await connection.execute(statement)
        await connection.fetch("SELECT name FROM secrets WHERE name = $1", SECRET)
        with suppress(asyncpg.DataError):
            await connection.fetch("SELECT $1::int", SECRET)
        await connection.close()
        with suppress(asyncpg.PostgresError, OSError):
            await asyncpg.connect(postgres_url(postgres, SECRET))

    with recorded(7):
        run_untidy(main())


@pytest.mark.parametrize("library", [pymysql, mysql.connector])
def test_mysql_drivers(library: Any, mariadb: int) -> None:
    known = {"host": "127.0.0.1", "port": mariadb, "user": mariadb_server.USER, "database": mariadb_server.DATABASE}
    with recorded(8):
        statements(lambda: library.connect(password=mariadb_server.PASSWORD, **known), "%s")
        with suppress(library.Error):
            library.connect(password=SECRET, **known)


def test_sqlalchemy(postgres: int) -> None:
    good = sqlalchemy.create_engine(postgres_url(postgres).replace("postgresql:", "postgresql+psycopg2:"))
    bad = sqlalchemy.create_engine(postgres_url(postgres, SECRET).replace("postgresql:", "postgresql+psycopg2:"))
    with recorded(5):
        with good.connect() as connection:
            connection.execute(sqlalchemy.text(LITERALS)).all()
            connection.execute(sqlalchemy.text("SELECT :name"), {"name": SECRET}).all()
            connection.execute(sqlalchemy.select(sqlalchemy.literal(SECRET))).all()
            with suppress(sqlalchemy.exc.SQLAlchemyError):
                connection.execute(sqlalchemy.text(WRONG))
        with suppress(sqlalchemy.exc.OperationalError):
            bad.connect()
    good.dispose()


def test_redis(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--requirepass", SECRET) as port, recorded(5):
        with redis.Redis.from_url(f"redis://:{SECRET}@127.0.0.1:{port}/0") as client:
            client.set(SECRET, SECRET)
            client.get(SECRET)
            client.lpush(f"list:{SECRET}", SECRET)
            with suppress(redis.ResponseError):
                client.incr(SECRET)
            with client.pipeline() as pipeline:
                pipeline.set(SECRET, SECRET).get(SECRET).execute()
        with suppress(redis.AuthenticationError), redis.Redis(port=port, password=f"{SECRET}?") as client:
            client.ping()


def _mongo_client(url: str) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(url)


def test_mongodb(mongo_port: int) -> None:
    with recorded(4), _mongo_client(f"mongodb://127.0.0.1:{mongo_port}/?appname={SECRET}") as client:
        collection = client["shop"]["secrets"]
        collection.insert_one({"_id": SECRET, "password": SECRET})
        with suppress(pymongo.errors.DuplicateKeyError):
            collection.insert_one({"_id": SECRET, "password": SECRET})
        collection.find_one({"password": SECRET})
        collection.update_one({"_id": SECRET}, {"$set": {"password": f"{SECRET}!"}})
