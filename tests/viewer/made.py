"""Documents that tests of the viewer are made of: segments and subsegments with as much as a test cares for."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from xray_lambda.viewer.documents import Document, parse

TRACE = "1-5759e988-bd862e3fe1be46a994272793"
NOON = 1_700_000_000.0

_numbers = count(1)


def an_id() -> str:
    return f"{next(_numbers):016x}"


def a_trace_id(number: int, start: float = NOON) -> str:
    return f"1-{int(start):08x}-{number:024x}"


def segment(name: str = "shop", start: float = 0.0, seconds: float | None = 1.0, **more: Any) -> dict[str, Any]:
    """Make a segment that begins `start` seconds after NOON; in progress where `seconds` is None."""
    body = {"name": name, "id": an_id(), "trace_id": TRACE, "start_time": NOON + start, **more}
    return body | ({"in_progress": True} if seconds is None else {"end_time": NOON + start + seconds})


def call(name: str, start: float = 0.0, seconds: float | None = 0.5, **more: Any) -> dict[str, Any]:
    """Make an embedded subsegment."""
    body = segment(name, start, seconds, **more)
    del body["trace_id"]
    return body


def alone(parent_id: str, name: str, start: float = 0.0, seconds: float | None = 0.5, **more: Any) -> dict[str, Any]:
    """Make a subsegment that is sent on its own."""
    return segment(name, start, seconds, type="subsegment", parent_id=parent_id, **more)


def http(status: int | None = None, method: str = "GET", url: str = "http://shop.example/", **more: Any) -> Any:
    block: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    if status is not None:
        block["response"] = {"status": status}
    return block


def documents(*bodies: dict[str, Any]) -> list[Document]:
    return [parse(json.dumps(body)) for body in bodies]
