"""`xray-lambda doctor` says what tracing would find, and how sure it is."""

from __future__ import annotations

import importlib.metadata
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import xray_lambda
from tests.cli.commands import run, run_json
from xray_lambda import _config
from xray_lambda.libraries import SUPPORTED

pytestmark = pytest.mark.full


@pytest.fixture
def port() -> Iterator[socket.socket]:
    """A UDP port on loopback that is open and answers nothing, as a daemon's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        yield listening


def address(listening: socket.socket) -> str:
    host, number = listening.getsockname()[:2]
    return f"{host}:{number}"


def test_a_port_where_nothing_listens_is_refused(tmp_path: Path, port: socket.socket) -> None:
    where = address(port)
    port.close()
    done = run("doctor", cwd=tmp_path, AWS_XRAY_DAEMON_ADDRESS=where)
    number = where.rpartition(":")[2]
    assert done.returncode == 0
    assert f"UDP 127.0.0.1 port {number}: refused. Nothing listens there; documents are lost." in done.stdout
    assert f"TCP 127.0.0.1 port {number}: refused." in done.stdout
    assert "Start the X-Ray daemon, or say in AWS_XRAY_DAEMON_ADDRESS where it is" in done.stdout


def test_an_open_udp_port_is_told_of_as_no_more_than_that(tmp_path: Path, port: socket.socket) -> None:
    done = run("doctor", cwd=tmp_path, AWS_XRAY_DAEMON_ADDRESS=address(port))
    assert "not refused, so something listens there. UDP cannot be asked whether it is a daemon." in done.stdout
    assert "Start the X-Ray daemon" not in done.stdout
    assert port.recv(100) == b""


def test_a_daemon_is_looked_for_over_udp_and_tcp(tmp_path: Path, port: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        where = f"tcp:{address(proxy)} udp:{address(port)}"
        code, said = run_json("doctor", cwd=tmp_path, AWS_XRAY_DAEMON_ADDRESS=where)
    assert code == 0
    assert (said["daemon"]["udp"], said["daemon"]["tcp"]) == ("silent", "open")
    assert said["daemon"]["address"] == where


def test_a_name_that_does_not_resolve_is_told_of(tmp_path: Path) -> None:
    _, said = run_json("doctor", cwd=tmp_path, AWS_XRAY_DAEMON_ADDRESS="nowhere.invalid:2000")
    assert (said["daemon"]["udp"], said["daemon"]["tcp"]) == ("unresolved", "unresolved")


def test_each_setting_is_shown_with_where_it_came_from(tmp_path: Path) -> None:
    _, said = run_json("doctor", cwd=tmp_path, AWS_XRAY_TRACING_NAME="till")
    assert list(said["settings"]) == [row.name for row in _config.SETTINGS]
    assert said["settings"]["service"] == {"value": "till", "source": "AWS_XRAY_TRACING_NAME"}
    assert said["settings"]["daemon_address"] == {"value": "127.0.0.1:2000", "source": "default"}
    text = run("doctor", cwd=tmp_path, AWS_XRAY_TRACING_NAME="till").stdout
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines() if line.startswith("  ")}
    assert lines["service"] == "till set by AWS_XRAY_TRACING_NAME"
    assert lines["enabled"] == "true default; AWS_XRAY_SDK_ENABLED sets it"
    assert lines["ignore"] == "(none) default; configure() sets it"


def test_a_setting_that_makes_no_sense_is_a_problem(tmp_path: Path) -> None:
    done = run("doctor", cwd=tmp_path, AWS_XRAY_SDK_ENABLED="perhaps\x1b[31m")
    [line] = [line for line in done.stdout.splitlines() if "perhaps" in line]
    assert line.startswith("  AWS_XRAY_SDK_ENABLED='perhaps")
    assert "\x1b" not in done.stdout


def test_inside_and_outside_lambda_are_told_apart(tmp_path: Path) -> None:
    assert "Not inside Lambda" in run("doctor", cwd=tmp_path).stdout
    inside = {"AWS_LAMBDA_FUNCTION_NAME": "till", "LAMBDA_TASK_ROOT": "/var/task"}
    assert "Inside Lambda, function till; no trace header" in run("doctor", cwd=tmp_path, **inside).stdout
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"
    done = run("doctor", cwd=tmp_path, _X_AMZN_TRACE_ID=header, **inside)
    assert "the trace header's Sampled is 0" in done.stdout


def test_the_versions_are_those_installed(tmp_path: Path) -> None:
    _, said = run_json("doctor", cwd=tmp_path)
    assert said["version"] == xray_lambda.__version__
    assert said["python"] == ".".join(map(str, sys.version_info[:3]))
    assert said["runtime_client"] == importlib.metadata.version("awslambdaric")
    assert list(said["libraries"]) == list(SUPPORTED)
    assert said["libraries"]["threads"] == "part of Python"


def test_secrets_in_the_environment_are_never_printed(tmp_path: Path) -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY": "hush-1", "AWS_SESSION_TOKEN": "hush-2", "XRAY_LAMBDA_PASSWORD": "hush-3"}
    for option in ([], ["--json"]):
        assert "hush" not in run("doctor", *option, cwd=tmp_path, **secrets).stdout
