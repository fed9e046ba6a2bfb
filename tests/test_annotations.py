"""Annotations: what X-Ray indexes of what a program puts, and one word for each call site where they differ."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import logging
import re
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import xray_lambda
from tests.hostile import Proxy, TooLate, a_time_out, broken, hostile, scalar, strike
from xray_lambda import _annotations
from xray_lambda._annotations import MAX_ANNOTATIONS, put
from xray_lambda._guard import call_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@pytest.fixture(autouse=True)
def no_known_keys() -> Iterator[None]:
    _annotations._beginnings.clear()
    yield
    _annotations._beginnings.clear()


def recorded(values: Mapping[Any, object], *, times: int = 2) -> dict[str, object]:
    """Put the values, the second time with keys that are known, and return what is sent."""
    annotations: dict[str, str] = {}
    for _ in range(times):
        put(annotations, values)
    sent: dict[str, object] = json.loads(f"{{{','.join(annotations.values())}}}", parse_constant=refuse_constant)
    assert list(sent) == [str.__str__(key) for key in annotations]
    return sent


def refuse_constant(name: str) -> object:
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("order", "order"),
        ("Order_17", "Order_17"),
        ("order.id", "order_id"),
        ("order-id", "order_id"),
        ("order id", "order_id"),
        ("größe", "gr__e"),
        ('a"b\\c', "a_b_c"),
        ("", "_"),
        ("k" * 500, "k" * 500),
        ("k" * 501, "k" * 500),
        ("k" * 5_000_000, "k" * 500),
        (17, "17"),
        (None, "_NoneType_"),
        (b"raw", "raw"),
        (uuid.UUID(int=5), "00000000_0000_0000_0000_000000000005"),
        ((1, 2), "_tuple_"),
    ],
    ids=lambda key: repr(key)[:20],
)
def test_a_key_is_made_of_letters_digits_and_underscores(key: object, name: str) -> None:
    assert recorded({key: 1}) == {name: 1}


class Key(str, enum.Enum):
    ORDER = "order"


class Tier(enum.Enum):
    GOLD = "gold"
    MIXED = (1, 2)


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Real(float):
    pass


def test_a_key_that_is_an_enum_keeps_its_own_spelling_known_or_not() -> None:
    assert recorded({"order": 1}) == {"order": 1}
    assert recorded({Key.ORDER: 2}) == {"order": 2}
    assert recorded({Key.ORDER: "text"}) == {"order": "text"}
    assert recorded({Key.ORDER: True}) == {"order": True}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("", ""),
        ("größe 漢 😀", "größe 漢 😀"),
        ('quotes " and \\ and \x00', 'quotes " and \\ and \x00'),
        (17, 17),
        (-17, -17),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2.5, 2.5),
        (1e308, 1e308),
        (-0.0, -0.0),
        (True, True),
        (False, False),
    ],
)
def test_texts_numbers_and_booleans_are_recorded_as_they_are(
    value: object, expected: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert recorded({"key": value}) == {"key": expected}
    assert type(recorded({"key": value})["key"]) is type(expected)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (decimal.Decimal("9.99"), 9.99),
        (decimal.Decimal(17), 17),
        (decimal.Decimal("NaN"), "NaN"),
        (Tier.GOLD, "gold"),
        (Tier.MIXED, "MIXED"),
        (dt.datetime(2026, 11, 22, 17, 40, tzinfo=dt.timezone.utc), "2026-11-22T17:40:00+00:00"),
        (dt.timedelta(minutes=1), "0:01:00"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Path("/tmp") / "x", "/tmp/x"),  # noqa: S108 - a made-up path
        (b"raw", "raw"),
        (Text("text"), "text"),
        (Number(17), 17),
        (Real(2.5), 2.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**63, str(2**63)),
        (10**1500, "1" + "0" * 999),
        (1 << 10_000_000, "an integer of 10000001 bits"),
        ("x" * 1001, "x" * 999 + "…"),
        ("漢" * 5_000_000, "漢" * 999 + "…"),
        ("half \ud800", "half ?"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_x_ray_does_not_take_is_recorded_as_what_comes_closest_and_told_of(
    value: object, expected: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert recorded({"key": value}) == {"key": expected}
    assert len(caplog.messages) == 1


def test_the_longest_text_that_x_ray_takes_is_recorded_whole() -> None:
    assert recorded({"key": "x" * 1000, "other": "漢" * 1000}) == {"key": "x" * 1000, "other": "漢" * 1000}


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, object(), len, Tier], ids=lambda value: type(value).__name__)
def test_what_has_no_plain_value_is_dropped_and_told_of(value: object, caplog: pytest.LogCaptureFixture) -> None:
    assert recorded({"key": value, "other": 1}) == {"other": 1}
    assert len(caplog.messages) == 1


def test_an_object_is_not_asked_for_anything() -> None:
    values = {"text": hostile(str)("text"), "number": hostile(int)(5), "real": hostile(float)(2.5), "proxy": Proxy()}
    assert recorded(values) == {"text": "text", "number": 5, "real": 2.5}


def line_above() -> str:
    return f"{__file__}:{sys._getframe(1).f_lineno - 1}"


def test_a_call_site_is_warned_of_once_by_its_file_and_line(caplog: pytest.LogCaptureFixture) -> None:
    annotations: dict[str, str] = {}
    sites = set()
    for value in (None, [1], decimal.Decimal("1.5")):
        put(annotations, {"order.id": value})
        sites.add(line_above())
    [site] = sites
    assert caplog.messages == [f"xray_lambda: annotation 'order_id' at {site} was dropped: it is None"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert [record.name for record in caplog.records] == ["xray_lambda"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("k", None, "annotation 'k' at {} was dropped: it is None"),
        ("k", [1], "annotation 'k' at {} was dropped: <list> has no plain value"),
        ("k.k", 1, "annotation 'k_k' at {} was put as 'k.k'"),
        (17, 1, "annotation '17' at {} was put as <int>"),
        ("k", Tier.GOLD, f"annotation 'k' at {{}} was put as <{__name__}.Tier> and is recorded as str"),
        ("k", decimal.Decimal("1.5"), "annotation 'k' at {} was put as <decimal.Decimal> and is recorded as float"),
        ("k", "x" * 5000, "annotation 'k' at {} was cut from 5000 to 1000 characters"),
        ("k", "\ud800", "annotation 'k' at {} held lone surrogates, which no reader takes"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_the_warning_says_what_was_changed(
    key: Any, value: object, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    put({}, {key: value})
    site = line_above()
    assert caplog.messages == ["xray_lambda: " + words.format(site)]


def test_a_warning_shows_only_the_beginning_of_a_long_key(caplog: pytest.LogCaptureFixture) -> None:
    put({}, {"k." * 1_000_000: 1})
    assert len(caplog.messages[0]) < 1000 + len(__file__)


def test_an_object_that_fails_when_it_is_looked_at_is_dropped() -> None:
    assert recorded({"broken": scalar(broken), "other": 1}) == {"other": 1}


def test_a_time_out_that_strikes_meanwhile_passes() -> None:
    with a_time_out(), pytest.raises(TooLate):
        put({}, {"key": scalar(strike)})


def test_there_are_fifty_at_most_and_the_first_ones_stay(caplog: pytest.LogCaptureFixture) -> None:
    annotations: dict[str, str] = {}
    put(annotations, {f"key{number}": number for number in range(49)})
    assert caplog.messages == []
    put(annotations, {f"key{number}": number for number in range(40, 70)})
    site = line_above()
    put(annotations, {"key7": "changed", "new": 1})
    assert list(annotations) == [f"key{number}" for number in range(MAX_ANNOTATIONS)]
    assert annotations["key7"] == '"key7":"changed"'
    assert caplog.messages[0] == f"xray_lambda: annotation 'key50' at {site} was dropped: X-Ray indexes 50 annotations"


def test_keys_that_are_never_the_same_are_not_all_remembered() -> None:
    for number in range(3000):
        put({}, {f"key{number}": 1})
    assert len(_annotations._beginnings) == 1000
    assert recorded({"key2999": 1, "new": 2}) == {"key2999": 1, "new": 2}


def test_many_threads_may_put_at_once() -> None:
    annotations: dict[str, str] = {}
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for number in range(300):
                put(annotations, {f"key{thread}_{number}": number})
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(annotations) == MAX_ANNOTATIONS


def test_a_call_site_in_the_examples_that_we_bring_along_is_the_programs() -> None:
    package = Path(xray_lambda.__file__).parent
    for file, site in (("examples/shop/app.py", f"{package}/examples/shop/app.py:1"), ("_api.py", None)):
        scope = {"call_site": call_site}
        exec(compile("site = call_site()", str(package / file), "exec"), scope)  # noqa: S102 - a made-up file
        assert scope["site"] == (site or line_above())  # type: ignore[comparison-overlap]


def test_a_call_site_is_the_innermost_frame_of_the_program() -> None:
    here = call_site()
    assert here == line_above()


_keys = st.text() | st.sampled_from(["order", "order.id", "k" * 600]) | st.sampled_from(Key)
_values = (
    st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.binary() | st.decimals() | st.datetimes()
)


@given(st.lists(st.dictionaries(_keys, _values | st.text(min_size=990, max_size=1010)), max_size=4))
def test_whatever_is_put_is_taken_by_x_ray(puts: list[dict[str, object]]) -> None:
    annotations: dict[str, str] = {}
    for values in puts:
        put(annotations, values)
    sent = json.loads(f"{{{','.join(annotations.values())}}}", parse_constant=refuse_constant)
    assert len(sent) == len(annotations) <= MAX_ANNOTATIONS
    for key, value in sent.items():
        assert re.fullmatch("[A-Za-z0-9_]{1,500}", key)
        assert type(value) in (str, int, float, bool)
        assert not isinstance(value, str) or len(value) <= 1000
