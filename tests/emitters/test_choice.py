"""Which emitter the settings ask for: UDP, straight, or what is there when the first document comes."""

from __future__ import annotations

import logging
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.emitters.daemon import Daemon
from tests.emitters.xray import LATER, PATIENCE, FakeXRay
from tests.servers.process import HOST, free_port
from xray_lambda import _recorder, configure, flush, segment
from xray_lambda._config import parse_address
from xray_lambda._emitters.choice import AutoEmitter, listens
from xray_lambda._emitters.direct import DirectEmitter
from xray_lambda._emitters.service import SENT
from xray_lambda._emitters.udp import UDPEmitter
from xray_lambda._recorder import active

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TRACE = "1-5759e988-bd862e3fe1be46a994272793"


@pytest.fixture(autouse=True)
def sigterm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def auto() -> Iterator[Callable[..., AutoEmitter]]:
    made: list[AutoEmitter] = []

    def make(address: str, x_ray: FakeXRay, **options: object) -> AutoEmitter:
        made.append(AutoEmitter(parse_address(address), x_ray, window=0.01, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for emitter in made:
        emitter.close()


def document(name: str) -> str:
    return f'{{"name":"{name}","id":"53995c3f42cd8ad8","trace_id":"{TRACE}","start_time":1.0,"end_time":2.0}}'


def test_udp_is_what_is_used_unless_asked_otherwise() -> None:
    assert type(active().emitter) is UDPEmitter


def test_direct_is_used_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XRAY_LAMBDA_EMITTER", "direct")
    assert type(active().emitter) is DirectEmitter


@pytest.mark.parametrize("wanted", ["direct", "auto"])
def test_in_lambda_documents_go_to_its_daemon(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wanted: str
) -> None:
    for name in ("AWS_LAMBDA_FUNCTION_NAME", "LAMBDA_TASK_ROOT"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("XRAY_LAMBDA_EMITTER", wanted)
    assert type(active().emitter) is UDPEmitter
    said = [record.getMessage() for record in caplog.records]
    refusal = "xray_lambda: emitter=direct is not for Lambda, where AWS runs the X-Ray daemon: udp is used"
    assert said == ([refusal] if wanted == "direct" else [])


def test_configuring_changes_the_emitter_and_closes_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    before = active().emitter
    configure(service="shop")
    assert active().emitter is before
    configure(emitter="direct")
    straight = active().emitter
    assert isinstance(straight, DirectEmitter)
    configure(emitter="udp")
    assert type(active().emitter) is UDPEmitter
    assert straight._closed


def test_a_daemon_is_known_by_its_tcp_port() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        assert listens(parse_address(f"tcp:{HOST}:{port} udp:{HOST}:1"))
    assert not listens(parse_address(f"tcp:{HOST}:{port} udp:{HOST}:1"))
    assert not listens(parse_address("no-such-host.invalid:2000"))


def test_with_a_daemon_all_documents_go_to_it_the_later_ones_at_once(auto: Callable[..., AutoEmitter]) -> None:
    x_ray = FakeXRay()
    with Daemon() as daemon, socket.create_server((HOST, 0)) as tcp:
        emitter = auto(f"tcp:{HOST}:{tcp.getsockname()[1]} udp:{daemon.address}", x_ray)
        emitter.send(document("first"))
        assert emitter.flush(PATIENCE)
        assert [one["name"] for one in daemon.take()] == ["first"]
        emitter.send(document("second"))
        assert [one["name"] for one in daemon.take()] == ["second"]
    assert x_ray.batches == []


def test_without_a_daemon_documents_go_straight_to_x_ray(auto: Callable[..., AutoEmitter]) -> None:
    x_ray = FakeXRay()
    with Daemon() as daemon:  # UDP alone, which cannot be asked
        emitter = auto(f"tcp:{HOST}:{free_port()} udp:{daemon.address}", x_ray)
        emitter.send(document("first"))
        emitter.send(document("second"))
        assert emitter.flush(PATIENCE)
        assert daemon.take() == []
    assert x_ray.documents == [document("first"), document("second")]
    assert emitter.lost == 0


def test_a_daemon_that_starts_after_us_is_found_where_x_ray_takes_nothing(
    auto: Callable[..., AutoEmitter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xray_lambda._emitters.direct._FIRST_PAUSE", 0.001)
    x_ray = FakeXRay(LATER)
    port = free_port()
    with Daemon() as daemon:
        emitter = auto(f"tcp:{HOST}:{port} udp:{daemon.address}", x_ray)
        emitter.send(document("first"))
        x_ray.wait_for(1)
        with socket.create_server((HOST, port)):
            assert emitter.flush(PATIENCE)
        assert [one["name"] for one in daemon.take()] == ["first"]


def test_a_working_way_is_not_left(auto: Callable[..., AutoEmitter]) -> None:
    x_ray = FakeXRay()
    looks = []
    emitter = auto(f"{HOST}:{free_port()}", x_ray, listens=lambda address: bool(looks.append(address)))  # type: ignore[func-returns-value]
    for _ in range(3):
        emitter.send(document("a"))
        assert emitter.flush(PATIENCE)
    assert len(looks) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_goes_the_way_its_parent_found(auto: Callable[..., AutoEmitter]) -> None:
    x_ray = FakeXRay()
    emitter = auto(f"{HOST}:{free_port()}", x_ray)
    emitter.send(document("parent"))
    assert emitter.flush(PATIENCE)
    child = os.fork()
    if child == 0:
        emitter.send(document("child"))
        good = emitter.flush(PATIENCE) and x_ray.documents[1:] == [document("child")] and x_ray.forks == 1
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_flushing_says_that_nothing_waits_for_a_daemon() -> None:
    with Daemon() as daemon:
        configure(daemon_address=daemon.address)
        with segment("a"):
            pass
        assert flush()
        assert len(daemon.take()) == 1


def test_flushing_waits_for_the_daemons_name_to_be_looked_up() -> None:
    with Daemon() as daemon:
        configure(daemon_address=f"{socket.gethostname()}.invalid:{daemon.port}")
        with segment("a"):
            pass
        assert not flush(PATIENCE), "held until the name is known"


def test_flushing_straight_to_x_ray_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    x_ray = FakeXRay(SENT)
    configure(emitter="direct")
    emitter = _recorder.active().emitter
    assert isinstance(emitter, DirectEmitter)
    emitter._service = x_ray
    with segment("a"):
        pass
    assert flush(PATIENCE)
    assert len(x_ray.documents) == 1
    emitter.close()


def test_what_udp_is_known_to_lose_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    with Daemon() as daemon:
        emitter = UDPEmitter(parse_address(daemon.address))
        emitter.send("{}")
        assert emitter.lost == 0
        emitter.send("x" * 66_000)
        assert emitter.lost == 1
