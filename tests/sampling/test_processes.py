"""Samplers in processes of their own: programs that fork, end, lose their daemon, or run in Lambda."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.emitters.daemon import Daemon
from tests.lambda_runtime.runtime_api import SAMPLED
from tests.servers.process import HOST, free_port
from tests.servers.xray_api import HANGING, THROTTLED, Answer, XRayAPI, rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULES, TARGETS = "/GetSamplingRules", "/SamplingTargets"
PATIENCE = 60
IN_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "shop", "LAMBDA_TASK_ROOT": "/", "_X_AMZN_TRACE_ID": SAMPLED}

# What a program needs to wait for: rules that are in force here, and the end of a first report.
HELP = """
import json, os, sys, threading, time
from xray_lambda import segment
from xray_lambda._recorder import active
from xray_lambda.sampling import central, targets

central.INTERVAL = targets.INTERVAL = 0.2

def wait_for_rules():
    end = time.monotonic() + 30
    while active().sampler._in_force[1] < 0:
        assert time.monotonic() < end
        time.sleep(0.01)

def rule_of():
    from xray_lambda.sampling.request import SamplingRequest
    return active().sampler.decide(SamplingRequest("shop")).rule
"""


@pytest.fixture
def api() -> Iterator[XRayAPI]:
    with XRayAPI([rule("Default", 10_000, rate=1.0)]) as api:
        yield api


def run(program: str, address: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", HELP + program],
        env={"AWS_XRAY_DAEMON_ADDRESS": address, "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def printed(done: subprocess.CompletedProcess[str]) -> Any:
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_a_program_samples_by_xrays_rules_without_a_setting(api: XRayAPI) -> None:
    with Daemon() as daemon:
        program = """
with segment("first"):
    pass
wait_for_rules()
with segment("second"):
    pass
print(json.dumps(active().sampler._client_id))
"""
        printed(run(program, f"tcp:{HOST}:{api.port} udp:{daemon.address}"))
        first, second = daemon.wait_for(2)
    assert "sampling_rule_name" not in first["aws"]["xray"], "local rules decided, before X-Ray had answered"
    assert second["aws"]["xray"]["sampling_rule_name"] == "Default"
    assert api.asked(RULES) == 1


def test_a_program_that_opens_no_segment_asks_nothing(api: XRayAPI) -> None:
    program = """
from xray_lambda import subsegment, annotate
with subsegment("nowhere"):
    annotate(a=1)
print(json.dumps([thread.name for thread in threading.enumerate()]))
"""
    assert printed(run(program, api.address)) == ["MainThread"]
    assert api.calls == []


def test_forked_children_ask_for_themselves_and_report_only_what_they_decided(api: XRayAPI) -> None:
    """As under gunicorn --preload and uWSGI: the parent has begun, then it forks its workers."""
    program = """
decided = 3
for _ in range(3):
    rule_of()
wait_for_rules()
parent = active().sampler._client_id
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert active().sampler._client_id != parent
            assert not any(thread.name == "xray_lambda-sampling" for thread in threading.enumerate())
            assert rule_of() == "Default", "the parent's rules are in force at once"
            assert sum(thread.name == "xray_lambda-sampling" for thread in threading.enumerate()) == 1
            end = time.monotonic() + 30
            while not active().sampler._accounts["Default"].quota_until > 0:
                assert time.monotonic() < end
                time.sleep(0.02)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print(json.dumps(parent))
"""
    done = run(program, api.address)
    parent = printed(done)
    children = {client for _, client, _, _ in api.grants} - {parent}
    assert len(children) == 3
    counted = [one for one in api.statistics if one["ClientID"] != parent]
    assert sorted((one["RequestCount"], one["SampledCount"], one["BorrowCount"]) for one in counted) == [(1, 1, 1)] * 3
    assert api.asked(RULES) == 4


def test_a_fork_while_another_thread_decides_leaves_the_child_free_to_decide(api: XRayAPI) -> None:
    program = """
rule_of()
wait_for_rules()
done = False
def decide():
    while not done:
        rule_of()
threads = [threading.Thread(target=decide) for _ in range(3)]
for thread in threads:
    thread.start()
sys.setswitchinterval(1e-5)
codes = []
for _ in range(40):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for _ in range(20):
                assert rule_of() == "Default"
            code = 0
        finally:
            os._exit(code)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
done = True
for thread in threads:
    thread.join()
print(json.dumps(sum(codes)))
"""
    done = run("import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + program, api.address)
    assert printed(done) == 0


@pytest.mark.parametrize("last", ["", "sys.exit(0)", "import signal; signal.raise_signal(signal.SIGTERM)"])
def test_a_program_ends_though_its_daemon_hangs(api: XRayAPI, last: str) -> None:
    api.faulty = HANGING
    program = f"""
with segment("short"):
    pass
end = time.monotonic() + 30
while active().sampler._client._socket is None:
    assert time.monotonic() < end
    time.sleep(0.01)
print(json.dumps(True), flush=True)
{last}
"""
    start = time.monotonic()
    done = run(program, api.address)
    assert done.returncode == (-15 if "SIGTERM" in last else 0)
    assert (done.stdout, done.stderr) == ("true\n", "")
    assert time.monotonic() - start < 4.5, "less than one time-out of the call that it broke off"


TROUBLE = {
    "throttling": THROTTLED,
    "garbage": Answer(200, b"\xff\xfe<html>"),
    "hanging up": Answer(close=True),
}


@pytest.mark.parametrize("trouble", [*TROUBLE, "down"])
def test_without_sound_answers_requests_go_on_by_local_rules_and_that_is_told_once(
    api: XRayAPI, trouble: str, tmp_path: Path
) -> None:
    api.faulty = TROUBLE.get(trouble)
    program = """
end = time.monotonic() + 30
recorded = int(segment("shop").sampled)  # the first one makes the sampler
while active().sampler._rule_failures < 2:
    with segment("shop") as made:
        recorded += made.sampled
    assert time.monotonic() < end
    time.sleep(0.01)
print(json.dumps(recorded))
"""
    rules = {"version": 2, "default": {"fixed_target": 10, "rate": 0}}
    address = f"{HOST}:{free_port()}" if trouble == "down" else api.address
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(rules))
    done = run(program, address, XRAY_LAMBDA_SAMPLING_RULES=str(file))
    assert done.returncode == 0
    assert 10 <= json.loads(done.stdout) <= 30
    (line,) = done.stderr.splitlines()
    assert line.startswith("xray_lambda: X-Ray's sampling rules cannot be had from the X-Ray daemon at 127.0.0.1:")
    assert line.endswith("Tried again, told once; local sampling rules decide until they can be had.")


def test_in_lambda_nothing_of_it_is_loaded_nor_asked(api: XRayAPI) -> None:
    program = """
import json, sys
from xray_lambda import configure, segment, traced_handler
from xray_lambda._recorder import active
configure(service="shop")

@traced_handler
def handler(event, context):
    with segment("record") as record:
        return record.sampled

handler({}, None)
print(json.dumps([active().sampler, sorted(name for name in sys.modules if name.startswith("xray_lambda.sampling.c"))]))
"""
    environ = {"AWS_XRAY_DAEMON_ADDRESS": api.address, "PYTHONPATH": os.pathsep.join(sys.path), **IN_LAMBDA}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert printed(done) == [None, []]
    assert api.calls == []
