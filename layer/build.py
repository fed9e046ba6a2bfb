"""Builds the Lambda layer: `./build.sh`, the same zip byte for byte each time."""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from contents import FIRST, ROOT, BuildError, File, init_file, manifest, own_files, part_files, wrapper
from interpreters import SUPPORTED, Search
from wheels import fetch

if TYPE_CHECKING:
    from collections.abc import Iterable

BUDGET_BYTES = 2_000_000
ARCHITECTURES = ("arm64", "x86_64")
LAMBDA_BUDGET = "Lambda takes 250 MB in all, and a cold start pays for each"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip files know no earlier time

# Run by each Python over the same tree: our modules into one file (see start.py), the rest beside their sources.
# Unchecked: nothing is compared with the source at a cold start, whatever times unpacking gives the files. Optimised:
# docstrings would be a sixth of what is loaded. The hash seed is fixed: sets of constants are written in their order.
_COMPILE = """
import importlib.util, marshal, pathlib, py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH

def bundle(codes, first):
    order, size = sorted(codes, key=lambda name: (name not in first, name)), 0
    while True:  # the table holds places behind itself, so its own size counts
        places, at = {}, size
        for name in order:
            places[name] = (codes[name][0], at, at := at + len(codes[name][1]))
        table = marshal.dumps(places, 2)
        if len(table) == size:
            break
        size = len(table)
    read = max(places[name][2] for name in first)
    body = b"".join([table, *(codes[name][1] for name in order)])
    return size.to_bytes(4, "little") + read.to_bytes(4, "little") + body

root, codes = pathlib.Path(sys.argv[1]), {}
for file in sorted(root.rglob("*.py")):
    shown = "/opt/python/" + file.relative_to(root).as_posix()
    inside = file.relative_to(root / "xray_lambda").as_posix()
    if inside == "__init__.py" or inside.startswith("_vendored/"):
        compiled = importlib.util.cache_from_source(str(file), optimization="")
        py_compile.compile(str(file), compiled, shown, doraise=True, optimize=2, invalidation_mode=mode)
    else:
        name = ".".join(["xray_lambda", *inside[:-3].split("/")]).removesuffix(".__init__")
        code = compile(file.read_bytes(), shown, "exec", dont_inherit=True, optimize=2)
        codes[name] = (inside, marshal.dumps(code))
content = importlib.util.MAGIC_NUMBER + bundle(codes, sys.argv[2].split(","))
(root / "xray_lambda" / f"_bundle.{sys.implementation.cache_tag}").write_bytes(content)
"""


def main() -> None:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, prog="./build.sh")
    parser.add_argument("--arch", choices=ARCHITECTURES, action="append", help="for this alone; the code is the same")
    parser.add_argument("--python", choices=SUPPORTED, action="append", help="byte code for this alone; default: all")
    parser.add_argument("--output", type=Path, help="the zip's name; default: dist/xray-lambda-layer.zip")
    parser.add_argument("--unpacked", type=Path, help="a folder to put the layer's files into as well, for sam build")
    arguments = parser.parse_args()
    try:
        output = output_for(arguments)
        build(arguments.python or list(SUPPORTED), arguments.arch or list(ARCHITECTURES), output)
        if arguments.unpacked:
            unpack(output, arguments.unpacked)
    except BuildError as error:
        sys.exit(f"./build.sh: {error}")


def output_for(arguments: argparse.Namespace) -> Path:
    """Return where the zip goes; a narrower one has what it is for in its name."""
    if arguments.output is not None:
        return Path(arguments.output)
    narrowed = "".join(f"-{one}" for one in [*(arguments.arch or []), *(arguments.python or [])])
    return ROOT / "dist" / f"xray-lambda-layer{narrowed}.zip"


def build(pythons: list[str], architectures: list[str], output: Path) -> None:
    """Build the zip and say what is in it. Raises BuildError where it would not be as it should."""
    found = {version: python for version, python in Search().found.items() if version in pythons}
    for version in pythons:
        if version not in found:
            print(f"Python {version} was not found: its runtime will compile the layer's code at each cold start.")
    with tempfile.TemporaryDirectory() as scratch:
        print("Fetching wrapt and jsonpickle ...")
        parts = fetch(Path(scratch))
        compiled = {name: python.full for name, python in found.items()}
        described = manifest(_version(), parts, pythons, architectures, compiled)
        files = [*own_files(), init_file(), *(file for part in parts for file in part_files(part)), described]
        tree = Path(scratch) / "tree"
        write_tree(tree, files)
        for python in found.values():
            print(f"Compiling with Python {python.full} ...")
            compile_tree(python.path, tree / "python")
        write_zip(output, [*read_tree(tree), wrapper()])
    report(output)


def write_tree(tree: Path, files: Iterable[File]) -> None:
    """Write files into a folder, as they will lie below /opt."""
    for file in files:
        target = tree / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)


def read_tree(tree: Path) -> list[File]:
    """Return the files of a folder, byte code included."""
    files = [file for file in sorted(tree.rglob("*")) if file.is_file()]
    return [File(PurePosixPath(file.relative_to(tree).as_posix()), file.read_bytes()) for file in files]


def compile_tree(python: str, folder: Path) -> None:
    """Put this Python's byte code beside the sources."""
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [python, "-B", "-c", _COMPILE, str(folder), ",".join(FIRST)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{python} could not compile the layer:\n{done.stdout}{done.stderr}")


def write_zip(output: Path, files: Iterable[File]) -> None:
    """Write the files in their order, all of one date. Raises BuildError, and leaves nothing, above the budget."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(files):
            entry = zipfile.ZipInfo(str(file.path), _EPOCH)
            entry.create_system = 3  # Unix, so that the mode counts
            entry.external_attr = (0o755 if file.executable else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.content)
    size = output.stat().st_size
    if size > BUDGET_BYTES:
        output.unlink()
        raise BuildError(f"the layer has {size:,} bytes, more than the {BUDGET_BYTES:,} it may: {LAMBDA_BUDGET}")


def unpack(archive: Path, folder: Path) -> None:
    """Put a zip's files into a folder, each with its mode."""
    with zipfile.ZipFile(archive) as zipped:
        for entry in zipped.infolist():
            Path(zipped.extract(entry, folder)).chmod(entry.external_attr >> 16)


def report(output: Path) -> None:
    """Say what was built, last of all its SHA-256."""
    with zipfile.ZipFile(output) as archive:
        entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    name = output.relative_to(Path.cwd()) if output.is_relative_to(Path.cwd()) else output
    print(f"{name}: {output.stat().st_size:,} bytes, {len(entries)} files, {unpacked:,} bytes unpacked")
    print(f"SHA-256 {hashlib.sha256(output.read_bytes()).hexdigest()}")


def _version() -> str:
    names: dict[str, str] = {}
    exec((ROOT / "xray_lambda" / "_version.py").read_text(encoding="utf-8"), names)  # noqa: S102 - our own one line
    return names["VERSION"]


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a plain text file it is
    main()
