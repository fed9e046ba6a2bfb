"""gunicorn --preload: the program samples already when its workers are forked, and each of them goes on by itself."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.servers.process import HOST, free_port, listens, running
from tests.servers.xray_api import XRayAPI, rule

pytestmark = pytest.mark.full
PATIENCE = 30
ROOT = Path(__file__).parents[2]


def test_each_worker_of_a_preloaded_program_asks_and_reports_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    options = ["--preload", "-w", "3", "-b", f"{HOST}:{port}", "--chdir", str(ROOT)]
    command = [sys.executable, "-m", "gunicorn", *options, "tests.sampling.server_app:wsgi"]
    with XRayAPI([rule("Default", 10_000, 1.0)]) as api:
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", api.address)
        monkeypatch.setenv("XRAY_LAMBDA_SAMPLING", "central")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        answered: dict[str, int] = {}
        with running(command, tmp_path, lambda: listens(port)):
            end = time.monotonic() + PATIENCE
            while len(answered) < 3 or len({one["ClientID"] for one in api.statistics}) < 4:
                assert time.monotonic() < end, (answered, api.statistics)
                with urlopen(f"http://{HOST}:{port}/", timeout=PATIENCE) as answer:
                    worker, by, parent = answer.read().decode().split()
                assert by == "Default", "the rules that the parent has are in force at once"
                answered[worker] = answered.get(worker, 0) + 1
        assert api.asked("/GetSamplingRules") == 4
        of_workers = [one for one in api.statistics if one["ClientID"] != parent]
    assert len({one["ClientID"] for one in of_workers}) >= 3
    assert 3 <= sum(one["RequestCount"] for one in of_workers) <= sum(answered.values())
