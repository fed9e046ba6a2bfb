"""Streaming: what is open for long sends its finished children after a while, and itself as work in progress."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.schema import checked
from xray_lambda import segment, subsegment
from xray_lambda.testing import HEADER, Traces, capture, counting_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND = 1_000_000_000


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[Traces]:
    """Record as a program outside Lambda does."""
    with capture(None, clock=clock, new_id=counting_ids()) as traces:
        yield traces
        for document in traces._emitter.documents:
            checked(document)


def sent(traces: Traces) -> list[tuple[str, str]]:
    """Return what was sent so far: each document's name, and what kind of document it is."""
    return [(document["name"], kind(document)) for document in traces.documents]


def kind(document: dict[str, Any]) -> str:
    what = document.get("type", "segment")
    return f"{what} in progress" if document.get("in_progress") else what


def work(name: str, clock: Clock | None = None, seconds: float = 0) -> None:
    with subsegment(name):
        if clock is not None:
            clock.move(seconds)


def test_a_segment_that_ends_soon_is_one_document(server: Traces, clock: Clock) -> None:
    with segment("nightly"):
        work("one", clock, 4.9)
        work("two", clock, 5)
    assert sent(server) == [("nightly", "segment")]
    assert server.one.names() == ("nightly", [("one", []), ("two", [])])


def test_a_segment_that_is_open_for_long_shows_itself_and_its_finished_children(server: Traces, clock: Clock) -> None:
    with segment("nightly") as root:
        root.annotate(order=17)
        work("one", clock, 1)
        work("two", clock, 9)
        assert sent(server) == [
            ("nightly", "segment in progress"),
            ("one", "subsegment"),
            ("two", "subsegment"),
        ]
        assert server.documents[0]["annotations"] == {"order": 17}
        work("three", clock, 1)
        assert sent(server)[3:] == [("three", "subsegment")]
    assert sent(server)[4:] == [("nightly", "segment")]
    assert server.one.names() == ("nightly", [("one", []), ("two", []), ("three", [])])
    assert "in_progress" not in server.one.document


def test_all_that_is_open_above_shows_itself_too_the_uppermost_first(server: Traces, clock: Clock) -> None:
    with segment("nightly"), subsegment("loop"), subsegment("step"):
        work("one", clock, 10)
        assert sent(server) == [
            ("nightly", "segment in progress"),
            ("loop", "subsegment in progress"),
            ("step", "subsegment in progress"),
            ("one", "subsegment"),
        ]
    # What was sent as a document of its own is completed by one: embedded, it would be there twice.
    assert sent(server)[4:] == [("step", "subsegment"), ("loop", "subsegment"), ("nightly", "segment")]
    assert server.one.names() == ("nightly", [("loop", [("step", [("one", [])])])])


def test_a_short_piece_of_work_in_a_long_one_is_embedded_whole(server: Traces, clock: Clock) -> None:
    with segment("worker"):
        clock.move(100)
        with subsegment("job"):
            work("one")
            work("two")
    assert sent(server) == [("worker", "segment in progress"), ("job", "subsegment"), ("worker", "segment")]
    assert server.one.names() == ("worker", [("job", [("one", []), ("two", [])])])


def test_many_children_go_out_some_at_a_time(server: Traces, clock: Clock) -> None:
    with segment("worker"):
        for number in range(100):
            work(str(number))
        clock.move(10)
        before = 0
        for number in range(100, 110):
            work(str(number))
            assert len(server.documents) - before <= 21
            before = len(server.documents)
        assert before == 111
    assert len(server.one.children) == 110


def test_the_time_is_a_setting(clock: Clock) -> None:
    with capture(None, clock=clock, stream_seconds=60) as traces, segment("worker"):
        work("one", clock, 59)
        assert traces.documents == []
        work("two", clock, 1)
        assert [name for name, _ in sent(traces)] == ["worker", "one", "two"]


def test_the_subsegment_of_a_long_invocation_streams_too(clock: Clock) -> None:
    with capture(HEADER, clock=clock, new_id=counting_ids()) as traces:
        with subsegment("handler"):
            work("one", clock, 11)
            work("two")
        for document in traces._emitter.documents:
            checked(document)
    assert sent(traces) == [
        ("handler", "subsegment in progress"),
        ("one", "subsegment"),
        ("two", "subsegment"),
        ("handler", "subsegment"),
    ]
    assert traces.one.names() == ("handler", [("one", []), ("two", [])])


def test_what_was_announced_at_its_start_is_not_announced_again(clock: Clock) -> None:
    from xray_lambda import traced_handler

    @traced_handler
    def handler(event: object, context: object) -> None:
        work("one", clock, 11)

    with capture(HEADER, clock=clock, early=True) as traces:
        handler({}, None)
    assert sent(traces) == [
        ("handler", "subsegment in progress"),
        ("one", "subsegment"),
        ("handler", "subsegment"),
    ]


def test_a_child_that_outlives_its_long_parent_does_not_announce_what_has_ended(server: Traces, clock: Clock) -> None:
    with segment("worker"):
        parent = subsegment("parent")
        with parent:
            child = subsegment("child")
        clock.move(20)
        with child:
            pass
    assert ("parent", "subsegment in progress") not in sent(server)
    assert server.one.names() == ("worker", [("parent", [("child", [])])])


def test_threads_that_finish_at_once_lose_no_child(clock: Clock) -> None:
    from xray_lambda import bind

    with capture(None, clock=clock) as traces, segment("worker"):
        clock.move(20)
        start = threading.Barrier(4)

        def run(first: int) -> None:
            start.wait()
            for number in range(first, first + 200):
                work(str(number))

        threads = [threading.Thread(target=bind(run), args=(first,)) for first in range(0, 800, 200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(int(child.name) for child in traces.one.children) == list(range(800))
