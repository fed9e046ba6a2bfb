"""Packages that tests write into a folder, import and forget again."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from textwrap import dedent
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write(folder: Path, **files: str) -> Path:
    """Write modules: `shop__orders` is `shop/orders.py`, `shop` alone `shop/__init__.py` or `shop.py`."""
    names = {name.replace("__", ".") for name in files}
    for name, text in files.items():
        parts = name.split("__")
        is_package = any(other.startswith(".".join([*parts, ""])) for other in names)
        file = folder.joinpath(*parts, "__init__.py") if is_package else folder.joinpath(*parts).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), "utf-8")
    importlib.invalidate_caches()
    return folder


def load(name: str) -> Any:
    return importlib.import_module(name)


@contextmanager
def modules_forgotten() -> Iterator[None]:
    """Forget, at the end, the modules that were loaded meanwhile; and leave the search for modules as it was."""
    loaded, path, finders = {*sys.modules}, [*sys.path], [*sys.meta_path]
    try:
        yield
    finally:
        for name in {*sys.modules} - loaded:
            if not name.startswith("xray_lambda"):
                del sys.modules[name]
        sys.path[:] = path
        sys.meta_path[:] = finders
        importlib.invalidate_caches()
