"""What comes in goes on to another daemon or to X-Ray, in the background, and what does not is counted."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from tests.viewer.made import a_trace_id, documents, segment
from tests.viewer.running import running, until
from xray_lambda.viewer import forward
from xray_lambda.viewer.forward import Forwarder, Told

pytestmark = pytest.mark.full


class Heard:
    """What a forwarder told of."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []

    @property
    def told(self) -> Told:
        return Told(lambda name, number: self.counts.update({name: number}), self.complaints.append)


def many(number: int) -> list[Any]:
    return documents(*(segment(trace_id=a_trace_id(place)) for place in range(number)))


def test_another_daemon_gets_every_document_as_it_came() -> None:
    whole = segment(metadata={"a": {"b": "ü"}})
    with running() as other, running() as it:
        forwarder = Forwarder(
            "other", forward.daemon_at(("127.0.0.1", other.port)), Told(it.viewer.count, it.viewer.complain)
        )
        it.viewer.forwards = [forwarder]
        it.send(whole)
        until(other.viewer.store.count)
        assert other.viewer.store.trace(whole["trace_id"]) == [whole]
        until(lambda: it.viewer.counters.forwarded == 1)
        forwarder.close()


def test_a_call_takes_fifty_documents_and_the_end_sends_the_rest() -> None:
    calls: list[int] = []
    heard = Heard()

    def send(texts: list[str]) -> tuple[int, str]:
        calls.append(len(texts))
        return len(texts), ""

    forwarder = Forwarder("a test", send, heard.told)
    forwarder(many(120))
    forwarder.close()
    assert calls == [50, 50, 20]
    assert heard.counts == {"forwarded": 120}


def test_what_is_refused_is_counted_and_said() -> None:
    class Client:
        def put_trace_segments(self, **request: Any) -> dict[str, Any]:
            [first, *_] = request["TraceSegmentDocuments"]
            refused = {"Id": json.loads(first)["id"], "ErrorCode": "InvalidTraceId", "Message": "too old"}
            return {"UnprocessedTraceSegments": [refused]}

    heard = Heard()
    forwarder = Forwarder("X-Ray", forward.xray(Client()), heard.told)
    forwarder(many(3))
    forwarder.close()
    assert heard.counts == {"forwarded": 2, "unforwarded": 1}
    assert heard.complaints == ["1 documents were not forwarded to X-Ray: InvalidTraceId: too old"]


def test_a_fault_costs_its_documents_and_no_others() -> None:
    heard = Heard()
    faults = iter([ConnectionError("no route")])

    def send(texts: list[str]) -> tuple[int, str]:
        for fault in faults:
            raise fault
        return len(texts), ""

    forwarder = Forwarder("away", send, heard.told)
    forwarder(many(60))
    forwarder.close()
    assert heard.counts == {"forwarded": 10, "unforwarded": 50}
    assert heard.complaints == ["50 documents were not forwarded to away: ConnectionError: no route"]


def test_who_is_too_slow_loses_the_oldest_and_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "MOST_WAITING", 100)
    go_on = threading.Event()
    heard = Heard()

    def send(texts: list[str]) -> tuple[int, str]:
        go_on.wait(10)
        return len(texts), ""

    forwarder = Forwarder("slow", send, heard.told)
    forwarder(many(50))
    until(lambda: not forwarder._texts)
    forwarder(many(300))
    assert heard.counts == {"unforwarded": 200}
    assert heard.complaints == ["200 documents were not forwarded: slow is too slow"]
    go_on.set()
    forwarder.close()
    assert heard.counts == {"forwarded": 150, "unforwarded": 200}


def test_a_document_that_no_datagram_holds_is_counted() -> None:
    heard = Heard()
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind(("127.0.0.1", 0))
        forwarder = Forwarder("other", forward.daemon_at(other.getsockname()), heard.told)
        forwarder(documents(segment(metadata={"a": {"b": "x" * 70_000}}), segment()))
        forwarder.close()
    assert heard.counts == {"forwarded": 1, "unforwarded": 1}
    assert heard.complaints == ["1 documents were not forwarded to other: Message too long"]
