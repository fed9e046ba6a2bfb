"""Which tests an environment has the libraries for."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path


def is_left_out(file: Path, groups: Mapping[str, AbstractSet[str]], imported_as: Mapping[str, str]) -> bool:
    """Say whether a file has tests of a library that this environment is made without, by the file's name.

    `make test` says in XRAY_TESTS_REQUIRE which groups must run; without it, the tests run whose library is there.
    """
    stem = file.stem.removeprefix("test_")
    for group, libraries in groups.items():
        for library in libraries:
            if f"{stem}_".startswith(f"{library}_"):
                return not _is_wanted(imported_as.get(library, library), group)
    return False


def _is_wanted(module: str, group: str) -> bool:
    required = os.environ.get("XRAY_TESTS_REQUIRE")
    if required is not None:
        return group in required.split(",")
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it is missing
        return False
