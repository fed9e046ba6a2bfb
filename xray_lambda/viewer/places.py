"""Where the store lies unless told otherwise: in the user's cache folder, as XDG has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def default_store(environ: Mapping[str, str]) -> Path:
    """Return the store's file; a relative XDG_CACHE_HOME does not count, says the XDG specification."""
    cache = Path(environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "xray-lambda" / "traces.db"
