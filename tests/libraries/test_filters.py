"""Filters: hosts, URLs and service operations by text with `*`, or by a function."""

from __future__ import annotations

import pytest

from xray_lambda.libraries._filters import ignores, sends_header_to

URL = "https://api.example.com:8443/orders/17"
NAME = "api.example.com:8443"


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "api.example.com",  # any port
        "api.example.com:8443",
        "API.Example.COM",
        "*.example.com",
        "*.example.com:*",
        "https://api.example.com:8443",  # all of the host
        "https://*",
        "https://api.example.com:8443/orders/*",
        "https://api.example.com:8443/orders/17",
        "*://*.example.com:8443/*/17",
        "api.example.com:8443/orders/*",
        "*/orders/*",
    ],
)
def test_what_matches(text: str) -> None:
    assert ignores((text,), NAME, URL)
    assert sends_header_to(("other", text), NAME, URL)


@pytest.mark.parametrize(
    "text",
    [
        "example.com",
        "api.example.com:443",
        "api.example",
        "*.example.org",
        "http://api.example.com:8443",
        "https://api.example.com",
        "https://api.example.com:8443/",
        "https://api.example.com:8443/orders",
        "/orders/17",
        "api.example.com:8443/",
        "api?example.com",  # no more than the star is special
        "api.example.com:8443|",
    ],
)
def test_what_does_not(text: str) -> None:
    assert not ignores((text,), NAME, URL)
    assert not sends_header_to((text,), NAME, URL)


@pytest.mark.parametrize(
    ("text", "name", "url"),
    [
        ("*.example.com", "example.com.evil.net", "https://example.com.evil.net/"),
        ("https://*.example.com/*", "evil.net", "https://evil.net/x.example.com/"),
        ("*.example.com/*", "evil.net", "https://evil.net/x.example.com/"),
        ("https://example.com", "evil.net", "https://evil.net/?https://example.com"),
        ("example.com*", "evil.net", "https://evil.net/example.com"),
    ],
)
def test_a_host_is_not_found_in_a_path(text: str, name: str, url: str) -> None:
    assert not sends_header_to((text,), name, url)


def test_services_and_operations_match_too() -> None:
    assert ignores(("SQS.*",), "SQS", "SQS.SendMessage")
    assert ignores(("SQS",), "SQS", "SQS.SendMessage")
    assert ignores(("*.SendMessage",), "SQS", "SQS.SendMessage")
    assert not ignores(("S3.*",), "SQS", "SQS.SendMessage")


def test_a_function_is_given_the_name_and_the_url() -> None:
    seen: list[tuple[str, str]] = []

    def note(name: str, url: str) -> bool:
        seen.append((name, url))
        return True

    assert ignores((note,), NAME, URL)
    assert seen == [(NAME, URL)]
    assert not ignores((lambda name, url: False,), NAME, URL)


def test_without_a_list_no_call_is_ignored_and_all_hosts_are_sent_the_header() -> None:
    assert not ignores((), NAME, URL)
    assert sends_header_to(None, NAME, URL)
    assert not sends_header_to((), NAME, URL)


def test_a_port_is_told_from_an_address_of_version_6() -> None:
    assert ignores(("[::1]",), "[::1]:8080", "http://[::1]:8080/")
    assert ignores(("[::1]",), "[::1]", "http://[::1]/")
