"""What the tests of databases share: what was recorded of each call, and programs that run by themselves."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from xray_lambda.testing import ROOT, Traces, capture, counting_ids, fake_clock

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from xray_lambda.testing import Node

UNSAMPLED = f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=0"


@contextmanager
def exact() -> Iterator[Traces]:
    """Capture documents that can be compared whole."""
    with capture(clock=fake_clock(), new_id=counting_ids()) as traces:
        yield traces


def statements(traces: Traces) -> list[str]:
    """Return the SQL of every recorded call, in order."""
    return [node.document["sql"]["sanitized_query"] for root in traces.roots for node in root.walk() if is_sql(node)]


def is_sql(node: Node) -> bool:
    """Say whether a node is a call to a SQL database."""
    return "sql" in node.document


def run_untidy(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine with a library that leaves its sockets to the collector, who comes before the next test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            return asyncio.run(work)
        finally:
            gc.collect()


def run_apart(program: str, *arguments: object) -> Any:
    """Run a program in a process of its own, where no library is loaded yet; returns the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=os.getcwd(),  # noqa: PTH109 - where `tests` is found
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
