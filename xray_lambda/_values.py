"""Values: any object of the program as plain JSON data, within bounds, without running or consuming anything."""

from __future__ import annotations

import json
from collections import deque
from itertools import islice
from json.encoder import encode_basestring_ascii as quote

from xray_lambda._guard import is_from_a_signal
from xray_lambda._scalars import integer_text, label, scalar_of

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Plain = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None

# A snapshot may be longer than its room by this much: the last key or item, and at each depth the word that it was cut.
OVERHEAD = 1000

_MAX_DEPTH = 12
_MAX_KEY = 300
_MORE = 40
_NUMBER = 24
# What X-Ray and most readers of JSON hold in 64 bits; a longer integer is written as text.
_MAX_INTEGER = 2**63


class Budget:
    """How much room is left for one snapshot, in characters of ASCII JSON, and whether anything was cut."""

    __slots__ = ("cut", "open", "room")

    def __init__(self, room: int) -> None:
        self.room = room
        self.cut = False
        self.open: set[int] = set()

    def text(self, text: str) -> str:
        """Take room for `text`, cut where it does not fit."""
        exact = str.__str__(text)
        kept = clean(exact[: max(self.room, 0)])
        size = len(quote(kept))
        if size <= self.room and len(kept) == len(exact):
            self.room -= size
            return kept
        self.cut = True
        kept = fitting(kept, self.room - _MORE)
        self.room -= len(quote(kept)) + _MORE
        return f"{kept}… ({len(exact) - len(kept)} more characters)"


def clean(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 reader accepts; `text` may be of a subclass of str."""
    exact = str.__str__(text)
    return exact if exact.isascii() else exact.encode("utf-8", "replace").decode()


def fitting(text: str, room: int) -> str:
    """Return as much of the beginning of `text` as takes no more than `room` characters of ASCII JSON, or less."""
    room = max(room, 0)
    kept = text[:room]
    size = len(quote(kept)) - 2
    while size > room:
        kept = kept[: len(kept) * room // size]
        size = len(quote(kept)) - 2
    return kept


def snapshot(value: object, budget: Budget, depth: int = 0) -> Plain:
    """Return `value` as plain JSON data that shares nothing with it; never raises.

    Containers of the standard library are walked within the budget; iterators, streams and lazy
    sequences are named, never read; private attributes and fields with `repr=False` are left out.
    """
    kind = type(value)
    if kind is str:
        return budget.text(value)  # type: ignore[arg-type]
    if value is None or kind is bool:
        budget.room -= 5
        return value  # type: ignore[return-value]
    try:
        if kind is int or kind is float:
            return _number(value, budget)  # type: ignore[arg-type]
        return _compound(value, budget, depth)
    except Exception as fault:  # whatever an object of the program does when it is looked at
        if is_from_a_signal(fault):
            raise
        return budget.text(label(value))


def _number(value: float, budget: Budget) -> Plain:
    """Return an exact int or float, or the text of one that JSON does not know."""
    if type(value) is int:
        if not -_MAX_INTEGER <= value < _MAX_INTEGER:
            return budget.text(integer_text(value))
    elif value - value != 0:
        return budget.text("NaN" if value != value else "Infinity" if value > 0 else "-Infinity")  # noqa: PLR0124
    budget.room -= _NUMBER
    return value


def _compound(value: object, budget: Budget, depth: int) -> Plain:
    """Walk what is no plain scalar, unless it is too deep, too much, or contains itself."""
    if depth >= _MAX_DEPTH or budget.room <= 0:
        budget.cut = True
        return budget.text(label(value))
    if id(value) in budget.open:
        return budget.text(f"{label(value)} (contains itself)")
    budget.open.add(id(value))
    try:
        return _container(value, budget, depth + 1)
    finally:
        budget.open.discard(id(value))


def _container(value: object, budget: Budget, depth: int) -> Plain:
    """Walk a container by the methods of its base, which a subclass cannot change; or what stands for an object."""
    kind = type(value)
    if issubclass(kind, dict):
        return mapping(value, budget, depth)  # type: ignore[arg-type]
    if issubclass(kind, tuple):
        names = getattr(kind, "_fields", None)
        if type(names) is tuple and len(names) == tuple.__len__(value):  # type: ignore[arg-type]
            return mapping(dict(zip(names, tuple.__iter__(value), strict=True)), budget, depth)  # type: ignore[arg-type]
    for base in _SEQUENCES:
        if issubclass(kind, base):
            return _sequence(base.__iter__(value), base.__len__(value), budget, depth)
    scalar = scalar_of(value)
    return _container(_shown(value), budget, depth) if scalar is None else snapshot(scalar, budget, depth)


_NOTHING: dict[object, object] = {}
_VIEWS = (type(_NOTHING.keys()), type(_NOTHING.values()), type(_NOTHING.items()))
_SEQUENCES: tuple[Any, ...] = (list, tuple, set, frozenset, deque, *_VIEWS)


def _shown(value: object) -> object:
    """Return what stands for an instance; loaded when the first one comes: 0.2 ms that most cold starts save."""
    from xray_lambda._objects import shown  # noqa: PLC0415

    return shown(value)


def mapping(values: dict[object, object], budget: Budget, depth: int = 0) -> dict[str, Plain]:
    """Return a dict, whatever room is left, with a snapshot of each value; keys that JSON does not know as its text.

    The walk is over a copy, made at once: another thread may change the original meanwhile.
    """
    result: dict[str, Plain] = {}
    budget.room -= 2
    for key, value in _some(dict.items(values), budget):
        if budget.room <= 0:
            budget.cut = True
            result["…"] = f"{dict.__len__(values) - len(result)} more"
            break
        name = _key(key, budget)
        budget.cut |= name in result
        result[name] = snapshot(value, budget, depth)
        budget.room -= 2
    return result


def _sequence(items: Iterable[object], count: int, budget: Budget, depth: int) -> list[Plain]:
    result: list[Plain] = []
    budget.room -= 2
    for item in _some(items, budget):
        if budget.room <= 0:
            budget.cut = True
            result.append(f"… {count - len(result)} more")
            break
        result.append(snapshot(item, budget, depth))
        budget.room -= 1
    return result


def _some(items: Iterable[Any], budget: Budget) -> list[Any]:
    """Return as many items as could find room, and one more."""
    return list(islice(items, max(budget.room, 0) // 3 + 1))


def _key(key: object, budget: Budget) -> str:
    """Return the text of a mapping's key; one that is no text is written as its value is."""
    text = key if type(key) is str else _key_text(key)
    name = clean(text[:_MAX_KEY])
    size = len(quote(name))
    if size > _MAX_KEY or len(name) < len(text):
        budget.cut = True
        name = fitting(name, _MAX_KEY - 8) + "…"
        size = _MAX_KEY
    budget.room -= size
    return name


def _key_text(key: object) -> str:
    plain = snapshot(key, Budget(_MAX_KEY), _MAX_DEPTH - 2)
    return plain if isinstance(plain, str) else json.dumps(plain, separators=(",", ":"))
