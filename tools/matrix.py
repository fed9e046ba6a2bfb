"""Runs the whole suite on Python 3.11, library and web tests with the oldest, core tests on every other Python."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, NamedTuple

from environments import MAIN, ROOT, Environment, environments, make_all
from interpreters import SUPPORTED, Search

CORE = ("-q", "-m", "not full")


class Outcome(NamedTuple):
    """How the tests of one environment went, and pytest's closing line."""

    verdict: str
    closing: str = ""


def title(environment: Environment) -> str:
    """Say what runs in an environment."""
    python = f"Python {environment.python.version}"
    if environment.folder == MAIN:
        return f"{python}: the whole suite"
    if environment.folder.name == "oldest":
        return f"{python}: library and web tests, with the oldest versions"
    versions = "oldest" if "oldest-aws.txt" in environment.pins else "newest"
    return f"{python}: the core tests" + (f", with AWS's {versions} libraries" if environment.groups else "")


def selection(environment: Environment, options: list[str]) -> list[str]:
    """Return what pytest is to run in an environment."""
    if environment.folder == MAIN:
        return options
    if environment.folder.name == "oldest":
        return [*options, "-q", "tests/libraries", "tests/web"]
    return [*options, *CORE]


def required(environment: Environment) -> str:
    """Return the groups of library tests that must run there; the others are left out."""
    built = (package for package in environment.optional if environment.has(package))
    return ",".join([*environment.groups, *built])


def run_tests(environment: Environment, options: list[str], show: Callable[[bytes], object]) -> Outcome:
    """Run pytest in an environment, and `show` what it says as it comes."""
    show(f"\n== {title(environment)}\n".encode())
    command = [str(environment.folder / "bin/python"), "-m", "pytest", *selection(environment, options)]
    if sys.stdout.isatty():
        command.append("--color=yes")
    code, closing = _shown(command, {**os.environ, "XRAY_TESTS_REQUIRE": required(environment)}, show)
    return Outcome("passed" if code == 0 else "failed", closing)


def _shown(command: list[str], environ: dict[str, str], show: Callable[[bytes], object]) -> tuple[int, str]:
    """Run a command, passing on what it prints; its exit code and its last line that is not empty."""
    tail = b""
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None  # noqa: S101  (a pipe was asked for: this tells mypy)
        while chunk := os.read(process.stdout.fileno(), 65536):
            show(chunk)
            tail = (tail + chunk)[-65536:]
    text = re.sub(r"\x1b\[[0-9;]*m", "", tail.decode(errors="replace"))
    return process.returncode, (text.strip().splitlines() or [""])[-1]


def run_all(options: list[str]) -> int:
    """Run everything, then say how each environment went; 0 when all of it passed.

    Tests wait more than they work: while the whole suite runs and is shown, the others run, and are shown after it.
    """
    search = Search()
    faults = make_all(search)
    outcomes = {name: Outcome("failed", "it could not be made") for name in faults}
    every = environments(search)
    whole, *others = [environment for environment in every if environment.name not in faults]
    said = io.BytesIO()
    with ThreadPoolExecutor(1) as meanwhile:
        running = {one.name: meanwhile.submit(run_tests, one, options, said.write) for one in others}
        outcomes[whole.name] = run_tests(whole, options, _print)
    outcomes |= {name: run.result() for name, run in running.items()}
    _print(said.getvalue())
    return _summary(search, every, outcomes)


def _print(words: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(words)
    sys.stdout.buffer.flush()


def _summary(search: Search, every: list[Environment], outcomes: dict[str, Outcome]) -> int:
    print("\n== Every environment")
    for environment in every:
        outcome = outcomes[environment.name]
        left_out = [f"without {package}" for package in environment.optional if not environment.has(package)]
        said = ", ".join([outcome.closing.strip("= "), *left_out])
        print(f"{title(environment):55} {outcome.verdict:7} {said}".rstrip())
    for version in SUPPORTED:
        if version not in search.found:
            print(f"Python {version}: not found")
    if any(outcome.verdict == "failed" for outcome in outcomes.values()):
        return 1
    print(f"\n{outcomes[MAIN.name].closing}")
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a plain text file it is
    sys.exit(run_all(sys.argv[1:]))
