"""Links: which other traces a segment's work belongs to, as X-Ray takes them: 20 a segment, on segments alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.schema import checked
from xray_lambda import segment, subsegment
from xray_lambda._entity import UNTRACED
from xray_lambda.testing import HEADER, ROOT, capture

if TYPE_CHECKING:
    from xray_lambda.testing import Traces

SENDER = "53995c3f42cd8ad8"
PLAIN = {"trace_id": ROOT, "id": SENDER}
TRACEPARENT = f"00-{ROOT[2:].replace('-', '')}-{SENDER}-01"


def header(number: int) -> str:
    return f"Root=1-5759e988-{number:024x};Parent={number + 1:016x};Sampled=1"


def links(traces: Traces) -> Any:
    return traces.one.document.get("links")


@pytest.mark.parametrize(
    "to", [HEADER, f"Root={ROOT};Parent={SENDER};Sampled=0", f" parent = {SENDER};root={ROOT.upper()}", TRACEPARENT]
)
def test_a_segment_links_to_what_a_trace_header_names(to: str) -> None:
    with capture(None) as traces, segment("worker") as worker:
        worker.link(to)
    assert links(traces) == [PLAIN]
    checked(traces._emitter.documents[0])


def test_a_link_has_attributes_where_some_are_told_bounded_as_all_that_is_recorded() -> None:
    with capture(None) as traces, segment("worker") as worker:
        worker.link(HEADER, queue="orders", body="x" * 10_000)
    (link,) = links(traces)
    assert link["attributes"]["queue"] == "orders"
    assert len(str(link)) < 1000


def test_a_segment_links_to_another_segment_and_to_a_subsegment() -> None:
    with capture(None) as traces:
        with segment("sender") as sender, subsegment("queue") as queue:
            pass
        with segment("worker") as worker:
            worker.link(sender)
            worker.link(queue)
    told = traces.find("worker").document["links"]
    assert told == [{"trace_id": sender.trace_id, "id": one.id} for one in (sender, queue)]


@pytest.mark.parametrize("to", ["", "garbage", f"Root={ROOT};Sampled=1", f"Parent={SENDER}", UNTRACED, None, 17, b"x"])
def test_what_names_no_place_in_a_trace_is_left_out(to: Any) -> None:
    with capture(None) as traces, segment("worker") as worker:
        worker.link(to)
    assert "links" not in traces.one.document


def test_there_are_twenty_links_at_most_and_each_place_is_linked_once() -> None:
    with capture(None) as traces, segment("worker") as worker:
        for number in range(30):
            worker.link(header(number))
            worker.link(header(number))
    found = links(traces)
    assert [link["id"] for link in found] == [f"{number + 1:016x}" for number in range(20)]


def test_a_closed_segment_takes_no_link() -> None:
    with capture(None) as traces:
        with segment("worker") as worker:
            pass
        worker.link(HEADER)
    assert links(traces) is None


def test_links_are_taken_on_segments_alone_and_a_word_at_debug_level_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "xray_lambda")
    with capture() as traces, subsegment("record") as record:
        record.link(HEADER)
        record.segment.link(HEADER)
        UNTRACED.link(HEADER)
    assert links(traces) is None
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("DEBUG", "xray_lambda: a link was left out: X-Ray takes them on segments of one's own alone")
    ]


def test_a_document_that_is_far_too_long_gives_its_links_up_last_and_keeps_its_flags() -> None:
    with capture(None) as traces, segment("worker") as worker:
        worker.link(HEADER)
        worker.metadata(basket="x" * 100_000)
        worker.annotate({f"key{number}": "y" * 1000 for number in range(50)})
    assert links(traces) == [PLAIN]
    checked(traces._emitter.documents[0])
