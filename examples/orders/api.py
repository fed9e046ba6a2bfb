"""POST /orders: takes an order and puts it into the queue. Traced by a decorator, with subsegments of its own."""

from __future__ import annotations

import json
import os
import uuid
from typing import TypedDict

import boto3

from xray_lambda import annotate, patch_all, subsegment, traced_handler

patch_all()
queue = boto3.client("sqs")

LARGEST_ORDER = 100


class Request(TypedDict):
    """What an HTTP API sends, as far as it is read here."""

    body: str


class Response(TypedDict):
    """What an HTTP API takes; a status of 4xx marks the invocation as an error, 5xx as a fault."""

    statusCode: int
    body: str


@traced_handler
def handler(event: Request, context: object) -> Response:
    """Check an order, and answer before it is worked on."""
    with subsegment("check") as check:
        order = json.loads(event["body"])
        check.annotate(item=order["item"], count=order["count"])
    if not 0 < order["count"] <= LARGEST_ORDER:
        return {"statusCode": 400, "body": f"an order has 1 to {LARGEST_ORDER} items"}
    order["id"] = str(uuid.uuid4())
    annotate(order=order["id"])
    queue.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=json.dumps(order))
    return {"statusCode": 202, "body": json.dumps({"order": order["id"]})}
