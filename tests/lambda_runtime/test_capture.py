"""What the handler gets and returns: not recorded unless asked for, and only as `redact` leaves it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lambda_runtime.documents import cold, plain
from tests.lambda_runtime.runtime import invoke
from tests.lambda_runtime.runtime_api import Invocation

SOURCE = """
    from xray_lambda import traced_handler

    def hide(value):
        value["card"] = "hidden"
        return value

    def only_the_order(value):
        return value["order"]

    def fail(value):
        raise LookupError(value["card"])

    @traced_handler(OPTIONS)
    def handler(event, context):
        if event["order"] == 0:
            raise ValueError("no order")
        return event | {"paid": True}
"""
EVENT = {"order": 17, "card": "4111 1111 1111 1111"}
BOTH = {"event": EVENT, "response": {**EVENT, "paid": True}}


def captured(options: str, env: dict[str, str] | None = None) -> Any:
    """Return the metadata of one invocation, after making sure that the program saw nothing of all this."""
    outcome = invoke(SOURCE.replace("OPTIONS", options), Invocation(event=EVENT), env=env)
    assert outcome.bodies == [{**EVENT, "paid": True}]
    [document] = plain(outcome.documents)
    metadata = document.pop("metadata", {"default": None})
    assert document == cold()
    return metadata["default"]


ON = {"XRAY_LAMBDA_CAPTURE_EVENT": "true", "XRAY_LAMBDA_CAPTURE_RESPONSE": "true"}


@pytest.mark.parametrize(
    ("options", "env", "expected"),
    [
        ("", {}, None),
        ("redact=hide", {}, None),
        ("capture_event=True", {}, {"event": EVENT}),
        ("capture_response=True", {}, {"response": BOTH["response"]}),
        ("capture_event=True, capture_response=True", {}, BOTH),
        ("", ON, BOTH),
        ("capture_event=False", ON, {"response": BOTH["response"]}),
        ("capture_response=False", ON, {"event": EVENT}),
    ],
)
def test_event_and_response_are_recorded_only_when_asked_for(options: str, env: dict[str, str], expected: Any) -> None:
    assert captured(options, env) == expected


@pytest.mark.parametrize(
    ("redact", "expected"),
    [
        ("hide", {name: {**value, "card": "hidden"} for name, value in BOTH.items()}),
        ("only_the_order", {"event": 17, "response": 17}),
        ("fail", dict.fromkeys(BOTH, "not recorded: redact raised LookupError")),
        ("lambda: None", dict.fromkeys(BOTH, "not recorded: redact raised TypeError")),
    ],
)
def test_only_what_redact_returns_is_recorded(redact: str, expected: Any) -> None:
    assert captured(f"redact={redact}", ON) == expected


def test_the_event_of_a_handler_that_raises_is_recorded_too() -> None:
    outcome = invoke(SOURCE.replace("OPTIONS", ""), Invocation(event={"order": 0}), env=ON)
    [document] = outcome.documents
    assert document["metadata"] == {"default": {"event": {"order": 0}}}
    assert outcome.answers[0].body["errorType"] == "ValueError"


def test_what_is_captured_is_how_it_was_at_that_time() -> None:
    source = """
        from xray_lambda import traced_handler

        @traced_handler(capture_event=True)
        def handler(event, context):
            event["order"] = 18
            event.clear()
            return event
    """
    outcome = invoke(source, Invocation(event={"order": 17}))
    assert (outcome.bodies, outcome.documents[0]["metadata"]) == ([{}], {"default": {"event": {"order": 17}}})


def test_a_huge_response_is_cut_in_the_trace_alone() -> None:
    source = """
        from xray_lambda import traced_handler

        @traced_handler(capture_response=True)
        def handler(event, context):
            return ["x" * 1000] * 5000
    """
    outcome = invoke(source)
    assert outcome.bodies == [["x" * 1000] * 5000]
    [document] = outcome.documents
    assert document["metadata"]["xray_lambda"] == {"truncated": True}
    assert 10 < len(document["metadata"]["default"]["response"]) < 100


def test_bytes_are_returned_as_bytes() -> None:
    source = """
        from xray_lambda import traced_handler

        @traced_handler(capture_response=True)
        def handler(event, context):
            return b"\\x00tea"
    """
    [answer] = invoke(source).answers
    assert (answer.body, answer.content_type) == (b"\x00tea", "application/unknown")
    assert answer.documents[0]["metadata"]["default"]["response"]
