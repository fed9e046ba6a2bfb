"""`xray-lambda view`, `tail` and `traces`: what they need installed, before their parts are imported."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from xray_lambda.cli.console import Problem

if TYPE_CHECKING:
    import argparse

_NEEDED = ("orjson", "starlette", "uvicorn")


def view(arguments: argparse.Namespace) -> int:
    """Run the daemon with its screen until it is told to end."""
    require_viewer()
    from xray_lambda.cli import viewing  # noqa: PLC0415 - the extra [view] may not be there

    return viewing.run(arguments)


def tail(arguments: argparse.Namespace) -> int:
    """Print each finished trace."""
    require_viewer()
    from xray_lambda.cli import tailing  # noqa: PLC0415 - the extra [view] may not be there

    return tailing.run(arguments)


def traces(arguments: argparse.Namespace) -> int:
    """Import, export or pull traces."""
    require_viewer()
    from xray_lambda.cli import moving  # noqa: PLC0415 - the extra [view] may not be there

    return moving.run(arguments)


def require_viewer() -> None:
    """Make sure that the viewer can run here, and that its extra is there. Raises Problem."""
    if os.name == "nt":
        raise Problem("the viewer runs on Linux and macOS; on Windows, run it in WSL")
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Problem(f"this needs {', '.join(missing)}: run  pip install 'xray-lambda[view]'")
