"""Records in Lambda, through the real runtime client: every kind of event, in one environment."""

from __future__ import annotations

from typing import Any

import pytest

from tests.events import NAMES, event, sender_root
from tests.lambda_runtime.documents import cold, handled, plain
from tests.lambda_runtime.runtime import Outcome, invoke
from tests.lambda_runtime.runtime_api import SAMPLED, Invocation

SOURCE = """
    import copy
    from xray_lambda import records, subsegment, traced_handler

    @traced_handler
    def handler(event, context):
        before = copy.deepcopy(event)
        seen = []
        for record in records(event):
            with subsegment("work"):
                seen.append(record)
        return {"seen": seen, "untouched": before == event}
"""
FAILING = """
    from xray_lambda import records, traced_handler

    @traced_handler
    def handler(event, context):
        with records(event) as batch:
            for record in batch:
                if "18" in record["body"]:
                    try:
                        raise ValueError("no such order")
                    except ValueError as error:
                        batch.failed(error)
                if "20" in record["body"]:
                    raise KeyError("price")
            return batch.response
"""


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return invoke(SOURCE, Invocation(), *(Invocation(SAMPLED, event(name)) for name in NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_every_record_of_every_kind_of_event_is_handed_on_as_it_is_with_a_subsegment(
    outcome: Outcome, name: str
) -> None:
    answer = outcome.answers[1 + NAMES.index(name)]
    assert answer.body["untouched"] is True
    (document,) = answer.documents
    recorded = document["subsegments"]
    assert all([child["name"] for child in one["subsegments"]] == ["work"] for one in recorded)
    unsampled = 1 if name in ("received", "sqs") else 0  # the sender of one of their messages was not
    assert len(recorded) == len(answer.body["seen"]) - unsampled > 0


def test_a_batch_of_a_queue_as_x_ray_gets_it() -> None:
    found = invoke(FAILING, Invocation(SAMPLED, event("sqs")))
    (answer,) = found.answers
    assert (answer.kind, answer.body["errorType"]) == ("error", "KeyError")
    (document,) = plain(answer.documents)
    (cause,) = document["subsegments"][2]["cause"]["exceptions"]
    assert cause == {"id": cause["id"], "message": "'price'", "type": "KeyError", "stack": ["app.py:14 handler"]}

    told: dict[str, Any] = {"name": "orders", "metadata": {"record": {"source": "aws:sqs", "name": "orders"}}}
    assert document == cold(
        fault=True,
        cause=cause["id"],
        subsegments=[
            {**told, "annotations": {"sender_trace_id": sender_root(1)}},
            {**told, "annotations": {"sender_trace_id": sender_root(3)}},
            {**told, "fault": True, "cause": {"exceptions": [cause]}},
        ],
    )


def test_lambda_is_told_which_messages_to_send_again() -> None:
    given = {"Records": event("sqs")["Records"][:2]}
    found = invoke(FAILING, Invocation(None), Invocation(SAMPLED, given))
    assert found.bodies[1] == {"batchItemFailures": [{"itemIdentifier": given["Records"][1]["messageId"]}]}
    (document,) = plain(found.documents)
    assert [child["name"] for child in document["subsegments"]] == ["orders"]  # the failed one's sender is unsampled
    assert document["annotations"] == handled()["annotations"]
