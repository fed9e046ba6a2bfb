"""The packages by others that the layer carries: fetched in pinned versions, checked by their hashes, unpacked."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from contents import BuildError, Part

PINS = Path(__file__).with_name("vendored.txt")
CACHE = PINS.parent.parent / "build" / "wheels"  # so that a second build needs no network
# Lambda's name of an architecture: the wheels' platforms; Python 3.10 and 3.11 run on a system of 2014.
PLATFORMS = {
    "x86_64": ("manylinux2014_x86_64", "manylinux_2_28_x86_64"),
    "arm64": ("manylinux2014_aarch64", "manylinux_2_28_aarch64"),
}


def fetch(folder: Path, pythons: list[str], architectures: list[str]) -> list[Part]:
    """Unpack wrapt and jsonpickle into `folder`, wrapt's C parts for every Python and architecture side by side."""
    downloads = folder / "wheels"
    targets = [(python, architecture) for python in pythons for architecture in architectures]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda target: _download(downloads, *target), targets))
    _keep(downloads)
    unpacked = folder / "unpacked"
    for wheel in sorted(downloads.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
    return [_part(unpacked, name) for name in ("jsonpickle", "wrapt")]


def _download(folder: Path, python: str, architecture: str) -> None:
    platforms = [f"--platform={platform}" for platform in PLATFORMS[architecture]]
    pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps"]
    exact = ["--require-hashes", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *platforms]
    command = [*pip, *exact, f"--dest={folder}", f"--requirement={PINS}"]
    if _succeeds([*command, "--no-index", f"--find-links={CACHE}"]):
        return
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(
            f"pip could not fetch the layer's parts for {python} on {architecture}:\n{done.stderr[-2000:]}"
        )


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _keep(wheels: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    for wheel in wheels.glob("*.whl"):
        shutil.copy(wheel, CACHE)


def _part(unpacked: Path, name: str) -> Part:
    [described] = unpacked.glob(f"{name}-*.dist-info/METADATA")
    metadata = email.message_from_bytes(described.read_bytes())
    licence = metadata["License-Expression"] or metadata["License"]
    return Part(name, metadata["Version"], licence, unpacked)
