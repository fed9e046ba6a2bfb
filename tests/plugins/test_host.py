"""Host data on segments: found in the background, once, and by each forked child that does not know it yet."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.plugins import metadata
from tests.plugins.metadata import serving
from tests.plugins.test_ec2 import FOUND, IDENTITY
from tests.schema import checked
from xray_lambda import _guard, configure, segment
from xray_lambda._config import HOSTS
from xray_lambda._context import current
from xray_lambda._emitters.memory import MemoryEmitter
from xray_lambda._entity import UNTRACED
from xray_lambda._header import TraceHeader
from xray_lambda._recorder import active
from xray_lambda.plugins import PLUGINS, Host, detect
from xray_lambda.plugins._ask import NoAnswerError
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 20
EC2 = {"origin": "AWS::EC2::Instance", "aws": {"ec2": {"instance_id": "i-1"}}}
ECS = {"origin": "AWS::ECS::Container", "aws": {"ecs": {"container": "c"}}}
BEANSTALK = {"origin": "AWS::ElasticBeanstalk::Environment", "aws": {"elastic_beanstalk": {"environment_name": "e"}}}


def saying(found: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    return lambda environ: found


def no_answer(environ: object) -> dict[str, Any]:
    raise NoAnswerError


def until(true: Callable[[], object]) -> None:
    """Wait for what a background thread does; it gives no event."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_settings_and_the_plugins_agree() -> None:
    assert tuple(PLUGINS) == HOSTS


def test_the_most_specific_place_is_the_origin_and_every_part_is_kept() -> None:
    plugins = {
        "elastic_beanstalk": saying(BEANSTALK),
        "eks": no_answer,
        "ecs": saying(ECS),
        "ec2": saying(EC2),
    }
    assert detect(HOSTS, plugins, {}) == {
        "origin": "AWS::ElasticBeanstalk::Environment",
        "aws": {**BEANSTALK["aws"], **ECS["aws"], **EC2["aws"]},  # type: ignore[dict-item]
    }
    assert detect(("ecs", "ec2"), plugins, {})["origin"] == "AWS::ECS::Container"
    assert detect(("eks",), plugins, {}) == {}


def test_a_fault_in_one_plugin_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(environ: object) -> dict[str, Any]:
        raise ZeroDivisionError

    monkeypatch.setattr(_guard, "strict", False)
    assert detect(("ecs", "ec2"), {"ecs": broken, "ec2": saying(EC2)}, {}) == EC2


def test_nobody_waits_and_what_is_found_is_found_once() -> None:
    go, asked = threading.Event(), []

    def slow(environ: object) -> dict[str, Any]:
        asked.append(current.get())
        assert go.wait(PATIENCE)
        return EC2

    host = Host(("ec2",), {"ec2": slow})
    assert [host() for _ in range(10)] == [{}] * 10
    go.set()
    until(host)
    assert host() == EC2
    assert host() is host()
    assert asked == [UNTRACED], "asked once, and as no part of a trace"


def test_nothing_is_asked_before_the_first_segment() -> None:
    asked: list[object] = []

    def ask(environ: object) -> dict[str, Any]:
        asked.append(environ)
        return EC2

    host = Host(("ec2",), {"ec2": ask})
    assert asked == []
    host()
    until(lambda: asked)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_what_its_parent_knew() -> None:
    host = Host(("ec2",), {"ec2": saying(EC2)})
    host()
    until(host)
    assert in_child(lambda: host() == EC2)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_asks_for_itself_where_its_parent_had_no_answer_yet() -> None:
    go, parent = threading.Event(), os.getpid()

    def slow(environ: object) -> dict[str, Any]:
        assert os.getpid() != parent or go.wait(PATIENCE)
        return EC2

    host = Host(("ec2",), {"ec2": slow})
    host()

    def child() -> bool:
        host()
        until(host)
        return host() == EC2

    assert in_child(child)
    go.set()
    until(host)


def in_child(work: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_without_a_thread_to_be_had_segments_go_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert Host(("ec2",), {"ec2": saying(EC2)})() == {}


def test_segments_say_where_they_ran_as_soon_as_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as imds:
        imds.routes["PUT /latest/api/token"] = metadata.text("t")
        imds.routes["GET /latest/dynamic/instance-identity/document"] = metadata.json_of(IDENTITY)
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url)
        monkeypatch.setenv("XRAY_LAMBDA_HOST", "ec2")
        monkeypatch.setenv("XRAY_LAMBDA_SAMPLING", "all")
        monkeypatch.setenv("XRAY_LAMBDA_SERVICE_VERSION", "1.4.2")
        monkeypatch.setenv("XRAY_LAMBDA_LOG_GROUPS", "/shop/audit")
        recorder = active()
        emitter = recorder.emitter = MemoryEmitter()
        with segment("first"):
            pass
        assert recorder.host is not None
        until(recorder.host)
        with segment("second") as second:
            second.aws(account_id="123456789012")
        with segment("third"):
            pass
    first, second_document, third = (checked(document) for document in emitter.documents)
    assert "origin" not in first
    assert first["service"]["version"] == "1.4.2"
    assert third["origin"] == "AWS::EC2::Instance"
    assert third["aws"]["ec2"] == FOUND["aws"]["ec2"]  # type: ignore[index]
    assert third["aws"]["cloudwatch_logs"] == [{"log_group": "/shop/audit"}]
    assert third["aws"]["xray"]["sdk"] == "xray_lambda"
    assert third["service"].keys() == {"runtime", "runtime_version", "version"}
    assert second_document["aws"] == {**third["aws"], "account_id": "123456789012"}, "what one says is its own"


def test_log_groups_that_are_found_and_named_are_linked_side_by_side() -> None:
    found: dict[str, Any] = {"aws": {"cloudwatch_logs": [{"log_group": "/ecs/shop", "arn": "arn:x"}]}}
    with capture(None, log_groups=["audit"]) as traces:
        active().host = lambda: found
        for name in ("a", "b"):
            with segment(name):
                pass
    logs = [document["aws"]["cloudwatch_logs"] for document in traces.documents]
    assert logs == [[{"log_group": "/ecs/shop", "arn": "arn:x"}, {"log_group": "audit"}]] * 2
    assert found["aws"]["cloudwatch_logs"] == [{"log_group": "/ecs/shop", "arn": "arn:x"}]


def test_what_is_captured_in_a_test_says_nothing_of_the_host() -> None:
    with capture(None, host="auto") as traces:
        assert active().host is None
        with segment("a"):
            pass
    assert traces.documents[0]["aws"].keys() == {"xray"}


def test_in_lambda_and_where_nothing_is_to_be_looked_for_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert active().host is None, "the tests' own setting is none"
    configure(host="auto")
    assert active().host is not None
    configure(host="none")
    assert active().host is None
    for name in ("AWS_LAMBDA_FUNCTION_NAME", "LAMBDA_TASK_ROOT"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setattr("xray_lambda._recorder._active", None)
    configure(host="auto")
    assert active().host is None


def test_a_setting_that_changes_is_said_by_the_next_segment() -> None:
    configure(service_version="1", sampling="all")
    recorder = active()
    assert recorder.segment("a", TraceHeader()).details["service"]["version"] == "1"  # type: ignore[union-attr, index]
    configure(service_version="2")
    assert recorder.segment("a", TraceHeader()).details["service"]["version"] == "2"  # type: ignore[union-attr, index]
