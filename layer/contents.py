"""What goes into the layer: our own modules, private copies of two packages, the wrapper; and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "xray_lambda"
PLACE = PurePosixPath("python/xray_lambda")
VENDORED = PLACE / "_vendored"

# What a function has no use for: the command line, the viewer, what tests use, and what decides, sends and describes
# the host where AWS does not. It would be a third of the zip.
LEFT_OUT = (
    "__main__.py", "_pytest_plugin.py", "cli/", "examples/", "plugins/", "sampling/", "testing.py", "viewer/",
    *(f"_emitters/{name}.py" for name in ("backlog", "choice", "direct", "endings", "memory", "notices", "service")),
)  # fmt: skip
# But for these, which doors of servers load everywhere.
KEPT = ("sampling/__init__.py", "sampling/request.py")
_BELONGS = re.compile(r"(\w+/)*(\w+\.py|py\.typed)")
# What the package does first in the layer, behind its own `__init__`.
START = Path(__file__).with_name("start.py")

# What every cold start loads, and so is read at once; tests/test_cold_start.py pins it.
FIRST = (
    "xray_lambda._annotations", "xray_lambda._api", "xray_lambda._callables", "xray_lambda._config",
    "xray_lambda._context", "xray_lambda._document", "xray_lambda._emitters", "xray_lambda._emitters.udp",
    "xray_lambda._entities", "xray_lambda._entity", "xray_lambda._guard", "xray_lambda._header", "xray_lambda._ids",
    "xray_lambda._recorder", "xray_lambda._recording", "xray_lambda._version", "xray_lambda.lambda_runtime",
    "xray_lambda.lambda_runtime.auto", "xray_lambda.lambda_runtime.handler", "xray_lambda.libraries",
    "xray_lambda.libraries._gates", "xray_lambda.libraries._patching",
)  # fmt: skip

# What is taken of each package, and what its `__init__` becomes: the whole of them would be three times as much, and
# jsonpickle's registers its handlers under its public name, which may be another copy's.
TAKEN = {
    "jsonpickle": ("backend.py", "compat.py", "errors.py", "handlers.py", "pickler.py", "tags.py", "util.py"),
    "wrapt": ("__wrapt__.py", "wrappers.py"),
}
_INIT = {
    "jsonpickle": "from .pickler import Pickler as Pickler\n",
    "wrapt": "from .__wrapt__ import BoundFunctionWrapper as BoundFunctionWrapper\n"
    "from .__wrapt__ import FunctionWrapper as FunctionWrapper\n"
    "from .__wrapt__ import ObjectProxy as ObjectProxy\n",
}


class BuildError(Exception):
    """The layer cannot be built as it should be; the text says what to do."""


class File(NamedTuple):
    """One file of the layer: where it lies below /opt, what is in it, and whether it can be run."""

    path: PurePosixPath
    content: bytes
    executable: bool = False


class Part(NamedTuple):
    """A package by others in the layer: its name, version and licence, and where its files were unpacked."""

    name: str
    version: str
    licence: str
    folder: Path


def own_files(package: Path = PACKAGE) -> Iterator[File]:
    """Yield our modules. Raises BuildError for a file that does not belong into the package."""
    for file in sorted(package.rglob("*")):
        name = file.relative_to(package).as_posix()
        if file.is_dir() or "__pycache__" in file.parts or not is_of_use(name):
            continue
        if not _BELONGS.fullmatch(name):
            raise BuildError(f"{file} does not belong into the layer: remove it, or teach layer/contents.py about it")
        yield File(PLACE / name, file.read_bytes() + (_start() if name == "__init__.py" else b""))


def is_of_use(name: str) -> bool:
    """Say whether a function may come to need a file of the package."""
    return name in KEPT or not name.startswith(LEFT_OUT)


def _start() -> bytes:
    """Return start.py as it can stand at the end of a module, whose first statement the future import must be."""
    return START.read_bytes().replace(b"from __future__ import annotations\n", b"")


def part_files(part: Part) -> Iterator[File]:
    """Yield what is taken of a package under its private name, its licence among it."""
    place = VENDORED / part.name
    about = f'"""What xray_lambda uses of {part.name} {part.version}, unchanged; see LICENSE."""\n'
    yield File(place / "__init__.py", (about + _INIT[part.name]).encode())
    for name in TAKEN[part.name]:
        file = part.folder / part.name / name
        if not file.is_file():
            raise BuildError(f"{part.name} {part.version} has no {name}: see what layer/contents.py takes of it")
        yield File(place / name, file.read_bytes())
    [licence] = part.folder.glob(f"{part.name}-*.dist-info/**/LICENSE")
    yield File(place / "LICENSE", licence.read_bytes())


def wrapper() -> File:
    """Return the script that AWS_LAMBDA_EXEC_WRAPPER names."""
    return File(PurePosixPath("xray-lambda"), (ROOT / "layer" / "xray-lambda").read_bytes(), executable=True)


def manifest(
    version: str, parts: list[Part], pythons: list[str], architectures: list[str], compiled: dict[str, str]
) -> File:
    """Return what is in the layer, for people and for scanners; `compiled` are the Pythons with byte code, in full."""
    said = {
        "name": "xray-lambda",
        "version": version,
        "licence": "Apache-2.0",
        "architectures": architectures,
        "runtimes": [f"python{python}" for python in pythons],
        "byte_code": compiled,
        "parts": [{"name": part.name, "version": part.version, "licence": part.licence} for part in parts],
    }
    return File(PLACE / "layer.json", (json.dumps(said, indent=2) + "\n").encode())


def init_file() -> File:
    """Return what makes the private copies a package."""
    return File(
        VENDORED / "__init__.py", b'"""Private copies of packages by others; each has its licence beside it."""\n'
    )
