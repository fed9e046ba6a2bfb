"""Values: any object of the program as plain JSON data, within bounds, without running or consuming anything."""

from __future__ import annotations

import math
import sys

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Union

    Plain = Union[None, bool, int, float, str, "list[Plain]", "dict[str, Plain]"]

_MAX_DEPTH = 12
_MAX_KEY = 200
_BYTES_SHOWN = 64
# JavaScript and most JSON readers lose digits beyond 2**53, X-Ray's console among them; text keeps them.
_MAX_INTEGER = 2**63


class Budget:
    """How much room is left for one snapshot, in characters of JSON, and whether anything was cut."""

    __slots__ = ("cut", "open", "room")

    def __init__(self, room: int) -> None:
        self.room = room
        self.cut = False
        self.open: set[int] = set()

    def text(self, text: str) -> str:
        """Take room for `text`, cut where it does not fit."""
        room = max(self.room - 2, 0)
        width = len(text) if text.isascii() else 6 * len(text)
        if width > room:
            self.cut = True
            kept = text[: room if text.isascii() else room // 6]
            text = f"{kept}… ({len(text) - len(kept)} more characters)"
            width = room
        self.room -= width + 2
        return clean(text)


def clean(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 reader accepts; `text` may be of a subclass of str."""
    exact = str.__str__(text)
    return exact if exact.isascii() else exact.encode("utf-8", "replace").decode()


def snapshot(value: object, budget: Budget, depth: int = 0) -> Plain:
    """Return `value` as plain JSON data that shares nothing with it; never raises.

    Containers of the standard library are walked within the budget; iterators, streams and lazy
    sequences are named, never read; private attributes and fields with `repr=False` are left out.
    """
    kind = type(value)
    if value is None or kind is bool:
        budget.room -= 5
        return value  # type: ignore[return-value]
    if kind is str:
        return budget.text(value)  # type: ignore[arg-type]
    try:
        if kind is int or kind is float:
            budget.room -= 20
            return _number(value)  # type: ignore[arg-type]
        return _compound(value, budget, depth)
    except Exception:  # noqa: BLE001 - whatever an object of the program does when it is looked at
        return budget.text(label(value))


def _number(value: float) -> int | float | str:
    if isinstance(value, int):
        if -_MAX_INTEGER <= value < _MAX_INTEGER:
            return int(value)
        return str(int(value)) if value.bit_length() < 10_000 else f"an integer of {value.bit_length()} bits"
    if math.isfinite(value):
        return float.__float__(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _compound(value: object, budget: Budget, depth: int) -> Plain:
    """Walk what is no plain scalar, unless it is too deep, too much, or contains itself."""
    if depth >= _MAX_DEPTH or budget.room <= 0:
        budget.cut = True
        return budget.text(label(value))
    if id(value) in budget.open:
        return budget.text(f"{label(value)} (contains itself)")
    budget.open.add(id(value))
    try:
        scalar = scalar_of(value)
        if scalar is not None:
            return snapshot(scalar, budget, depth + 1)
        return _container(value, budget, depth + 1)
    finally:
        budget.open.discard(id(value))


def scalar_of(value: object) -> str | int | float | bool | None:
    """Return the plain scalar that stands for `value` (Enum, Decimal, date, UUID, numpy scalar...), or None."""
    for base in (str, bool, int, float):
        if isinstance(value, base):
            return _exact(value)
    if _is_a(value, "enum", "Enum"):
        return _enum_value(value)
    if any(_is_a(value, module, name) for module, name in _SHOWN_AS_TEXT):
        return str(value)
    if _is_a(value, "datetime", "date") or _is_a(value, "datetime", "time"):
        return str(value.isoformat())  # type: ignore[attr-defined]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _bytes_text(value)
    return _array_scalar(value)


_SHOWN_AS_TEXT = (
    ("decimal", "Decimal"),
    ("uuid", "UUID"),
    ("fractions", "Fraction"),
    ("datetime", "timedelta"),
    ("pathlib", "PurePath"),
    ("ipaddress", "_IPAddressBase"),
    ("builtins", "complex"),
    ("builtins", "range"),
)


def _exact(value: object) -> str | int | float | bool:
    """Return a str, int or float without its subclass, whose own methods are not asked."""
    if _is_a(value, "enum", "Enum"):
        value = value._value_  # type: ignore[attr-defined]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return value
    return int.__index__(value) if isinstance(value, int) else float.__float__(value)  # type: ignore[arg-type]


def _enum_value(value: object) -> str | int | float | bool:
    inner = value._value_  # type: ignore[attr-defined]
    plain = None if isinstance(inner, type(value)) else scalar_of(inner)
    return str(value._name_) if plain is None else plain  # type: ignore[attr-defined]


def _is_a(value: object, module: str, name: str) -> bool:
    """Say whether `value` is an instance of a class of a module that may not be loaded at all."""
    loaded = sys.modules.get(module)
    kind = getattr(loaded, name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _bytes_text(value: bytes | bytearray | memoryview) -> str:
    """Show bytes as text where they are text, else as hex; a bounded part of either."""
    size = value.nbytes if isinstance(value, memoryview) else len(value)
    head = bytes(memoryview(value).cast("B")[: 16 * _BYTES_SHOWN])
    try:
        text = head.decode()
        shown = len(head)
    except UnicodeDecodeError:
        text = head[:_BYTES_SHOWN].hex()
        shown = _BYTES_SHOWN
    return text if size <= shown else f"{text}… ({size} bytes)"


def _array_scalar(value: object) -> str | int | float | bool | None:
    """Return the item of a numpy-like scalar: an object whose type has `dtype`, `shape` () and `item`."""
    kind = type(value)
    if hasattr(kind, "dtype") and hasattr(kind, "item") and getattr(value, "shape", None) == ():
        item = value.item()  # type: ignore[attr-defined]
        return item if type(item) in (str, int, float, bool) else None
    return None


def _container(value: object, budget: Budget, depth: int) -> Plain:
    if isinstance(value, dict):
        return _mapping(dict.items(value), len(value), budget, depth)
    if isinstance(value, (list, tuple)):
        names = getattr(type(value), "_fields", None)
        if isinstance(value, tuple) and isinstance(names, tuple) and len(names) == len(value):
            return _mapping(zip(names, value, strict=True), len(names), budget, depth)
        base = list if isinstance(value, list) else tuple
        return _sequence(base.__iter__(value), len(value), budget, depth)  # type: ignore[arg-type]
    if isinstance(value, (set, frozenset)):
        base_set = set if isinstance(value, set) else frozenset
        return _sequence(base_set.__iter__(value), len(value), budget, depth)
    if _is_a(value, "collections", "deque"):
        return _sequence(iter(value), len(value), budget, depth)  # type: ignore[call-overload, arg-type]
    return _object(value, budget, depth)


def _mapping(items: Iterable[tuple[object, object]], count: int, budget: Budget, depth: int) -> Plain:
    result: dict[str, Plain] = {}
    left = count
    for key, value in list(items) if count < 1000 else items:
        if budget.room <= 0:
            budget.cut = True
            result["…"] = f"{left} more"
            break
        result[_key(key, budget)] = snapshot(value, budget, depth)
        budget.room -= 2
        left -= 1
    return result


def _key(key: object, budget: Budget) -> str:
    """Return the text of a mapping's key; what JSON takes as a key only in part is written as JSON writes it."""
    if type(key) is not str:
        plain = snapshot(key, Budget(_MAX_KEY), _MAX_DEPTH - 2)
        key = plain if isinstance(plain, str) else _compact(plain)
    text = clean(key)
    if len(text) > _MAX_KEY:
        budget.cut = True
        text = text[:_MAX_KEY] + "…"
    budget.room -= 2 + (len(text) if text.isascii() else 6 * len(text))
    return text


def _compact(plain: Plain) -> str:
    import json  # noqa: PLC0415 - only for keys that are no texts

    return json.dumps(plain, separators=(",", ":"))


def _sequence(items: Iterable[object], count: int, budget: Budget, depth: int) -> Plain:
    result: list[Plain] = []
    for item in items:
        if budget.room <= 0:
            budget.cut = True
            result.append(f"… {count - len(result)} more")
            break
        result.append(snapshot(item, budget, depth))
        budget.room -= 1
    return result


def _object(value: object, budget: Budget, depth: int) -> Plain:
    """Show an instance by its public fields; name what must not be read; leave the rest to jsonpickle."""
    kind = type(value)
    if isinstance(value, BaseException):
        return {"type": kind.__qualname__, "message": budget.text(exception_text(value))}
    if _must_not_be_read(value):
        return budget.text(label(value))
    fields = _public_fields(value)
    if fields:
        return _mapping(fields.items(), len(fields), budget, depth)
    if _has_own_state(value):
        return budget.text(label(value))
    return snapshot(_pickled(value), budget, depth)


def _must_not_be_read(value: object) -> bool:
    """Say whether looking inside could consume, run or reveal something: iterators, streams, code, proxies."""
    kind = type(value)
    if isinstance(value, type) or any(hasattr(kind, name) for name in ("__next__", "__anext__", "__await__", "read")):
        return True
    return callable(value) or kind.__module__ in ("types", "_thread", "threading", "socket", "ssl", "weakref")


def _public_fields(value: object) -> dict[str, object]:
    """Return what an instance holds under public names, in its own order; nothing of it is run."""
    fields: dict[str, object] = {}
    hidden = _hidden_fields(type(value))
    for base in reversed(type(value).__mro__):
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if isinstance(name, str) and not name.startswith("_") and name not in hidden:
                _read_slot(value, name, fields)
    state = getattr(value, "__dict__", None)
    if type(state) is dict:
        fields.update((key, item) for key, item in list(state.items()) if _is_public(key) and key not in hidden)
    return fields


def _read_slot(value: object, name: str, fields: dict[str, object]) -> None:
    try:
        fields[name] = object.__getattribute__(value, name)
    except AttributeError:  # declared and never set
        return


def _is_public(key: object) -> bool:
    return isinstance(key, str) and not key.startswith("_")


def _has_own_state(value: object) -> bool:
    """Say whether all that an instance holds is private."""
    return hasattr(value, "__dict__") or "__slots__" in type(value).__dict__


def _hidden_fields(kind: type) -> frozenset[str]:
    """Return the fields that their class keeps out of its repr or its dumps: dataclasses, attrs, pydantic 1 and 2."""
    hidden: set[str] = set()
    for base in kind.__mro__:
        for table in _FIELD_TABLES:
            fields = base.__dict__.get(table)
            if isinstance(fields, dict):
                hidden.update(name for name, field in fields.items() if _is_hidden(field))
        attributes = base.__dict__.get("__attrs_attrs__", ())
        hidden.update(field.name for field in attributes if _is_hidden(field))
    return frozenset(hidden)


_FIELD_TABLES = ("__dataclass_fields__", "__pydantic_fields__", "model_fields", "__fields__")


def _is_hidden(field: object) -> bool:
    info = getattr(field, "field_info", field)  # pydantic 1 keeps it one level deeper
    return getattr(info, "repr", True) is False or getattr(info, "exclude", None) is True


def _pickled(value: object) -> object:
    """Return what jsonpickle makes of an object of an extension type, in plain data, two levels deep."""
    import jsonpickle  # noqa: PLC0415 - costs tens of milliseconds, and few programs ever need it

    return jsonpickle.Pickler(unpicklable=False, make_refs=False, max_depth=2).flatten(value) or label(value)


def label(value: object) -> str:
    """Name an object by its type; its own repr is never asked."""
    kind = value if isinstance(value, type) else type(value)
    return f"<{kind.__module__}.{kind.__qualname__}>"


def exception_text(error: BaseException) -> str:
    """Return an exception's message; an exception whose `__str__` fails has none."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the program's own __str__
        return ""
