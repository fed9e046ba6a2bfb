"""Takes orders from the queue and puts them into the table. It knows nothing of tracing: the layer traces it."""

from __future__ import annotations

import json
import os
from typing import TypedDict

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


class Record(TypedDict):
    """One message, as far as it is read here."""

    body: str


def handler(event: dict[str, list[Record]], context: object) -> None:
    """Store every order of a batch."""
    for record in event["Records"]:
        order = json.loads(record["body"])
        table.put_item(Item={"id": order["id"], "item": order["item"], "count": order["count"]})
