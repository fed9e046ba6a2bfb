"""Leaves out what needs a server that this environment is made without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.installed import is_left_out

if TYPE_CHECKING:
    from pathlib import Path


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the test of gunicorn where web frameworks are not installed."""
    return True if is_left_out(collection_path, {"web": {"preload"}}, {"preload": "gunicorn"}) else None
