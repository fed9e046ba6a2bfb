"""Numbers that came from outside: read where they make sense, whichever client brought them."""

from __future__ import annotations

from datetime import datetime
from math import isfinite

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Mapping


def number(value: object) -> float | None:
    """Return a finite number; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if isfinite(value) else None
    except OverflowError:  # a whole number with hundreds of digits
        return None


def seconds(value: object) -> float | None:
    """Return a time in seconds since the epoch: JSON has a number, botocore a datetime."""
    return value.timestamp() if isinstance(value, datetime) else number(value)


def whole(fields: Mapping[str, object], name: str) -> int:
    """Return a field that is a whole number, 0 or more. Raises ValueError, which names it."""
    value = number(fields.get(name))
    if value is None or value < 0 or value != int(value):
        raise ValueError(f"{name} is {fields.get(name)!r:.60}, expected a whole number, 0 or more")
    return int(value)


def share(fields: Mapping[str, object], name: str) -> float:
    """Return a field that is a number from 0 to 1. Raises ValueError, which names it."""
    value = number(fields.get(name))
    if value is None or not 0 <= value <= 1:
        raise ValueError(f"{name} is {fields.get(name)!r:.60}, expected 0 to 1")
    return value
