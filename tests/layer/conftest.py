"""The layer, built once a run and unpacked."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip that ./build.sh makes."""
    output = tmp_path_factory.mktemp("built") / "layer.zip"
    command = [sys.executable, str(ROOT / "layer" / "build.py"), f"--output={output}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return output


@pytest.fixture(scope="session")
def layer(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer as it lies below /opt."""
    folder = tmp_path_factory.mktemp("opt")
    with zipfile.ZipFile(built) as archive:
        for entry in archive.infolist():
            target = Path(archive.extract(entry, folder))
            target.chmod((entry.external_attr >> 16) & 0o555)
    return folder


@pytest.fixture(scope="session")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No layer at all."""
    return tmp_path_factory.mktemp("no-layer")
