"""Handlers called as a unit test calls them: with mocks, outside Lambda, below a segment, in several threads."""

from __future__ import annotations

import logging
import threading
from typing import Any
from unittest.mock import MagicMock, Mock, NonCallableMock, create_autospec, sentinel

import pytest

from xray_lambda import current_segment, segment, subsegment, trace_header, trace_id, traced_handler
from xray_lambda.testing import HEADER, ROOT, capture, counting_ids, fake_clock


@traced_handler(capture_event=True, capture_response=True)
def handler(event: Any, context: Any) -> Any:
    with subsegment("price"):
        return event


class Hostile:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("no words")

    __str__ = __hash__ = __bool__ = __len__ = __iter__ = __eq__ = __repr__  # type: ignore[assignment]


class Tenanted:
    """A context with a tenant of any type."""

    def __init__(self, tenant_id: object) -> None:
        self.tenant_id = tenant_id


CONTEXTS = {
    "MagicMock": MagicMock(),
    "Mock": Mock(spec=[]),
    "NonCallableMock": NonCallableMock(),
    "autospec": create_autospec(Tenanted),
    "object": object(),
    "None": None,
    "dict": {"tenant_id": "blue"},
    "sentinel": sentinel.context,
    "hostile": Hostile(),
    "tenant 17": Tenanted(17),
    "no tenant": Tenanted(""),
    "type": Tenanted,
    "hostile tenant": Tenanted(Hostile()),
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_context_may_be_anything(name: str) -> None:
    with capture() as traces:
        assert handler({"order": 17}, CONTEXTS[name]) == {"order": 17}
    assert traces.one.names() == ("handler", [("price", [])])
    assert traces.one.annotations == {"ColdStart": True}


@pytest.mark.parametrize("name", sorted(CONTEXTS.keys() - {"hostile"}))
def test_an_event_may_be_anything_and_is_returned_untouched(name: str) -> None:
    with capture() as traces:
        assert handler(CONTEXTS[name], None) is CONTEXTS[name]
    assert traces.one.names() == ("handler", [("price", [])])


def test_a_result_that_cannot_be_looked_at_is_returned_and_the_rest_recorded() -> None:
    hostile = Hostile()

    @traced_handler
    def give(event: object, context: object) -> object:
        return hostile

    with capture(strict=False) as traces:
        assert give({}, None) is hostile
    assert traces.one.names() == ("give", [])


def test_an_event_that_can_be_read_once_is_left_to_the_handler() -> None:
    with capture():
        assert list(handler(iter("tea"), None)) == ["t", "e", "a"]


def test_arguments_may_be_named() -> None:
    with capture() as traces:
        assert handler(context=Tenanted("blue"), event={"order": 17}) == {"order": 17}
    assert traces.one.annotations == {"ColdStart": True, "tenant_id": "blue"}
    assert traces.one.metadata["default"]["event"] == {"order": 17}


@pytest.mark.parametrize("arguments", [(), (1,), (1, 2, 3, 4)])
def test_any_number_of_arguments_is_passed_on(arguments: tuple[int, ...]) -> None:
    @traced_handler(capture_event=True)
    def any_number(*values: int) -> tuple[int, ...]:
        return values

    with capture() as traces:
        assert any_number(*arguments) == arguments
    assert traces.one.names() == ("any_number", [])


def test_wrong_arguments_are_pythons_own_error() -> None:
    with capture() as traces, pytest.raises(TypeError, match=r"handler\(\) missing 2 required positional arguments"):
        handler()  # type: ignore[call-arg]
    assert traces.one.flags == {"fault"}


def test_outside_lambda_a_handler_just_runs(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_XRAY_CONTEXT_MISSING", "RUNTIME_ERROR")
    caplog.set_level(logging.DEBUG)

    @traced_handler
    def alone(event: Any, context: Any) -> tuple[Any, ...]:
        return event, trace_id(), trace_header(), current_segment().sampled

    assert alone({"order": 17}, None) == ({"order": 17}, None, None, False)
    assert caplog.records == []


def test_below_a_segment_of_a_script_a_handler_is_a_subsegment() -> None:
    with capture(None) as traces, segment("script"):
        handler({}, None)
    assert traces.one.names() == ("script", [("handler", [("price", [])])])


def test_an_invocation_is_one_document_that_can_be_compared_whole() -> None:
    @traced_handler(service="shop")
    def whole(event: Any, context: Any) -> None:
        with subsegment("price"):
            pass

    with capture(clock=fake_clock(), new_id=counting_ids()) as traces:
        whole({}, Tenanted("blue"))
    price = {"name": "price", "id": f"{2:016x}", "start_time": 1700000000.001, "end_time": 1700000000.002}
    assert traces.documents == [
        {
            "type": "subsegment",
            "trace_id": ROOT,
            "parent_id": HEADER[-26:-10],
            "name": "whole",
            "id": f"{1:016x}",
            "start_time": 1700000000.0,
            "end_time": 1700000000.003,
            "annotations": {"ColdStart": True, "Service": "shop", "tenant_id": "blue"},
            "subsegments": [price],
        }
    ]


def test_handlers_in_several_threads_do_not_mix() -> None:
    start = threading.Barrier(4)

    @traced_handler
    def together(event: int, context: object) -> str | None:
        with subsegment(f"{event}"):
            start.wait(20)
            return trace_header()

    with capture() as traces:
        threads = [threading.Thread(target=together, args=(number, None)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(root.names() for root in traces.roots) == [("together", [(f"{number}", [])]) for number in range(4)]


def test_a_handler_may_call_itself() -> None:
    @traced_handler
    def down(event: int, context: object) -> int:
        return down(event - 1, context) + 1 if event else 0

    with capture() as traces:
        assert down(2, None) == 2
    assert traces.one.names() == ("down", [("down", [("down", [])])])


def test_nothing_of_an_invocation_is_current_when_it_has_ended() -> None:
    @traced_handler
    def leaky(event: object, context: object) -> None:
        subsegment("leaked").__enter__()
        if event:
            raise LookupError

    with capture() as traces:
        leaky(None, None)
        with pytest.raises(LookupError):
            leaky(1, None)
        with subsegment("afterwards"):
            pass
    assert [root.names() for root in traces.roots] == [("leaky", []), ("leaky", []), ("afterwards", [])]
