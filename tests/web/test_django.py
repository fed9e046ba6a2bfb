"""Django under WSGI: every request is a segment, however it is answered, and ends with its last byte."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import override_settings

from tests.schema import checked
from tests.web.django_site import DOOR
from tests.web.wsgi import answer_to, ask, environ_of
from xray_lambda import subsegment
from xray_lambda._context import current
from xray_lambda.testing import HEADER, ROOT, capture
from xray_lambda.web.django import XRayMiddleware
from xray_lambda.web.wsgi import XRayMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xray_lambda.testing import Traces

SITE = "tests.web.django_site"
UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as caught:
        yield caught
        for document in caught._emitter.documents:
            checked(document)


def site(*middleware: str, **options: Any) -> Any:
    """Return the site as a WSGI app, with these middlewares, or the door alone, and these settings."""
    with override_settings(MIDDLEWARE=middleware or (DOOR,), XRAY={"service": "shop", **options}):
        return WSGIHandler()


def get(path: str, *middleware: str, **headers: str) -> Any:
    return ask(site(*middleware), path, Host="testserver", **headers)


@pytest.mark.parametrize("prefix", ["", "/later"])
def test_a_request_is_a_segment_with_its_route(traces: Traces, prefix: str) -> None:
    answer = get(f"{prefix}/items/7/?token=secret", X_Amzn_Trace_Id=HEADER)
    assert answer.body == b"item 7"
    assert answer["X-Amzn-Trace-Id"] == f"Root={ROOT}"
    assert (traces.one.name, traces.one["load"].annotations) == ("shop", {"item": 7})
    assert traces.one.annotations == {"route": f"{prefix}/items/<int:item>/"}
    assert traces.one.document["http"] == {
        "request": {"method": "GET", "url": f"http://testserver{prefix}/items/7/"},
        "response": {"status": 200, "content_length": 6},
    }


def test_a_route_of_a_regular_expression_is_told_as_it_is_written(traces: Traces) -> None:
    get("/old/7")
    assert traces.one.annotations == {"route": r"/^old/(?P<item>\d+)$"}


@pytest.mark.parametrize(
    ("path", "shape"),
    [("/items/7/", ["load", "item.html"]), ("/jinja", ["jinja.html"]), ("/string", ["template"])],
)
def test_templates_of_either_engine_are_subsegments_by_their_names(traces: Traces, path: str, shape: list[str]) -> None:
    get(path)
    assert [child.name for child in traces.one.children] == shape


@pytest.mark.parametrize("prefix", ["", "/later"])
def test_an_exception_of_a_view_is_recorded_once_with_its_stack(traces: Traces, prefix: str) -> None:
    assert get(f"{prefix}/fail/value").status.startswith("500")
    assert traces.one.flags == {"fault"}
    (error,) = traces.one.exceptions
    assert (error["type"], error["message"]) == ("ValueError", "no such price")
    assert error["stack"][0]["label"] == ("fail_later" if prefix else "fail")
    assert traces.one.document["http"]["response"]["status"] == 500


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/fail/missing", 404), ("/fail/denied", 403), ("/fail/bad", 400), ("/fail/suspicious", 400), ("/nowhere", 404),
        ("/items/seven/", 404), ("/later/fail/missing", 404),
    ],
)  # fmt: skip
def test_a_request_that_is_refused_is_an_error_and_no_fault(traces: Traces, path: str, status: int) -> None:
    assert get(path).status.startswith(str(status))
    assert (traces.one.flags, traces.one.exceptions) == ({"error"}, [])


def test_a_redirect_is_no_fault(traces: Traces) -> None:
    get("/redirect")
    assert not traces.one.flags


@pytest.mark.parametrize("order", [(DOOR, f"{SITE}.Breaking"), (f"{SITE}.Breaking", DOOR)])
@pytest.mark.parametrize("way", ["in", "out"])
def test_an_exception_of_another_middleware_is_recorded_once_where_the_request_is_open(
    traces: Traces, order: tuple[str, str], way: str
) -> None:
    assert get(f"/items/7/?{way}", *order).status.startswith("500")
    if order[0] != DOOR and way == "in":
        assert len(traces) == 0  # the door has not seen it
        return
    assert "fault" in traces.one.flags
    assert [one["message"] for one in traces.one.exceptions] == [f"on the way {way}"]


@pytest.mark.parametrize(("status", "flags"), [(200, set()), (409, {"error"}), (500, {"fault"})])
def test_an_exception_that_a_middleware_answers_counts_by_the_status(
    traces: Traces, status: int, flags: set[str]
) -> None:
    assert get(f"/fail/value?status={status}", DOOR, f"{SITE}.Handling").body == b"sorry"
    assert traces.one.flags == flags


def test_an_exception_that_django_lets_pass_is_recorded_once_and_passes(traces: Traces) -> None:
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True), pytest.raises(ValueError, match="no such price"):
        get("/fail/value")
    assert [one["message"] for one in traces.one.exceptions] == ["no such price"]
    assert current.get() is None


@pytest.mark.parametrize("path", ["/items/7/", "/host"])
def test_a_host_that_is_not_allowed_is_refused_and_leaks_nothing(traces: Traces, path: str) -> None:
    answer = ask(site(), path, Host="evil.example.com")
    assert answer.status.startswith("200" if path == "/items/7/" else "400")  # which only who asks for it hears
    assert traces.one.document["http"]["request"]["url"] == f"http://evil.example.com{path}"
    assert traces.one.exceptions == []
    assert current.get() is None


def test_what_is_streamed_belongs_to_the_request_to_the_last_byte(traces: Traces) -> None:
    body = site()(environ_of("/stream", Host="testserver", X_Amzn_Trace_Id=HEADER), lambda *_: None)
    sent = b""
    for chunk in body:
        sent += chunk
        assert current.get() is None
    assert len(traces) == 0
    body.close()
    assert sent == f"{ROOT} and more".encode()
    assert traces.one.names() == ("shop", [("more", [])])


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous iterators")
def test_what_an_async_view_streams_belongs_to_the_request_under_wsgi_too(traces: Traces) -> None:
    assert get("/later/stream", X_Amzn_Trace_Id=HEADER).body == f"{ROOT} and more".encode()
    assert traces.one.names() == ("shop", [("more", [])])


def test_an_exception_while_an_answer_is_streamed_is_recorded_and_passes(traces: Traces) -> None:
    with pytest.raises(ValueError, match="half-way"):
        get("/stream-and-fail")
    assert [one["message"] for one in traces.one.exceptions] == ["half-way"]


def test_a_file_stays_the_servers_to_send_and_ends_the_request_when_it_is_closed(traces: Traces) -> None:
    body: Any = site()(environ_of("/file", Host="testserver") | {"wsgi.file_wrapper": FileWrapper}, lambda *_: None)
    assert isinstance(body, FileWrapper)
    assert b"".join(body) == b"jinja {{ item }}"
    assert len(traces) == 0
    body.close()
    assert traces.one.document["http"]["response"] == {"status": 200, "content_length": 16}


def test_a_file_is_sent_whole_where_the_server_has_no_wrapper(traces: Traces) -> None:
    assert get("/file").body == b"jinja {{ item }}"
    assert len(traces) == 1


def test_an_unsampled_request_records_nothing(traces: Traces) -> None:
    for path in ("/items/7/", "/stream", "/later/items/7/", "/fail/value", "/query", "/nowhere"):
        assert get(path, X_Amzn_Trace_Id=UNSAMPLED)["X-Amzn-Trace-Id"] == f"Root={ROOT}"
    assert len(traces) == 0
    assert current.get() is None


def test_the_test_client_closes_what_it_gets(traces: Traces) -> None:
    with override_settings(XRAY={"service": "shop"}):
        assert Client().get("/items/7/").content == b"item 7"
    assert traces.one.document["http"]["request"]["client_ip"] == "127.0.0.1"


def test_the_test_client_raises_a_views_exception_which_is_recorded_once(traces: Traces) -> None:
    with pytest.raises(ValueError, match="no such price"):
        Client().get("/fail/value")
    assert [one["message"] for one in traces.one.exceptions] == ["no such price"]


def test_two_of_our_middlewares_make_one_segment(traces: Traces) -> None:
    get("/items/7/", DOOR, DOOR)
    assert traces.one.names() == ("shop", [("load", []), ("item.html", [])])


def test_a_door_of_wsgi_around_django_makes_the_segment_and_django_tells_it_what_it_knows(traces: Traces) -> None:
    app = WSGIMiddleware(site(), service="outer")
    ask(app, "/fail/value", Host="testserver")
    assert traces.one.name == "outer"
    assert traces.one.annotations == {"route": "/fail/<name>"}
    assert [one["message"] for one in traces.one.exceptions] == ["no such price"]


def test_in_lambda_the_request_is_a_subsegment_of_the_invocation() -> None:
    with capture() as traces, subsegment("handler"):
        assert get("/items/7/")["X-Amzn-Trace-Id"] is None
    assert traces.one.names() == ("handler", [("shop", [("load", []), ("item.html", [])])])


def test_paths_to_be_ignored_are_left_alone() -> None:
    with override_settings(MIDDLEWARE=[DOOR], XRAY={"ignore_paths": ["/items/*"]}), capture(header=None) as traces:
        assert ask(WSGIHandler(), "/items/7/")["X-Amzn-Trace-Id"] is None
        assert ask(WSGIHandler(), "/old/7")["X-Amzn-Trace-Id"] is not None
    assert len(traces) == 1


def test_hosts_may_name_their_segments(traces: Traces) -> None:
    ask(site(hosts="*.example.com", user_agent=True), "/old/7", Host="shop.example.com", User_Agent="curl")
    assert traces.one.name == "shop.example.com"
    assert traces.one.document["http"]["request"]["user_agent"] == "curl"


def test_a_scheme_that_a_proxy_tells_is_djangos_to_believe(traces: Traces) -> None:
    with override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https")):
        get("/old/7", X_Forwarded_Proto="https")
    assert traces.one.document["http"]["request"]["url"] == "https://testserver/old/7"


@pytest.mark.parametrize("path", ["/%E9", "/\u00e9", "/%00", "/a%3Fb", "/" + "x" * 10_000])
def test_a_path_of_any_characters_is_answered_and_recorded(traces: Traces, path: str) -> None:
    environ = environ_of("/", Host="testserver") | {"PATH_INFO": path.encode("utf-8").decode("latin-1")}
    assert answer_to(site(), environ).status.startswith("404")
    assert len(traces) == 1


def test_a_response_that_a_cache_keeps_can_be_pickled(traces: Traces) -> None:
    request = RequestFactory().get("/")
    response = XRayMiddleware(lambda request: HttpResponse("kept"))(request)
    again = pickle.loads(pickle.dumps(response))  # noqa: S301 - our own
    again.close()
    assert again.content == b"kept"
    assert len(traces) == 0
    response.close()
    assert len(traces) == 1


def test_a_response_that_is_dropped_ends_the_request(traces: Traces) -> None:
    XRayMiddleware(lambda request: HttpResponse("dropped"))(RequestFactory().get("/"))
    assert len(traces) == 1


def test_a_fault_of_ours_leaves_the_answer_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise LookupError

    app = site()
    with capture(header=None, strict=False) as traces:
        monkeypatch.setattr(XRayMiddleware, "_describe", broken)
        assert ask(app, "/items/7/", Host="testserver").body == b"item 7"
        assert current.get() is None
        assert len(traces) == 1


def test_a_missing_django_is_told_with_the_command_that_helps() -> None:
    program = "import sys; sys.modules['django'] = None\nimport xray_lambda.web.django"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith("pip install Django")
