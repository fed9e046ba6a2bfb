"""http.client: one subsegment a request and its response, whichever of its methods the program calls."""

from __future__ import annotations

import gc
import http.client
import urllib.error
import urllib.request
import weakref
from typing import TYPE_CHECKING

import pytest

from tests.servers.process import free_port
from xray_lambda import patch, subsegment
from xray_lambda.testing import ROOT, capture, counting_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.http import Server


@pytest.fixture(autouse=True)
def patched() -> None:
    patch("http.client")


@pytest.fixture
def connection(web: Server) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", web.server_port, timeout=20)
    yield made
    made.close()


def test_a_request_is_one_subsegment_however_its_answer_is_read(
    connection: http.client.HTTPConnection, web: Server
) -> None:
    """The peer makes three of it, or more: one for the request, one for the response, one for each read."""
    with capture() as traces:
        with subsegment("handler"):
            connection.request("POST", "/echo?secret=1", b"0123456789", {"X-Mine": "1"})
            response = connection.getresponse()
            parts = [response.read(4), response.read(4), response.read()]
        (node,) = traces.one.children
    assert parts == [b"0123", b"4567", b"89"]
    assert node.document["http"] == {
        "request": {"method": "POST", "url": f"{web.url}/echo"},
        "response": {"status": 200, "content_length": 10},
    }


def test_the_header_names_the_calls_own_subsegment_whatever_is_open_around_it(
    connection: http.client.HTTPConnection, web: Server
) -> None:
    """With the peer it names the enclosing subsegment, and is missing where there is none."""
    with capture(new_id=counting_ids()) as traces:
        with subsegment("handler"), subsegment("inner"):
            connection.request("GET", "/status/200")
            connection.getresponse().read()
        connection.request("GET", "/status/200")
        connection.getresponse().read()
        nodes = [traces.find("inner").children[0], traces.roots[1]]
    expected = [[f"Root={ROOT};Parent={node.id};Sampled=1"] for node in nodes]
    assert [received.trace for received in web.received] == expected


def test_a_connection_that_is_kept_makes_a_subsegment_a_request(connection: http.client.HTTPConnection) -> None:
    with capture() as traces:
        with subsegment("handler"):
            for status in (200, 404, 200):
                connection.request("GET", f"/status/{status}")
                connection.getresponse().read()
        flags = [child.flags for child in traces.one.children]
    assert flags == [set(), {"error"}, set()]


def test_a_request_made_line_by_line_is_the_same(connection: http.client.HTTPConnection, web: Server) -> None:
    with capture() as traces:
        with subsegment("handler"):
            connection.putrequest("POST", "/echo", skip_accept_encoding=True)
            connection.putheader("Content-Length", "5")
            connection.putheader("x-amzn-trace-id", "stale")
            connection.endheaders()
            connection.send(b"hello")
            assert connection.getresponse().read() == b"hello"
        (node,) = traces.one.children
    assert web.last.trace == [f"Root={ROOT};Parent={node.id};Sampled=1"]
    assert web.last.all("Host") == [web.name]


def test_the_subsegment_is_open_between_request_and_response_and_not_around_other_work(
    connection: http.client.HTTPConnection, web: Server
) -> None:
    with capture() as traces:
        connection.request("GET", "/gated")
        with subsegment("other"):
            assert len(traces) == 0
        web.gate.set()
        connection.getresponse().read()
        assert [root.name for root in traces.roots] == [web.name, "other"]


@pytest.mark.parametrize("by", ["closing", "dropping", "going on"])
def test_a_request_whose_answer_nobody_waits_for_is_recorded(web: Server, by: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", web.server_port)
    gone = weakref.ref(connection)
    with capture() as traces:
        connection.request("GET", "/status/200")
        web.arrived.wait(20)  # or the server would meet it in the next test
        assert len(traces) == 0
        if by == "closing":
            connection.close()
        elif by == "dropping":
            connection.sock.close()
            del connection
            gc.collect()
            assert gone() is None
        else:
            connection.sock.close()
            connection.sock = None
            connection.__dict__["_HTTPConnection__state"] = "Idle"
            connection.request("GET", "/status/200")
            connection.getresponse().read()
            connection.close()
        assert traces.roots[0].document["http"] == {"request": {"method": "GET", "url": f"{web.url}/status/200"}}
        assert traces.roots[0].flags == set()


def test_a_mistake_of_the_program_stays_its_own(connection: http.client.HTTPConnection) -> None:
    with capture() as traces:
        with subsegment("handler"):
            with pytest.raises(http.client.ResponseNotReady):
                connection.getresponse()
            with pytest.raises(http.client.CannotSendHeader):
                connection.endheaders()
            with pytest.raises(http.client.InvalidURL, match="control characters"):
                connection.request("GET", "/a b")
            with pytest.raises(TypeError, match="putrequest"):
                connection.putrequest("GET")  # type: ignore[call-arg]
        assert traces.one.flags == set()


def test_a_proxy_that_refuses_a_tunnel_is_a_fault_of_the_call(web: Server) -> None:
    """http.client closes the connection before it says why."""
    connection = http.client.HTTPSConnection("127.0.0.1", web.server_port, timeout=20)
    connection.set_tunnel("secure.example.com")
    with capture() as traces:
        with pytest.raises(OSError, match="Tunnel connection failed: 501"):
            connection.request("GET", "/")
        assert (traces.one.name, traces.one.flags) == ("secure.example.com", {"fault"})
        assert traces.one.exceptions[0]["type"] == "OSError"
    connection.close()


def test_the_port_and_an_address_of_version_6_stand_in_the_url() -> None:
    port = free_port()
    connection = http.client.HTTPConnection("::1", port, timeout=20)
    with capture() as traces:
        with pytest.raises(ConnectionError):
            connection.request("GET", "/a")
        assert traces.one.name == f"_::1_:{port}"  # X-Ray takes no brackets there
        assert traces.one.document["http"]["request"]["url"] == f"http://[::1]:{port}/a"


def test_what_is_built_upon_it_is_traced(web: Server) -> None:
    """A redirect that urllib.request follows is a request of its own to http.client."""
    url = f"{web.url}/redirect/302?{web.url}/status/404"
    with capture() as traces:
        with subsegment("handler"), pytest.raises(urllib.error.HTTPError) as failed:
            urllib.request.urlopen(url, timeout=20)
        failed.value.close()
        statuses = [child.document["http"]["response"]["status"] for child in traces.one.children]
    assert statuses == [302, 404]
    assert [len(received.trace) for received in web.received] == [1, 1]


def test_a_connection_that_can_be_no_key_is_traced_until_it_has_asked(web: Server) -> None:
    class Unhashable(http.client.HTTPConnection):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return self is other

    other = http.client.HTTPConnection("127.0.0.1", web.server_port, timeout=20)
    connection = Unhashable("127.0.0.1", web.server_port, timeout=20)
    with capture(strict=False), subsegment("handler"):
        other.request("GET", "/status/200")
        connection.request("GET", "/status/200")
        assert connection.getresponse().read() == b"hello"
        connection.close()
        other.close()
