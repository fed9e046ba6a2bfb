"""Bottle: every request of an app is a segment; what `redirect()` and `abort()` raise is an answer, and no fault."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import bottle
import pytest
from bottle import Bottle

from tests.schema import checked
from tests.web.wsgi import Answer, answer_to, ask, environ_of
from xray_lambda import subsegment, trace_id
from xray_lambda._context import current
from xray_lambda.testing import HEADER, ROOT, capture
from xray_lambda.web.bottle import XRayPlugin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from xray_lambda.testing import Traces


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as caught:
        yield caught
        for document in caught._emitter.documents:
            checked(document)


def shop(**options: Any) -> Any:
    """Return a traced app."""
    app = Bottle()
    app.install(XRayPlugin(**{"service": "shop", **options}))
    app.route("/items/<item:int>", callback=show)
    app.route("/fail", callback=fail)
    app.route("/abort/<code:int>", callback=lambda code: bottle.abort(code, "no"))
    app.route("/redirect", callback=lambda: bottle.redirect("/items/1"))
    app.route("/raise", callback=lambda: (_ for _ in ()).throw(bottle.HTTPResponse("teapot", 418)))
    app.route("/stream", callback=stream)
    app.route("/broken", callback=lambda: bottle.template("{{1 // 0}}"))
    return app


def show(item: int) -> str:
    with subsegment("load"):
        pass
    return str(bottle.template("item {{item}}", item=item))


def fail() -> str:
    raise ValueError("no such price")


def stream() -> Iterator[str]:
    yield str(trace_id())
    with subsegment("more"):
        yield " and more"


def test_a_request_is_a_segment_with_its_route_and_its_templates(traces: Traces) -> None:
    answer = ask(shop(), "/items/7?token=secret", X_Amzn_Trace_Id=HEADER)
    assert answer.body == b"item 7"
    assert answer["X-Amzn-Trace-Id"] == f"Root={ROOT}"
    assert traces.one.names() == ("shop", [("load", []), ("template", [])])
    assert traces.one.annotations == {"route": "/items/<item:int>"}
    assert traces.one.document["http"]["request"]["url"] == "http://127.0.0.1/items/7"


@pytest.mark.parametrize(
    ("path", "status", "flags"),
    [
        ("/redirect", 302, set()),
        ("/abort/404", 404, {"error"}),
        ("/abort/429", 429, {"error", "throttle"}),
        ("/abort/503", 503, {"fault"}),
        ("/raise", 418, {"error"}),
        ("/nowhere", 404, {"error"}),
    ],
)
def test_an_answer_that_is_raised_says_by_its_status_what_it_is(
    traces: Traces, path: str, status: int, flags: set[str]
) -> None:
    assert ask(shop(), path).status.startswith(str(status))
    assert (traces.one.flags, traces.one.exceptions) == (flags, [])
    assert traces.one.children == []


def test_an_exception_that_bottle_answers_is_recorded_once_with_its_stack(
    traces: Traces, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(shop(), "/fail").status.startswith("500")
    assert traces.one.flags == {"fault"}
    (error,) = traces.one.exceptions
    assert (error["type"], error["message"], error["stack"][0]["label"]) == ("ValueError", "no such price", "fail")


def test_an_exception_that_bottle_lets_pass_is_recorded_once_and_passes(traces: Traces) -> None:
    app = shop()
    app.catchall = False
    with pytest.raises(ValueError, match="no such price"):
        ask(app, "/fail")
    assert [one["message"] for one in traces.one.exceptions] == ["no such price"]
    assert current.get() is None


def test_an_error_page_of_the_programs_own_counts_by_its_status(traces: Traces) -> None:
    app = shop()
    app.error(500)(lambda error: "sorry")
    assert ask(app, "/fail").body == b"sorry"
    assert [one["message"] for one in traces.one.exceptions] == ["no such price"]


def test_what_is_streamed_belongs_to_the_request_to_the_last_byte(traces: Traces) -> None:
    assert ask(shop(), "/stream", X_Amzn_Trace_Id=HEADER).body == f"{ROOT} and more".encode()
    assert traces.one.names() == ("shop", [("more", [])])


def test_a_template_that_fails_is_a_fault(traces: Traces) -> None:
    ask(shop(), "/broken")
    assert traces.one["template"].flags == {"fault"}
    assert traces.one.document["cause"] == traces.one["template"].exceptions[0]["id"]


def test_a_template_of_a_file_has_its_name(traces: Traces, tmp_path: Path) -> None:
    (tmp_path / "page.tpl").write_text("page {{number}}")
    app = shop()
    app.route("/page", callback=lambda: bottle.template("page", number=1, template_lookup=[str(tmp_path)]))
    assert ask(app, "/page").body == b"page 1"
    assert traces.one.names() == ("shop", [("page", [])])


def test_a_template_rendered_outside_a_request_is_none_of_ours(traces: Traces) -> None:
    shop()
    assert bottle.template("item {{item}}", item=7) == "item 7"
    assert len(traces) == 0


def test_an_unsampled_request_records_nothing(traces: Traces) -> None:
    for path in ("/items/7", "/stream", "/redirect", "/nowhere"):
        answer = ask(shop(), path, X_Amzn_Trace_Id=HEADER.replace("Sampled=1", "Sampled=0"))
        assert answer["X-Amzn-Trace-Id"] == f"Root={ROOT}"
    assert len(traces) == 0


def test_a_second_plugin_does_nothing(traces: Traces) -> None:
    app = shop(service="first")
    app.install(XRayPlugin(service="second"))
    ask(app, "/items/7")
    assert traces.one.names() == ("first", [("load", []), ("template", [])])


def test_a_mounted_app_is_part_of_the_request(traces: Traces) -> None:
    app = shop(service="outer")
    app.mount("/inner/", shop(service="inner"))
    assert ask(app, "/inner/items/7").body == b"item 7"
    assert traces.one.names() == ("outer", [("load", []), ("template", [])])


def test_options_are_those_of_any_wsgi_app(traces: Traces) -> None:
    app = shop(hosts="*.example.com", ignore_paths="/fail", user_agent=True, user=lambda asked: asked.headers["X-User"])
    ask(app, "/items/7", Host="a.example.com", X_User="ada", User_Agent="curl")
    answer: Answer = answer_to(app, environ_of("/fail"))
    assert answer["X-Amzn-Trace-Id"] is None
    assert (traces.one.name, traces.one.document["user"]) == ("a.example.com", "ada")
    assert traces.one.document["http"]["request"]["user_agent"] == "curl"


def test_in_lambda_the_request_is_a_subsegment_of_the_invocation() -> None:
    with capture() as traces, subsegment("handler"):
        assert ask(shop(), "/items/7")["X-Amzn-Trace-Id"] is None
    assert traces.one.names() == ("handler", [("shop", [("load", []), ("template", [])])])


def test_a_missing_bottle_is_told_with_the_command_that_helps() -> None:
    program = "import sys; sys.modules['bottle'] = None\nimport xray_lambda.web.bottle"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith("pip install bottle")
