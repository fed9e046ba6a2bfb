"""`xray-lambda doctor` where documents go straight to X-Ray: by what right, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import run, run_json

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.full
AWS = {
    "XRAY_LAMBDA_EMITTER": "direct",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "AKIAMADEUPKEYID0001",
    "AWS_SECRET_ACCESS_KEY": "hush",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def test_region_endpoint_and_credentials_are_told_and_the_daemon_is_not_needed(tmp_path: Path) -> None:
    text = run("doctor", cwd=tmp_path, HOME=str(tmp_path), **AWS).stdout
    assert "To https://xray.eu-west-1.amazonaws.com, region eu-west-1, by PutTraceSegments" in text
    assert "Credentials: env." in text
    assert "Not used: emitter=direct." in text
    assert "documents are lost" not in text
    assert "hush" not in text
    _, said = run_json("doctor", cwd=tmp_path, HOME=str(tmp_path), **AWS)
    assert said["direct"] == {
        "endpoint": "https://xray.eu-west-1.amazonaws.com",
        "region": "eu-west-1",
        "credentials": "env",
        "problem": None,
    }


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ("AWS_DEFAULT_REGION", "say the region in AWS_REGION or AWS_DEFAULT_REGION"),
        ("AWS_ACCESS_KEY_ID", "There are no credentials. What to do: give the program valid credentials"),
    ],
)
def test_what_is_missing_is_told_with_what_to_do(tmp_path: Path, without: str, said: str) -> None:
    environ = {name: value for name, value in AWS.items() if name != without}
    assert said in run("doctor", cwd=tmp_path, HOME=str(tmp_path), **environ).stdout


def test_auto_tells_of_both_ways_and_udp_of_the_daemon_alone(tmp_path: Path) -> None:
    both = run("doctor", cwd=tmp_path, HOME=str(tmp_path), **{**AWS, "XRAY_LAMBDA_EMITTER": "auto"}).stdout
    assert "UDP 127.0.0.1 port" in both
    assert "Straight to X-Ray" in both
    one = run("doctor", cwd=tmp_path, HOME=str(tmp_path)).stdout
    assert "Straight to X-Ray" not in one


def test_in_lambda_direct_is_told_to_be_out_of_place(tmp_path: Path) -> None:
    inside = {"AWS_LAMBDA_FUNCTION_NAME": "till", "LAMBDA_TASK_ROOT": "/var/task"}
    text = run("doctor", cwd=tmp_path, HOME=str(tmp_path), **AWS, **inside).stdout
    assert "emitter=direct is not for Lambda, where AWS runs the X-Ray daemon: udp is used." in text
