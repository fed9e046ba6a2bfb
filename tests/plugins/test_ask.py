"""Asking the services beside a host: bounded in time and size, past proxies, and nobody is trusted to speak HTTP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.plugins import metadata
from tests.plugins.metadata import Metadata, serving
from tests.servers.process import HOST, free_port
from xray_lambda.plugins._ask import Deadline, NoAnswerError, ask, ask_json

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def service() -> Iterator[Metadata]:
    with serving() as server:
        yield server


@pytest.mark.parametrize("route", [metadata.json_of, metadata.chunked, metadata.kept_open])
def test_an_answer_is_read_however_it_is_framed(service: Metadata, route: object) -> None:
    service.routes["GET /x?y=1"] = route({"a": "b"})  # type: ignore[operator]
    start = time.monotonic()
    assert ask_json(f"{service.url}/x?y=1", Deadline(10), {"X-Mine": "1"}) == {"a": "b"}
    assert time.monotonic() - start < 5
    [(_, headers)] = service.asked
    assert (headers["host"], headers["x-mine"]) == (f"{HOST}:{service.server_port}", "1")


def test_a_put_has_an_empty_body(service: Metadata) -> None:
    service.routes["PUT /token"] = metadata.text("secret")
    assert ask(f"{service.url}/token", Deadline(10), "PUT") == "secret"
    assert service.asked[0][1]["content-length"] == "0"


@pytest.mark.parametrize("route", [metadata.hangs, metadata.drips])
def test_a_service_that_takes_its_time_is_left_when_it_is_over(service: Metadata, route: metadata.Route) -> None:
    service.routes["GET /"] = route
    start = time.monotonic()
    with pytest.raises(NoAnswerError):
        ask(service.url, Deadline(0.2))
    assert time.monotonic() - start < 2


def test_the_time_counts_for_all_questions_together(service: Metadata) -> None:
    deadline = Deadline(0.05)
    time.sleep(0.06)
    with pytest.raises(NoAnswerError, match="in time"):
        ask(service.url, deadline)
    assert service.asked == []


@pytest.mark.parametrize(
    "route",
    [
        metadata.never_ends,
        metadata.closes,
        metadata.garbage,
        metadata.status(301, Location="http://127.0.0.1:1/"),
        metadata.status(401),
        metadata.status(500),
        metadata.text("not json"),
        metadata.text("[" * 50_000),
        metadata.json_of(["no object"]),
    ],
)
def test_what_is_no_answer_is_told_as_none(service: Metadata, route: metadata.Route) -> None:
    service.routes["GET /"] = route
    with pytest.raises(NoAnswerError):
        ask_json(service.url, Deadline(10))
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "url", ["", "nowhere", "file:///etc/passwd", "http://", "http://[", "http://x:y/", f"http://{HOST}:{free_port()}/"]
)
def test_what_is_no_url_or_leads_nowhere_is_no_answer(url: str) -> None:
    with pytest.raises(NoAnswerError):
        ask(url, Deadline(10))


def test_no_proxy_is_asked(service: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{HOST}:{free_port()}")
    service.routes["GET /"] = metadata.json_of({"a": 1})
    assert ask_json(service.url, Deadline(10)) == {"a": 1}
