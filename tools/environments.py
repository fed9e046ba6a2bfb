"""Makes the virtual environments that the Makefile works in; quick when they stand already."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from interpreters import Interpreter, Search, report

ROOT = Path(__file__).resolve().parent.parent
MAIN = ROOT / ".venv"
MADE_FROM = ("pyproject.toml", "tools/constraints.txt", "xray_lambda/_version.py")


class CannotMakeError(Exception):
    """An environment could not be made; the text is what venv or pip said."""


def folder_for(python: Interpreter, main: Interpreter) -> Path:
    """`.venv` for the whole suite, `.venvs/3.X` for the core tests."""
    return MAIN if python == main else ROOT / ".venvs" / python.version


def ensure(folder: Path, python: Interpreter, extra: str) -> None:
    """Make the environment, or bring it up to date, unless its stamp says that it is ready."""
    stamp, wanted = folder / f".ready-{extra}", _digest()
    alive = _version_in(folder) == python.version
    if alive and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    start, name = time.monotonic(), folder.relative_to(ROOT)
    print(f"{name}: setting up with Python {python.full} (takes a moment) ...")
    if not alive:
        _run([python.path, "-m", "venv", "--clear", str(folder)])
    _install(folder, extra)
    stamp.write_text(wanted, encoding="utf-8")
    print(f"{name}: ready after {time.monotonic() - start:.0f} s")


def _install(folder: Path, extra: str) -> None:
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check"]
    _run([*pip, "--constraint", str(ROOT / "tools/constraints.txt"), "--editable", f"{ROOT}[{extra}]"])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        end = "\n".join(done.stdout.strip().splitlines()[-25:])
        raise CannotMakeError(f"{' '.join(command)}\n{end}")


def _version_in(folder: Path) -> str:
    """The version of the Python in an environment, or nothing when there is none that runs."""
    if not (folder / "bin/python").exists():
        return ""
    ask = [str(folder / "bin/python"), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()


def _digest() -> str:
    return hashlib.sha256(b"\0".join((ROOT / name).read_bytes() for name in MADE_FROM)).hexdigest()


def make_main(extra: str) -> None:
    """Make `.venv` with this extra, or end with what went wrong."""
    try:
        ensure(MAIN, Search().main, extra)
    except CannotMakeError as fault:
        raise SystemExit(f"{MAIN.name} could not be made.\n{fault}") from None


def make_all(search: Search) -> dict[str, str]:
    """Make every environment, two at a time; the answer has what went wrong, by version."""
    faults: dict[str, str] = {}

    def make(python: Interpreter) -> None:
        try:
            ensure(folder_for(python, search.main), python, "dev" if python == search.main else "test")
        except CannotMakeError as fault:
            faults[python.version] = str(fault)

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(make, [search.main, *search.others()]))
    return faults


def prepare() -> None:
    """Say what the tests will run on, and make it ready; only a fault in `.venv` ends it here."""
    search = Search()
    report(search)
    faults = make_all(search)
    for version, fault in faults.items():
        print(f"The environment for Python {version} could not be made.\n{fault}")
    if search.main.version in faults:
        raise SystemExit(1)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a plain text file it is
    prepare() if sys.argv[1:] == ["all"] else make_main(*sys.argv[1:])
