"""The UDP emitter against real sockets: framing, daemons that come and go, forks, and numbers of closed sockets."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import warnings
from typing import TYPE_CHECKING

import pytest

from tests.emitters.daemon import HEADER_LINE, Daemon
from xray_lambda._config import parse_address
from xray_lambda._emitters.udp import UDPEmitter

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = "1-5759e988-bd862e3fe1be46a994272793"


def document(number: int) -> str:
    """Return a document that X-Ray takes."""
    return (
        f'{{"name":"{number}","id":"{number:016x}","start_time":1.0,"end_time":2.0,'
        f'"trace_id":"{ROOT}","parent_id":"53995c3f42cd8ad8","type":"subsegment"}}'
    )


def send(emitter: UDPEmitter, *numbers: int) -> None:
    for number in numbers:
        emitter.send(document(number))


def names(daemon: Daemon) -> list[int]:
    """Return the numbers of the documents that have arrived."""
    return [int(one["name"]) for one in daemon.take()]


def emitter_for(daemon: Daemon) -> UDPEmitter:
    return UDPEmitter(parse_address(daemon.address))


def name_of(emitter: UDPEmitter) -> object:
    """Return the address that the emitter sends from."""
    assert emitter._socket is not None
    return emitter._socket.getsockname()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_each_document_is_one_datagram_behind_the_header_line(host: str) -> None:
    with Daemon(host) as daemon:
        send(emitter_for(daemon), 1, 2)
        expected = [HEADER_LINE + b"\n" + document(number).encode() for number in (1, 2)]
        assert daemon.take_datagrams() == expected


def test_the_name_localhost_needs_no_lookup() -> None:
    with Daemon() as daemon:
        emitter = UDPEmitter(parse_address(f"tcp:127.0.0.1:1 udp:localhost:{daemon.port}"))
        send(emitter, 1)
        assert names(daemon) == [1]


def test_no_socket_is_made_before_the_first_document() -> None:
    with Daemon() as daemon:
        emitter = emitter_for(daemon)
        free = open_and_close()
        assert emitter._socket is None
        send(emitter, 1)
        assert emitter._socket is not None
        assert emitter._socket.fileno() == free


def open_and_close() -> int:
    """Return the number that the next file will have."""
    number = os.open(os.devnull, os.O_RDONLY)
    os.close(number)
    return number


def test_the_socket_never_blocks() -> None:
    with Daemon() as daemon:
        emitter = emitter_for(daemon)
        send(emitter, 1)
        assert emitter._socket is not None
        assert emitter._socket.getblocking() is False


def test_a_daemon_that_starts_late_misses_nothing_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    with Daemon() as daemon:
        port = daemon.port
    emitter = UDPEmitter(parse_address(f"127.0.0.1:{port}"))
    send(emitter, 1, 2, 3)
    ours = name_of(emitter)
    with Daemon(port=port) as daemon:
        send(emitter, 4, 5)
        assert names(daemon) == [4, 5]
        assert name_of(emitter) == ours, "a refusal is no reason for a new socket"
    send(emitter, 6)
    with Daemon(port=port) as daemon:
        send(emitter, 7, 8)
        assert names(daemon) == [7, 8]
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_a_daemon_that_is_down_is_told_of_once_at_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    with Daemon() as daemon:
        emitter = emitter_for(daemon)
    caplog.set_level(logging.DEBUG, "xray_lambda")
    send(emitter, *range(10))
    assert {record.levelno for record in caplog.records} <= {logging.DEBUG}
    assert len(caplog.records) <= 1


def test_a_socket_that_was_closed_under_us_is_replaced() -> None:
    with Daemon() as daemon:
        emitter = emitter_for(daemon)
        send(emitter, 1)
        assert emitter._socket is not None
        os.close(emitter._socket.fileno())
        send(emitter, 2, 3, 4)
        assert names(daemon) == [1, 2, 3, 4]


def test_what_took_the_number_of_a_socket_closed_under_us_is_left_alone() -> None:
    with Daemon() as daemon:
        emitter = emitter_for(daemon)
        send(emitter, 1)
        assert emitter._socket is not None
        number = emitter._socket.fileno()
        os.close(number)
        with open(os.devnull, "wb") as other:  # noqa: PTH123 - its number counts
            assert other.fileno() == number
            send(emitter, 2, 3)
            assert names(daemon) == [1, 2, 3]
            os.fstat(number)


def in_child(work: Callable[[], object]) -> None:
    """Run `work` in a forked child; fails where it raises, or leaves a warning that nobody could catch."""
    child = os.fork()
    if child == 0:
        unseen: list[object] = []
        sys.unraisablehook = unseen.append
        try:
            work()
        except BaseException as error:
            unseen.append(error)
        os._exit(len(unseen))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_forked_child_sends_from_a_socket_of_its_own() -> None:
    with Daemon() as daemon, warnings.catch_warnings():
        warnings.simplefilter("error")
        emitter = emitter_for(daemon)
        send(emitter, 1)
        ours = name_of(emitter)

        def work() -> None:
            send(emitter, 2, 3)
            assert name_of(emitter) != ours

        in_child(work)
        send(emitter, 4)
        assert names(daemon) == [1, 2, 3, 4]


def test_a_document_that_is_too_long_for_udp_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with Daemon() as daemon:
        emitter = emitter_for(daemon)
        for _ in range(3):
            emitter.send("x" * 66_000)
        send(emitter, 1, 2)
        assert names(daemon) == [1, 2]
    [record] = caplog.records
    assert (record.levelname, "Message too long" in record.getMessage()) == ("WARNING", True)


def test_an_address_that_nothing_can_be_sent_to_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    emitter = UDPEmitter(parse_address("255.255.255.255:2000"))  # a broadcast, which needs a permission
    send(emitter, 1, 2, 3)
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "255.255.255.255:2000: [Errno 13]" in record.getMessage()


def test_a_document_with_characters_of_any_kind_is_sent() -> None:
    with Daemon() as daemon:
        emitter_for(daemon).send('"\N{EURO SIGN}\ud800"')
        assert daemon.take_datagrams() == [HEADER_LINE + b'\n"??"']


def test_many_threads_may_send_at_once() -> None:
    with Daemon() as daemon:
        emitter = emitter_for(daemon)
        start = threading.Barrier(4)

        def work(first: int) -> None:
            start.wait()
            send(emitter, *range(first, first + 50))

        threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 200, 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(names(daemon)) == list(range(200))


def test_a_name_that_is_no_address_waits_for_the_resolver() -> None:
    with Daemon() as daemon:
        emitter = UDPEmitter(parse_address(f"{socket.gethostname()}x:{daemon.port}"))
        assert emitter._resolver is not None
        assert emitter._target is None
