"""Coercions: what becomes of annotations that X-Ray does not take as they are; a word of it once a call site."""

from __future__ import annotations

import logging
import re
from json.encoder import encode_basestring_ascii as quote

from xray_lambda._guard import call_site, is_from_a_signal, say_once
from xray_lambda._scalars import integer_text, label, scalar_of
from xray_lambda._values import clean

_MAX_KEY = 500
_MAX_VALUE = 1000
_LARGEST = 2**63


def put(annotations: dict[str, str], key: object, value: object) -> None:
    """Add one annotation, its key cleaned and its value made a text, a number or a bool; or tell why it is dropped."""
    name, change = _clean_key(key)
    plain, why_not = _plain(value)
    if plain is None:
        _tell(name, f"was dropped: {why_not}")
        return
    if change or why_not:
        _tell(name, change or why_not)
    annotations[name] = f'"{name}":{_json(plain)}'


def _json(plain: str | float) -> str:
    if isinstance(plain, str):
        return quote(plain)
    return ("true" if plain else "false") if isinstance(plain, bool) else repr(plain)


def _clean_key(key: object) -> tuple[str, str]:
    """Return `key` with everything but letters, digits and `_` as `_`, and what to tell of the change, if any.

    `order.id` becomes `order_id`.
    """
    text = _plain(key)[0]
    name = re.sub(r"[^A-Za-z0-9_]", "_", (str(text) if text is not None else label(key))[:_MAX_KEY]) or "_"
    if name == text:
        return name, ""
    return name, f"was put as {text!r:.100}" if isinstance(text, str) else f"was put as {label(key)}"


def _plain(value: object) -> tuple[str | float | None, str]:
    """Return what X-Ray takes for `value`, or None, and what to tell of the change or of the lack, if any."""
    if value is None:
        return None, "it is None"
    try:
        scalar = scalar_of(value)
    except Exception as fault:  # whatever an object of the program does when it is looked at
        if is_from_a_signal(fault):
            raise
        scalar = None
    if scalar is None:
        return None, f"{label(value)} has no plain value"
    plain = _within_bounds(scalar)
    if isinstance(plain, str) and isinstance(scalar, str) and len(plain) < len(scalar):
        return plain, f"was cut from {len(scalar)} to {_MAX_VALUE} characters"
    if type(plain) is not type(value):
        return plain, f"was put as {label(value)} and is recorded as {type(plain).__name__}"
    return plain, "" if plain == value else "held lone surrogates, which no reader takes"


def _within_bounds(scalar: str | float) -> str | float:
    if isinstance(scalar, str):
        text = clean(scalar[: _MAX_VALUE + 1])
        return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 1] + "…"
    if isinstance(scalar, float):
        return scalar if scalar - scalar == 0 else str(scalar)  # NaN and infinities are no JSON
    return scalar if -_LARGEST <= scalar < _LARGEST else integer_text(scalar)[:_MAX_VALUE]


def drop_surplus(annotations: dict[str, str], most: int) -> None:
    """Keep the first ones: X-Ray indexes no more than `most` of a trace."""
    surplus = list(annotations)[most:]
    for name in surplus:
        annotations.pop(name, None)  # another thread may be at it too
    _tell(surplus[0], f"was dropped: X-Ray indexes {most} annotations")


def _tell(name: str, what: str) -> None:
    """Warn once a call site; which annotation it was is the first that was changed there."""
    place = call_site()
    say_once(logging.WARNING, place, "xray_lambda: annotation %r at %s %s", name, place, what)
