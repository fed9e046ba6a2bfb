"""Annotations: what a program puts, as the JSON that X-Ray indexes; what it takes as it is goes the short way here."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as quote

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

MAX_ANNOTATIONS = 50
_MAX_KEY = 500
_MAX_VALUE = 1000
_LARGEST = 2**63
_MAX_KNOWN = 1000

# Keys that need no cleaning, as they begin an annotation in JSON. A key of a subclass of str, which finds its
# equal here, may print itself as something else.
_beginnings: dict[object, str] = {}


def put(annotations: dict[str, str], values: Mapping[str, object]) -> None:
    """Add `values` to `annotations`, which maps a key to its `"key":value` in JSON, ready to be joined.

    Strings are cut at 1000 characters, keys are `[A-Za-z0-9_]`, and there are 50 at most.
    """
    for key, value in values.items():
        kind = type(value)
        # What nearly every annotation is, a short text or a number under a known key, takes 0.3 us, the rest 3 us.
        if key not in _beginnings and not _is_learnt(key):
            _unusual().put(annotations, key, value)
        elif kind is str and len(value) <= _MAX_VALUE and value.isascii():  # type: ignore[arg-type, attr-defined]
            annotations[key] = _beginnings[key] + quote(value)  # type: ignore[arg-type]
        elif kind is int and -_LARGEST <= value < _LARGEST:  # type: ignore[operator]
            annotations[key] = f"{_beginnings[key]}{value}"
        elif kind is bool:
            annotations[key] = _beginnings[key] + ("true" if value else "false")
        elif kind is float and value - value == 0:  # type: ignore[operator]  # NaN and infinities are no JSON
            annotations[key] = f"{_beginnings[key]}{value!r}"
        else:
            _unusual().put(annotations, key, value)
    if len(annotations) > MAX_ANNOTATIONS:
        _unusual().drop_surplus(annotations, MAX_ANNOTATIONS)


def _is_learnt(key: object) -> bool:
    """Say whether a key, seen for the first time, is one that X-Ray takes as it is, and remember it then."""
    if type(key) is not str or not key.isascii() or not key.replace("_", "a").isalnum() or len(key) > _MAX_KEY:
        return False
    if len(_beginnings) >= _MAX_KNOWN:
        return False
    _beginnings[key] = f'"{key}":'
    return True


def _unusual() -> ModuleType:
    """Return what makes annotations of anything else, loaded when the first one comes: 0.25 ms with what it needs."""
    from xray_lambda import _coercions  # noqa: PLC0415

    return _coercions
