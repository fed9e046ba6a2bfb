"""The daemon's TCP side at its worst: down, deaf, slow, talkative, refusing; each call ends, with words."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.process import free_port
from tests.servers.xray_api import (
    BROKEN,
    CLOSED,
    FORBIDDEN,
    HANGING,
    STUCK_HALF_WAY,
    THROTTLED,
    Answer,
    XRayAPI,
    rule,
)
from xray_lambda.sampling.daemon import DaemonClient, Unavailable, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = "/GetSamplingRules"
SHORT = 0.3  # seconds


@pytest.fixture
def api() -> Iterator[XRayAPI]:
    with XRayAPI([rule("shop"), rule("Default", 10_000)]) as api:
        yield api


@pytest.fixture
def client(api: XRayAPI) -> DaemonClient:
    return DaemonClient("127.0.0.1", api.port, seconds=SHORT, seconds_in_all=2 * SHORT)


def why(client: DaemonClient) -> str:
    with pytest.raises(Unavailable) as caught:
        client.get_sampling_rules()
    return str(caught.value)


def test_rules_come_as_xray_has_them(api: XRayAPI, client: DaemonClient) -> None:
    api.page_size = 1
    page = client.get_sampling_rules()
    assert [one["SamplingRule"]["RuleName"] for one in page["SamplingRuleRecords"]] == ["shop"]
    page = client.get_sampling_rules(NextToken=page["NextToken"])
    assert [one["SamplingRule"]["RuleName"] for one in page["SamplingRuleRecords"]] == ["Default"]
    assert str(client) == f"the X-Ray daemon at 127.0.0.1:{api.port} (TCP)"


def test_an_ipv6_address_has_brackets_where_it_is_told() -> None:
    assert str(DaemonClient("::1", 2000)) == "the X-Ray daemon at [::1]:2000 (TCP)"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (THROTTLED, 'status 429, \'{"__type":"ThrottledException"'),
        (BROKEN, 'status 500, \'{"__type":"InternalFailure"}\''),
        (FORBIDDEN, "status 403, "),
        (Answer(302), "status 302, ''"),
        (Answer(200, b"<html>hello"), "the answer is no JSON object: b'<html>hello'"),
        (Answer(200, b""), "the answer is no JSON object: b''"),
        (Answer(200, b"[1]"), "the answer is no JSON object: b'[1]'"),
        (Answer(200, b"\xff\xfe\x00"), "the answer is no JSON object: "),
        (Answer(200, b"[" * 200_000), "the answer is no JSON object: "),
        (Answer(500, b"x" * 100_000), "status 500, 'xxx"),
        (Answer(200, b" " * 4_000_001), "the answer has more than 4,000,000 bytes"),
        (CLOSED, "RemoteDisconnected: "),
    ],
)
def test_an_answer_that_is_none_is_told_in_few_words(
    api: XRayAPI, client: DaemonClient, answer: Answer, words: str
) -> None:
    api.faulty = answer
    told = why(client)
    assert told.startswith(words)
    assert len(told) < 300


@pytest.mark.parametrize("answer", [HANGING, STUCK_HALF_WAY])
def test_a_daemon_that_hangs_is_left(api: XRayAPI, client: DaemonClient, answer: Answer) -> None:
    api.faulty = answer
    start = time.monotonic()
    assert why(client).startswith("TimeoutError: ")
    assert time.monotonic() - start < 10 * SHORT


def serving(listener: socket.socket, *sent: bytes, pause: float = 0.0) -> threading.Thread:
    """Answer one connection with these bytes, and then go on with the last ones until the client has left."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(10_000)
            try:
                for part in sent:
                    connection.sendall(part)
                while not gone.wait(pause):
                    connection.sendall(sent[-1])
            except OSError:
                return

    gone = threading.Event()
    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def client_of(listener: socket.socket) -> DaemonClient:
    return DaemonClient("127.0.0.1", listener.getsockname()[1], seconds=SHORT, seconds_in_all=2 * SHORT)


HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "pause", "words"),
    [
        ((HEAD, b"x"), SHORT / 3, "the answer takes too long"),
        ((HEAD, b"x" * 65536), 0.0, "the answer has more than 4,000,000 bytes"),
        ((b"\0\1\2\r\n",), 0.0, "BadStatusLine: "),
        ((b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"), 0.0, "HTTPException: got more than 100 headers"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{", b"x" * 65536), 0.0, "the answer has more than"),
    ],
)
def test_what_is_no_daemon_is_left(listener: socket.socket, sent: tuple[bytes, ...], pause: float, words: str) -> None:
    thread = serving(listener, *sent, pause=pause)
    told = why(client_of(listener))
    thread.join(20)
    assert told.startswith(words)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "no.such.host.invalid", "a..b", "x" * 300, "*"])
def test_where_nobody_listens_there_is_nobody_to_reach(host: str) -> None:
    with pytest.raises(Unreachable):
        DaemonClient(host, free_port(), seconds=SHORT).get_sampling_targets(SamplingStatisticsDocuments=[])


def test_a_call_under_way_can_be_broken_off(api: XRayAPI) -> None:
    api.faulty = HANGING
    client = DaemonClient("127.0.0.1", api.port)
    failed: list[Any] = []
    thread = threading.Thread(target=lambda: failed.append(why(client)))
    start = time.monotonic()
    thread.start()
    api.wait_for(RULES)
    client.close()
    thread.join(20)
    assert time.monotonic() - start < 4
    assert len(failed) == 1


def test_once_closed_it_asks_nothing(api: XRayAPI, client: DaemonClient) -> None:
    client.start_anew()
    client.close()
    client.close()
    assert why(client) == "closed"
    assert api.calls == []
