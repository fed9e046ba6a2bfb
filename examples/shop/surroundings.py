"""What the shop needs around it, on this machine alone: AWS as moto plays it, a bank, a warehouse's database.

Prints the environment for app.py as one line of JSON when all of it is there, and ends with its standard input.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import sys
import tempfile
from contextlib import closing, redirect_stdout
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import boto3
from moto.server import ThreadedMotoServer

HOST = "127.0.0.1"
PRICES = {"teapot": Decimal("31.50"), "cup": Decimal("7.25"), "saucer": Decimal("4.00")}
CREDIT_LIMIT = 50.00
ACCOUNT = {"AWS_ACCESS_KEY_ID": "shop", "AWS_SECRET_ACCESS_KEY": "shop", "AWS_DEFAULT_REGION": "eu-central-1"}


class Bank(BaseHTTPRequestHandler):
    """Lends only so much; it is traced too, and says so by answering with the trace that it was asked in."""

    def do_POST(self) -> None:
        """Accept or decline a charge."""
        charge = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"limit": CREDIT_LIMIT}).encode()
        self.send_response(402 if charge["total"] > CREDIT_LIMIT else 201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        root = self.headers.get("X-Amzn-Trace-Id", "").partition(";")[0]
        if root:
            self.send_header("X-Amzn-Trace-Id", root)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name that http.server gives it
        """Keep quiet: the trace tells it."""


def start_bank() -> str:
    """Open the bank, and return its URL."""
    bank = ThreadingHTTPServer((HOST, 0), Bank)
    Thread(target=bank.serve_forever, daemon=True).start()
    return f"http://{HOST}:{bank.server_port}"


def start_aws() -> dict[str, str]:
    """Start moto with the shop's table, bucket and queue in it, and return what the shop must know of them."""
    server = ThreadedMotoServer(ip_address=HOST, port=0)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    settings = {**ACCOUNT, "AWS_ENDPOINT_URL": endpoint}
    session = boto3.Session(ACCOUNT["AWS_ACCESS_KEY_ID"], ACCOUNT["AWS_SECRET_ACCESS_KEY"], region_name="eu-central-1")
    table = session.resource("dynamodb", endpoint_url=endpoint).create_table(
        TableName="catalogue",
        KeySchema=[{"AttributeName": "item", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "item", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for item, price in PRICES.items():
        table.meta.client.put_item(TableName="catalogue", Item={"item": item, "price": price})
    place = {"LocationConstraint": "eu-central-1"}
    session.client("s3", endpoint_url=endpoint).create_bucket(Bucket="receipts", CreateBucketConfiguration=place)
    queue = session.client("sqs", endpoint_url=endpoint).create_queue(QueueName="orders")["QueueUrl"]
    return {**settings, "SHOP_TABLE": "catalogue", "SHOP_BUCKET": "receipts", "SHOP_QUEUE": queue}


def fill_warehouse(file: Path) -> str:
    """Put a hundred of each item into the warehouse's database, and return where it is."""
    with closing(sqlite3.connect(file)) as stock, stock:
        stock.execute("CREATE TABLE stock (item TEXT PRIMARY KEY, left INTEGER)")
        stock.executemany("INSERT INTO stock VALUES (?, 100)", [(item,) for item in PRICES])
    return str(file)


def main() -> None:
    """Start all of it, and wait."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        shop = {"SHOP_BANK": start_bank(), "SHOP_STOCK": fill_warehouse(Path(folder) / "stock.db")}
        with redirect_stdout(sys.stderr):  # moto's server greets on standard output
            shop |= start_aws()
        print(json.dumps(shop), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
