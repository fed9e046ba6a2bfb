"""Any WSGI app: its answers reach the server as they were, and each request is a segment to the last byte."""

from __future__ import annotations

import gc
import io
import sys
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

from tests.schema import checked
from tests.web.wsgi import answer_to, ask, environ_of
from xray_lambda import current_segment, subsegment, trace_id
from xray_lambda._context import current
from xray_lambda.testing import HEADER, ROOT, capture, counting_ids, fake_clock
from xray_lambda.web.wsgi import XRayMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from xray_lambda.testing import Traces

UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")
both = pytest.mark.parametrize("header", [HEADER, UNSAMPLED])
PLAIN = [("Content-Type", "text/plain")]


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None, clock=fake_clock(), new_id=counting_ids()) as caught:
        yield caught
        for document in caught._emitter.documents:
            checked(document)


def answering(body: Iterable[bytes], status: str = "200 OK", headers: list[tuple[str, str]] = PLAIN) -> Any:
    """Return an app that gives this answer."""

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(status, headers)
        return body

    return XRayMiddleware(app, service="shop")


class Closable:
    """A body that tells how it was used."""

    def __init__(self, *chunks: bytes, fails: str = "") -> None:
        self.chunks = list(chunks)
        self.fails = fails
        self.seen: list[str | None] = []
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.seen.append(trace_id())
            yield chunk
        if self.fails == "iterating":
            raise ValueError("while iterating")

    def close(self) -> None:
        self.seen.append(trace_id())
        self.closed += 1
        if self.fails == "closing":
            raise ValueError("while closing")


def test_a_request_is_one_document(traces: Traces) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        with subsegment("price"):
            start_response("200 OK", [*PLAIN, ("Content-Length", "5")])
        return [b"hello"]

    answer = ask(XRayMiddleware(app, service="shop"), "/items/7?token=secret", X_Amzn_Trace_Id=HEADER)
    assert answer.body == b"hello"
    assert answer["X-Amzn-Trace-Id"] == f"Root={ROOT}"
    (document,) = traces.documents
    service, aws = document.pop("service"), document.pop("aws")
    assert (service["runtime_version"], aws["xray"]["sdk"]) == (sys.version.split()[0], "xray_lambda")
    assert document == {
        "trace_id": ROOT,
        "parent_id": "53995c3f42cd8ad8",
        "name": "shop",
        "id": "0000000000000001",
        "start_time": 1_700_000_000.0,
        "end_time": 1_700_000_000.003,
        "http": {
            "request": {"method": "GET", "url": "http://127.0.0.1/items/7"},
            "response": {"status": 200, "content_length": 5},
        },
        "subsegments": [
            {
                "name": "price",
                "id": "0000000000000002",
                "start_time": 1_700_000_000.001,
                "end_time": 1_700_000_000.002,
            }
        ],
    }


@both
def test_the_program_is_given_a_conforming_server_and_the_server_a_conforming_app(traces: Traces, header: str) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", PLAIN)
        return [b"hello"]

    checked_app = validator(XRayMiddleware(validator(app)))
    assert ask(checked_app, X_Amzn_Trace_Id=header).body == b"hello"


@both
@pytest.mark.parametrize("body", [[b"a", b"b"], (b"a", b"b"), iter([b"a", b"b"]), {b"ab": 1}, Closable(b"a", b"b")])
def test_a_body_is_sent_whole(traces: Traces, header: str, body: Any) -> None:
    body = iter([b"a", b"b"]) if hasattr(body, "__next__") else body
    assert ask(answering(body), X_Amzn_Trace_Id=header).body == b"ab"
    assert len(traces) == (header is HEADER)
    assert current.get() is None


@both
@pytest.mark.parametrize("body", [[], [b"a"], (b"a", b"b"), iter([b"a"]), (chunk for chunk in [b"a"]), {b"a": 1}])
def test_a_server_sees_a_length_where_there_is_one_and_none_where_there_is_none(
    traces: Traces, header: str, body: Any
) -> None:
    seen = answering(body)(environ_of("/", X_Amzn_Trace_Id=header), lambda *_: None)
    assert hasattr(seen, "__len__") == hasattr(body, "__len__")
    if hasattr(body, "__len__"):
        assert len(seen) == len(body)
    getattr(seen, "close", list)()


@both
def test_each_chunk_is_made_and_the_body_closed_within_the_request(traces: Traces, header: str) -> None:
    body = Closable(b"a", b"b")
    sent = answering(body)(environ_of("/", X_Amzn_Trace_Id=header), lambda *_: None)
    for chunk in sent:
        assert chunk in (b"a", b"b")
        assert trace_id() is None
    assert len(traces) == 0
    sent.close()
    assert body.seen == [ROOT] * 3
    assert body.closed == 1
    assert len(traces) == (header is HEADER)


def test_a_segment_lasts_until_the_last_byte_has_been_sent(traces: Traces) -> None:
    sent = answering([b"a"])(environ_of("/"), lambda *_: None)
    list(sent)
    assert len(traces) == 0
    sent.close()
    assert traces.one.name == "shop"


@both
def test_an_app_may_be_a_generator(traces: Traces, header: str) -> None:
    seen = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        seen.append(trace_id())
        start_response("202 Accepted", PLAIN)
        with subsegment("first"):
            yield b"a"
            with subsegment("second"):
                yield b"b"
        seen.append(trace_id())

    app_traced: Any = XRayMiddleware(app, service="shop")
    sent = app_traced(environ_of("/", X_Amzn_Trace_Id=header), lambda *_: None)
    for _ in sent:
        assert current.get() is None
        ask(answering([b"in between"]))
    sent.close()
    assert seen == [ROOT, ROOT]
    if header is HEADER:
        (root,) = [root for root in traces.roots if root.document["trace_id"] == ROOT]
        assert root.names() == ("shop", [("first", [("second", [])])])
        assert root.document["http"]["response"] == {"status": 202}


def test_what_a_program_writes_by_itself_goes_out(traces: Traces) -> None:
    written: list[bytes] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"a")
        return [b"b"]

    sent = XRayMiddleware(app)(environ_of("/"), lambda status, headers: written.append)
    written.extend(sent)
    sent.close()  # type: ignore[attr-defined]  # servers look for it
    assert written == [b"a", b"b"]


@pytest.mark.parametrize("fails", ["iterating", "closing"])
def test_an_exception_while_an_answer_is_sent_is_recorded_and_passes(traces: Traces, fails: str) -> None:
    body = Closable(b"a", fails=fails)
    with pytest.raises(ValueError, match=f"while {fails}"):
        ask(answering(body))
    assert traces.one.flags == {"fault"}
    assert [one["message"] for one in traces.one.exceptions] == [f"while {fails}"]
    assert traces.one.exceptions[0]["stack"][0]["label"].endswith("__iter__" if fails == "iterating" else "close")
    assert body.closed == 1
    assert current.get() is None


@both
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(0), GeneratorExit()])
def test_what_the_program_raises_passes_as_itself(traces: Traces, header: str, error: BaseException) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        raise error

    with pytest.raises(type(error)) as caught:
        ask(XRayMiddleware(app), X_Amzn_Trace_Id=header)
    assert caught.value is error
    assert current.get() is None
    recorded = [root.flags for root in traces.roots]
    is_fault = isinstance(error, (ValueError, KeyboardInterrupt))
    assert recorded == ([{"fault"} if is_fault else set()] if header is HEADER else [])


def test_an_error_page_comes_with_its_exception(traces: Traces) -> None:
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", PLAIN)
        try:
            raise ValueError("half-way")
        except ValueError:
            start_response("500 Oh", PLAIN, sys.exc_info())
        return [b"sorry"]

    traced: Any = XRayMiddleware(app)
    sent = traced(environ_of("/"), lambda *given: seen.append(given))
    list(sent)
    sent.close()
    assert [len(given) for given in seen] == [2, 3]
    assert traces.one.flags == {"fault"}
    assert traces.one.document["http"]["response"] == {"status": 500}
    assert [one["message"] for one in traces.one.exceptions] == ["half-way"]


def test_a_server_that_has_sent_the_headers_already_raises_the_exception_again(traces: Traces) -> None:
    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        if exc_info:
            raise exc_info[1]

    def app(environ: Any, start_response: Any) -> list[bytes]:
        try:
            raise ValueError("half-way")
        except ValueError:
            start_response("500 Oh", PLAIN, sys.exc_info())
        raise AssertionError

    with pytest.raises(ValueError, match="half-way"):
        XRayMiddleware(app)(environ_of("/"), start_response)
    assert [one["message"] for one in traces.one.exceptions] == ["half-way"]


@both
@pytest.mark.parametrize("length", ["5", "-5", "five", "\u0665", ""])
def test_a_content_length_that_is_none_is_not_recorded(traces: Traces, header: str, length: str) -> None:
    answer = ask(answering([b"hello"], headers=[("content-length", length)]), X_Amzn_Trace_Id=header)
    assert answer["Content-Length"] == length
    for root in traces.roots:
        assert root.document["http"]["response"].get("content_length") == (5 if length == "5" else None)


@both
@pytest.mark.parametrize("status", ["", "OK", "2", "200", "\u0662\u0660\u0660 OK"])
def test_a_status_line_that_is_none_is_the_servers_to_refuse(traces: Traces, header: str, status: str) -> None:
    assert ask(answering([b""], status), X_Amzn_Trace_Id=header).status == status


@both
def test_the_programs_own_list_of_headers_stays_as_it_is(traces: Traces, header: str) -> None:
    headers = [*PLAIN]
    answer = ask(answering([b""], headers=headers), X_Amzn_Trace_Id=header)
    assert headers == PLAIN
    assert answer["X-Amzn-Trace-Id"] == f"Root={ROOT}"


def test_a_trace_header_that_the_program_has_put_there_is_not_doubled(traces: Traces) -> None:
    answer = ask(answering([b""], headers=[("x-amzn-trace-id", "mine")]))
    assert answer["X-Amzn-Trace-Id"] == "mine"


def test_a_request_that_is_left_alone_is_answered_without_our_header(traces: Traces) -> None:
    app = XRayMiddleware(answering([b"ok"]).app, ignore_paths="/health")
    assert ask(app, "/health")["X-Amzn-Trace-Id"] is None
    assert len(traces) == 0


def test_two_doors_for_one_request_make_one_segment(traces: Traces) -> None:
    inner = XRayMiddleware(answering([b"ok"]).app, service="inner")
    environ = environ_of("/")
    for _ in range(2):  # a server's environ may be used again
        answer_to(XRayMiddleware(inner, service="outer"), environ)
    assert [root.names() for root in traces.roots] == [("outer", [])] * 2


def test_a_request_of_the_programs_own_within_a_request_is_a_segment_too(traces: Traces) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/outer":
            return [ask(traced, "/inner").body, *answering([b"outer"]).app(environ, start_response)]
        return [*answering([b"inner"]).app(environ, start_response)]

    traced = XRayMiddleware(app, service="shop")
    assert ask(traced, "/outer").body == b"innerouter"
    urls = sorted(root.document["http"]["request"]["url"] for root in traces.roots)
    assert urls == ["http://127.0.0.1/inner", "http://127.0.0.1/outer"]


@both
def test_a_file_stays_the_servers_own_and_ends_the_request_when_it_is_closed(traces: Traces, header: str) -> None:
    file = io.BytesIO(b"content")
    wrapper = FileWrapper(file)
    environ = environ_of("/", X_Amzn_Trace_Id=header) | {"wsgi.file_wrapper": FileWrapper}
    sent: Any = answering(wrapper)(environ, lambda *_: None)
    assert sent is wrapper
    assert b"".join(sent) == b"content"
    assert len(traces) == 0
    sent.close()
    assert file.closed
    assert len(traces) == (header is HEADER)


def test_a_file_whose_wrapper_takes_no_attributes_ends_the_request_as_it_is_handed_over(traces: Traces) -> None:
    class Wrapper:
        __slots__ = ()

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"content"])

        def close(self) -> None:
            """Close it."""

    wrapper = Wrapper()
    sent = answering(wrapper)(environ_of("/") | {"wsgi.file_wrapper": Wrapper}, lambda *_: None)
    assert sent is wrapper
    assert traces.one.name == "shop"


def test_what_a_server_knows_again_by_identity_stays_that_too(traces: Traces, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")

    def wrapper(file: Any, size: int = 8192) -> Any:
        return file  # as uWSGI has it

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"), 4096)

    sent: Any = XRayMiddleware(app)(environ_of("/") | {"wsgi.file_wrapper": wrapper}, lambda *_: print)
    assert isinstance(sent, io.BufferedReader)
    assert sent.read() == b"content"
    assert len(traces) == 0
    sent.close()
    assert len(traces) == 1


def test_a_body_that_such_a_server_has_not_made_is_one_like_any_other(traces: Traces) -> None:
    environ = environ_of("/") | {"wsgi.file_wrapper": lambda file, size=8192: file}
    assert answer_to(answering(Closable(b"content")), environ).body == b"content"
    assert len(traces) == 1


@pytest.mark.parametrize("make", [Closable, lambda chunk: [chunk], lambda chunk: FileWrapper(io.BytesIO(chunk))])
def test_a_server_that_forgets_to_close_ends_the_request_by_dropping_the_body(traces: Traces, make: Any) -> None:
    environ = environ_of("/") | {"wsgi.file_wrapper": FileWrapper}
    sent = answering(make(b"a"))(environ, lambda *_: None)
    list(sent)
    del sent
    environ.clear()
    gc.collect()
    assert traces.one.name == "shop"


def test_a_client_that_hangs_up_half_way_leaves_a_mark(traces: Traces) -> None:
    body = Closable(b"a", b"b")
    sent = answering(body)(environ_of("/"), lambda *_: None)
    assert next(iter(sent)) == b"a"
    sent.close()
    assert traces.one.metadata == {"xray_lambda": {"disconnected": True}}
    assert not traces.one.flags


def test_an_answer_nobody_asked_a_chunk_of_has_no_mark(traces: Traces) -> None:
    answering(Closable(b"a"))(environ_of("/", "HEAD"), lambda *_: None).close()
    assert traces.one.metadata == {}


@pytest.mark.parametrize(
    ("user", "name"),
    [(False, None), (True, "ada"), (lambda environ: environ["HTTP_X_USER"], "grace"), (lambda _: None, None)],
)
def test_who_asked_is_recorded_only_when_asked_for(
    traces: Traces, user: bool | Callable[[Any], str | None], name: str | None
) -> None:
    app = XRayMiddleware(answering([b"ok"]).app, user=user)
    answer_to(app, environ_of("/", X_User="grace") | {"REMOTE_USER": "ada"})
    assert traces.one.document.get("user") == name


def test_a_fault_of_the_function_that_says_who_asked_costs_the_name_and_no_more() -> None:
    def broken(environ: Any) -> str:
        raise LookupError

    with capture(header=None, strict=False) as traces:
        assert ask(XRayMiddleware(answering([b"ok"]).app, user=broken)).body == b"ok"
        assert traces.one.document["http"]["response"] == {"status": 200}


@pytest.mark.parametrize("broken", [{"HTTP_X_AMZN_TRACE_ID": 7}, {"PATH_INFO": 7}, {"wsgi.url_scheme": b"http"}])
def test_an_environ_that_no_server_makes_is_the_programs_to_judge(broken: dict[str, Any]) -> None:
    with capture(header=None, strict=False):
        assert answer_to(answering([b"ok"]), environ_of("/") | broken).body == b"ok"
        assert current.get() is None


@both
def test_a_huge_or_malformed_header_is_ignored(traces: Traces, header: str) -> None:
    for value in ("Root=" + "f" * 1_000_000, "=;" * 100_000, "\xff\x00", "Root=;Parent=;Sampled="):
        answer = ask(answering([b"ok"]), X_Amzn_Trace_Id=value, X_Forwarded_For=value, User_Agent=value)
        assert answer.body == b"ok"
    assert len(traces) == 4


def test_a_fault_of_ours_at_the_door_leaves_the_answer_the_programs_own() -> None:
    body = Closable(b"a")
    with capture(header=None, strict=False) as traces, subsegment("around"):
        environ = environ_of("/", X_Amzn_Trace_Id=HEADER) | {"wsgi.url_scheme": 7, "HTTP_HOST": 7}
        assert answering(body)(environ, lambda *_: None) is body
    assert len(traces) == 0


def test_a_program_may_ask_for_its_segment(traces: Traces) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        current_segment().annotate(order=17)
        return [*answering([b"ok"]).app(environ, start_response)]

    ask(XRayMiddleware(app))
    assert traces.one.annotations == {"order": 17}
