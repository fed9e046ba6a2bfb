"""requests: what the program holds stays as it is; what hooks, authentication and adapters do in between."""

from __future__ import annotations

import gc
import pickle
import shutil
import weakref
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import HTTPDigestAuth

from tests.servers.process import free_port
from xray_lambda import patch_all, subsegment
from xray_lambda.testing import HEADER, ROOT, capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.http import Received, Server
    from xray_lambda.testing import Node, Traces

UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")


@pytest.fixture(autouse=True)
def patched() -> None:
    patch_all()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        yield made


def header_of(node: Node) -> list[str]:
    return [f"Root={ROOT};Parent={node.id};Sampled=1"]


def traces_of(received: list[Received]) -> list[list[str]]:
    return [one.trace for one in received]


def shape(traces: Traces, web: Server) -> list[str]:
    """Return the lines of the tree with `web` in the place of the server's name."""
    return str(traces).replace(web.name, "web").splitlines()


@pytest.mark.parametrize("header", [HEADER, UNSAMPLED])
def test_a_prepared_request_is_traced_and_stays_as_it_is(session: requests.Session, web: Server, header: str) -> None:
    """The peer does not trace `Session.send`; and what it does trace has its header in the program's own dict."""
    headers = {"X-Mine": "1"}
    prepared = session.prepare_request(requests.Request("GET", f"{web.url}/status/200", headers=headers))
    before = dict(prepared.headers)
    with capture(header) as traces:
        with subsegment("handler"):
            response = session.send(prepared)
        assert len(traces.roots) == (header is HEADER)
    assert (headers, dict(prepared.headers)) == ({"X-Mine": "1"}, before)
    assert response.request is prepared
    assert "X-Amzn-Trace-Id" not in session.headers
    session.send(prepared)
    assert [len(trace) for trace in traces_of(web.received)] == [1, 0]


def test_an_exception_has_the_programs_own_request(session: requests.Session) -> None:
    prepared = session.prepare_request(requests.Request("GET", f"http://127.0.0.1:{free_port()}/"))
    with capture(), subsegment("handler"), pytest.raises(requests.ConnectionError) as failed:
        session.send(prepared)
    assert failed.value.request is prepared
    assert "X-Amzn-Trace-Id" not in prepared.headers


def test_credentials_in_a_url_are_sent_and_not_recorded(session: requests.Session, web: Server) -> None:
    with capture() as traces:
        session.get(f"http://me:swordfish@{web.name}/status/200")
        assert traces.one.document["http"]["request"]["url"] == f"{web.url}/status/200"
        assert "swordfish" not in str(traces.documents)
    assert web.last.all("Authorization")[0].startswith("Basic ")


def test_a_request_that_cannot_be_made_is_no_call(session: requests.Session) -> None:
    with capture() as traces:
        with subsegment("handler"):
            for url in ("nowhere", "http://", "ftp://example.com/"):
                with pytest.raises((requests.exceptions.InvalidSchema, ValueError)):
                    session.get(url)
            with pytest.raises(ValueError, match="You can only send PreparedRequests"):
                session.send(requests.Request("GET", "http://example.com/"))  # type: ignore[arg-type]
        flags = [child.flags for child in traces.one.children]
    assert flags == [{"fault"}, {"fault"}]  # no adapter for ftp, and a Request that is not prepared


def test_a_hook_that_raises_for_status_leaves_the_answer_recorded(session: requests.Session, web: Server) -> None:
    def check(response: requests.Response, *_: Any, **__: Any) -> None:
        response.raise_for_status()

    with capture() as traces:
        with subsegment("handler"), pytest.raises(requests.HTTPError):
            session.get(f"{web.url}/status/404?token=opensesame", hooks={"response": check})
        (node,) = traces.one.children
    assert node.document["http"]["response"] == {"status": 404, "content_length": 5}
    assert (node.flags, node.exceptions) == ({"error"}, [])


def test_what_a_hook_raises_is_recorded(session: requests.Session, web: Server) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise LookupError("mine")

    with capture() as traces:
        with pytest.raises(LookupError, match="mine"):
            session.get(f"{web.url}/status/200", hooks={"response": fail})
        assert traces.one.exceptions[0]["type"] == "LookupError"


def test_a_call_that_a_hook_makes_is_one_of_its_own(session: requests.Session, web: Server) -> None:
    """By another session, by the same one, by `send`; and beside a redirect, which is none."""

    def follow_up(response: requests.Response, *_: Any, **__: Any) -> None:
        if response.is_redirect:
            requests.get(f"{web.url}/echo/1", timeout=20)
            session.get(f"{web.url}/echo/2", allow_redirects=False)
            session.send(session.prepare_request(requests.Request("GET", f"{web.url}/echo/3")))

    with capture() as traces:
        with subsegment("handler"):
            session.get(f"{web.url}/redirect/302?/status/200", hooks={"response": follow_up})
        assert shape(traces, web) == ["handler", "  web", "    web", "    web", "    web"]
        outer = traces.one.children[0]
        headers = [header_of(node) for node in (outer, *outer.children, outer)]
    assert traces_of(web.received) == headers


def test_a_token_that_auth_fetches_is_a_call_of_its_own(session: requests.Session, web: Server) -> None:
    def fetch_token(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = requests.post(f"{web.url}/echo", data="token", timeout=20).text
        return request

    with capture() as traces:
        with subsegment("handler"):
            session.get(f"{web.url}/login/basic", auth=fetch_token)
        assert shape(traces, web) == ["handler", "  web", "  web"]
    assert web.last.all("Authorization") == ["token"]


def test_a_body_may_come_from_elsewhere(session: requests.Session, web: Server) -> None:
    def parts() -> Iterator[bytes]:
        yield requests.get(f"{web.url}/status/200", timeout=20).content

    with capture() as traces:
        with subsegment("handler"):
            session.post(f"{web.url}/echo", data=parts())
        assert shape(traces, web) == ["handler", "  web", "    web"]
        outer = traces.one.children[0]
        assert traces_of(sorted(web.received, key=lambda one: one.method)) == [
            header_of(outer.children[0]), header_of(outer)
        ]  # fmt: skip


def test_a_digest_authentication_is_one_call(session: requests.Session, web: Server) -> None:
    with capture() as traces:
        with subsegment("handler"):
            response = session.get(f"{web.url}/login/digest", auth=HTTPDigestAuth("me", "swordfish"))
        (node,) = traces.one.children
    assert (response.status_code, node.document["http"]["response"]["status"]) == (200, 200)
    assert traces_of(web.received) == [header_of(node)] * 2


def test_a_redirect_that_the_program_follows_itself_is_a_call_of_its_own(
    session: requests.Session, web: Server
) -> None:
    with capture() as traces:
        with subsegment("handler"):
            response = session.get(f"{web.url}/redirect/302?/status/200", allow_redirects=False)
            assert response.next is not None
            session.send(response.next)
            assert len(list(session.resolve_redirects(response, response.request))) == 1
        statuses = [child.document["http"]["response"]["status"] for child in traces.one.children]
    assert statuses == [302, 200, 200]
    assert [len(trace) for trace in traces_of(web.received)] == [1, 1, 1]


def test_too_many_redirects_are_a_fault(session: requests.Session, web: Server) -> None:
    session.max_redirects = 2
    with capture() as traces:
        with subsegment("handler"), pytest.raises(requests.TooManyRedirects):
            session.get(f"{web.url}/redirect/302?/redirect/302?/redirect/302?/redirect/302?/")
        (node,) = traces.one.children
    assert (node.flags, node.exceptions[0]["type"].rpartition(".")[2]) == ({"fault"}, "TooManyRedirects")


def test_a_session_class_of_the_programs_own_is_traced_once(web: Server) -> None:
    class Mine(requests.Session):
        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            return super().send(request, **options)

    with capture() as traces:
        with subsegment("handler"), Mine() as session:
            session.get(f"{web.url}/redirect/302?/status/200")
        assert shape(traces, web) == ["handler", "  web"]


def test_an_adapter_class_of_the_programs_own_sees_the_request_as_it_is(session: requests.Session, web: Server) -> None:
    seen: list[requests.PreparedRequest] = []

    class Mine(HTTPAdapter):
        def add_headers(self, request: requests.PreparedRequest, **_: Any) -> None:
            seen.append(request)
            request.headers["X-Added"] = "1"

    session.mount("http://", Mine())
    with capture() as traces:
        response = session.get(f"{web.url}/status/200")
        assert traces.one.name == web.name
    assert seen == [response.request]
    assert response.request.headers["X-Added"] == "1"
    assert web.last.all("X-Added") == ["1"]


def test_an_adapter_that_needs_no_urllib3_is_traced_too(session: requests.Session) -> None:
    class Local(BaseAdapter):
        def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
            response = requests.Response()
            response.status_code, response.raw, response.request = 200, BytesIO(b"local"), request
            response.url = str(request.url)
            return response

        def close(self) -> None:
            pass

    session.mount("local://", Local())
    with capture() as traces:
        assert session.get("local://here/file", stream=True).content == b"local"
        assert traces.one.name == "here"


def test_an_answer_that_is_dropped_unread_ends_the_call_and_is_not_kept_alive(web: Server) -> None:
    with capture() as traces:
        response = requests.get(f"{web.url}/streamed", stream=True, timeout=20)
        gone = weakref.ref(response)
        assert len(traces) == 0
        del response
        gc.collect()
        assert gone() is None
        assert traces.one.document["http"]["response"] == {"status": 200}


def test_a_raw_answer_that_outlives_its_response_ends_the_call(web: Server) -> None:
    with capture() as traces:
        raw = requests.get(f"{web.url}/streamed", stream=True, timeout=20).raw
        assert len(traces) == 0
        web.gate.set()
        shutil.copyfileobj(raw, BytesIO())
        assert traces.one.name == web.name


def test_a_streamed_answer_is_as_it_was(session: requests.Session, web: Server) -> None:
    web.gate.set()
    with capture() as traces, subsegment("handler"):
        response = session.get(f"{web.url}/streamed", stream=True)
        assert type(response) is requests.Response
        assert "xray" not in str(vars(response))
        assert list(response.iter_lines()) == [b"first half second half"]
        assert pickle.loads(pickle.dumps(response)).status_code == 200  # noqa: S301 - of our own making
        assert len(traces) == 0


def test_a_streamed_answer_that_raises_for_status_is_marked(session: requests.Session, web: Server) -> None:
    with capture() as traces:
        with pytest.raises(requests.HTTPError), session.get(f"{web.url}/status/503", stream=True) as response:
            response.raise_for_status()
        assert (traces.one.flags, traces.one.exceptions) == ({"fault"}, [])
