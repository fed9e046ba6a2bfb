"""Flask: every request of an app is a segment, however it is answered; templates are subsegments by their names."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import flask
import pytest
from flask import Blueprint, Flask, abort, redirect, render_template, render_template_string, request
from jinja2 import DictLoader
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from tests.schema import checked
from xray_lambda import subsegment, trace_id
from xray_lambda._context import current
from xray_lambda.testing import HEADER, ROOT, capture
from xray_lambda.web.flask import XRayMiddleware

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


def shop(**options: Any) -> Flask:
    """Return a traced app."""
    app = Flask("shop")
    app.jinja_loader = DictLoader({
        "item.html": "{% include 'part.html' %} {{ item }}",
        "part.html": "item",
        "broken.html": "{{ 1 // 0 }}",
    })  # fmt: skip
    XRayMiddleware(app, **options)
    app.add_url_rule("/items/<int:item>", view_func=show, methods=["GET", "POST"])
    app.add_url_rule("/fail", view_func=fail)
    app.add_url_rule("/abort/<int:code>", view_func=abort_with)
    app.add_url_rule("/redirect", view_func=lambda: redirect("/items/1"), endpoint="redirect")
    app.add_url_rule("/broken", view_func=lambda: render_template("broken.html"), endpoint="broken")
    app.add_url_rule("/stream", view_func=stream)
    return app


def get(app: Flask, path: str, **options: Any) -> Any:
    """Ask an app, and read the answer to its end, as servers do."""
    return app.test_client().get(path, buffered=True, **options)


def show(item: int) -> str:
    with subsegment("load"):
        pass
    return render_template("item.html", item=item)


def fail() -> str:
    raise ValueError("no such price")


def abort_with(code: int) -> str:
    abort(code)


def stream() -> flask.Response:
    def chunks() -> Iterator[str]:
        yield request.path
        with subsegment("more"):
            yield str(trace_id())

    return flask.Response(flask.stream_with_context(chunks()))


def test_a_request_is_a_segment_with_its_route_and_its_templates(traces: Traces) -> None:
    answer = get(shop(service="web-shop"), "/items/7?token=secret", headers={"X-Amzn-Trace-Id": HEADER})
    assert answer.text == "item 7"
    assert answer.headers.getlist("X-Amzn-Trace-Id") == [f"Root={ROOT}"]
    assert traces.one.names() == ("web-shop", [("load", []), ("item.html", [])])
    assert traces.one.annotations == {"route": "/items/<int:item>"}
    assert traces.one.document["http"] == {
        "request": {"method": "GET", "url": "http://localhost/items/7", "client_ip": "127.0.0.1"},
        "response": {"status": 200, "content_length": 6},
    }


def test_without_a_name_the_segment_has_the_apps(traces: Traces) -> None:
    get(shop(), "/items/7")
    assert traces.one.name == "shop"


@pytest.mark.parametrize(
    ("path", "flags", "route"),
    [
        ("/redirect", set(), "/redirect"),
        ("/abort/404", {"error"}, "/abort/<int:code>"),
        ("/abort/429", {"error", "throttle"}, "/abort/<int:code>"),
        ("/nowhere", {"error"}, None),
        ("/items/seven", {"error"}, None),
    ],
)
def test_an_answer_that_is_raised_is_no_fault(traces: Traces, path: str, flags: set[str], route: str | None) -> None:
    get(shop(), path)
    assert (traces.one.flags, traces.one.exceptions) == (flags, [])
    assert traces.one.annotations.get("route") == route


def test_an_exception_that_flask_answers_is_recorded_once_with_its_stack(traces: Traces) -> None:
    app = shop()
    assert get(app, "/fail").status_code == 500
    assert traces.one.flags == {"fault"}
    (error,) = traces.one.exceptions
    assert (error["type"], error["message"]) == ("ValueError", "no such price")
    assert error["stack"][0]["label"] == "fail"
    assert traces.one.document["http"]["response"]["status"] == 500


def test_an_exception_that_flask_lets_pass_is_recorded_once_and_passes(traces: Traces) -> None:
    app = shop()
    app.testing = True
    with pytest.raises(ValueError, match="no such price"):
        get(app, "/fail")
    assert [one["message"] for one in traces.one.exceptions] == ["no such price"]
    assert traces.one.annotations == {"route": "/fail"}
    assert current.get() is None


@pytest.mark.parametrize(("code", "messages"), [(500, ["no such price"]), (409, []), (200, [])])
def test_an_exception_that_an_error_handler_answers_counts_if_the_answer_is_a_5xx(
    traces: Traces, code: int, messages: list[str]
) -> None:
    app = shop()
    app.register_error_handler(ValueError, lambda error: (f"sorry: {error}", code))
    assert get(app, "/fail").text == "sorry: no such price"
    assert [one["message"] for one in traces.one.exceptions] == messages


def test_an_error_handlers_own_exception_is_recorded(traces: Traces) -> None:
    app = shop()

    def broken(error: Exception) -> str:
        raise LookupError("in the handler")

    app.register_error_handler(ValueError, broken)
    assert get(app, "/fail").status_code == 500
    assert [one["message"] for one in traces.one.exceptions] == ["in the handler", "no such price"]


@pytest.mark.parametrize("hook", ["before_request", "after_request", "teardown_request"])
def test_a_hooks_exception_is_recorded(traces: Traces, hook: str) -> None:
    app = shop()

    def broken(*_: object) -> None:
        raise LookupError("in a hook")

    getattr(app, hook)(broken)
    try:
        get(app, "/items/7")
    except LookupError:
        assert hook == "teardown_request"  # which no handler of Flask's is around
    assert "fault" in traces.one.flags
    assert [one["message"] for one in traces.one.exceptions] == ["in a hook"]


def test_teardown_functions_belong_to_the_request(traces: Traces) -> None:
    app = shop()
    seen = []
    app.teardown_request(lambda error: seen.append(trace_id()))
    app.teardown_appcontext(lambda error: seen.append(trace_id()))
    get(app, "/items/7", headers={"X-Amzn-Trace-Id": HEADER})
    assert seen == [ROOT, ROOT]
    assert current.get() is None


def test_what_is_streamed_belongs_to_the_request_to_the_last_byte(traces: Traces) -> None:
    answer = shop().test_client().get("/stream", headers={"X-Amzn-Trace-Id": HEADER})
    assert len(traces) == 0
    assert answer.text == f"/stream{ROOT}"
    answer.close()
    assert traces.one.names() == ("shop", [("more", [])])


def test_a_streamed_template_lasts_as_long_as_it_is_sent(traces: Traces) -> None:
    app = shop()
    app.add_url_rule("/slow", view_func=lambda: flask.stream_template("item.html", item=7), endpoint="slow")
    assert get(app, "/slow").text == "item 7"
    assert traces.one.names() == ("shop", [("item.html", [])])


def test_a_streamed_template_that_fails_is_a_fault(traces: Traces) -> None:
    app = shop()
    app.add_url_rule("/slow", view_func=lambda: flask.stream_template("broken.html"), endpoint="slow")
    with pytest.raises(ZeroDivisionError):
        get(app, "/slow").get_data()
    assert traces.one["broken.html"].flags == {"fault"}


def test_a_template_that_fails_is_a_fault_and_a_template_of_a_string_has_no_name(traces: Traces) -> None:
    app = shop()
    app.add_url_rule("/string", view_func=lambda: render_template_string("{{ 7 }}"), endpoint="string")
    client = app.test_client()
    client.get("/broken", buffered=True)
    assert traces.one["broken.html"].flags == {"fault"}
    assert traces.one.document["cause"] == traces.one["broken.html"].exceptions[0]["id"]
    traces.clear()
    assert client.get("/string", buffered=True).text == "7"
    assert traces.one.names() == ("shop", [("template", [])])


def test_a_template_rendered_outside_a_request_is_none_of_ours(traces: Traces) -> None:
    with shop().app_context():
        assert render_template("item.html", item=7) == "item 7"
    assert len(traces) == 0


def test_an_unsampled_request_records_nothing(traces: Traces) -> None:
    headers = {"X-Amzn-Trace-Id": HEADER.replace("Sampled=1", "Sampled=0")}
    client = shop().test_client()
    for path in ("/items/7", "/stream", "/fail", "/abort/404"):
        assert client.get(path, headers=headers, buffered=True).headers["X-Amzn-Trace-Id"] == f"Root={ROOT}"
    assert len(traces) == 0


def test_async_views_are_part_of_the_request(traces: Traces) -> None:
    app = shop()

    async def later() -> str:
        with subsegment("awaited"):
            return str(trace_id())

    app.add_url_rule("/later", view_func=later)
    assert get(app, "/later", headers={"X-Amzn-Trace-Id": HEADER}).text == ROOT
    assert traces.one.names() == ("shop", [("awaited", [])])


def test_blueprints_tell_their_whole_route(traces: Traces) -> None:
    app = shop()
    blueprint = Blueprint("admin", __name__, url_prefix="/admin")
    blueprint.add_url_rule("/users/<name>", view_func=lambda name: name, endpoint="user")
    app.register_blueprint(blueprint)
    get(app, "/admin/users/ada")
    assert traces.one.annotations == {"route": "/admin/users/<name>"}


def test_a_factory_makes_any_number_of_apps_with_one_extension(traces: Traces) -> None:
    xray = XRayMiddleware(service="shop")
    apps = [Flask(f"app{number}") for number in range(3)]
    for app in apps:
        app.add_url_rule("/", view_func=lambda: "ok", endpoint="root")
        xray.init_app(app)
        assert get(app, "/").text == "ok"
    assert [root.names() for root in traces.roots] == [("shop", [])] * 3


def test_a_second_installation_does_nothing(traces: Traces) -> None:
    app = shop(service="first")
    before = app.wsgi_app
    XRayMiddleware(app, service="second")
    XRayMiddleware(service="third").init_app(app)
    assert app.wsgi_app is before
    get(app, "/items/7")
    assert traces.one.names() == ("first", [("load", []), ("item.html", [])])


def test_several_apps_in_one_process_are_told_apart(traces: Traces) -> None:
    front, back = shop(service="front"), shop(service="back")
    client = Client(DispatcherMiddleware(front.wsgi_app, {"/back": back.wsgi_app}))
    client.get("/items/1", buffered=True)
    client.get("/back/items/2", buffered=True)
    roots = [(root.name, root.annotations["route"]) for root in traces.roots]
    assert roots == [("front", "/items/<int:item>"), ("back", "/back/items/<int:item>")]


def test_an_app_below_another_traced_one_is_part_of_its_request(traces: Traces) -> None:
    outer, inner = shop(service="outer"), shop(service="inner")
    untraced = Flask("root")
    untraced.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/inner": inner.wsgi_app})  # type: ignore[method-assign]
    XRayMiddleware(untraced, service="root")
    Client(untraced).get("/inner/items/2", buffered=True)
    assert traces.one.names() == ("root", [("load", []), ("item.html", [])])


@pytest.mark.parametrize("first", ["proxy", "door"])
def test_a_proxy_is_seen_through_on_either_side(traces: Traces, first: str) -> None:
    app = Flask("shop")
    app.add_url_rule("/", view_func=lambda: "ok", endpoint="root")
    if first == "door":
        XRayMiddleware(app)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation has it
    if first == "proxy":
        XRayMiddleware(app)
    get(app, "/", headers={"X-Forwarded-For": "203.0.113.9"})
    assert traces.one.document["http"]["request"]["client_ip"] == "203.0.113.9"


def test_options_are_those_of_any_wsgi_app(traces: Traces) -> None:
    app = shop(service="shop", hosts="*.example.com", ignore_paths="/fail", user_agent=True, user=True)
    client = app.test_client()
    given = {"headers": {"User-Agent": "curl"}, "environ_overrides": {"REMOTE_USER": "ada"}}
    client.get("/items/7", base_url="http://a.example.com", buffered=True, **given)
    assert client.get("/fail").headers.get("X-Amzn-Trace-Id") is None
    assert (traces.one.name, traces.one.document["user"]) == ("a.example.com", "ada")
    assert traces.one.document["http"]["request"]["user_agent"] == "curl"


def test_a_function_says_who_asked_with_flasks_own_request(traces: Traces) -> None:
    seen = []

    def user(asked: Any) -> str:
        seen.append(asked.path)
        return str(flask.g.user)

    app = shop(user=user)
    app.before_request(lambda: setattr(flask.g, "user", "grace"))
    get(app, "/items/7")
    assert (traces.one.document["user"], seen) == ("grace", ["/items/7"])


def test_in_lambda_the_request_is_a_subsegment_of_the_invocation() -> None:
    with capture() as traces, subsegment("handler"):
        answer = get(shop(), "/items/7")
        assert "X-Amzn-Trace-Id" not in answer.headers
    assert traces.one.names() == ("handler", [("shop", [("load", []), ("item.html", [])])])
    assert traces.one["shop"].annotations == {"route": "/items/<int:item>"}


def test_a_file_is_sent_whole(traces: Traces, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    app = shop()
    app.add_url_rule("/file", view_func=lambda: flask.send_file(tmp_path / "file"), endpoint="file")
    assert len(get(app, "/file").data) == 100_000
    assert traces.one.document["http"]["response"] == {"status": 200, "content_length": 100_000}


def test_nothing_is_patched_where_tracing_is_switched_off() -> None:
    with capture(header=None, enabled=False) as traces:
        assert get(shop(), "/items/7").text == "item 7"
    assert len(traces) == 0


def test_a_missing_flask_is_told_with_the_command_that_helps() -> None:
    program = "import sys; sys.modules['flask'] = None\nimport xray_lambda.web.flask"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith("pip install Flask")
    assert "ImportError: this door is for Flask" in done.stderr
