"""SQL over the store answers a filter expression as a second, plain reading of it does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.viewer.filters.oracle import matches
from tests.viewer.filters.strategies import CONDITIONS, EXPRESSIONS, trace
from xray_lambda.viewer.documents import Document
from xray_lambda.viewer.filters import parse, where
from xray_lambda.viewer.store import Store
from xray_lambda.viewer.summaries import summarize

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    found = Store(None)
    yield found
    found.close()


@pytest.mark.parametrize("kind", [*CONDITIONS, "combined"])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_store_and_a_summary_answer_alike(store: Store, kind: str, data: st.DataObject) -> None:
    traces = data.draw(st.tuples(*(trace(number) for number in range(1, 4))))
    count = 8 if kind in CONDITIONS else 2
    expressions = data.draw(st.lists(CONDITIONS.get(kind, EXPRESSIONS), min_size=count, max_size=count))
    store.clear()
    store.add(Document(body["trace_id"], body["id"], body, json.dumps(body)) for bodies in traces for body in bodies)
    summaries = {bodies[0]["trace_id"]: summarize(bodies) for bodies in traces}
    for expression in expressions:
        condition = where(expression)
        found = {row["trace_id"] for row in store.query(condition.sql, condition.parameters)}
        expected = {trace_id for trace_id, summary in summaries.items() if matches(expression, summary)}
        assert found == expected, f"{expression}\n{condition}"


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS)
def test_an_expression_that_is_written_out_reads_as_the_same(expression: Any) -> None:
    assert parse(str(expression)) == expression
