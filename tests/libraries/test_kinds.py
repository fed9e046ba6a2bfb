"""Kinds: what a call is named and how it nests; what it carries on; what is ignored, and what is not recorded."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest

from xray_lambda import patch, subsegment
from xray_lambda._context import current
from xray_lambda._sections import without_secrets
from xray_lambda.libraries._card import Call
from xray_lambda.libraries._kinds import (
    AWS,
    CLIENT,
    LOWEST,
    MIDDLE,
    WITHIN,
    LibraryCall,
    Passing,
    Quiet,
    answered,
    carrying,
    http,
    opened,
    outgoing,
)
from xray_lambda.libraries._urls import host_of, message_of, url_of
from xray_lambda.testing import HEADER, capture

if TYPE_CHECKING:
    from tests.servers.http import Server
    from xray_lambda._entity import Entity

URL = "https://api.example.com/orders?token=opensesame"
UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")


def call_under(parent: Any) -> Call:
    return Call({}, parent, (), {})


def here() -> Call:
    """Return a call made under what is current."""
    from xray_lambda._recorder import current_entity

    return call_under(current_entity())


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://example.com/", "example.com"),
        ("http://example.com", "example.com"),
        ("http://Example.COM:80/a", "example.com"),
        ("https://example.com:443/a", "example.com"),
        ("https://example.com:80/a", "example.com:80"),
        ("http://example.com:8080", "example.com:8080"),
        ("http://example.com:/a", "example.com"),
        ("HTTPS://example.com:443/", "example.com"),
        ("ws://example.com:80/", "example.com"),
        ("http://[::1]/", "[::1]"),
        ("http://[::1]:80/", "[::1]"),
        ("http://[::1]:8080/", "[::1]:8080"),
        ("http+unix://%2Frun%2Fdocker.sock/info", "%2frun%2fdocker.sock"),
        ("http:///nowhere", "unknown"),
        ("nonsense", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_call_is_named_after_its_host_and_the_port_where_it_is_not_the_schemes_own(url: str, name: str) -> None:
    assert host_of(url) == name


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://me:swordfish@example.com/a?b=1#c", "https://example.com/a"),
        ("https://me@example.com", "https://example.com"),
        ("https://a@b@example.com/x", "https://example.com/x"),
        ("https://example.com/@user/x", "https://example.com/@user/x"),
        ("https://example.com:8080/@user", "https://example.com:8080/@user"),
        ("https://me:sword/fish@example.com/", "https://"),
        ("/path?query", "/path"),
    ],
)
def test_a_url_loses_what_may_be_private(url: str, plain: str) -> None:
    assert without_secrets(url) == plain


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        (("http", "example.com", 80, "/a"), "http://example.com:80/a"),
        (("http", "example.com", None, "/a"), "http://example.com/a"),
        (("http", "::1", 8080, "/a"), "http://[::1]:8080/a"),
        (("http", "[::1]", None, "*"), "http://[::1]/*"),
        (("http", "proxy", 3128, "http://example.com/a?b"), "http://example.com/a?b"),
        (("http", "example.com", None, "/to?u=http://x/"), "http://example.com/to?u=http://x/"),
        (("http", "example.com", None, "to?u=http://x/"), "http://example.com/to?u=http://x/"),
    ],
)
def test_a_url_is_put_together_as_it_was_asked_for(parts: Any, url: str) -> None:
    assert url_of(*parts) == url


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Max retries exceeded with url: /a?token=opensesame (Caused by x)", "with url: /a?… (Caused by x)"),
        ("for url 'https://me:swordfish@example.com/a?b=opensesame'\nmore", "for url 'https://example.com/a'\nmore"),
        ("Is it there? Yes?", "Is it there? Yes?"),
        ("mail me@example.com", "mail me@example.com"),
        ("", ""),
        ("x" * 3000, "x" * 2000),
    ],
)
def test_a_message_loses_what_may_be_private_in_its_urls(message: str, expected: str) -> None:
    assert message_of(ValueError(message)).endswith(expected)
    assert "opensesame" not in message_of(ValueError(message))


def test_a_message_is_read_in_linear_time() -> None:
    for piece in ("://", "?", "/", "?a", "://@", "a?/"):
        message_of(ValueError(piece * 100_000))


@pytest.mark.parametrize("layer", [LOWEST, MIDDLE])
def test_a_lower_library_is_part_of_the_call_above(layer: int) -> None:
    with capture(), subsegment("handler"), http(here(), "GET", URL, layer=CLIENT):
        assert http(here(), "GET", URL, layer=layer) is WITHIN
        assert opened(here(), "x", "aws", "http", AWS) is not WITHIN


def test_a_client_within_a_client_is_a_call_of_its_own_but_not_within_aws() -> None:
    with capture() as traces:
        with subsegment("handler"):
            with http(here(), "GET", URL) as outer:
                answered(outer, 401, {})
                with http(here(), "POST", "https://login.example.com/token") as inner:
                    answered(inner, 200, {})
            with opened(here(), "S3", "aws", "http", AWS):
                assert http(here(), "GET", URL) is WITHIN
        assert traces.one.names() == (
            "handler",
            [("api.example.com", [("login.example.com", [])]), ("S3", [])],
        )


def test_what_the_program_does_within_a_call_is_not_part_of_it() -> None:
    with capture() as traces:
        with subsegment("handler"), http(here(), "GET", URL), subsegment("hook"):
            call = here()
            with http(call, "GET", "http://localhost/", layer=LOWEST):
                pass
        assert traces.one.names() == ("handler", [("api.example.com", [("hook", [("localhost", [])])])])


def test_an_unsampled_call_passes_the_header_on_and_what_is_below_is_part_of_it() -> None:
    with capture(UNSAMPLED) as traces:
        with subsegment("handler"), http(here(), "GET", URL) as sub:
            assert isinstance(sub, Passing)
            assert current.get() is sub
            assert carrying(sub, {}, str, URL) == {"X-Amzn-Trace-Id": UNSAMPLED}
            assert http(here(), "GET", URL, layer=MIDDLE) is WITHIN
            with subsegment("hook") as hook, http(here(), "GET", URL) as other:
                assert carrying(hook, {}, str, URL) == {"X-Amzn-Trace-Id": UNSAMPLED}
                assert carrying(other, {}, str, URL) == {"X-Amzn-Trace-Id": UNSAMPLED}
            assert current.get() is sub
            with http(here(), "GET", URL), subsegment("hook"):
                pass
            assert current.get() is sub
        assert len(traces) == 0


def test_nothing_within_an_ignored_call_is_recorded_or_carried_on() -> None:
    with capture(ignore_calls="api.example.com") as traces:
        with subsegment("handler") as handler:
            with http(here(), "GET", URL) as sub:
                assert type(sub) is Quiet
                for layer in (CLIENT, MIDDLE, LOWEST):
                    assert http(here(), "GET", URL, layer=layer) is WITHIN
                with subsegment("hook") as hook, http(here(), "GET", "http://localhost/") as other:
                    assert (carrying(hook, {}, str, URL), carrying(other, {}, str, URL)) == ({}, {})
                assert current.get() is sub
                assert opened(here(), "db", "remote", "sql", LOWEST).sampled is False
            assert current.get() is handler
        assert traces.one.names() == ("handler", [])


def test_headers_are_copied_and_those_of_another_request_left_out() -> None:
    theirs = {"x-amzn-trace-id": "stale", "X-AMZN-TRACE-ID": "stale", "Accept": "*/*"}
    before = dict(theirs)
    with capture(propagate="xray,w3c"), subsegment("handler") as sub:
        sent = carrying(sub, theirs, str, URL)
        expected = {"Accept": "*/*", **dict(outgoing(sub, "x", "x"))}
    assert (sent, theirs) == (expected, before)
    assert set(sent) == {"Accept", "X-Amzn-Trace-Id", "traceparent"}


def test_headers_stay_the_same_where_nothing_is_to_be_carried_on() -> None:
    headers = {"x-amzn-trace-id": "mine"}
    with capture(inject_to="example.org"), subsegment("handler") as sub:
        assert carrying(sub, headers, str, URL) is headers
    assert carrying(WITHIN, headers, str, URL) is headers


@pytest.mark.parametrize("length", ["", "-1", "1e3", "abc", "٣", "9" * 5000, None])
def test_a_content_length_that_is_none_is_left_out(length: str | None) -> None:
    with capture() as traces:
        with subsegment("handler"), http(here(), "GET", URL) as sub:
            answered(sub, 200, {"Content-Length": length})
        assert traces.find("api.example.com").document["http"]["response"] == {"status": 200}


@pytest.mark.parametrize("status", [None, "200", object()])
def test_a_status_that_is_none_is_left_out(status: object) -> None:
    with capture() as traces:
        with subsegment("handler"), http(here(), "GET", URL) as sub:
            answered(sub, status, {})
        assert "response" not in traces.find("api.example.com").document["http"]


def test_what_is_too_long_is_cut_and_what_is_no_text_is_made_one() -> None:
    with capture() as traces:
        with subsegment("handler"), http(here(), "G" * 300, "https://example.com/\ud800" + "x" * 300):
            pass
        request = traces.find("example.com").document["http"]["request"]
    assert (len(request["method"]), len(request["url"])) == (250, 250)
    assert "\ud800" not in request["url"]


def test_a_fault_of_a_filter_is_ours_and_the_call_goes_on(web: Server) -> None:
    def filter_that_fails(name: str, url: str) -> bool:
        raise LookupError(name)

    patch("http.client")
    settings: tuple[dict[str, Any], ...] = ({"ignore_calls": filter_that_fails}, {"inject_to": filter_that_fails})
    for setting in settings:
        with capture(strict=False, **setting), subsegment("handler"):
            connection = HTTPConnection("127.0.0.1", web.server_port)
            connection.request("GET", "/status/200")
            assert connection.getresponse().status == 200
            connection.close()
        assert web.last.trace == []


def test_what_aws_is_sent_carries_what_its_own_card_puts_there(web: Server) -> None:
    patch("http.client")
    connection = HTTPConnection("127.0.0.1", web.server_port)

    def get() -> None:
        connection.request("GET", "/status/200", headers={"X-Amzn-Trace-Id": "signed"})
        connection.getresponse().read()

    with capture() as traces:
        with subsegment("handler"):
            get()
            with opened(here(), "S3", "aws", "http", AWS):
                get()
        assert traces.one.names() == ("handler", [(web.name, []), ("S3", [])])
    connection.close()
    assert [received.trace == ["signed"] for received in web.received] == [False, True]


def test_a_library_call_closed_meanwhile_takes_no_answer() -> None:
    with capture(), subsegment("handler"):
        sub: Entity = http(here(), "GET", URL)
        assert isinstance(sub, LibraryCall)
        with sub:
            pass
        answered(sub, 200, {})
        assert sub.details is None
