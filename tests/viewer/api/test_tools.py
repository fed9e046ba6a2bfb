"""Programs that people have talk to the viewer: the AWS CLI, and aws-xray-sdk as a sender of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.viewer.made import NOON, TRACE, call, documents, http, segment
from tests.viewer.running import until

if TYPE_CHECKING:
    from tests.viewer.running import Running

pytestmark = pytest.mark.full

AWS = Path(sys.executable).parent / "aws"


def aws(running: Running, *arguments: str) -> Any:
    """Run `aws xray ...` as a user does, and return what it prints."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    address = f"http://127.0.0.1:{running.port}"
    done = subprocess.run(
        [sys.executable, AWS, "xray", *arguments, "--endpoint-url", address, "--output", "json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_aws_cli_finds_a_trace_and_fetches_it(running: Running) -> None:
    asked = call("bank", 0.5, namespace="remote", http=http(500), fault=True)
    running.viewer.add(documents(segment("shop", http=http(200), subsegments=[asked])))
    times = ("--start-time", str(int(NOON) - 60), "--end-time", str(int(NOON) + 60))
    found = aws(running, "get-trace-summaries", *times, "--filter-expression", 'service("bank") { fault }')
    assert [summary["Id"] for summary in found["TraceSummaries"]] == [TRACE]
    (trace,) = aws(running, "batch-get-traces", "--trace-ids", TRACE)["Traces"]
    assert [json.loads(part["Document"])["name"] for part in trace["Segments"]] == ["shop", "bank"]
    graph = aws(running, "get-service-graph", *times)
    assert [service["Name"] for service in graph["Services"]] == ["shop", "shop", "bank"]


def test_aws_xray_sdk_sends_a_trace_and_samples_by_our_rules(running: Running) -> None:
    rules = [{"RuleName": "all", "Priority": 1, "FixedRate": 1, "ReservoirSize": 0, "URLPath": "/orders/*"}]
    running.viewer.rules.replace(rules)
    program = """
        import time
        from aws_xray_sdk.core import xray_recorder
        xray_recorder.configure(service="shop", sampling=True)
        xray_recorder.sampler.start()
        deadline = time.monotonic() + 30
        while not xray_recorder.sampler._cache.rules and time.monotonic() < deadline:
            time.sleep(0.05)
        request = {"host": "h", "method": "GET", "path": "/orders/1", "service": "shop"}
        decided = xray_recorder.sampler.should_trace(request)
        segment = xray_recorder.begin_segment("shop", sampling=decided)
        segment.put_annotation("order", 17)
        segment.put_http_meta("url", "http://shop.example/orders/1")
        segment.put_http_meta("status", 200)
        with xray_recorder.in_subsegment("bank", namespace="remote") as sub:
            sub.put_http_meta("status", 503)
            sub.add_fault_flag()
        xray_recorder.end_segment()
        print(decided["rule_name"] if isinstance(decided, dict) else decided)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
        env={"PATH": os.environ["PATH"], "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{running.port}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("all", 0), done.stderr
    until(running.viewer.store.count)
    (row,) = running.viewer.store.query()
    assert (row["name"], row["status"], row["annotations"]["order"]) == ("shop", 200, 17)
    with running.viewer.store.read() as connection:
        rows = connection.execute("SELECT name, type, fault FROM services ORDER BY place")
        services = [tuple(found) for found in rows]
    assert services == [("shop", "", 0), ("bank", "remote", 1)]


def test_our_own_sampler_goes_by_the_viewers_rules_and_reports(running: Running) -> None:
    running.viewer.rules.replace([{"RuleName": "all", "Priority": 1, "FixedRate": 1, "ReservoirSize": 0}])
    program = """
        import time
        from xray_lambda import segment
        from xray_lambda._recorder import active
        from xray_lambda.sampling import central, targets
        central.INTERVAL = targets.INTERVAL = 0.2
        end = deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with segment("shop"):
                pass
            if active().sampler._in_force[1] < 0:
                end = time.monotonic() + 1  # for some reports
            elif time.monotonic() > end:
                break
            time.sleep(0.05)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        env={"AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{running.port}", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    until(running.viewer.store.count)
    reported = running.viewer.rules.summaries()
    assert {summary["RuleName"] for summary in reported} == {"all"}
    assert sum(summary["SampledCount"] for summary in reported) > 1
    names = [row["name"] for row in running.viewer.store.query()]
    assert set(names) == {"shop"}
