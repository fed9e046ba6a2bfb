"""Events as Lambda hands them to a function, in the shapes of AWS's documentation; and a poll's answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAMES = sorted(file.stem for file in Path(__file__).parent.glob("*.json"))


def event(name: str) -> Any:
    """Return an event, made anew."""
    return json.loads((Path(__file__).parent / f"{name}.json").read_text("utf-8"))


def sender(number: int, sampled: int = 1) -> str:
    """Return the trace header of a sender in these events."""
    return f"Root={sender_root(number)};Parent={number:016x};Sampled={sampled}"


def sender_root(number: int) -> str:
    return f"1-5759e988-{number:024x}"
