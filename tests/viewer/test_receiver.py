"""The port is emptied by a process that does nothing else; whatever finds no room is counted."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.viewer.running import until
from xray_lambda.viewer import drain, receiver
from xray_lambda.viewer.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.full


@contextmanager
def a_port(buffer: int | None = None) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield a port, with a small buffer if need be, and a socket that sends there."""
    with (
        closing(receiver.bind("127.0.0.1", 0)) as port,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as out,
    ):
        if buffer is not None:
            port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        out.connect(port.getsockname())
        yield port, out


def taken(receiving: Receiver, number: int) -> list[bytes]:
    found: list[bytes] = []

    def more() -> bool:
        found.extend(receiving.read(0.01))
        return len(found) >= number

    until(more)
    return found


def is_empty(port: socket.socket) -> bool:
    """Say whether the kernel holds nothing for a port."""
    inode = str(os.fstat(port.fileno()).st_ino)
    lines = [line.split() for line in Path("/proc/net/udp").read_text("ascii").splitlines()]
    return [fields[4].partition(":")[2] for fields in lines if fields[9] == inode] == ["00000000"]


def test_datagrams_of_every_size_come_whole_and_in_order() -> None:
    sent = [b"", b"x", b"\n" * 100, b"y" * 65_507, *(str(number).encode() * number for number in range(500))]
    with a_port() as (port, out):
        receiving = Receiver(port)
        for datagram in sent:
            out.send(datagram)
        assert taken(receiving, len(sent)) == sent
        assert receiving.dropped == 0
        assert receiving.finish() == []


def test_the_end_takes_what_has_arrived() -> None:
    with a_port() as (port, out):
        receiving = Receiver(port)
        for number in range(200):
            out.send(b"%d" % number)
        assert receiving.finish() == [b"%d" % number for number in range(200)]


def test_what_finds_no_room_in_the_process_is_counted() -> None:
    with a_port() as (port, out):
        receiving = Receiver(port, most_waiting=1_500_000)
        for _ in range(800):
            out.send(b"x" * 10_000)
        until(lambda: is_empty(port))
        found = receiving.finish()
        assert 0 < len(found) < 800
        assert receiving.dropped == 800 - len(found)


def test_what_the_kernel_drops_is_counted() -> None:
    with a_port(buffer=4_096) as (port, out):
        for _ in range(100):
            out.send(b"x" * 1_000)
        receiving = Receiver(port)
        arrived = len(receiving.finish())
        assert 0 < arrived < 100
        assert receiving.dropped == 100 - arrived


def test_a_process_that_somebody_ends_is_followed_by_another() -> None:
    with a_port() as (port, out):
        receiving = Receiver(port)
        out.send(b"before")
        assert taken(receiving, 1) == [b"before"]
        first = receiving._process.pid
        os.kill(first, signal.SIGKILL)
        out.send(b"after")
        assert taken(receiving, 1) == [b"after"]
        assert receiving._process.pid != first
        receiving.finish()


def test_the_process_ends_with_the_one_that_started_it() -> None:
    with a_port() as (port, _):
        receiving = Receiver(port)
        process = receiving._process
        receiving._here.close()  # as the system does when we are killed
        assert process.wait(10) == 0


def test_ctrl_c_ends_the_viewer_and_not_the_process_that_receives() -> None:
    with a_port() as (port, out):
        receiving = Receiver(port)
        out.send(b"one")
        taken(receiving, 1)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(receiving._process.pid, number)
        out.send(b"two")
        assert receiving.finish() == [b"two"]


def test_a_length_can_come_in_two_parts() -> None:
    with a_port() as (port, _):
        receiving = Receiver(port)
        framed = b"".join(drain.LENGTH.pack(len(one)) + one for one in (b"first", b"second"))
        found = [
            datagram for place in range(len(framed)) for datagram in receiving._datagrams(framed[place : place + 1])
        ]
        assert found == [b"first", b"second"]
        receiving.finish()


def test_a_host_that_is_none_is_an_oserror() -> None:
    with pytest.raises(OSError, match=r"not known|No address|Temporary"):
        receiver.bind("no.such.host.invalid", 0)
