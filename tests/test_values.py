"""Values: any object of a program as plain JSON data, within its room, and without a trace on the object."""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import json
import sys
import tracemalloc
import types
import uuid
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile import Lazy, Proxy, Stream, TooLate, a_time_out, broken, hostile, scalar, strike
from xray_lambda._values import OVERHEAD, Budget, clean, fitting, mapping, snapshot


def plain(value: object, room: int = 32_000) -> Any:
    """Take a snapshot that must hold in JSON, and fit."""
    budget = Budget(room)
    result = snapshot(value, budget)
    assert size_of(result) <= max(room, 0) + OVERHEAD
    assert budget.open == set()
    return result


def size_of(data: object) -> int:
    return len(json.dumps(data, allow_nan=False, separators=(",", ":")))


class Colour(enum.Enum):
    RED = "red"
    MIXED = (1, 2)


class Point(NamedTuple):
    x: int
    y: object


@dataclasses.dataclass
class Order:
    id: int
    items: list[object]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (-5, -5),
        (2.5, 2.5),
        ("text", "text"),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, str(2**63)),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        ("half \ud800 a pair", "half ? a pair"),
        (b"bytes", "bytes"),
        (decimal.Decimal("9.99"), 9.99),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Colour.MIXED, "MIXED"),
        ([1, (2, "three"), []], [1, [2, "three"], []]),
        ({"a": {"b": [None]}}, {"a": {"b": [None]}}),
        (frozenset([7]), [7]),
        ({7}, [7]),
        (collections.deque([1, 2]), [1, 2]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.defaultdict(int, a=1), {"a": 1}),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        ({"a": 1}.items(), [["a", 1]]),
        (Point(1, [2]), {"x": 1, "y": [2]}),
        (sys.version_info[:2], list(sys.version_info[:2])),
        (Order(1, [Order(2, [])]), {"id": 1, "items": [{"id": 2, "items": []}]}),
        (types.SimpleNamespace(a=Colour.RED), {"a": "red"}),
        (ValueError("no"), {"type": "ValueError", "message": "no"}),
        (iter([1]), "<list_iterator>"),
        (Order, f"<{__name__}.Order>"),
        ([Lazy(), Stream()], [{"table": "orders"}, "<tests.hostile.Stream>"]),
    ],
)
def test_each_kind_of_value_has_its_plain_form(value: object, expected: object) -> None:
    result = plain(value)
    assert result == expected
    assert json.loads(json.dumps(result)) == result


def test_an_integer_that_python_refuses_to_write_is_named_by_its_size() -> None:
    assert plain([1 << 10_000_000]) == ["an integer of 10000001 bits"]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("text", "text"),
        (17, "17"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        (float("nan"), "NaN"),
        ((1, "two"), '[1,"two"]'),
        (Colour.RED, "red"),
        (Point(1, 2), '{"x":1,"y":2}'),
        (b"raw", "raw"),
        (dt.date(2026, 11, 22), "2026-11-22"),
        (frozenset([1]), "[1]"),
        (Order, f"<{__name__}.Order>"),
        ("half \ud800", "half ?"),
        ((("deep",),), '[["deep"]]'),
        (((("deeper",),),), '[["<tuple>"]]'),
    ],
)
def test_a_key_that_is_no_text_is_written_as_one(key: object, name: str) -> None:
    assert plain({key: 1}) == {name: 1}


def test_a_long_key_is_cut_by_the_room_that_it_takes() -> None:
    assert plain({"k" * 298: 1}) == {"k" * 298: 1}
    assert plain({"k" * 299: 1, "é" * 100: 2}) == {"k" * 292 + "…": 1, "é" * 48 + "…": 2}


def test_keys_that_become_the_same_are_marked_as_cut() -> None:
    budget = Budget(1000)
    assert snapshot({1: "one", "1": "text"}, budget) == {"1": "text"}
    assert budget.cut


def test_nothing_is_marked_as_cut_where_all_fits() -> None:
    budget = Budget(1000)
    snapshot({"a": [1, "two", {"three": None}]}, budget)
    assert not budget.cut


def nested(depth: int, value: object = 0) -> object:
    for _ in range(depth):
        value = [value]
    return value


def test_what_is_nested_too_deep_is_named() -> None:
    assert plain(nested(12)) == nested(12)
    assert plain(nested(13)) == nested(12, "<list>")
    assert plain({"a": nested(100_000)})["a"] == nested(11, "<list>")


def test_a_recursion_a_hundred_thousand_deep_is_cut_in_every_kind_of_container() -> None:
    value: object = 1
    for number in range(100_000):
        value = [{"a": value}, (value,), types.SimpleNamespace(a=value), collections.deque([value])][number % 4]
    assert size_of(plain(value)) < 1000


def test_what_contains_itself_says_so() -> None:
    array: list[object] = [1]
    array.append(array)
    table: dict[str, object] = {"self": None, "list": array}
    table["self"] = table
    space = types.SimpleNamespace(a=1)
    space.me = space
    assert plain(array) == [1, "<list> (contains itself)"]
    assert plain(table) == {"self": "<dict> (contains itself)", "list": [1, "<list> (contains itself)"]}
    assert plain(space) == {"a": 1, "me": "<types.SimpleNamespace> (contains itself)"}


def test_what_is_there_twice_is_shown_twice() -> None:
    shared = [1]
    assert plain([shared, shared]) == [[1], [1]]


@pytest.mark.parametrize("unit", ["a", '"', "\\", "\x00", "é", "漢", "😀", "\ud800"])
def test_a_text_of_five_megabytes_is_cut_to_the_room_it_has_and_says_so(unit: str) -> None:
    text = unit * (5_000_000 // len(unit))
    result = plain(text)
    shown, _, rest = result.partition("…")
    assert shown == clean(text)[: len(shown)]
    assert rest == f" ({len(text) - len(shown)} more characters)"
    assert 31_000 < size_of(result) <= 32_000


@given(st.text(), st.integers(-5, 300))
def test_what_is_kept_of_a_text_is_its_beginning_and_fits(text: str, room: int) -> None:
    kept = fitting(text, room)
    assert text.startswith(kept)
    assert size_of(kept) - 2 <= max(room, 0)
    if size_of(text) - 2 <= room:
        assert kept == text


def test_each_container_says_what_found_no_room() -> None:
    budget = Budget(100)
    result = snapshot({"list": list(range(1000)), "last": 1}, budget)
    assert result == {"list": [0, 1, 2, 3, "… 996 more"], "…": "1 more"}
    assert budget.cut
    assert snapshot(list("abc"), Budget(0)) == "… (6 more characters)"
    assert mapping({"a": 1}, Budget(-1)) == {"…": "1 more"}


def test_a_million_items_are_not_all_visited() -> None:
    visited = 0

    class Item:
        __slots__ = ()

    items = [Item()] * 1_000_000

    def look(frame: types.FrameType, event: str, argument: object) -> None:
        nonlocal visited
        visited += frame.f_code is snapshot.__code__

    sys.setprofile(look)
    try:
        snapshot(
            {"items": items, "set": set(range(1_000_000)), "dict": dict.fromkeys(range(1_000_000))}, Budget(32_000)
        )
    finally:
        sys.setprofile(None)
    assert 0 < visited < 4 * 32_000


def test_a_million_items_are_not_all_copied() -> None:
    values = [[None] * 2_000_000, dict.fromkeys(range(200_000)), set(range(200_000))]
    tracemalloc.start()
    try:
        for value in values:
            snapshot(value, Budget(3000))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_small_object_that_unfolds_into_endless_text_is_cut() -> None:
    value: object = "x"
    for _ in range(11):
        value = [value] * 1000
    assert size_of(plain(value)) <= 33_000


@pytest.mark.parametrize("kind", [dict, list, tuple, set, frozenset, collections.deque])
def test_a_container_that_overrides_everything_is_read_by_what_its_base_knows(kind: Any) -> None:
    content = {"a": 1} if kind is dict else ["a"]
    value = hostile(kind, __hash__=kind.__hash__)(content)
    assert plain(value) == content


def test_a_dict_that_overrides_its_length_says_how_much_found_no_room() -> None:
    assert plain(hostile(dict)({"a": "x" * 200, "b": 1, "c": 2}), 100)["…"] == "2 more"


def test_a_namedtuple_that_overrides_everything_is_read_by_what_tuple_knows() -> None:
    kind = hostile(Point)
    assert plain(kind(1, 2)) == {"x": 1, "y": 2}


def test_a_hostile_object_is_named_wherever_it_stands() -> None:
    proxy = Proxy()
    space = types.SimpleNamespace(a=proxy)
    assert plain([proxy, (proxy,), {"a": proxy}, space]) == [
        "<shop.Hostile>", ["<shop.Hostile>"], {"a": "<shop.Hostile>"}, {"a": "<shop.Hostile>"},
    ]  # fmt: skip


def test_an_interrupt_passes() -> None:
    def interrupt(self: object) -> object:
        raise KeyboardInterrupt

    budget = Budget(1000)
    with pytest.raises(KeyboardInterrupt):
        snapshot([scalar(interrupt)], budget)
    assert budget.open == set()


def test_a_time_out_that_strikes_meanwhile_passes() -> None:
    with a_time_out(), pytest.raises(TooLate):
        snapshot({"a": [scalar(strike)]}, Budget(1000))


def test_an_object_that_fails_when_it_is_looked_at_is_named() -> None:
    assert plain([1, scalar(broken), 2]) == [1, "<shop.Scalar>", 2]


@pytest.mark.parametrize("kind", [dict, list, set, collections.deque])
def test_a_container_that_changes_meanwhile_is_taken_as_it_was(kind: Any) -> None:
    def change(self: object) -> tuple[int, ...]:
        container.clear()
        return ()

    changing = scalar(change)
    container: Any = kind({changing: changing, "last": changing} if kind is dict else [changing, "last"])
    result = plain(container)
    if kind is dict:
        assert result == {"item": "item", "last": "item"}
    else:
        assert sorted(result) == ["item", "last"]
    assert not container


def test_the_result_shares_nothing_with_the_value() -> None:
    inner: list[object] = [1]
    value = {"a": inner}
    result = plain(value)
    inner.append(2)
    value["b"] = inner
    assert result == {"a": [1]}


_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats()
    | st.text()
    | st.text(st.characters(), max_size=3)
    | st.binary()
    | st.decimals()
    | st.datetimes()
    | st.timedeltas()
    | st.uuids()
    | st.fractions()
    | st.complex_numbers()
    | st.sampled_from([Colour.RED, Colour.MIXED, Order, len, "x" * 100_000, "\x00" * 9000, "😀" * 9000, 1 << 9999])
    | st.builds(object)
    | st.builds(lambda: iter([1]))
    | st.builds(Proxy)
)
_keys = (
    st.text()
    | st.integers()
    | st.floats()
    | st.none()
    | st.tuples(st.integers())
    | st.sampled_from(["k" * 5000, "é" * 400])
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(_keys, inner)
        | st.tuples(inner, inner)
        | st.builds(Point, st.just(1), inner)
        | st.builds(Order, st.just(1), st.lists(inner))
        | st.builds(lambda value: types.SimpleNamespace(value=value), inner)
        | st.lists(inner).map(collections.deque)
        | st.lists(inner, max_size=3).map(lambda items: [items] * 3)
        | inner.map(lambda value: {"key" * number: value for number in range(300)})
    ),
    max_leaves=30,
)


@settings(max_examples=300)
@given(_values, st.integers(-10, 3000) | st.just(32_000))
def test_whatever_it_is_the_snapshot_is_json_and_fits(value: object, room: int) -> None:
    """It may exceed its room by OVERHEAD: see there what that is made of; 40 is what a lone cut text needs."""
    budget = Budget(room)
    result = snapshot(value, budget)
    size = size_of(result)
    assert size <= max(room, 0) + OVERHEAD
    assert budget.cut or size <= max(room, 40)
    assert isinstance(mapping({"a": value}, Budget(room)), dict)


@given(
    st.recursive(st.integers() | st.text() | st.binary(), lambda one: st.lists(one) | st.dictionaries(st.text(), one))
)
def test_the_value_is_as_it_was(value: object) -> None:
    before = copy.deepcopy(value)
    snapshot(value, Budget(200))
    assert value == before
