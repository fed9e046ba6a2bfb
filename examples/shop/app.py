"""A shop takes an order: prices it, reserves its items at once, gets it paid, files the receipt and tells others."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypedDict

import boto3
import requests

from xray_lambda import annotate, metadata, patch_all, subsegment, traced, traced_handler

patch_all()

BANK, BUCKET, QUEUE, STOCK, TABLE = (
    os.environ[f"SHOP_{name}"] for name in ("BANK", "BUCKET", "QUEUE", "STOCK", "TABLE")
)
PAYMENT_REQUIRED = 402

catalogue = boto3.client("dynamodb")
receipts = boto3.client("s3")
messages = boto3.client("sqs")

logger = logging.getLogger()


class Order(TypedDict):
    """The event."""

    id: str
    customer: str
    tier: str
    basket: dict[str, int]


class CardDeclinedError(Exception):
    """The bank said no."""


@traced_handler
def handler(order: Order, context: object) -> dict[str, object]:
    """Take an order."""
    annotate(order=order["id"], customer_tier=order["tier"])
    metadata(basket=order["basket"])
    total = price(order["basket"])
    with ThreadPoolExecutor() as pool:
        list(pool.map(reserve, order["basket"], order["basket"].values()))
    done = {"order": order["id"], "total": total, "paid_by": pay(order["customer"], total)}
    receipts.put_object(Bucket=BUCKET, Key=f"{order['id']}.json", Body=json.dumps(done))
    messages.send_message(QueueUrl=QUEUE, MessageBody=json.dumps(done))
    return done


@traced
def price(basket: dict[str, int]) -> float:
    """Add up what the basket costs."""
    keys = [{"item": {"S": item}} for item in basket]
    found = catalogue.batch_get_item(RequestItems={TABLE: {"Keys": keys}})["Responses"][TABLE]
    return sum(basket[row["item"]["S"]] * float(row["price"]["N"]) for row in found)


@traced
def reserve(item: str, count: int) -> None:
    """Put items aside in the warehouse."""
    annotate(item=item, count=count)
    with closing(sqlite3.connect(STOCK)) as stock, stock:
        stock.execute("UPDATE stock SET left = left - ? WHERE item = ? AND left >= 1", (count, item))


@traced
def pay(customer: str, total: float) -> str:
    """Charge the card, or send an invoice where the card is declined."""
    try:
        charge(customer, total)
    except CardDeclinedError as refusal:
        logger.warning("paying by invoice: %s", refusal)
        with subsegment("send invoice") as invoice:
            invoice.annotate(total=total)
        return "invoice"
    return "card"


@traced
def charge(customer: str, total: float) -> None:
    """Charge the customer's card."""
    answer = requests.post(f"{BANK}/charges", json={"customer": customer, "total": total}, timeout=5)
    if answer.status_code == PAYMENT_REQUIRED:
        raise CardDeclinedError(f"{customer}'s card allows {answer.json()['limit']:.2f}, not {total:.2f}")
    answer.raise_for_status()
