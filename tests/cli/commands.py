"""Runs `xray-lambda` in its own process, with no settings of this machine and our own faults raised."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-W", "error", "-m", "xray_lambda")
PATIENCE = 60
_NOT_INHERITED = ("AWS_", "_AWS", "_X_AMZN", "XRAY_LAMBDA_", "LAMBDA_", "POWERTOOLS_", "NO_COLOR", "FORCE_COLOR")


def environment(**settings: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    return {**inherited, "PYTHONUTF8": "1", "XRAY_LAMBDA_STRICT": "1", **settings}


def write_app(folder: Path, code: str) -> Path:
    """Write a function's module, `app.py`, which can use the names that a handler mostly needs."""
    start = "from xray_lambda import annotate, metadata, subsegment, traced, traced_handler\n"
    (folder / "app.py").write_text(start + textwrap.dedent(code), "utf-8")
    return folder


def run(*arguments: str, cwd: Path, stdin: str | bytes = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `xray-lambda` to its end; what it prints is text."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(**settings),
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def run_json(*arguments: str, cwd: Path, **settings: str) -> tuple[int, dict[str, Any]]:
    """Run `xray-lambda ... --json`; return its exit code and the one object that it prints."""
    done = run(*arguments, "--json", cwd=cwd, **settings)
    assert done.stdout.count("\n") == 1, done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def start(*arguments: str, cwd: Path, **settings: str) -> subprocess.Popen[str]:
    """Start `xray-lambda` and leave it running, to be interrupted even where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # an ignored signal would be inherited
    try:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=cwd,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def run_on_terminal(*arguments: str, cwd: Path, **settings: str) -> str:
    """Run `xray-lambda` with a terminal as its standard output; return what it wrote there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(TERM="xterm", **settings),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    ):
        os.close(theirs)
        written = b""
        while chunk := _read(ours):
            written += chunk
    os.close(ours)
    return written.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says EIO once the other side is closed
        return b""
