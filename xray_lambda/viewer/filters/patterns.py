"""The JSON after `rootcause.json =`: read, checked, and taken apart into what it asks of a root cause."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from xray_lambda.viewer.filters.keywords import PATTERN
from xray_lambda.viewer.filters.tokens import FilterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def read(text: str, position: int) -> str:
    """Return a list of patterns as compact JSON. Raises FilterError for what no root cause has."""
    try:
        patterns = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as fault:
        raise FilterError(f"this is no JSON: {fault}", position) from None
    if isinstance(patterns, dict):
        patterns = [patterns]
    for pattern in patterns:
        _check(pattern, "cause", position)
    return json.dumps(patterns, separators=(",", ":"), sort_keys=True)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _check(pattern: object, what: str, position: int) -> None:
    known = PATTERN[what]
    if not isinstance(pattern, dict):
        raise FilterError(f"a {what} is an object, with any of {', '.join(known)}", position)
    for key, value in pattern.items():
        if key not in known:
            raise FilterError(f"a {what} has no {key!r}; known: {', '.join(known)}", position)
        inner = known[key]
        if inner is None and not _is_single(value):
            raise FilterError(f"{key} is a single value", position)
        if inner is not None:
            if not isinstance(value, list):
                raise FilterError(f"{key} is a list", position)
            for item in value:
                _check(item, inner, position)


def _is_single(value: object) -> bool:
    """Say whether SQLite can hold a value: no list, no number out of bounds, no half of a surrogate pair."""
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return value is None or (isinstance(value, int | float) and abs(value) < 2**53)


def conditions(pattern: dict[str, Any], path: str = "$") -> Iterator[tuple[str, str, object]]:
    """Yield what a pattern asks of a cause: (`is` or `length`, the JSON path, the value). Lists match item by item."""
    for key, value in pattern.items():
        here = f"{path}.{key}"
        if isinstance(value, list):
            yield "length", here, len(value)
            for place, item in enumerate(value):
                yield from conditions(item, f"{here}[{place}]")
        else:
            yield "is", here, value
