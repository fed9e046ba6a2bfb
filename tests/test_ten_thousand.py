"""Ten thousand entities made by hypothesis: whatever is put on them, every document is one that X-Ray takes."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.schema import checked
from xray_lambda import segment, subsegment
from xray_lambda.testing import HEADER, capture

if TYPE_CHECKING:
    from xray_lambda._entity import Entity

EXAMPLES, MOST = 200, 40


class Tier(enum.Enum):
    """A value that is no scalar by itself."""

    GOLD = "gold"


texts = st.text(max_size=40) | st.sampled_from(["", "漢" * 900, "\ud800", "\x00\x1b[31m", "a" * 6000, "é" * 251])
keys = st.text(max_size=20) | st.sampled_from(["order.id", "order-id", "k" * 600, ""])
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.sampled_from([decimal.Decimal("1.5"), Tier.GOLD, uuid.UUID(int=1), dt.date(2026, 1, 2), b"\xff", 10**400])
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5))
errors = st.builds(
    lambda kind, text: kind(text), st.sampled_from([ValueError, KeyError, OSError, RecursionError]), texts
)

puts = st.one_of(
    st.tuples(st.just("annotate"), st.dictionaries(keys, scalars, max_size=60)),
    st.tuples(st.just("metadata"), st.dictionaries(keys, values, max_size=5)),
    st.tuples(st.just("http"), st.dictionaries(st.sampled_from(["method", "url", "user_agent", "client_ip"]), texts)),
    st.tuples(st.just("status"), st.integers(100, 599)),
    st.tuples(st.just("aws"), st.dictionaries(st.sampled_from(["operation", "region", "request_id"]), texts)),
    st.tuples(st.just("sql"), st.dictionaries(st.sampled_from(["url", "user", "sanitized_query"]), texts)),
    st.tuples(st.just("exception"), errors),
    st.tuples(st.just("flag"), st.sampled_from(["fault", "error", "throttle"])),
)
entities = st.tuples(texts, st.sampled_from([None, "aws", "remote"]), st.lists(puts, max_size=4))
trees = st.lists(entities, min_size=MOST - 12, max_size=MOST)


def put(entity: Entity, what: str, value: Any) -> None:
    if what == "exception":
        _raised(entity, value)
    elif what in ("http", "aws", "sql"):
        getattr(entity, what)(**value)
    else:
        getattr(entity, what)(value)


def _raised(entity: Entity, error: Exception) -> None:
    try:
        raise error
    except Exception as caught:
        entity.exception(caught)


def record(tree: list[tuple[str, Any, list[tuple[str, Any]]]]) -> None:
    """Nest by turns: each entity is the parent of the next, or stands beside it."""
    with segment("root") as root:
        parent = root
        for number, (name, namespace, what) in enumerate(tree):
            with parent.child(name, namespace) as entity:
                for one in what:
                    put(entity, *one)
                with subsegment("inner"):
                    pass
            parent = entity if number % 3 else root


@pytest.mark.full
def test_ten_thousand_entities_make_valid_documents_and_none_is_lost() -> None:
    made: list[int] = []

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(trees, st.sampled_from([HEADER, None]), st.sampled_from([48_000, 0, 2000]))
    def make(tree: list[tuple[str, Any, list[tuple[str, Any]]]], header: str | None, stream_bytes: int) -> None:
        with capture(header, stream_bytes=stream_bytes) as traces:
            record(tree)
            for document in traces._emitter.documents:
                checked(document)
            made.append(sum(1 for top in traces.roots for _ in top.walk()))
        assert made[-1] == 1 + 2 * len(tree)

    make()
    assert sum(made) >= 10_000
