"""Mangled events: whatever came in, every record comes out once, in order, as it was, and nothing is raised."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events import NAMES, event
from xray_lambda import records, segment
from xray_lambda.testing import HEADER, capture

pytestmark = pytest.mark.full

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)


JUNK = st.recursive(SCALARS | st.binary(max_size=5), nested)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to everything in an event."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in [(*path, key), *places(inner, (*path, key))]]


@st.composite
def mangled(draw: st.DrawFn) -> Any:
    """An event of which some parts are gone, or are something else."""
    found = event(draw(st.sampled_from(NAMES)))
    for _ in range(draw(st.integers(1, 4))):
        all_places = places(found)
        if not all_places:
            break
        *above, last = draw(st.sampled_from(all_places))
        holder = found
        for key in above:
            holder = holder[key]
        if isinstance(holder, dict) and draw(st.booleans()):
            del holder[last]
        else:
            holder[last] = draw(JUNK)
    return found


def expected(held: Any) -> list[Any]:
    """Return the records of an event in which they still lie where they belong."""
    lists = [held[key] for key in ("Records", "Messages") if isinstance(held.get(key), list)]
    return list(lists[0]) if lists and "eventSource" not in held and "detail-type" not in held else []


@settings(max_examples=300)
@given(mangled() | JUNK, st.booleans(), st.booleans())
def test_every_record_comes_out_once_in_order_and_as_it_was(held: Any, continue_trace: bool, in_lambda: bool) -> None:
    before = copy.deepcopy(held)
    with capture(HEADER if in_lambda else None), segment("worker"):
        batch = records(held, continue_trace=continue_trace, include_unsampled=True)
        seen = list(batch)
        assert batch.response == {"batchItemFailures": []}
        again = list(records(held))
    assert held == before
    assert len(seen) == len(again)
    assert all(one is other for one, other in zip(seen, again, strict=True))
    wanted = expected(held) if isinstance(held, dict) else held if isinstance(held, list) else seen
    assert not wanted or [id(one) for one in seen] == [id(one) for one in wanted]
