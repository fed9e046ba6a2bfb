"""docs/messages.md: the code that it shows is run, Powertools' batches included, and records what it says."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

import xray_lambda
from tests.events import NAMES, event, sender, sender_root
from xray_lambda import records, subsegment
from xray_lambda.testing import capture

PAGE = Path(__file__).parent.parent.parent / "docs/messages.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
LOOP, FAILED, POWERTOOLS, WORKER, ONE_TRACE, EVENTS = BLOCKS


class OrderError(Exception):
    """What the page's handler expects."""


def shown(block: str, **names: Any) -> dict[str, Any]:
    """Run a block of the page; return what it defines."""
    found: dict[str, Any] = {"records": records, "work": lambda record: None, **names}
    exec(compile(block, str(PAGE), "exec"), found)  # noqa: S102 - our own page
    return found


def failing(record: Any) -> None:
    if "17" in record["body"]:
        raise OrderError


def test_each_record_of_a_handler_has_its_subsegment() -> None:
    with capture() as traces:
        shown(LOOP)["handler"](event("sqs"), None)
    assert [node.annotations.get("sender_trace_id") for node in traces.one.children] == [
        sender_root(1), sender_root(3), None,
    ]  # fmt: skip


def test_what_the_loop_handles_comes_again() -> None:
    handler = shown(FAILED, OrderError=OrderError, work=failing)["handler"]
    with capture() as traces:
        response = handler(event("sqs"), None)
    assert response == {"batchItemFailures": [{"itemIdentifier": event("sqs")["Records"][0]["messageId"]}]}
    assert traces.one.children[0].flags == {"fault"}


def test_powertools_calls_a_traced_function() -> None:
    with capture() as traces:
        assert shown(POWERTOOLS)["handler"](event("sqs"), None) == {"batchItemFailures": []}
    assert [node.name for node in traces.one.children] == ["orders"] * 3


def test_a_worker_goes_on_in_its_senders_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    def receive_message(QueueUrl: str, MessageSystemAttributeNames: list[str]) -> Any:  # noqa: N803 - boto3's names
        assert MessageSystemAttributeNames == ["AWSTraceHeader"]
        return event("received")

    monkeypatch.setattr(boto3, "client", lambda name: SimpleNamespace(receive_message=receive_message))
    monkeypatch.setattr(xray_lambda, "configure", lambda **settings: None)  # which is the capture's here
    with capture(None, service="stock") as traces:
        shown(WORKER, QUEUE_URL="https://queue")["poll"]()
    (segment,) = traces.documents  # the other sender was not sampled
    assert (segment["name"], segment["trace_id"], segment["parent_id"]) == ("stock", sender_root(1), f"{1:016x}")


def test_a_poll_in_one_trace_is_linked_to_the_senders() -> None:
    with capture(None) as traces:
        shown(ONE_TRACE)["poll_in_one_trace"]({"Messages": event("received")["Messages"][:1]})
    assert traces.one.document["links"] == [{"trace_id": sender_root(1), "id": f"{1:016x}"}]
    assert sender(1).startswith(f"Root={sender_root(1)}")


@pytest.mark.parametrize(("name", "subsegment_name"), re.findall(r"^def (\w+)\(.*# `([^`]+)`", EVENTS, re.MULTILINE))
def test_each_kind_of_event_is_read_as_shown(name: str, subsegment_name: str) -> None:
    assert name in NAMES
    seen: list[Any] = []
    with capture() as traces, subsegment("handler"):
        shown(EVENTS, work=seen.append)[name](event(name), None)
    assert seen
    assert {node.name for node in traces.one.children} == {subsegment_name}
