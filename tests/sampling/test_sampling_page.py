"""docs/sampling.md: the file, the commands and the code that it shows are tried, and do what it says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import run
from tests.servers.xray_api import XRayAPI, rule
from xray_lambda import configure, subsegment
from xray_lambda._recorder import active
from xray_lambda.sampling import local_rules
from xray_lambda.sampling.local import LocalSampler
from xray_lambda.sampling.request import SamplingRequest
from xray_lambda.testing import HEADER, capture

pytestmark = pytest.mark.full
PAGE = (Path(__file__).parents[2] / "docs" / "sampling.md").read_text("utf-8")


def block(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_file_is_sound_and_means_what_is_said() -> None:
    rules = local_rules.load(json.loads(block("json")))
    sampler = LocalSampler(rules, chance=lambda: 0.6)
    requests = {
        "checkout": SamplingRequest("shop", "any", "POST", "/checkout/1"),
        "health": SamplingRequest("shop", "any", "GET", "/health"),
        "other": SamplingRequest("shop", "any", "GET", "/"),
    }
    recorded = {name: sum(sampler.decide_at(1.0, one).sampled for _ in range(50)) for name, one in requests.items()}
    assert recorded == {"checkout": 10, "health": 0, "other": 1}


def test_a_mistake_is_told_in_the_words_of_the_page() -> None:
    rules = json.loads(block("json"))
    rules["rules"][0]["rate"] = 1.5
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the page has the message
        configure(sampling="local", sampling_rules=rules)
    assert str(caught.value).removeprefix("sampling_rules: ") in PAGE


def test_the_doctor_prints_what_the_page_shows(tmp_path: Path) -> None:
    shown = block("console").partition("Sampling\n")[2]
    with XRayAPI([rule("checkout", 100, 0.5, 10), rule("Default", 10_000)]) as api:
        said = run("doctor", cwd=tmp_path, AWS_XRAY_DAEMON_ADDRESS=api.address).stdout
    assert shown.replace(":2000", f":{api.port}") in said


def test_the_command_samples_by_the_file(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(block("json"))
    (tmp_path / "app.py").write_text(
        "from xray_lambda import segment\nprint(sum(segment('x').sampled for _ in range(3)) >= 1)\n"
    )
    import os
    import subprocess

    settings = dict(re.findall(r"(XRAY_LAMBDA_\w+)=(\S+)", block("sh")))
    command = block("sh").split()[-2:]
    assert command == ["python", "app.py"]
    environ = {**os.environ, **settings, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert settings == {"XRAY_LAMBDA_SAMPLING": "local", "XRAY_LAMBDA_SAMPLING_RULES": "rules.json"}


def test_a_worker_that_begins_unsampled_records_what_senders_recorded() -> None:
    unsampled = HEADER.replace("Sampled=1", "Sampled=0")
    messages = [
        {"headers": {"X-Amzn-Trace-Id": header}, "n": n} for n, header in enumerate([HEADER, unsampled, HEADER])
    ]

    def handle(message: dict[str, Any]) -> None:
        with subsegment(f"handle {message['n']}"):
            pass

    with capture(header=None) as traces:
        exec(block("python"), {"poll": lambda: messages, "handle": handle})  # noqa: S102 - the page's own code
    assert [root.names() for root in traces.roots] == [("order", [("handle 0", [])]), ("order", [("handle 2", [])])]


def test_every_word_of_the_setting_is_explained() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) >= {"central", "local", "all", "none"}
    assert active().config.sampling == "all", "in the tests"
