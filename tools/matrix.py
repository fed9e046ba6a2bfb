"""Runs the whole suite on Python 3.11, then the core tests on every other supported Python found here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import NamedTuple

from environments import ROOT, folder_for, make_all
from interpreters import SUPPORTED, Interpreter, Search

CORE = ("-q", "-m", "not full")


class Outcome(NamedTuple):
    """How the tests of one version went, and pytest's closing line."""

    verdict: str
    closing: str = ""


def run_tests(python: Interpreter, main: Interpreter, options: list[str]) -> Outcome:
    """Run pytest in this interpreter's environment, showing its words as they come."""
    whole = python == main
    print(f"\n== Python {python.version}: {'the whole suite' if whole else 'the core tests'}")
    command = [
        str(folder_for(python, main) / "bin/python"),
        "-m",
        "pytest",
        *options,
        *([] if whole else CORE),
    ]
    if sys.stdout.isatty():
        command.append("--color=yes")
    code, closing = _shown(command)
    return Outcome("passed" if code == 0 else "failed", closing)


def _shown(command: list[str]) -> tuple[int, str]:
    """Run a command, passing on what it prints; its exit code and its last line that is not empty."""
    tail = b""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None  # noqa: S101  (a pipe was asked for: this tells mypy)
        while chunk := os.read(process.stdout.fileno(), 65536):
            os.write(sys.stdout.fileno(), chunk)
            tail = (tail + chunk)[-65536:]
    text = re.sub(r"\x1b\[[0-9;]*m", "", tail.decode(errors="replace"))
    return process.returncode, (text.strip().splitlines() or [""])[-1]


def run_all(options: list[str]) -> int:
    """Run everything, then say how each version went; 0 when all of it passed."""
    search = Search()
    faults = make_all(search)
    outcomes = {version: Outcome("failed", "its environment could not be made") for version in faults}
    for python in [search.main, *search.others()]:
        if python.version not in faults:
            outcomes[python.version] = run_tests(python, search.main, options)
    return _summary(search, outcomes)


def _summary(search: Search, outcomes: dict[str, Outcome]) -> int:
    print("\n== Every supported Python")
    for version in SUPPORTED:
        outcome = outcomes.get(version, Outcome("not found"))
        print(f"{version:5} {outcome.verdict:10} {outcome.closing.strip('= ')}".rstrip())
    if any(outcome.verdict == "failed" for outcome in outcomes.values()):
        return 1
    print(f"\n{outcomes[search.main.version].closing}")
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a plain text file it is
    sys.exit(run_all(sys.argv[1:]))
