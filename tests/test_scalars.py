"""Scalars: what stands for the objects that one text or number can stand for, and their names for the rest."""

from __future__ import annotations

import enum
import fractions
import ipaddress
import math
import pathlib
import uuid
import zoneinfo
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from tests.hostile import Proxy, TooLate, a_time_out, hostile, refuse, strike
from xray_lambda._scalars import exception_text, has, integer_text, label, scalar_of, type_name


class Depth(enum.Enum):
    DEEP = "deep"


class Colour(enum.Enum):
    RED = "red"
    NUMBER = 7
    MIXED = (1, 2)
    NESTED = Depth.DEEP


class Size(str, enum.Enum):
    LARGE = "large"


class Code(enum.IntEnum):
    FOUND = 200


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Scalar:
    """A scalar as numpy makes them."""

    dtype = "int64"

    def __init__(self, item: object, shape: tuple[int, ...] = ()) -> None:
        self._item = item
        self._shape = shape

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    def item(self) -> object:
        return self._item


BERLIN = timezone(timedelta(hours=1))
SCALARS: list[tuple[object, object]] = [
    (True, True),
    (17, 17),
    (2.5, 2.5),
    ("text", "text"),
    (Colour.RED, "red"),
    (Colour.NUMBER, 7),
    (Colour.MIXED, "MIXED"),
    (Colour.NESTED, "deep"),
    (Size.LARGE, "large"),
    (Code.FOUND, 200),
    (Rights.READ | Rights.WRITE, 3),
    (Decimal("9.99"), 9.99),
    (Decimal("0.10"), 0.1),
    (Decimal(17), 17),
    (Decimal("1E+3"), 1000),
    (Decimal("-0.5"), -0.5),
    (Decimal("1E+20"), 1e20),
    (Decimal("12345678901234567890.12"), "12345678901234567890.12"),
    (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
    (Decimal("1E+999"), "1E+999"),
    (Decimal("NaN"), "NaN"),
    (Decimal("sNaN"), "sNaN"),
    (Decimal("-Infinity"), "-Infinity"),
    (date(2026, 11, 22), "2026-11-22"),
    (datetime(2026, 11, 22, 17, 40, 0, 5, BERLIN), "2026-11-22T17:40:00.000005+01:00"),
    (time(17, 40), "17:40:00"),
    (timedelta(days=1, seconds=2), "1 day, 0:00:02"),
    (BERLIN, "UTC+01:00"),
    (timezone.utc, "UTC"),
    (zoneinfo.ZoneInfo("UTC"), "UTC"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (fractions.Fraction(1, 3), "1/3"),
    (pathlib.PurePosixPath("/etc/hosts"), "/etc/hosts"),
    (pathlib.Path("a") / "b", str(pathlib.Path("a/b"))),
    (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
    (ipaddress.ip_address("::1"), "::1"),
    (ipaddress.ip_network("10.0.0.0/8"), "10.0.0.0/8"),
    (ipaddress.ip_interface("10.0.0.1/8"), "10.0.0.1/8"),
    (complex(1, 2), "(1+2j)"),
    (range(1, 10, 3), "range(1, 10, 3)"),
    (b"text", "text"),
    (bytearray("né".encode()), "né"),
    (memoryview(b"abcdef")[::2].tobytes(), "ace"),
    (memoryview(b"text"), "text"),
    (b"", ""),
    (b"\xff\x00", "ff00"),
    (Scalar(7), 7),
    (Scalar(2.5), 2.5),
    (Scalar(datetime(2026, 11, 22, tzinfo=timezone.utc)), "2026-11-22T00:00:00+00:00"),
]


@pytest.mark.parametrize(("value", "expected"), SCALARS, ids=[repr(value)[:40] for value, _ in SCALARS])
def test_it_is_the_plain_value(value: object, expected: object) -> None:
    scalar = scalar_of(value)
    assert scalar == expected
    assert type(scalar) is type(expected)


class NoItem:
    dtype = shape = None


@pytest.mark.parametrize(
    "value",
    [None, [], {}, object(), Scalar(1, (3,)), Scalar(None), Scalar([1]), Scalar(Scalar(1)), NoItem(), iter("")],
    ids=label,
)
def test_there_is_none_for_what_no_scalar_stands_for(value: object) -> None:
    assert scalar_of(value) is None


def test_a_proxy_is_not_asked_what_it_stands_for() -> None:
    assert scalar_of(Proxy()) is None


@pytest.mark.parametrize(
    ("kind", "arguments", "expected"),
    [
        (str, ["17"], "17"),
        (int, [17], 17),
        (float, [2.5], 2.5),
        (bytes, [b"17"], "17"),
        (bytearray, [b"17"], "17"),
        (Decimal, ["9.99"], 9.99),
        (date, [2026, 11, 22], "2026-11-22"),
        (datetime, [2026, 11, 22], "2026-11-22T00:00:00"),
        (timedelta, [1], "1 day, 0:00:00"),
        (complex, [1, 2], "(1+2j)"),
    ],
)
def test_a_subclass_is_not_asked_for_what_its_base_knows(kind: Any, arguments: list[Any], expected: object) -> None:
    scalar = scalar_of(hostile(kind)(*arguments))
    assert (scalar, type(scalar)) == (expected, type(expected))


@pytest.mark.parametrize(
    "value", [fractions.Fraction(1, 3), uuid.UUID(int=5), pathlib.PurePosixPath("/etc"), ipaddress.ip_address("::1")]
)
def test_a_subclass_that_prints_itself_otherwise_is_not_asked_to(value: object) -> None:
    kind: Any = type("Loud", (type(value),), {"__str__": refuse, "__repr__": refuse, "__format__": refuse})
    arguments = (1, 3) if isinstance(value, fractions.Fraction) else (str(value),)
    assert scalar_of(kind(*arguments)) == str(value)


def test_a_mixed_in_enum_is_its_text_however_it_prints_itself() -> None:
    class Loud(str, enum.Enum):
        ONE = "one"
        __str__ = __format__ = __repr__ = refuse

    assert scalar_of(Loud.ONE) == "one"


@pytest.mark.parametrize("size", [0, 64, 1023, 1024, 1025, 5_000_000])
def test_of_many_bytes_the_first_are_shown_and_their_number(size: int) -> None:
    assert scalar_of(b"a" * size) == ("a" * size if size <= 1024 else "a" * 1024 + f"… ({size} bytes)")
    assert scalar_of(b"\xff" * size) == ("ff" * size if size <= 64 else "ff" * 64 + f"… ({size} bytes)")


@pytest.mark.parametrize("offset", [0, 1, 2, 3])
def test_a_character_at_the_cut_makes_no_text_into_hex(offset: int) -> None:
    raw = b"a" * offset + "😀".encode() * 1000
    assert scalar_of(raw) == raw[:1024].decode(errors="ignore") + f"… ({len(raw)} bytes)"


def test_half_a_character_at_the_end_is_no_text() -> None:
    assert scalar_of("é".encode()[:1]) == "c3"


@pytest.mark.parametrize("bits", [1, 64, 9_999, 10_000, 10_000_000])
def test_an_integer_is_written_whatever_its_size(bits: int) -> None:
    value = 1 << (bits - 1)
    assert integer_text(value) == (str(value) if bits < 10_000 else f"an integer of {bits} bits")


def test_a_float_that_is_none_stays_what_it_is() -> None:
    assert math.isnan(scalar_of(float("nan")))  # type: ignore[arg-type]


class Meta(type):
    __getattribute__ = __getattr__ = __repr__ = __str__ = refuse


def test_an_object_is_named_by_its_type_and_a_type_by_itself() -> None:
    assert label(5) == label(int) == "<int>"
    assert label(Proxy()) == label(Proxy) == "<shop.Hostile>"
    assert label(Colour.RED) == f"<{__name__}.Colour>"
    assert label(Meta("Odd", (), {"__module__": "shop"})) == "<shop.Odd>"
    assert label(type("X" * 1000, (), {"__module__": "shop"})) == f"<shop.{'X' * 195}>"


@pytest.mark.parametrize("module", ["__main__", "builtins", None, 5, Proxy])
def test_a_type_without_a_telling_module_is_named_alone(module: object) -> None:
    assert type_name(type("Order", (), {"__module__": module})) == "Order"


def test_a_class_has_what_it_or_a_base_defines_and_not_what_its_metaclass_makes_up() -> None:
    assert has(Scalar, "item")
    assert has(type("Below", (Scalar,), {}), "item")
    assert not has(Scalar, "nothing")
    assert not has(Meta("Odd", (), {}), "item")


def test_an_exception_says_what_its_str_says() -> None:
    class Text(str):
        __slots__ = ()
        __len__ = __getitem__ = __str__ = refuse

    class Telling(Exception):
        def __str__(self) -> str:
            return Text("told")

    class Failing(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert exception_text(ValueError("no", 7)) == "('no', 7)"
    assert exception_text(Telling()) == "told"
    assert type(exception_text(Telling())) is str
    assert exception_text(Failing("x")) == ""


def test_a_time_out_that_strikes_while_an_exception_is_asked_for_its_text_passes() -> None:
    struck = type("Struck", (Exception,), {"__str__": strike})()
    with a_time_out(), pytest.raises(TooLate):
        exception_text(struck)


def test_an_interrupt_passes_through_an_exception_that_is_asked_for_its_text() -> None:
    class Interrupted(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exception_text(Interrupted())
