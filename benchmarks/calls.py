"""The library calls whose tracing is measured: AWS and HTTP against a server that does next to nothing, and SQL."""

from __future__ import annotations

import socket
import sqlite3
import threading
from typing import TYPE_CHECKING

import boto3
import requests
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 20

_ITEM = b'{"Item":{"id":{"S":"1"}}}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: 4JL4OHL8C2VEJDVUSLPE\r\nx-amz-request-id: 4JL4OHL8C2VEJDVU\r\n"
    b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%s"
)


def serve(listener: socket.socket) -> None:
    """Answer every request on every connection; HEAD without a body, as HTTP wants it."""
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as stream:
        while line := stream.readline():
            length = 0
            while (header := stream.readline()) not in (b"\r\n", b""):
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            stream.read(length)
            connection.sendall(_ANSWER % (len(_ITEM), b"" if line.startswith(b"HEAD") else _ITEM))


def calls(url: str) -> dict[str, Callable[[object, object], object]]:
    """Return the handlers by name, each making CALLS calls, for a server at `url`."""
    account = {"region_name": "us-east-1", "aws_access_key_id": "shop", "aws_secret_access_key": "shop"}
    config = Config(retries={"max_attempts": 0}, max_pool_connections=1)
    tables = boto3.client("dynamodb", endpoint_url=url, config=config, **account)
    buckets = boto3.client("s3", endpoint_url=url, config=config, **account)
    database, session = sqlite3.connect(":memory:"), requests.Session()
    return {
        "DynamoDB get_item": _often(lambda: tables.get_item(TableName="table", Key={"id": {"S": "1"}})),
        "S3 head_object": _often(lambda: buckets.head_object(Bucket="bucket", Key="key")),
        "requests get": _often(lambda: session.get(f"{url}/hello")),
        "sqlite3 execute": _often(lambda: database.cursor().execute("select 1").fetchone()),
    }


def _often(call: Callable[[], object]) -> Callable[[object, object], object]:
    def handler(event: object, context: object) -> object:  # noqa: ARG001
        for _ in range(CALLS):
            call()
        return {"statusCode": 200}

    return handler
