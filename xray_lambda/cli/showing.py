"""`xray-lambda demo --view`: a viewer beside the invocation, one that runs or a new one, which gets its documents."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from xray_lambda.cli.browser import open_page
from xray_lambda.cli.console import Problem
from xray_lambda.viewer import client

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from xray_lambda.cli.receiver import Document

_HOST = "127.0.0.1"
_HEADER = b'{"format": "json", "version": 1}\n'
_SAID = re.compile(r"(Screen|Daemon) +(\S+)")


class Shown(NamedTuple):
    """A viewer that runs: the daemon's port, the screen's address, and its process where it is ours."""

    port: int
    screen: str
    process: subprocess.Popen[str] | None


@contextmanager
def viewer(arguments: argparse.Namespace) -> Iterator[Shown]:
    """Find the viewer at the port, or run one for the length of a `with` block. Raises Problem."""
    running = client.ask(_HOST, arguments.port) if arguments.port else None
    if running is not None and running.get("screen"):
        yield Shown(arguments.port, str(running["screen"]), None)
        return
    ports = ["--port", str(arguments.port), "--screen-port", str(arguments.screen_port)]
    command = [sys.executable, "-m", "xray_lambda", "view", "--no-open", *ports]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _started(process)
        finally:
            process.terminate()


def _started(process: subprocess.Popen[str]) -> Shown:
    said: dict[str, str] = {}
    assert process.stdout is not None  # noqa: S101  (a pipe was asked for: this tells mypy)
    for line in process.stdout:
        if found := _SAID.match(line):
            said[found[1]] = found[2]
        if line.startswith("Ctrl-C"):
            return Shown(int(said["Daemon"].rpartition(":")[2]), said["Screen"], process)
    raise Problem("the viewer did not start; what it said is above")


def send(shown: Shown, documents: Iterable[Document]) -> None:
    """Send documents to the viewer, as the function would have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for document in documents:
            out.sendto(_HEADER + json.dumps(document).encode(), (_HOST, shown.port))


def stay(shown: Shown, trace_id: object, *, opened: bool) -> None:
    """Say where the trace is, and stay until Ctrl-C or SIGTERM where the viewer is ours."""
    page = f"{shown.screen}?trace={urllib.parse.quote(str(trace_id))}"
    print(f"\nThe trace is on the screen: {page}", flush=True)
    if opened:
        open_page(page)
    if shown.process is None:
        return
    print(f"Ctrl-C ends it. Until then, whatever is sent to {_HOST}:{shown.port} shows there.", flush=True)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        shown.process.wait()
    except KeyboardInterrupt:
        print()
    finally:
        signal.signal(signal.SIGTERM, before)
