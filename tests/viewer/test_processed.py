"""Whole traces are handed out as X-Ray processes them."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from tests.viewer.filters.strategies import trace
from tests.viewer.made import TRACE, alone, call, segment
from xray_lambda.viewer.processed import processed
from xray_lambda.viewer.services import Service
from xray_lambda.viewer.summaries import summarize


def test_subsegments_that_came_alone_are_put_in_their_place() -> None:
    shop = segment("shop", 0, 2)
    late, early = alone(shop["id"], "late", 1), alone(shop["id"], "early", 0.5)
    (found,) = processed([late, shop, early])
    assert [child["name"] for child in found["subsegments"]] == ["early", "late"]
    assert not {"trace_id", "parent_id", "type"} & found["subsegments"][0].keys()
    assert "parent_id" in late


def test_subsegments_of_a_segment_that_never_came_stand_for_themselves() -> None:
    handler = alone("f" * 16, "handler", subsegments=[call("work")])
    assert processed([handler]) == [handler]


def test_an_inferred_segment_has_the_same_id_each_time_and_a_parent() -> None:
    asked = call("bank", namespace="remote", fault=True, metadata={"a": {"b": 1}})
    shop = segment("shop", subsegments=[asked])
    (_, found), (_, again) = processed([shop]), processed([shop])
    assert found == again
    assert found == {
        "id": found["id"],
        "name": "bank",
        "start_time": asked["start_time"],
        "end_time": asked["end_time"],
        "parent_id": asked["id"],
        "trace_id": TRACE,
        "inferred": True,
        "fault": True,
    }
    assert len(found["id"]) == 16


def test_a_chain_too_deep_for_json_is_cut_into_pieces_that_fit_together() -> None:
    chain = [alone(f"{number:016x}", "step", number, 1, id=f"{number + 1:016x}") for number in range(1, 1_000)]
    random.Random(1).shuffle(chain)
    shop = segment("shop", 0, 2_000, id=f"{1:016x}")
    found = processed([shop, *chain])
    assert len(found) == 20
    assert orjson.dumps(found)
    assert summarize(found).subsegments == 999


def test_no_documents_are_no_segments() -> None:
    assert processed([]) == []


@pytest.mark.full
@settings(max_examples=150, deadline=None)
@given(trace())
def test_what_is_handed_out_sums_up_to_the_same(documents: list[dict[str, Any]]) -> None:
    before, after = summarize(documents), summarize(processed(documents))
    assert sorted(map(kind, before.services)) == sorted(map(kind, after.services))
    assert after[:19] == before[:19]
    assert (after.documents, after.subsegments) == (len(processed(documents)), before.subsegments)


def kind(service: Service) -> tuple[object, ...]:
    return service.name, service.type, service.caller, service.caller_type, service.fault, service.root
