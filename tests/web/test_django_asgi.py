"""Django under ASGI: the same middleware among async views, sync ones in threads, and clients that hang up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse
from django.test import AsyncClient
from django.test.utils import override_settings

from tests.schema import checked
from tests.web.django_site import DOOR
from xray_lambda import subsegment, trace_id
from xray_lambda._context import current
from xray_lambda.testing import HEADER, ROOT, capture
from xray_lambda.web.asgi import XRayMiddleware as ASGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

SITE = "tests.web.django_site"


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as caught:
        yield caught
        for document in caught._emitter.documents:
            checked(document)


def site(*middleware: str, **options: Any) -> Any:
    """Return the site as an ASGI app, with these middlewares, or the door alone, and these settings."""
    with override_settings(MIDDLEWARE=middleware or (DOOR,), XRAY={"service": "shop", **options}):
        return ASGIHandler()


Messages = list[dict[str, Any]]


async def ask(app: Any, path: str, *, header: str | None = None, hang_up_after: int | None = None) -> Messages:
    """Send an app a request as servers do, and return what it sends; the client may go after some messages."""
    headers = [(b"host", b"testserver")] + ([(b"x-amzn-trace-id", header.encode())] if header else [])
    gone = asyncio.Event()
    sent: list[dict[str, Any]] = []
    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if requests:
            return requests.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if hang_up_after is not None and len(sent) > hang_up_after:
            gone.set()
            await asyncio.sleep(3600)

    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "headers": headers,
        "client": ("203.0.113.9", 4711), "server": ("testserver", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    return sent


def get(path: str, *middleware: str, **how: Any) -> tuple[int, dict[str, str], bytes]:
    sent = asyncio.run(ask(site(*middleware), path, **how))
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize("prefix", ["", "/later"])
def test_a_request_is_a_segment_for_views_of_either_kind(traces: Traces, prefix: str) -> None:
    status, headers, body = get(f"{prefix}/items/7/?token=secret", header=HEADER)
    assert (status, body) == (200, b"item 7")
    assert headers["x-amzn-trace-id"] == f"Root={ROOT}"
    assert traces.one["load"].annotations == {"item": 7}
    assert traces.one.annotations == {"route": f"{prefix}/items/<int:item>/"}
    assert traces.one.document["http"]["request"] == {
        "method": "GET",
        "url": f"http://testserver{prefix}/items/7/",
        "client_ip": "203.0.113.9",
    }


@pytest.mark.parametrize("middleware", [(DOOR,), (DOOR, f"{SITE}.Breaking"), (f"{SITE}.Breaking", DOOR)])
@pytest.mark.parametrize("prefix", ["", "/later"])
def test_an_exception_of_a_view_is_recorded_once_whatever_middlewares_are_around(
    traces: Traces, middleware: tuple[str, ...], prefix: str
) -> None:
    assert get(f"{prefix}/fail/value", *middleware)[0] == 500
    assert traces.one.flags == {"fault"}
    (error,) = traces.one.exceptions
    assert (error["message"], error["stack"][0]["label"]) == ("no such price", "fail_later" if prefix else "fail")


@pytest.mark.parametrize("way", ["in", "out"])
def test_an_exception_of_another_middleware_is_recorded_once(traces: Traces, way: str) -> None:
    assert get(f"/later/items/7/?{way}", DOOR, f"{SITE}.Breaking")[0] == 500
    assert [one["message"] for one in traces.one.exceptions] == [f"on the way {way}"]


@pytest.mark.parametrize(("name", "status"), [("missing", 404), ("denied", 403), ("suspicious", 400)])
def test_a_request_that_is_refused_is_an_error_and_no_fault(traces: Traces, name: str, status: int) -> None:
    assert get(f"/later/fail/{name}")[0] == status
    assert (traces.one.flags, traces.one.exceptions) == ({"error"}, [])


def test_what_is_streamed_belongs_to_the_request_to_the_last_byte(traces: Traces) -> None:
    assert get("/later/stream", header=HEADER)[2] == f"{ROOT} and more".encode()
    assert traces.one.names() == ("shop", [("more", [])])


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
def test_what_a_sync_view_streams_belongs_to_the_request_too(traces: Traces) -> None:
    assert get("/stream", header=HEADER)[2] == f"{ROOT} and more".encode()
    assert traces.one.names() == ("shop", [("more", [])])


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
def test_a_file_is_sent_whole(traces: Traces) -> None:
    assert get("/file")[2] == b"jinja {{ item }}"
    assert traces.one.document["http"]["response"] == {"status": 200, "content_length": 16}


@pytest.mark.skipif(django.VERSION < (5,), reason="Django 4.2 does not listen for clients that hang up")
def test_a_client_that_hangs_up_ends_the_request(traces: Traces) -> None:
    asyncio.run(ask(site(), "/later/stream", hang_up_after=1))
    assert traces.one.document["http"]["response"]["status"] == 200
    assert not traces.one.flags


def test_a_request_that_is_cancelled_is_no_fault_and_passes_the_cancellation_on(traces: Traces) -> None:
    async def main() -> None:
        begun = asyncio.Event()

        async def view(request: Any) -> HttpResponse:
            begun.set()
            await asyncio.sleep(3600)
            raise AssertionError

        from xray_lambda.web.django import XRayMiddleware

        task = asyncio.create_task(XRayMiddleware(view)(_request()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert not traces.one.flags
    assert traces.one.metadata == {"xray_lambda": {"cancelled": True}}


def _request() -> Any:
    from django.test import AsyncRequestFactory

    return AsyncRequestFactory().get("/")


def test_an_unsampled_request_records_nothing(traces: Traces) -> None:
    unsampled = HEADER.replace("Sampled=1", "Sampled=0")
    for path in ("/items/7/", "/later/items/7/", "/later/stream", "/later/fail/value"):
        assert get(path, header=unsampled)[1].get("x-amzn-trace-id", f"Root={ROOT}") == f"Root={ROOT}"
    assert len(traces) == 0


@pytest.mark.parametrize("prefix", ["", "/later"])
@pytest.mark.parametrize("middleware", [(DOOR,), (f"{SITE}.Handling", DOOR, f"{SITE}.Breaking")])
def test_requests_at_the_same_time_are_told_apart(traces: Traces, prefix: str, middleware: tuple[str, ...]) -> None:
    async def main() -> list[bytes]:
        app = site(*middleware)
        answers = await asyncio.gather(*(ask(app, f"{prefix}/echo/{number}") for number in range(50)))
        assert current.get() is None
        return [answer[1]["body"] for answer in answers]

    answers = asyncio.run(main())
    told = [(root.children[0].name, root.annotations["name"], root.document["trace_id"]) for root in traces.roots]
    assert sorted(f"{name} {trace}".encode() for name, _, trace in told) == sorted(answers)
    assert all(name == annotated for name, annotated, _ in told)
    assert len(told) == 50


def test_the_async_test_client_closes_what_it_gets(traces: Traces) -> None:
    async def main() -> bytes:
        with override_settings(XRAY={"service": "shop"}):
            return bytes((await AsyncClient().get("/later/items/7/")).content)

    assert asyncio.run(main()) == b"item 7"
    assert traces.one.document["http"]["response"]["status"] == 200


def test_a_door_of_asgi_around_django_makes_the_segment_and_django_tells_it_what_it_knows(traces: Traces) -> None:
    app = ASGIMiddleware(site(), service="outer")
    asyncio.run(ask(app, "/later/fail/value"))
    assert traces.one.name == "outer"
    assert traces.one.annotations == {"route": "/later/fail/<name>"}
    assert [one["message"] for one in traces.one.exceptions] == ["no such price"]


def test_in_lambda_the_request_is_a_subsegment_of_the_invocation() -> None:
    with capture() as traces, subsegment("handler"):
        assert "x-amzn-trace-id" not in get("/later/items/7/")[1]
        assert trace_id() == ROOT
    assert traces.one.names() == ("handler", [("shop", [("load", [])])])
