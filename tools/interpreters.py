"""Finds the Pythons on this machine that the tests can run on; any python3 from 3.8 on can run this."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator, NamedTuple

SUPPORTED = ("3.10", "3.11", "3.12", "3.13", "3.14")
WHOLE_SUITE = "3.11"

# Run by each candidate: a pyenv shim may exist and fail, Debian's bare python lacks ensurepip, and from
# inside a virtual environment we want the interpreter behind it.
PROBE = """
import json, sys
facts = {"version": "%d.%d" % sys.version_info[:2], "full": "%d.%d.%d" % sys.version_info[:3]}
facts["path"] = getattr(sys, "_base_executable", None) or sys.executable
facts["kind"] = sys.implementation.name
try:
    import ensurepip, ssl, venv, zlib
    ensurepip.version()
except Exception as fault:
    facts["lacks"] = str(fault)
print(json.dumps(facts))
"""


class Interpreter(NamedTuple):
    """One Python found here; `lacks` says why it cannot make an environment, if it cannot."""

    version: str
    full: str
    path: str
    kind: str
    lacks: str = ""

    def usable(self, version: str) -> bool:
        """Whether the tests of this version can run on it."""
        return self.version == version and self.kind == "cpython" and not self.lacks


def candidates(version: str) -> Iterator[str]:
    """Every place where this version may be, the likeliest first; most of them do not exist."""
    folders = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    for folder in [*folders, Path("/usr/local/bin"), Path("/usr/bin")]:
        yield str(folder / f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from _newest_first(pyenv / "versions", f"{version}.*/bin/python")
    yield from _newest_first(Path("/opt"), f"python*/bin/python{version}")
    yield from _newest_first(Path("/opt"), f"python/*/bin/python{version}")
    yield from _newest_first(Path.home() / ".local/share/uv/python", f"cpython-{version}.*/bin/python3")
    yield sys.executable
    for folder in folders:
        yield str(folder / "python3")


def _newest_first(folder: Path, pattern: str) -> list[str]:
    found = [str(path) for path in folder.glob(pattern)] if folder.is_dir() else []
    return sorted(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path)], reverse=True)


def probe(path: str) -> Interpreter | None:
    """Run one candidate and ask what it is; None when it does not run."""
    if not os.access(path, os.X_OK):
        return None
    try:
        answer = subprocess.check_output([path, "-I", "-c", PROBE], stderr=subprocess.DEVNULL, timeout=60)
        return Interpreter(**json.loads(answer))
    except (OSError, ValueError, TypeError, subprocess.SubprocessError):
        return None


class Search:
    """Looks for each supported version, running each candidate once."""

    def __init__(self) -> None:
        self._probed: dict[str, Interpreter | None] = {}
        self.found: dict[str, Interpreter] = {}
        self.notes: list[str] = []
        for version in SUPPORTED:
            self._look_for(version)

    def _look_for(self, version: str) -> None:
        lacking = None
        for path in candidates(version):
            if path not in self._probed:
                self._probed[path] = probe(path)
            python = self._probed[path]
            if python is not None and python.usable(version):
                self.found[version] = python
                return
            if python is not None and python.version == version and lacking is None:
                lacking = python
        self.notes.append(_why_not(version, lacking))

    @property
    def main(self) -> Interpreter:
        """The one for the whole suite: 3.11, or the newest there is."""
        if not self.found:
            needed = f"One of Python {', '.join(SUPPORTED)} is needed, with venv and pip."
            raise SystemExit("\n".join([*self.notes, needed]))
        return self.found.get(WHOLE_SUITE) or list(self.found.values())[-1]

    @property
    def oldest(self) -> Interpreter:
        """The oldest one, for the oldest versions of the libraries."""
        return next(iter(self.found.values()))

    def others(self) -> list[Interpreter]:
        """Every further one, oldest first."""
        return [python for python in self.found.values() if python != self.main]


def _why_not(version: str, lacking: Interpreter | None) -> str:
    if lacking is None:
        return f"Python {version} was not found on this machine."
    if lacking.kind != "cpython":
        return f"Python {version} was found as {lacking.kind} only ({lacking.path})."
    hint = f"; on Debian and Ubuntu: apt install python{version}-venv" if "ensurepip" in lacking.lacks else ""
    return f"Python {version} at {lacking.path} cannot make environments ({lacking.lacks}{hint})."


def report(search: Search) -> None:
    """Say what was found, what was not, and what runs where."""
    main = search.main
    for version, python in search.found.items():
        suite = "the whole suite" if version == main.version else "the core tests"
        print(f"Python {python.full} runs {suite} ({python.path}).")
    for note in search.notes:
        print(note)
    if main.version != WHOLE_SUITE:
        print(f"So the whole suite runs on {main.version} instead of {WHOLE_SUITE}.")


if __name__ == "__main__":
    report(Search())
