"""What a cold start and an invocation cost, counted: modules loaded, functions called; and imports that do nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.emitters.daemon import Daemon
from tests.lambda_runtime.runtime_api import SAMPLED

# What `from xray_lambda import traced_handler` and one sampled invocation with one subsegment add to the modules of
# Lambda's runtime client, the same on every Python. Each costs a cold start some 0.1 ms at least: take away, never add.
COLD_START = [
    "_contextvars",
    "_socket",
    "xray_lambda",
    "xray_lambda._annotations",
    "xray_lambda._api",
    "xray_lambda._callables",
    "xray_lambda._config",
    "xray_lambda._context",
    "xray_lambda._document",
    "xray_lambda._emitters",
    "xray_lambda._emitters.udp",
    "xray_lambda._entities",
    "xray_lambda._entity",
    "xray_lambda._guard",
    "xray_lambda._header",
    "xray_lambda._ids",
    "xray_lambda._recorder",
    "xray_lambda._recording",
    "xray_lambda._version",
    "xray_lambda.lambda_runtime",
    "xray_lambda.lambda_runtime.handler",
]
# What comes on top where it is wanted.
WANTED_LATER = {
    "fail()": ["xray_lambda._cause", "xray_lambda._scalars", "xray_lambda._values"],
    "greet()": ["xray_lambda._coercions", "xray_lambda._scalars", "xray_lambda._values"],
    "xray_lambda.patch_all()": [
        "xray_lambda.libraries",
        "xray_lambda.libraries._gates",
        "xray_lambda.libraries._patching",
    ],
    "xray_lambda.traced(handler)": ["xray_lambda._traced"],
    "xray_lambda.traced_handler(coroutine)": ["xray_lambda.lambda_runtime.loop"],
}
# Milliseconds each; whoever needs one imports it late.
TOO_DEAR = {
    *("asyncio", "botocore", "dataclasses", "http.client", "inspect", "jsonpickle", "random", "selectors", "socket"),
    *("tempfile", "typing", "typing_extensions", "urllib.request", "uuid", "wrapt"),
}

# Calls of Python functions in one warm invocation, the handler's own included, the same on every Python: the house's
# count of instructions. They may only fall.
CALLS = {"unsampled": 17, "0 subsegments": 31, "1 subsegment": 43, "10 subsegments": 133}

IN_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "shop", "LAMBDA_TASK_ROOT": "/", "_X_AMZN_TRACE_ID": SAMPLED}

HANDLER = """
import json, os, sys
import awslambdaric.__main__
before = set(sys.modules)
from xray_lambda import subsegment, traced_handler

@traced_handler
def handler(event, context):
    for _ in range(event):
        with subsegment("price"):
            pass
"""


def run(program: str, *, arrived: int | None = None) -> Any:
    """Run a program in a fresh interpreter that knows nothing of this one, and return what it prints as JSON."""
    with Daemon() as daemon:
        environ = {**IN_LAMBDA, "AWS_XRAY_DAEMON_ADDRESS": daemon.address}
        done = subprocess.run([sys.executable, "-I", "-c", program], env=environ, capture_output=True, check=False)
        assert (done.returncode, done.stderr.decode()) == (0, "")
        assert arrived is None or len(daemon.take()) == arrived
    return json.loads(done.stdout)


def test_a_cold_start_loads_exactly_these_modules() -> None:
    program = "handler(1, None)\nprint(json.dumps([sorted({*sys.modules} - before), sorted(sys.modules)]))"
    added, loaded = run(HANDLER + program, arrived=1)
    assert added == COLD_START
    assert not TOO_DEAR.intersection(loaded)


@pytest.mark.parametrize("step", WANTED_LATER)
def test_what_is_wanted_later_loads_exactly_these_more(step: str) -> None:
    program = f"""
import xray_lambda

@traced_handler
def failing(event, context):
    raise LookupError

def fail():
    try:
        failing({{}}, None)
    except LookupError:
        pass

@traced_handler
def greet(event=None, context=None):
    xray_lambda.annotate(user="Zoë")

async def coroutine(event, context):
    pass

handler(1, None)
before = set(sys.modules)
{step}
print(json.dumps([sorted({{*sys.modules}} - before), sorted(sys.modules)]))
"""
    added, loaded = run(HANDLER + program)
    assert added == WANTED_LATER[step]
    assert not TOO_DEAR.intersection(loaded)


def test_an_invocation_calls_so_many_functions_and_no_more() -> None:
    program = """
def count(event, header):
    os.environ["_X_AMZN_TRACE_ID"] = header
    calls = 0
    def profile(frame, event, argument):
        nonlocal calls
        calls += event == "call"
    sys.setprofile(profile)
    try:
        handler(event, None)
    finally:
        sys.setprofile(None)
    return calls

sampled = os.environ["_X_AMZN_TRACE_ID"]
handler(1, None)
counts = {
    "unsampled": count(1, sampled.replace("Sampled=1", "Sampled=0")),
    "0 subsegments": count(0, sampled),
    "1 subsegment": count(1, sampled),
    "10 subsegments": count(10, sampled),
}
print(json.dumps(counts))
"""
    assert run(HANDLER + program, arrived=4) == CALLS


STATE = """
import atexit, gc, importlib, json, logging, os, signal, sys, threading, warnings

def state():
    root, ours = logging.getLogger(), logging.getLogger("xray_lambda")
    return {
        "finders": [*map(repr, sys.meta_path), *map(repr, sys.path_hooks)],
        "search path": sys.path,
        "environment": dict(os.environ),
        "threads": [thread.name for thread in threading.enumerate()],
        "files": [os.readlink(f"/proc/self/fd/{one}") for one in sorted(os.listdir("/proc/self/fd")[:-1])],
        "at exit": atexit._ncallbacks(),
        "at forks": forks,
        "signals": [repr(signal.getsignal(one)) for one in signal.valid_signals()],
        "hooks": [repr(sys.excepthook), repr(sys.unraisablehook), repr(threading.excepthook), len(gc.callbacks)],
        "logging": [root.handlers, root.level, ours.handlers, ours.level, ours.propagate],
        "warnings": [repr(one) for one in warnings.filters],
        "tracing": [sys.gettrace(), sys.getprofile()],
        "methods": [repr(threading.Thread.start), repr(threading.Thread.run)],
    }

forks = []
os.register_at_fork = lambda **hooks: forks.append(sorted(hooks))
before = json.dumps(state())
"""


@pytest.mark.parametrize("name", ["xray_lambda", "every name"])
def test_importing_does_nothing(name: str) -> None:
    program = """
import xray_lambda
if NAME == "every name":
    for one in xray_lambda.__all__:
        getattr(xray_lambda, one)
    @xray_lambda.traced_handler
    def handler(event, context): pass
print(json.dumps([json.loads(before), state()]))
"""
    before, after = run(STATE + program.replace("NAME", repr(name)), arrived=0)
    assert after == before


@pytest.mark.parametrize("step", ["xray_lambda.patch_all()", "handler(1, None)", "kept = open('/dev/null')"])
def test_what_does_something_is_noticed(step: str) -> None:
    """The test above can fail."""
    program = """
import xray_lambda
@xray_lambda.traced_handler
def handler(event, context): pass
STEP
print(json.dumps([json.loads(before), state()]))
"""
    before, after = run(STATE + program.replace("STEP", step))
    assert after != before
