"""Which store a command works on, and whose."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from xray_lambda.cli.console import Problem
from xray_lambda.viewer.places import default_store
from xray_lambda.viewer.store import Store
from xray_lambda.viewer.store.tables import UnusableStore

if TYPE_CHECKING:
    import argparse


def open_store(arguments: argparse.Namespace) -> Store:
    """Open what --store and --memory say. The default file that cannot be used gives way to memory, with a warning.

    Raises Problem for a file that was asked for.
    """
    if arguments.memory:
        return Store(None)
    asked = arguments.store is not None
    try:
        return Store(Path(arguments.store) if asked else default_store(os.environ))
    except UnusableStore as fault:
        if asked:
            raise Problem(str(fault)) from None
        print(f"Warning: {fault}. Traces are kept in memory, until this ends.", file=sys.stderr)
        return Store(None)


def open_file(name: str | None) -> Store:
    """Open the store that a command reads or adds to: a file, the default one without a name. Raises Problem."""
    try:
        return Store(Path(name) if name is not None else default_store(os.environ))
    except UnusableStore as fault:
        raise Problem(str(fault)) from None
