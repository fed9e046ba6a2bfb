"""Annotations: keys and values as X-Ray indexes them; what had to be changed is told once a call site."""

from __future__ import annotations

import logging
import os
import re
import sys
from json.encoder import encode_basestring_ascii as quote

from xray_lambda._guard import say_once
from xray_lambda._values import clean, label, scalar_of

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ANNOTATIONS = 50
_MAX_KEY = 500
_MAX_VALUE = 1000
_LARGEST = 2**63

_OURS = os.path.dirname(__file__) + os.sep
_keys: set[str] = set()


def put(annotations: dict[str, str], values: Mapping[str, object]) -> None:
    """Add `values` to `annotations`, which maps a key to its `"key":value` in JSON, ready to be joined.

    Strings are cut at 1000 characters, keys are `[A-Za-z0-9_]`, and there are 50 at most.
    """
    for key, value in values.items():
        kind = type(value)
        # What nearly every annotation is, a short text or a number under a known key, takes 0.3 us, the rest 3 us.
        if key not in _keys:
            _put_checked(annotations, key, value)
        elif kind is str and len(value) <= _MAX_VALUE and value.isascii():  # type: ignore[arg-type, attr-defined]
            annotations[key] = f'"{key}":{quote(value)}'  # type: ignore[arg-type]
        elif kind is int and -_LARGEST <= value < _LARGEST:  # type: ignore[operator]
            annotations[key] = f'"{key}":{value}'
        elif kind is bool:
            annotations[key] = f'"{key}":true' if value else f'"{key}":false'
        else:
            _put_checked(annotations, key, value)
    if len(annotations) > MAX_ANNOTATIONS:
        _drop_surplus(annotations)


def _put_checked(annotations: dict[str, str], key: object, value: object) -> None:
    name = clean_key(key)
    plain = _plain(value)
    if plain is None:
        _tell(name, "was dropped: it is None" if value is None else f"was dropped: {label(value)} has no plain value")
        return
    if name != key:
        _tell(name, f"was put as {key!r:.100}" if isinstance(key, str) else f"was put as {label(key)}")
    if type(plain) is not type(value) or plain != value:
        _tell(name, f"was put as {label(value)} and is recorded as {type(plain).__name__}, of what X-Ray takes")
    annotations[name] = f'"{name}":{_json(plain)}'


def _json(plain: str | float) -> str:
    if isinstance(plain, str):
        return quote(plain)
    return ("true" if plain else "false") if isinstance(plain, bool) else repr(plain)


def clean_key(key: object) -> str:
    """Return `key` with everything but letters, digits and `_` as `_`; `order.id` becomes `order_id`."""
    if key in _keys:
        return str(key)
    text = key if isinstance(key, str) else label(key)
    name = re.sub(r"[^A-Za-z0-9_]", "_", text[:_MAX_KEY]) or "_"
    if name == text and len(_keys) < 1000:
        _keys.add(name)
    return name


def _plain(value: object) -> str | float | None:
    try:
        scalar = scalar_of(value)
    except Exception:  # noqa: BLE001 - whatever an object of the program does when it is looked at
        return None
    if isinstance(scalar, str):
        text = clean(scalar)
        return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 1] + "…"
    if isinstance(scalar, (bool, type(None))):
        return scalar
    if isinstance(scalar, float):
        return scalar if scalar - scalar == 0 else str(scalar)  # NaN and infinities are no JSON
    if -_LARGEST <= scalar < _LARGEST:
        return scalar
    return str(scalar)[:_MAX_VALUE] if scalar.bit_length() < 10_000 else f"an integer of {scalar.bit_length()} bits"


def _drop_surplus(annotations: dict[str, str]) -> None:
    """Keep the first 50: X-Ray indexes no more of a trace."""
    for name in list(annotations)[MAX_ANNOTATIONS:]:
        del annotations[name]
        _tell(name, f"was dropped: X-Ray indexes {MAX_ANNOTATIONS} annotations")


def _tell(name: str, what: str) -> None:
    place = call_site()
    say_once(logging.WARNING, place, "xray_lambda: annotation %r at %s %s", name, place, what)


def call_site() -> str:
    """Return `file:line` of the program's innermost frame."""
    frame = sys._getframe(1)  # noqa: SLF001 - `inspect` costs 8 ms of cold start
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
