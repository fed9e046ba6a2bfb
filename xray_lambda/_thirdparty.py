"""Packages by others: the layer carries private copies, which never mix with another layer's or the function's own."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from types import ModuleType

_PRIVATE = "xray_lambda._vendored"


def load(name: str) -> ModuleType:
    """Return wrapt or jsonpickle: the layer's copy, or what is installed."""
    try:
        return import_module(f"{_PRIVATE}.{name}")
    except ModuleNotFoundError as missing:
        if missing.name != _PRIVATE:
            raise
        return import_module(name)
