"""Makes the virtual environments that the Makefile works in; quick when they stand already."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterable, NamedTuple

from interpreters import Interpreter, Search, report

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"
MAIN = ROOT / ".venv"
PINS = ("constraints.txt", "libraries.txt", "aws.txt", "newest-web.txt", "oldest.txt", "oldest-aws.txt", "sam.txt")
MADE_FROM = ("pyproject.toml", "xray_lambda/_version.py", *(f"tools/{name}" for name in PINS))


class CannotMakeError(Exception):
    """An environment could not be made; the text is what venv or pip said."""


class Environment(NamedTuple):
    """A folder with a Python and what is installed in it: extras of ours, in the versions of the pin files.

    A later file of `pins` wins over an earlier one. `optional` are packages that may fail to build, `groups` those of
    the library and web tests that run there: tests/libraries/conftest.py and tests/web/conftest.py have them.
    """

    folder: Path
    python: Interpreter
    extras: str
    pins: tuple[str, ...]
    optional: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What people call it: its folder, seen from the checkout."""
        return str(self.folder.relative_to(ROOT))

    def has(self, package: str) -> bool:
        """Whether an optional package could be installed."""
        return not (self.folder / f".without-{package}").exists()


def main_environment(python: Interpreter, extras: str) -> Environment:
    """`.venv`, where the whole suite runs."""
    optional = ("mysqlclient",) if extras == "dev" else ()
    groups = ("libraries", "boto", "web", "newest-web")
    return Environment(MAIN, python, extras, ("constraints.txt", "libraries.txt"), optional, groups)


def core_environment(python: Interpreter, aws: tuple[str, ...]) -> Environment:
    """`.venvs/3.X`, where the core tests run, and AWS's libraries are tested in the versions that `aws` pins.

    With the newest of them go the newest web frameworks.
    """
    folder = ROOT / ".venvs" / python.version
    if not aws:
        return Environment(folder, python, "test", ("constraints.txt",))
    if "newest-web.txt" in aws:
        groups = ("boto", "aws", "web", "newest-web")
        return Environment(folder, python, "test,aws,web", ("constraints.txt", *aws), groups=groups)
    return Environment(folder, python, "test,aws", ("constraints.txt", *aws), groups=("boto", "aws"))


def oldest_environment(python: Interpreter) -> Environment:
    """`.venvs/oldest`, where library and web tests run with the oldest version of each that we claim, but AWS's."""
    return Environment(
        ROOT / ".venvs" / "oldest",
        python,
        "test,libraries,web",
        ("constraints.txt", "oldest.txt"),
        ("mysqlclient",),
        ("libraries", "web"),
    )


def sam_environment(python: Interpreter) -> Environment:
    """`.venvs/sam`, with the SAM CLI, whose dependencies go with nobody else's; nothing runs in it but that."""
    return Environment(ROOT / ".venvs" / "sam", python, "sam", ("sam.txt",))


def environments(search: Search) -> list[Environment]:
    """Return every environment that `make test` works in, the one of the whole suite first."""
    others = search.others()
    cores = [core_environment(python, _pins_for_aws(python, others)) for python in others]
    return [main_environment(search.main, "dev"), oldest_environment(search.oldest), *cores]


def _pins_for_aws(python: Interpreter, others: list[Interpreter]) -> tuple[str, ...]:
    """The newest Python gets the newest of AWS's libraries and of web frameworks, the oldest one the oldest."""
    if python is others[-1]:
        newest = ("libraries.txt", "aws.txt")
        return (*newest, "newest-web.txt") if _number(python) >= (3, 12) else newest
    return ("oldest-aws.txt",) if python is others[0] else ()


def _number(python: Interpreter) -> tuple[int, ...]:
    return tuple(int(part) for part in python.version.split("."))


def ensure(environment: Environment) -> None:
    """Make the environment, or bring it up to date, unless its stamp says that it is ready."""
    folder, python = environment.folder, environment.python
    stamp, wanted = folder / f".ready-{environment.extras}", _digest()
    alive = _version_in(folder) == python.version
    if alive and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    start = time.monotonic()
    print(f"{environment.name}: setting up with Python {python.full} (takes a moment) ...")
    if not alive:
        _run([python.path, "-m", "venv", "--clear", str(folder)])
    _install(environment)
    stamp.write_text(wanted, encoding="utf-8")
    print(f"{environment.name}: ready after {time.monotonic() - start:.0f} s")


def _install(environment: Environment) -> None:
    folder = environment.folder
    pins = folder / "pins.txt"
    pins.write_text("\n".join(merged(environment.pins)) + "\n", encoding="utf-8")
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check"]
    _run([*pip, "--constraint", str(pins), "--editable", f"{ROOT}[{environment.extras}]"])
    for package in environment.optional:
        without = folder / f".without-{package}"
        without.unlink(missing_ok=True)
        try:
            _run([*pip, "--constraint", str(pins), package])
        except CannotMakeError as fault:
            without.write_text(str(fault), encoding="utf-8")
            reason = str(fault).splitlines()[-1]
            print(f"{environment.name}: {package} could not be installed, its tests are left out ({reason})")


def merged(files: Iterable[str]) -> list[str]:
    """Return the lines of pin files as one; where two pin the same package, the later one counts."""
    pins: dict[str, str] = {}
    for file in files:
        for line in (TOOLS / file).read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                pins[re.sub("[-_.]+", "-", line.partition("==")[0]).lower()] = line
    return list(pins.values())


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


def make_main(extras: str) -> None:
    """Make `.venv` with these extras, or end with what went wrong."""
    try:
        ensure(main_environment(Search().main, extras))
    except CannotMakeError as fault:
        raise SystemExit(f"{MAIN.name} could not be made.\n{fault}") from None


def make_all(search: Search) -> dict[str, str]:
    """Make every environment, two at a time; the answer has what went wrong, by environment."""
    faults: dict[str, str] = {}

    def make(environment: Environment) -> None:
        try:
            ensure(environment)
        except CannotMakeError as fault:
            faults[environment.name] = str(fault)

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(make, [*environments(search), sam_environment(search.main)]))
    return faults


def prepare() -> None:
    """Say what the tests will run on, and make it ready; only a fault in `.venv` ends it here."""
    search = Search()
    report(search)
    faults = make_all(search)
    for name, fault in faults.items():
        print(f"The environment {name} could not be made.\n{fault}")
    if MAIN.name in faults:
        raise SystemExit(1)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a plain text file it is
    prepare() if sys.argv[1:] == ["all"] else make_main(*sys.argv[1:])
