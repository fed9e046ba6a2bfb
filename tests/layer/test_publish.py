"""layer/publish.py puts the zip into every region once, and a dry run does nothing at all."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.layer.conftest import ROOT
from tests.servers.moto import moto_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.full
ACCOUNT = {"AWS_ACCESS_KEY_ID": "shop", "AWS_SECRET_ACCESS_KEY": "shop"}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto")) as url:
        yield url


def publish(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "layer" / "publish.py"), *arguments]
    return subprocess.run(command, env={**os.environ, **ACCOUNT}, capture_output=True, text=True, check=False)


def versions(aws: str, region: str) -> list[dict[str, object]]:
    import boto3  # the core tests have none, and leave this out

    keys = {"aws_access_key_id": "shop", "aws_secret_access_key": "shop"}
    client = boto3.client("lambda", region_name=region, endpoint_url=aws, **keys)
    found: list[dict[str, object]] = client.list_layer_versions(LayerName="xray-lambda")["LayerVersions"]
    return found


def test_it_publishes_once_a_region(built: Path, aws: str) -> None:
    options = ["--zip", str(built), "--region", "eu-central-1", "--region", "us-east-1", "--endpoint-url", aws]
    first = publish(*options)
    assert first.returncode == 0, first.stderr
    _, europe, america = first.stdout.splitlines()
    assert europe.startswith("[1/2] eu-central-1: published arn:aws:lambda:eu-central-1:")
    assert america.startswith("[2/2] us-east-1: published arn:aws:lambda:us-east-1:")
    again = publish(*options)
    assert again.stdout.count(": is there already: arn:aws:lambda:") == 2
    for region in ("eu-central-1", "us-east-1"):
        [version] = versions(aws, region)
        assert version["CompatibleRuntimes"] == [f"python3.{minor}" for minor in range(10, 15)]
        assert version["CompatibleArchitectures"] == ["arm64", "x86_64"]


def test_a_dry_run_says_what_it_would_do_without_an_account(built: Path) -> None:
    done = publish("--zip", str(built), "--dry-run", "--endpoint-url", "http://127.0.0.1:9")
    assert done.returncode == 0
    head, *regions = done.stdout.splitlines()
    assert "SHA-256" in head
    assert len(regions) == 16
    assert all(line.endswith(": would publish") for line in regions)


def test_a_missing_zip_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    done = publish("--zip", str(tmp_path / "layer.zip"))
    assert done.returncode != 0
    assert "run ./build.sh first" in done.stderr
