"""The testing helpers: capture, the tree, the fixture; what they say when a test is wrong."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from xray_lambda import annotate, segment, subsegment, traced_handler
from xray_lambda._recorder import active
from xray_lambda.testing import capture, counting_ids, fake_clock

if TYPE_CHECKING:
    from pathlib import Path

    from xray_lambda.testing import Traces


@traced_handler
def handler(event: dict[str, int], context: object) -> None:
    with subsegment("price"):
        annotate(order=event["id"])
        try:
            with subsegment("discount"):
                raise LookupError("none today")
        except LookupError:
            pass


def test_the_tree_reads_like_the_program(xray: Traces) -> None:
    handler({"id": 17}, None)
    assert xray.one["price"].annotations == {"order": 17}
    assert xray.one["price"]["discount"].flags == {"fault"}
    assert xray.find("discount").exceptions[0]["type"] == "LookupError"
    assert xray.one.names() == ("handler", [("price", [("discount", [])])])
    assert str(xray) == "handler ColdStart=True\n  price order=17\n    discount fault"
    assert repr(xray.one) == "<Node 'handler' with 1 children>"


def test_each_capture_is_a_fresh_environment(xray: Traces) -> None:
    """Whatever ran before, the first invocation is a cold start, and the second is not."""
    handler({"id": 1}, None)
    handler({"id": 2}, None)
    assert [root.annotations["ColdStart"] for root in xray.roots] == [True, False]


def test_a_mistaken_question_shows_what_there_is(xray: Traces) -> None:
    with pytest.raises(LookupError, match="nothing was recorded"):
        xray.one  # noqa: B018
    handler({"id": 17}, None)
    with pytest.raises(LookupError, match="'handler' has 0 children called 'pirce'; there is\nhandler"):
        xray.one["pirce"]
    with pytest.raises(LookupError, match="0 nodes are called 'nowhere' in\nhandler"):
        xray.find("nowhere")
    with pytest.raises(LookupError, match="0 nodes are called 'nowhere' in\nprice"):
        xray.one["price"].find("nowhere")
    xray.clear()
    assert len(xray) == 0


def test_a_fake_clock_and_counting_ids_make_the_same_document_every_time() -> None:
    def once() -> str:
        with capture(clock=fake_clock(step_ms=250), new_id=counting_ids()) as traces:
            with subsegment("work"):
                pass
            assert traces.one.duration == 0.25
            return traces._emitter.documents[0]

    assert once() == once()


def test_independent_children_stand_below_their_parents() -> None:
    with capture(stream_bytes=0) as traces:
        with subsegment("a"), subsegment("b"), subsegment("c"):
            pass
        assert len(traces.documents) == 3
        assert traces.one.names() == ("a", [("b", [("c", [])])])


def test_a_capture_leaves_everything_as_it_was() -> None:
    before = active()
    with pytest.raises(ZeroDivisionError), capture(None), segment("x"):
        raise ZeroDivisionError
    assert active() is before


def test_captures_nest() -> None:
    with capture() as outer, subsegment("outer"):
        with capture() as inner, subsegment("inner"):
            pass
        assert inner.one.names() == ("inner", [])
    assert outer.one.names() == ("outer", [])


@pytest.mark.full
def test_the_fixture_is_there_for_any_project_that_installs_us(tmp_path: Path) -> None:
    test = tmp_path / "test_mine.py"
    test.write_text(
        "from xray_lambda import subsegment\n"
        "def test_it(xray):\n"
        "    with subsegment('work'): pass\n"
        "    assert xray.one.name == 'work'\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-W", "error", str(test)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
