"""Faults of ours, put in on purpose: the handler, and Lambda, see nothing of them when strict mode is off."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from tests.emitters.daemon import Daemon, Document
from tests.lambda_runtime.documents import cold, handled, plain
from tests.lambda_runtime.runtime import Outcome, behaviour, invoke
from tests.lambda_runtime.runtime_api import ROOT, SAMPLED, Invocation

if TYPE_CHECKING:
    from collections.abc import Mapping

TESTS = Path(__file__).parents[1]
NOT_STRICT = {"XRAY_LAMBDA_STRICT": "0"}

TRACING = """
from xray_lambda import annotate, bind, current_segment, inject, metadata, subsegment, traced, traced_handler

"""
NO_TRACING = TRACING.replace("xray_lambda", "tests.lambda_runtime.no_tracing")
HANDLER = """
class Odd:
    def __str__(self): raise RuntimeError("no words")

@traced
def price(order):
    with subsegment("look up") as sub:
        sub.annotate(order=order)
        sub.metadata(odd=Odd())
        sub.status(404)
    return 2 * order

@traced_handler(capture_event=True, capture_response=True)
def handler(event, context):
    annotate(order=17)
    metadata(order=17)
    current_segment().annotate(order=17)
    inject({})
    bind(price)(17)
    if event == "raise":
        raise LookupError("no price")
    if event == "raise inside":
        with subsegment("pay"):
            raise ValueError("no money")
    return price(17)
"""
EVENTS = ("return", "raise", "raise inside", "return")
INVOCATIONS = [Invocation(event=event) for event in EVENTS] + [
    Invocation(None),
    Invocation(f"{SAMPLED};"),
]  # which takes the lenient way

# What the document of an invocation that raises says, besides name, ids and times.
COMPLETE = frozenset(("ColdStart", "order", "metadata", "fault", "cause", "subsegments"))
NOTHING = None

# Each breaks something of ours for good, as a fault in the code or a stroke of bad luck would; what arrives still?
FAULTS = {
    "": COMPLETE,
    "_recorder.active().emitter = None": NOTHING,
    "_recorder.active().emitter = None; log_at_debug_level()": NOTHING,
    "_recorder.active().emitter.send = fail": NOTHING,
    "_recorder.active().clock = fail": NOTHING,
    "_recorder.active().new_id = fail": NOTHING,
    "os.urandom = fail": NOTHING,
    "_recorder.active().config = None": NOTHING,
    "_config.load = fail": NOTHING,
    "_recorder._default = fail": NOTHING,
    "_recorder.active().read_header = fail": NOTHING,
    "_header.usual_form = fail": NOTHING,
    "_document.encode = fail": {"subsegments"},
    "_document.encode = _document.encode_bare = fail": NOTHING,
    "_document.splice = fail": NOTHING,
    "_annotations.put = fail": COMPLETE - {"order"},
    "_values.snapshot = _document.snapshot = _recording.snapshot = fail": {"subsegments"},
    "_cause.describe = fail": COMPLETE - {"cause"},
    "_cause.is_fault = fail": COMPLETE - {"cause"},
    "sys.modules['xray_lambda._cause'] = None; del xray_lambda._cause": COMPLETE - {"cause"},
    "_socket.socket = fail": NOTHING,
    "_entities.Subsegment.__init__ = fail": NOTHING,
    "_entities.FacadeSegment.__init__ = fail": NOTHING,
}
BREAK = """
import logging, os, sys, _socket
import xray_lambda
from xray_lambda import (
    _annotations, _cause, _config, _document, _entities, _guard, _header, _recorder, _recording, _values
)

def fail(*args, **kwargs):
    raise ZeroDivisionError("a fault of ours")

def log_at_debug_level():
    # The program's own logging fails on what we say, too.
    logging.getLogger().setLevel("DEBUG")
    logging.getLogger("xray_lambda").addFilter(fail)

"""


@pytest.fixture(scope="module")
def without_us() -> Outcome:
    """What Lambda sees of the handler where there is no tracing at all."""
    outcome = run(NO_TRACING + HANDLER)
    assert [answer.body if answer.kind == "response" else answer.body["errorType"] for answer in outcome.answers] == [
        34, "LookupError", "ValueError", 34, 34, 34
    ]  # fmt: skip
    return outcome


def run(source: str, env: Mapping[str, str] = MappingProxyType({})) -> Outcome:
    return invoke(source, *INVOCATIONS, env={**NOT_STRICT, "PYTHONPATH": str(TESTS.parent), **env})


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_ours_changes_nothing_that_lambda_sees(without_us: Outcome, fault: str) -> None:
    outcome = run(TRACING + HANDLER + BREAK + fault)
    assert behaviour(outcome) == behaviour(without_us)
    documents = outcome.answers[EVENTS.index("raise inside")].documents
    assert [said_by(document) for document in documents] == ([] if FAULTS[fault] is None else [FAULTS[fault]])


def said_by(document: Document) -> set[str]:
    """Return which annotations and other sections a document has."""
    always = {"name", "id", "start_time", "end_time", "type", "trace_id", "parent_id", "annotations"}
    return {*document, *document.get("annotations", {})} - always


@pytest.mark.parametrize(
    "env",
    [
        {"AWS_XRAY_DAEMON_ADDRESS": "nonsense"},
        {"XRAY_LAMBDA_STACK_FRAMES": "-1", "XRAY_LAMBDA_METADATA_BYTES": "1e9", "XRAY_LAMBDA_STREAM_BYTES": "?"},
        {"AWS_XRAY_SDK_ENABLED": "perhaps", "AWS_XRAY_CONTEXT_MISSING": "PANIC", "XRAY_LAMBDA_PROPAGATE": "b3"},
    ],
)
def test_a_setting_that_makes_no_sense_is_told_of_once_and_does_no_harm(
    without_us: Outcome, env: dict[str, str]
) -> None:
    outcome = run(TRACING + HANDLER, env)
    *told, rest = outcome.stdout.split("\n", len(env))
    assert [(name in line, line[: len("[WARNING]")]) for name, line in zip(env, told, strict=True)] == [
        (True, "[WARNING]")
    ] * len(env)
    assert behaviour(outcome._replace(stdout=rest)) == behaviour(without_us)


def test_a_daemon_that_is_not_there_is_not_noticed(without_us: Outcome) -> None:
    with Daemon() as gone:
        address = gone.address
    outcome = run(TRACING + HANDLER, {"AWS_XRAY_DAEMON_ADDRESS": address})
    assert behaviour(outcome) == behaviour(without_us)
    assert outcome.documents == []


def test_a_daemon_whose_name_nobody_knows_is_told_of_once(without_us: Outcome) -> None:
    source = """
from xray_lambda import _recorder

def unknown(*args):
    raise OSError(-2, "Name or service not known")

_recorder.active().emitter._resolver._lookup = unknown
"""
    outcome = run(TRACING + HANDLER + source, {"AWS_XRAY_DAEMON_ADDRESS": "xray-daemon.invalid:2000"})
    [told] = [line for line in outcome.stdout.splitlines(keepends=True) if "xray-daemon.invalid" in line]
    assert told.startswith("[WARNING]")
    assert behaviour(outcome._replace(stdout=outcome.stdout.replace(told, ""))) == behaviour(without_us)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("raise MemoryError", "MemoryError"),
        ("return bytearray(1 << 60)", "MemoryError"),
        ("return handler.__wrapped__(event, context)", "RecursionError"),
        ("return handler(event, context)", "RecursionError"),
        ("with subsegment('deeper'): return handler.__wrapped__(event, context)", "RecursionError"),
    ],
)
def test_a_handler_without_memory_or_stack_fails_as_without_us(body: str, kind: str) -> None:
    source = f"""
from xray_lambda import subsegment, traced_handler
import sys
sys.setrecursionlimit(150)  # for documents that those who read them can read

@traced_handler
def handler(event, context):
    {body}
"""
    [answer] = invoke(source, Invocation(), env=NOT_STRICT).answers
    assert (answer.kind, answer.body["errorType"]) == ("error", kind)
    top = [document for document in answer.documents if document["parent_id"] in SAMPLED]
    assert [(document["name"], document["fault"]) for document in top] == [("handler", True)]


def test_a_handler_that_is_killed_half_way_is_in_the_trace_if_it_was_told_to_send_early() -> None:
    source = """
from xray_lambda import subsegment, traced_handler
import os, signal

@traced_handler
def handler(event, context):
    with subsegment("price"):
        pass
    if event:
        with subsegment("pay"):
            os.kill(os.getpid(), signal.SIGKILL)
"""
    outcome = invoke(source, Invocation(), Invocation(event=1), env={"XRAY_LAMBDA_EARLY": "true"})
    price = {"type": "subsegment", "trace_id": ROOT, "parent_id": "#1", "name": "price"}
    assert [plain(answer.documents) for answer in outcome.answers] == [
        [cold(id="#1", in_progress=True), price, cold(id="#1")],
        [handled(id="#1", in_progress=True), price],
    ]
    assert outcome.exit_code == -9
