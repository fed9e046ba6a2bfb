"""`xray-lambda demo` shows the sample shop: nested, failing and annotated subsegments, AWS, HTTP and SQL calls."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import PATIENCE, run, run_json, start
from tests.cli.viewers import viewing
from tests.viewer.running import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.full  # the sample needs moto, which only the environment of the whole suite has


def shape(document: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return the names of a document's tree."""
    return (document["name"].partition(":")[0], [shape(child) for child in document.get("subsegments", ())])


def test_the_first_lines_say_what_is_to_be_seen(tmp_path: Path) -> None:
    done = run("demo", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("A shop's order in the real Lambda runtime: ")
    assert "order=A-1017  customer_tier=gold" in done.stdout
    assert "✗ app.CardDeclinedError: Ada's card allows 50.00, not 60.50" in done.stdout
    assert "sql SQLite UPDATE stock SET left = left - ? WHERE item = ? AND left >= ?" in done.stdout


def test_the_sample_nests_fails_and_calls_aws_http_and_sql(tmp_path: Path) -> None:
    code, said = run_json("demo", cwd=tmp_path)
    assert (code, said["result"]["paid_by"]) == (0, "invoice")
    [handler] = said["documents"]
    reserve: tuple[str, list[Any]] = ("reserve", [("stock.db", [])])
    pay: tuple[str, list[Any]] = ("pay", [("charge", [("127.0.0.1", [])]), ("send invoice", [])])
    assert shape(handler)[1] == [("price", [("DynamoDB", [])]), reserve, reserve, pay, ("S3", []), ("SQS", [])]
    assert handler["metadata"]["default"]["basket"] == {"teapot": 1, "cup": 4}
    [charge, _] = handler["subsegments"][3]["subsegments"]
    [bank] = charge["subsegments"]
    assert ("fault" in handler, charge["fault"], bank["error"], "fault" in bank) == (False, True, True, False)
    assert bank["http"]["request"]["traced"] is True
    assert bank["http"]["response"]["status"] == 402


def test_a_missing_package_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['moto'] = None\n")
    done = run("demo", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode != 0
    assert "moto" in done.stderr
    assert "pip install 'xray-lambda[demo]'" in done.stderr


def test_with_view_its_trace_stands_on_the_screen_within_two_seconds(tmp_path: Path) -> None:
    ports = ("--port", "0", "--screen-port", "0", "--no-open")
    with start("demo", "--view", *ports, cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path)) as process:
        assert process.stdout is not None
        said = next(line for line in process.stdout if line.startswith("The trace is on the screen: "))
        screen, trace_id = said.split()[-1].split("?trace=")
        deadline = time.monotonic() + 2
        while not (trace := shown(screen, trace_id)) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert trace, "the trace did not come within two seconds"
    assert (trace["name"], trace["origin"]) == ("shop", "AWS::Lambda::Function")
    assert trace["annotations"]["order"] == "A-1017"


def shown(screen: str, trace_id: str) -> dict[str, Any] | None:
    with urllib.request.urlopen(f"{screen}api/traces") as answer:
        traces = json.load(answer)["traces"]
    return next((trace for trace in traces if trace["trace_id"] == trace_id), None)


def test_with_view_a_viewer_that_runs_gets_the_trace_and_goes_on(tmp_path: Path) -> None:
    with viewing("--memory", cwd=tmp_path) as it:
        done = run("demo", "--view", "--port", str(it.port), "--no-open", cwd=tmp_path)
        assert done.returncode == 0
        said = done.stdout.splitlines()[-1]
        assert said.startswith(f"The trace is on the screen: {it.screen}?trace=1-")
        until(lambda: shown(it.screen, said.rpartition("=")[2]))
        assert it.process.poll() is None
        it.end()
