"""Scalars: the one text or number that stands for an object, found without asking the object's own code."""

from __future__ import annotations

from xray_lambda._guard import is_from_a_signal

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Scalar = bool | int | float | str

_BYTES_SHOWN = 64
_MAX_LABEL = 200
_MAX_BITS = 10_000
_EXACT = 2**53  # the integers that a float holds

# What the standard library writes as one text, and the method that does it. It is looked up on these classes:
# a subclass may say something else, or fail, and is not asked.
_WRITTEN_BY = {
    "builtins.complex": "__repr__",
    "builtins.range": "__repr__",
    "datetime.date": "isoformat",
    "datetime.datetime": "isoformat",
    "datetime.time": "isoformat",
    "datetime.timedelta": "__str__",
    "datetime.timezone": "__str__",
    "fractions.Fraction": "__str__",
    "ipaddress.IPv4Address": "__str__",
    "ipaddress.IPv4Interface": "__str__",
    "ipaddress.IPv4Network": "__str__",
    "ipaddress.IPv6Address": "__str__",
    "ipaddress.IPv6Interface": "__str__",
    "ipaddress.IPv6Network": "__str__",
    "pathlib.PurePath": "__str__",
    "pathlib._local.PurePath": "__str__",  # where Python 3.13 keeps it
    "uuid.UUID": "__str__",
    "zoneinfo.ZoneInfo": "__str__",
}


def scalar_of(value: object) -> Scalar | None:
    """Return the exact bool, int, float or str that stands for `value`, or None where there is none.

    Enums, decimals, dates, UUIDs, paths, bytes and numpy-like scalars have one. Raises what a broken object raises.
    """
    kind = type(value)
    exact = _without_subclass(value, kind)
    if exact is not None:
        return exact
    if issubclass(kind, (bytes, bytearray, memoryview)):
        return _bytes_text(value)  # type: ignore[arg-type]
    for base in _mro_of(kind):
        place = place_of(base)
        if place in _WRITTEN_BY:
            return str(getattr(base, _WRITTEN_BY[place])(value))
        if place == "enum.Enum":
            return _enum_scalar(value)
        if place == "decimal.Decimal":
            return _decimal_scalar(value, base)
    return _item(value, kind)


def _without_subclass(value: object, kind: type) -> Scalar | None:
    """Return a bool, int, float or str as exactly that; an `isinstance` would ask a proxy for its `__class__`."""
    if issubclass(kind, str):
        return str.__str__(value)
    if kind is bool:
        return value  # type: ignore[return-value]
    if issubclass(kind, int):
        return int.__index__(value)  # type: ignore[arg-type]
    return float.__float__(value) if issubclass(kind, float) else None  # type: ignore[arg-type]


def _enum_scalar(value: object) -> Scalar:
    inner = object.__getattribute__(value, "_value_")
    scalar = scalar_of(inner)
    return str(object.__getattribute__(value, "_name_")) if scalar is None else scalar


def _decimal_scalar(value: object, base: Any) -> Scalar:
    """Return the number where a float holds it exactly, so that it can be searched as one; else the text."""
    text = str(base.__str__(value))
    if not base.is_finite(value):
        return text
    number = float(text)
    if base.__eq__(value, base(repr(number))) is not True:
        return text
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def _item(value: object, kind: type) -> Scalar | None:
    """Return the item of a numpy-like scalar: its class has `dtype`, `shape` and `item`, and its shape is ()."""
    if not (has(kind, "dtype") and has(kind, "shape") and has(kind, "item")):
        return None
    item = value.item() if value.shape == () else None  # type: ignore[attr-defined]
    return None if has(type(item), "dtype") else scalar_of(item)


def has(kind: type, name: str) -> bool:
    """Say whether a class or a base of it defines `name`; `hasattr` would ask its metaclass."""
    return any(name in definitions for definitions in definitions_of(kind))


def definitions_of(kind: type) -> list[Mapping[str, Any]]:
    """Return what a class and each of its bases define, that class first."""
    return [_own_of(base) for base in _mro_of(kind)]


def integer_text(value: int) -> str:
    """Return the digits of an exact int; of a huge one, which Python may refuse to write, its size."""
    bits = value.bit_length()
    return str(value) if bits < _MAX_BITS else f"an integer of {bits} bits"


def _bytes_text(value: bytes | bytearray | memoryview) -> str:
    """Show bytes as text where they are text, else as hex; a bounded part of either."""
    head, size = _head(value)
    try:
        text, shown = head.decode(), len(head)
    except UnicodeDecodeError as error:
        shown = error.start
        if shown < len(head) - 3 or size == len(head):  # no character that the end of `head` cuts in two
            shown = min(_BYTES_SHOWN, size)
            text = head[:shown].hex()
        else:
            text = head[:shown].decode()
    return text if size == shown else f"{text}… ({size} bytes)"


def _head(value: bytes | bytearray | memoryview) -> tuple[bytes, int]:
    """Return the first kilobyte, and the size of all."""
    some = slice(0, 16 * _BYTES_SHOWN)
    if type(value) is memoryview:
        return bytes(value.cast("B")[some]), value.nbytes
    base: Any = bytes if issubclass(type(value), bytes) else bytearray
    return bytes(base.__getitem__(value, some)), base.__len__(value)


# What `type` itself knows of a class: its metaclass may answer otherwise.
_module_of = vars(type)["__module__"].__get__
_mro_of = vars(type)["__mro__"].__get__
_own_of = vars(type)["__dict__"].__get__
_qualname_of = vars(type)["__qualname__"].__get__


def place_of(kind: type) -> str:
    """Return the `module.Class` where a class was defined, whatever its metaclass says."""
    module = _module_of(kind)
    return f"{module if type(module) is str else ''}.{_qualname_of(kind)}"


def type_name(kind: type) -> str:
    """Return `module.Class`, or `Class` for a builtin and for one of the program's main module."""
    return place_of(kind).removeprefix("builtins.").removeprefix("__main__.").removeprefix(".")


def label(value: object) -> str:
    """Name an object by its type, or a type by itself; its own repr is never asked."""
    kind = value if issubclass(type(value), type) else type(value)
    return f"<{type_name(kind)[:_MAX_LABEL]}>"  # type: ignore[arg-type]


def exception_text(error: BaseException) -> str:
    """Return an exception's message; an exception whose `__str__` fails has none."""
    try:
        return str.__str__(str(error))
    except Exception as fault:  # the program's own __str__
        if is_from_a_signal(fault):
            raise
        return ""
