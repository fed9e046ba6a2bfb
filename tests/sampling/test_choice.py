"""Which sampler the settings choose, when they are changed, and what is said of settings that make no sense."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.sampling.fakes import threads_left
from tests.servers.xray_api import XRayAPI
from xray_lambda import _config, _recorder, configure, segment
from xray_lambda._header import TraceHeader
from xray_lambda._recorder import active
from xray_lambda.sampling import local_rules
from xray_lambda.sampling.central import CentralSampler
from xray_lambda.sampling.choice import client_for, sampler_for
from xray_lambda.sampling.clients import DirectClient, EitherClient
from xray_lambda.sampling.daemon import DaemonClient
from xray_lambda.sampling.local import LocalSampler
from xray_lambda.sampling.request import Never, SamplingRequest
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVERYTHING: dict[str, Any] = {"version": 2, "default": {"fixed_target": 0, "rate": 1}}
NOTHING: dict[str, Any] = {"version": 2, "default": {"fixed_target": 0, "rate": 0}}
WRONG: dict[str, Any] = {"version": 2, "default": {"fixed_target": 0, "rate": 7}}


@pytest.fixture(autouse=True)
def _no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("XRAY_LAMBDA_SAMPLING")
    yield
    recorder = _recorder._active
    if recorder is not None and recorder.sampler is not None:
        recorder.sampler.close()
    assert threads_left() == []


@pytest.mark.parametrize(
    ("word", "kind"), [("central", CentralSampler), ("local", LocalSampler), ("none", Never), ("all", type(None))]
)
def test_one_word_chooses(word: str, kind: type) -> None:
    assert type(sampler_for(_config.load({"XRAY_LAMBDA_SAMPLING": word}))) is kind


def test_without_a_word_xrays_rules_are_asked_for_outside_lambda() -> None:
    segment("shop")
    assert type(active().sampler) is CentralSampler


def test_in_lambda_nothing_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "shop")
    monkeypatch.setenv("LAMBDA_TASK_ROOT", "/")
    configure(sampling="local", sampling_rules=EVERYTHING)
    assert active().sampler is None


def test_a_capture_records_everything() -> None:
    with capture(header=None) as traces:
        for _ in range(50):
            with segment("shop"):
                pass
    assert len(traces) == 50


@pytest.mark.parametrize(("emitter", "kind"), [("udp", DaemonClient), ("direct", DirectClient), ("auto", EitherClient)])
def test_rules_are_asked_for_the_way_that_documents_go(emitter: str, kind: type) -> None:
    assert type(client_for(_config.load({}, emitter=emitter))) is kind


def test_rules_come_from_the_daemons_tcp_port() -> None:
    client = client_for(_config.load({}, daemon_address="udp:127.0.0.1:2000 tcp:[::1]:2001"))
    assert isinstance(client, DaemonClient)
    assert (client.host, client.port) == ("::1", 2001)


def recorded(count: int = 20) -> int:
    return sum(segment("shop").sampled for _ in range(count))


def test_settings_may_be_changed_while_the_program_runs() -> None:
    configure(sampling="local", sampling_rules=NOTHING)
    assert recorded() == 0
    configure(sampling_rules=EVERYTHING)
    assert recorded() == 20
    configure(sampling="none")
    assert recorded() == 0
    configure(sampling="all")
    assert recorded() == 20


def test_a_sampler_that_is_replaced_ends() -> None:
    with XRayAPI() as api:
        configure(daemon_address=api.address, sampling_rules=NOTHING)
        segment("shop")
        api.wait_for("/GetSamplingRules")
        before = active().sampler
        configure(service="shop")
        assert active().sampler is before, "other settings leave it alone"
        configure(sampling="local")
        assert recorded() == 0


def test_another_daemon_is_asked_from_now_on() -> None:
    with XRayAPI() as first, XRayAPI() as second:
        configure(daemon_address=first.address)
        segment("shop")
        first.wait_for("/GetSamplingRules")
        configure(daemon_address=second.address)
        segment("shop")
        second.wait_for("/GetSamplingRules")
        active().sampler.close()  # type: ignore[union-attr]  # there is one


def test_rules_of_a_file_are_in_force(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(EVERYTHING))
    monkeypatch.setenv("XRAY_LAMBDA_SAMPLING", "local")
    monkeypatch.setenv("XRAY_LAMBDA_SAMPLING_RULES", str(file))
    assert recorded() == 20


def test_a_file_may_be_given_as_a_path(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(NOTHING))
    configure(sampling="local", sampling_rules=file)
    assert recorded() == 0


def test_a_bad_file_in_the_environment_is_told_once_and_the_default_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(WRONG))
    monkeypatch.setenv("XRAY_LAMBDA_SAMPLING", "local")
    monkeypatch.setenv("XRAY_LAMBDA_SAMPLING_RULES", str(file))
    assert recorded() >= 1
    configure(sampling="central")
    configure(sampling="local")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.WARNING,
            "xray_lambda: sampling_rules (XRAY_LAMBDA_SAMPLING_RULES) is ignored: default: rate is 7, expected 0 to 1",
        )
    ]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (WRONG, "sampling_rules: default: rate is 7, expected 0 to 1"),
        ("/no/such/file", "sampling_rules: /no/such/file cannot be read: No such file or directory"),
    ],
)
def test_a_bad_argument_is_an_error_and_changes_nothing(rules: Any, message: str) -> None:
    configure(sampling="local", sampling_rules=EVERYTHING)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        configure(sampling_rules=rules, service="other")
    assert str(caught.value) == message
    assert recorded() == 20
    assert active().config.service is None


def test_what_a_file_says_is_checked_when_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(WRONG))
    with pytest.raises(ValueError, match="rate is 7"):
        local_rules.load(str(file))


def test_threads_that_come_first_at_once_share_one_recorder() -> None:
    barrier = threading.Barrier(8)
    found: list[_recorder.Recorder] = []

    def come() -> None:
        barrier.wait()
        found.append(active())

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1


def test_a_recorder_that_is_made_for_ever_elsewhere_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = threading.Lock()
    lock.acquire()  # as a fork may leave it
    monkeypatch.setattr(_recorder, "_making", lock)
    assert active().sampler is not None


def test_a_segment_of_a_server_is_decided_by_its_request() -> None:
    rule = {"host": "*", "http_method": "*", "url_path": "/health", "fixed_target": 0, "rate": 0}
    configure(sampling="local", sampling_rules={**EVERYTHING, "rules": [rule]})
    made = [
        active().segment("shop", TraceHeader(), SamplingRequest("shop", "h", "GET", path)).sampled
        for path in ("/health", "/")
    ]
    assert made == [False, True]
