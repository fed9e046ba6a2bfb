"""`xray-lambda doctor` on sampling: who decides, and by which rules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import run, run_json
from tests.servers.process import HOST, free_port
from tests.servers.xray_api import THROTTLED, XRayAPI, rule

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.full

RULE = {"host": "*", "http_method": "*", "url_path": "/x", "fixed_target": 0, "rate": 0}
DEFAULT = {"fixed_target": 2, "rate": 0.125}


def test_xrays_rules_are_listed_as_the_daemon_has_them(tmp_path: Path) -> None:
    rules = [rule("Default", 10_000), rule("check\x1bout", 5, 0.5, 10)]
    with XRayAPI(rules) as api:
        code, said = run_json("doctor", cwd=tmp_path, AWS_XRAY_DAEMON_ADDRESS=api.address)
        text = run("doctor", cwd=tmp_path, AWS_XRAY_DAEMON_ADDRESS=api.address).stdout
    first, checkout, default, fallback = said["sampling"]
    assert code == 0
    assert (
        first
        == f"central: X-Ray's rules, from the X-Ray daemon at {HOST}:{api.port} (TCP); the first that fits decides:"
    )
    assert checkout.startswith("      5  check")
    assert checkout.endswith("out: 10 a second and 50 % of the rest")
    assert default == "  10000  Default: 1 a second and 5 % of the rest"
    assert fallback == "Until they are there, and where they cannot be had: 1 a second and 5 % of the rest."
    assert "Sampling\n  central: X-Ray's rules, from" in text
    assert "\x1b" not in text


def test_a_daemon_that_has_none_is_told_of(tmp_path: Path) -> None:
    with XRayAPI() as api:
        api.faulty = THROTTLED
        _, said = run_json("doctor", cwd=tmp_path, AWS_XRAY_DAEMON_ADDRESS=api.address)
    assert said["sampling"][0].startswith("central: X-Ray's rules cannot be had from the X-Ray daemon at 127.0.0.1:")
    _, said = run_json("doctor", cwd=tmp_path, AWS_XRAY_DAEMON_ADDRESS=f"{HOST}:{free_port()}")
    assert "ConnectionRefusedError" in said["sampling"][0]


def test_of_many_rules_the_first_ones_are_listed(tmp_path: Path) -> None:
    with XRayAPI([rule(f"r{number}", number + 1) for number in range(40)]) as api:
        _, said = run_json("doctor", cwd=tmp_path, AWS_XRAY_DAEMON_ADDRESS=api.address)
    assert len(said["sampling"]) == 33
    assert said["sampling"][31] == "  and 10 more"


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("all", "all: every trace that begins here is recorded."),
        ("none", "none: no trace that begins here is recorded; those that upstream decided to record are."),
        ("local", "local: 1 a second and 5 % of the rest."),
    ],
)
def test_one_line_says_who_decides(tmp_path: Path, word: str, words: str) -> None:
    _, said = run_json("doctor", cwd=tmp_path, XRAY_LAMBDA_SAMPLING=word)
    assert said["sampling"] == [words]


def test_local_rules_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"version": 2, "default": DEFAULT, "rules": [RULE]}))
    _, said = run_json("doctor", cwd=tmp_path, XRAY_LAMBDA_SAMPLING="local", XRAY_LAMBDA_SAMPLING_RULES="rules.json")
    assert said["sampling"] == ["local: 1 rule of rules.json, then 2 a second and 12.5 % of the rest."]
    assert said["problems"] == []


def test_bad_local_rules_are_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"version": 2, "default": DEFAULT, "rules": [{**RULE, "rate": 2}]}))
    _, said = run_json("doctor", cwd=tmp_path, XRAY_LAMBDA_SAMPLING="local", XRAY_LAMBDA_SAMPLING_RULES="rules.json")
    assert said["sampling"] == ["local: 1 a second and 5 % of the rest."]
    assert said["problems"] == ["sampling_rules: rule 1: rate is 2, expected 0 to 1; the default rules stand"]


def test_straight_to_xray_the_doctor_asks_nothing(tmp_path: Path) -> None:
    _, said = run_json("doctor", cwd=tmp_path, XRAY_LAMBDA_EMITTER="direct")
    assert said["sampling"][0].startswith(
        "central: X-Ray's rules, asked for straight, which needs xray:GetSamplingRules"
    )


def test_in_lambda_lambda_decides(tmp_path: Path) -> None:
    inside = {"AWS_LAMBDA_FUNCTION_NAME": "till", "LAMBDA_TASK_ROOT": "/var/task"}
    _, said = run_json("doctor", cwd=tmp_path, **inside)
    assert said["sampling"][0].startswith("Lambda decides")
