"""What hosts say, taken into a segment: texts alone, cleaned and short, and only those that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xray_lambda._values import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_TEXT = 250  # X-Ray's, for what has no rule of its own
_MAX_NUMBER = 10**15


def texts(**values: object) -> dict[str, object]:
    """Return the values that are texts or whole numbers, none of them empty."""
    found = {name: _plain(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, str) and value.strip():
        return clean(value.strip()[:_MAX_TEXT])
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_NUMBER:
        return value
    return None


def part(found: Mapping[str, object], name: str) -> dict[str, object]:
    """Return an object within an object; an empty one where there is none."""
    value = found.get(name)
    return value if isinstance(value, dict) else {}
