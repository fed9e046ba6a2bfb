"""Arrivals: which trace a request belongs to, where it came from, and what URL it asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.wsgi import environ_of
from xray_lambda._header import TraceHeader
from xray_lambda.testing import ROOT
from xray_lambda.web._arrival import Arrival, address, as_in_url, without_default_port
from xray_lambda.web.wsgi import WSGIArrival

PARENT = "53995c3f42cd8ad8"
W3C = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
FROM_W3C = TraceHeader(ROOT, PARENT, "1")


def arrival(**more: Any) -> Arrival:
    return Arrival("GET", "shop", "/", lambda: "http://shop/", **more)


@pytest.mark.parametrize(
    ("trace", "traceparent", "expected"),
    [
        (None, None, TraceHeader()),
        (f"Root={ROOT};Parent={PARENT};Sampled=1", None, FROM_W3C),
        (f"Root={ROOT}; Parent={PARENT}; Sampled=1", None, FROM_W3C),
        (f"Self=1-2-3;Root={ROOT};Lineage=a:1|b:0", None, TraceHeader(ROOT, None, None, ";Lineage=a:1|b:0")),
        (f"Root={ROOT};Sampled=0", W3C, TraceHeader(ROOT, None, "0")),
        (None, W3C, FROM_W3C),
        ("", W3C, FROM_W3C),
        ("Root=nonsense;Sampled=1", W3C, FROM_W3C),
        ("Sampled=?", None, TraceHeader(sampled="?")),
        ("Sampled=0", "nonsense", TraceHeader()),
        ("x" * 100_000, "y" * 100_000, TraceHeader()),
        (";;;=;Root", None, TraceHeader()),
        ("Root=1-5759e988-bd862e3fe1be46a99427279Z", None, TraceHeader()),
        ("ÿ=þ;Root=\x00", None, TraceHeader()),
    ],
)
def test_the_trace_is_that_of_x_rays_header_else_that_of_w3cs(
    trace: str | None, traceparent: str | None, expected: TraceHeader
) -> None:
    assert arrival(trace=trace, traceparent=traceparent).header() == expected


@pytest.mark.parametrize(
    ("forwarded", "peer", "expected"),
    [
        ("203.0.113.9", "10.0.0.1", {"client_ip": "203.0.113.9", "x_forwarded_for": True}),
        ("203.0.113.9, 10.0.0.2, 10.0.0.3", "10.0.0.1", {"client_ip": "203.0.113.9", "x_forwarded_for": True}),
        (" 203.0.113.9:4711 ,10.0.0.2", None, {"client_ip": "203.0.113.9", "x_forwarded_for": True}),
        ("[2001:db8::1]:4711", None, {"client_ip": "2001:db8::1", "x_forwarded_for": True}),
        ("unknown, 10.0.0.2", "10.0.0.1", {"client_ip": "10.0.0.1"}),
        ("<script>", None, {}),
        ("", "2001:db8::2", {"client_ip": "2001:db8::2"}),
        ("," * 100_000, "10.0.0.1", {"client_ip": "10.0.0.1"}),
        (None, "", {}),
        (None, "/run/nginx.sock", {}),
        (None, None, {}),
    ],
)
def test_the_client_is_the_first_hop_of_x_forwarded_for_and_marked_so_else_the_peer(
    forwarded: str | None, peer: str | None, expected: dict[str, object]
) -> None:
    assert arrival(forwarded=forwarded, peer=peer).client() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:80", "203.0.113.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("[::1]:80", "::1"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ("10.0.0", None),
        ("10.0.0.1\x00", None),
        ("shop.example.com", None),
        ("\ud800", None),
        ("", None),
    ],
)
def test_an_address_is_one_of_ip_and_nothing_else(text: str, expected: str | None) -> None:
    assert address(text) == expected


@pytest.mark.parametrize(
    ("scheme", "host", "expected"),
    [
        ("http", "shop:80", "shop"),
        ("https", "shop:443", "shop"),
        ("http", "shop:443", "shop:443"),
        ("ws", "shop:80", "shop"),
        ("http", "shop:8080", "shop:8080"),
        ("gopher", "shop:70", "shop:70"),
    ],
)
def test_the_port_that_a_scheme_has_anyway_is_not_written(scheme: str, host: str, expected: str) -> None:
    assert without_default_port(scheme, host) == expected


def test_what_was_quoted_in_a_path_begins_no_query() -> None:
    assert as_in_url("/a?b#c") == "/a%3Fb%23c"


@pytest.mark.parametrize(
    ("environ", "path", "url"),
    [
        ({}, "/", "http://127.0.0.1/"),
        ({"HTTP_HOST": "shop:8080", "PATH_INFO": "/items"}, "/items", "http://shop:8080/items"),
        ({"HTTP_HOST": "shop:443", "wsgi.url_scheme": "https"}, "/", "https://shop/"),
        ({"HTTP_HOST": "", "SERVER_NAME": "::1", "SERVER_PORT": "8080"}, "/", "http://[::1]:8080/"),
        ({"SCRIPT_NAME": "/shop", "PATH_INFO": ""}, "/shop", "http://127.0.0.1/shop"),
        ({"SCRIPT_NAME": "/shop", "PATH_INFO": "/é".encode().decode("latin-1")}, "/shop/é", "http://127.0.0.1/shop/é"),
        ({"PATH_INFO": "/\xff"}, "/\ufffd", "http://127.0.0.1/\ufffd"),
        ({"PATH_INFO": "/a?b"}, "/a?b", "http://127.0.0.1/a%3Fb"),
        ({"QUERY_STRING": "token=secret"}, "/", "http://127.0.0.1/"),
        ({"PATH_INFO": None, "REQUEST_METHOD": None, "SERVER_PORT": None}, "/", "http://127.0.0.1/"),
    ],
)
def test_a_wsgi_request_tells_its_path_and_its_url_without_the_query(
    environ: dict[str, Any], path: str, url: str
) -> None:
    read = WSGIArrival({**environ_of("/"), **environ})
    assert (read.path, read.url()) == (path, url)
