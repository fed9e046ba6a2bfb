"""The viewer is a house apart: it imports nothing of the tracer, and a function never pays for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.full
PROGRAM = """
import pkgutil, sys
from xray_lambda import viewer
for module in pkgutil.walk_packages(viewer.__path__, "xray_lambda.viewer."):
    __import__(module.name)
print(*sorted(name for name in sys.modules if name.startswith("xray_lambda.") and ".viewer" not in name))
"""


def test_the_viewer_imports_nothing_of_the_tracer() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["xray_lambda._version"]


def test_the_commands_do_without_the_viewers_libraries_until_it_is_asked_for() -> None:
    program = "import sys; from xray_lambda.cli import main; main(['doctor', '--json']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"orjson", "starlette", "uvicorn", "sqlite3"} & set(done.stdout.split())
