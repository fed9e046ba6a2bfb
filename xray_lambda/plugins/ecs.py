"""ecs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def detect(environ: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing."""
    return {}
