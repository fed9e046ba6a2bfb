"""The UDP port takes documents as the X-Ray daemon does, and none that had arrived is lost."""

from __future__ import annotations

import json
import socket

import pytest

from xray_lambda.cli.receiver import open_mailbox, read_documents

HEADER = b'{"format": "json", "version": 1}\n'


def send(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for datagram in datagrams:
            out.sendto(datagram, ("127.0.0.1", port))


def test_what_was_sent_before_the_end_is_there_in_order() -> None:
    sent = [HEADER + json.dumps({"id": number}).encode() for number in range(50)]
    with open_mailbox() as mailbox:
        send(mailbox.port, *sent)
    assert mailbox.datagrams == sent


def test_the_largest_datagram_comes_whole() -> None:
    with open_mailbox() as mailbox:
        send(mailbox.port, b"x" * 65_507)
    assert [len(datagram) for datagram in mailbox.datagrams] == [65_507]


def test_the_port_is_closed_afterwards() -> None:
    with open_mailbox() as mailbox:
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", mailbox.port))


def test_the_end_comes_also_where_nothing_was_sent_or_the_block_fails() -> None:
    with pytest.raises(KeyError), open_mailbox() as mailbox:
        raise KeyError
    assert mailbox.datagrams == []


@pytest.mark.parametrize(
    "header",
    [
        b'{"format": "json", "version": 1}\n',
        b'{"format":"json","version":1}\n',
        b'{"version": 1.0, "format": "JSON", "more": [1]}\r\n',
    ],
)
def test_headers_that_the_daemon_takes_are_taken(header: bytes) -> None:
    assert read_documents([header + b'{"id": "1"}\n']) == ([{"id": "1"}], [])


@pytest.mark.parametrize(
    ("datagram", "why"),
    [
        (b"", "it does not begin with the line"),
        (b'{"id": "1"}', "it does not begin with the line"),
        (b'{"format": "json", "version": "1"}\n{}', "it does not begin with the line"),
        (b'{"format": "json", "version": true}\n{}', "it does not begin with the line"),
        (b'{"format": "json", "version": 2}\n{}', "it does not begin with the line"),
        (b"[" * 60_000 + b"\n{}", "it does not begin with the line"),
        (HEADER, "its document is not JSON: "),
        (HEADER + b'{"id": 1}{"id": 2}', "its document is not JSON: "),
        (HEADER + b"T1SCgA=", "its document is not JSON: "),
        (HEADER + b'{"name": "\xff"}', "its document is not JSON: "),
        (HEADER + b"[" * 60_000, "its document is not JSON: "),
        (HEADER + b"[" * 950 + b"]" * 950, "its document is not JSON: it is nested too deeply"),
        (HEADER + b"[{}]", "its document is not a JSON object"),
    ],
)
def test_what_is_no_document_is_refused_with_a_reason(datagram: bytes, why: str) -> None:
    documents, [refusal] = read_documents([datagram])
    assert documents == []
    assert refusal.startswith(why)
