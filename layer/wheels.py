"""The packages by others that the layer carries: fetched in pinned versions, checked by their hashes, unpacked."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from contents import BuildError, Part

PINS = Path(__file__).with_name("vendored.txt")
CACHE = PINS.parent.parent / "build" / "wheels"  # so that a second build needs no network


def fetch(folder: Path) -> list[Part]:
    """Unpack wrapt and jsonpickle into `folder`, in pure Python: the same on every Python and architecture.

    wrapt's C part would make its wrappers faster, of which there is one a function of C: 0.6 MB of the zip for that.
    """
    downloads, unpacked = folder / "wheels", folder / "unpacked"
    _download(downloads)
    for wheel in sorted(downloads.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
    return [_part(unpacked, name) for name in ("jsonpickle", "wrapt")]


def _download(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps"]
    pure = ["--require-hashes", "--only-binary=:all:", "--implementation=py", "--abi=none", "--platform=any"]
    command = [*pip, *pure, f"--dest={folder}", f"--requirement={PINS}"]
    if _succeeds([*command, "--no-index", f"--find-links={CACHE}"]):
        return
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"pip could not fetch what the layer carries:\n{done.stderr.strip()[-2000:]}")
    CACHE.mkdir(parents=True, exist_ok=True)
    for wheel in folder.glob("*.whl"):
        shutil.copy(wheel, CACHE)


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _part(unpacked: Path, name: str) -> Part:
    [described] = unpacked.glob(f"{name}-*.dist-info/METADATA")
    metadata = email.message_from_bytes(described.read_bytes())
    licence = metadata["License-Expression"] or metadata["License"]
    return Part(name, metadata["Version"], licence, unpacked)
