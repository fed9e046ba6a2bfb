"""FastAPI behind Mangum in the real Lambda runtime: a request is a subsegment of the invocation, sent within it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.lambda_runtime.documents import cold, plain
from tests.lambda_runtime.runtime import invoke
from tests.lambda_runtime.runtime_api import PARENT, ROOT, SAMPLED, Invocation

if TYPE_CHECKING:
    from tests.emitters.daemon import Document
    from tests.lambda_runtime.runtime import Outcome

pytestmark = pytest.mark.full

PROGRAM = """
    from fastapi import BackgroundTasks, FastAPI
    from mangum import Mangum
    from xray_lambda import annotate, subsegment, trace_header, traced_handler
    from xray_lambda.web.asgi import XRayMiddleware

    app = FastAPI()
    app.add_middleware(XRayMiddleware, service="shop")

    def mail():
        with subsegment("mail"):
            pass

    @app.get("/items/{id}")
    def item(id: int, tasks: BackgroundTasks):
        annotate(item=id)
        if id == 18:
            tasks.add_task(mail)
        with subsegment("price"):
            return {"id": id, "header": trace_header()}

    @app.get("/failing")
    def failing():
        raise ValueError("sold out")

    @app.get("/health")
    def health():
        return "well"
"""
PLAIN = PROGRAM + "    handler = Mangum(app)\n"
TRACED = PROGRAM + "    handler = traced_handler(name='handler')(Mangum(app))\n"
OURS = "1-6559e988-0123456789abcdef01234567"


def request(path: str, trace: str | None = None) -> dict[str, Any]:
    """Return the event of an API Gateway HTTP API, version 2.0."""
    headers = {"host": "shop.example.com", "x-forwarded-for": "203.0.113.9"}
    http = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9", "userAgent": "curl/8"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "token=secret",
        "headers": headers if trace is None else {**headers, "x-amzn-trace-id": trace},
        "requestContext": {"http": http, "stage": "$default"},
        "isBase64Encoded": False,
    }


def call(source: str, *invocations: Invocation) -> Outcome:
    # Mangum asks for the loop as Python 3.14 no longer likes it.
    return invoke(source, *invocations, env={"PYTHONWARNINGS": "ignore"})


def shop(number: int, **more: Any) -> Document:
    """Return what `plain` makes of the door's subsegment for an item; `more` is added."""
    asked = {"method": "GET", "url": f"https://shop.example.com/items/{number}", "client_ip": "203.0.113.9"}
    return {
        "name": "shop",
        "annotations": {"item": number, "route": "/items/{id}"},
        "http": {"request": asked, "response": {"status": 200}},
        "subsegments": [{"name": "price"}],
        **more,
    }


def without_lengths(documents: Any) -> Any:
    """Leave out how long answers are: ids in them, and pages of an error, differ by version."""
    if isinstance(documents, list):
        return [without_lengths(one) for one in documents]
    if isinstance(documents, dict):
        return {key: without_lengths(one) for key, one in documents.items() if key != "content_length"}
    return documents


def test_a_request_is_a_subsegment_of_the_traced_handler() -> None:
    outcome = call(TRACED, Invocation(event=request("/items/17")))
    (answer,) = outcome.bodies
    assert answer["statusCode"] == 200
    assert "x-amzn-trace-id" not in answer["headers"]  # Lambda and API Gateway answer for the trace
    assert f"Root={ROOT};Parent=" in answer["body"]
    assert without_lengths(plain(outcome.documents)) == [cold(subsegments=[shop(17)])]


def test_without_the_decorator_it_hangs_below_lambdas_own_segment() -> None:
    outcome = call(PLAIN, Invocation(event=request("/items/17")), Invocation(event=request("/items/18")))
    assert [body["statusCode"] for body in outcome.bodies] == [200, 200]
    place = {"type": "subsegment", "trace_id": ROOT, "parent_id": PARENT}
    first, second = without_lengths(plain([answer.documents for answer in outcome.answers]))
    assert first == [{**place, **shop(17)}]
    assert second == [
        {**place, **shop(18, id="#1")},
        {**place, "parent_id": "#1", "name": "mail"},  # which ran after the answer, and before the invocation's end
    ]


def test_what_runs_after_the_answer_hangs_below_the_request() -> None:
    outcome = call(TRACED, Invocation(event=request("/items/18")))
    mail, handler = outcome.documents
    assert (mail["name"], mail["parent_id"]) == ("mail", handler["subsegments"][0]["id"])


@pytest.mark.parametrize("source", [PLAIN, TRACED], ids=["plain", "traced"])
def test_an_exception_is_recorded_once(source: str) -> None:
    outcome = call(source, Invocation(event=request("/failing")))
    (document,) = outcome.documents
    assert outcome.bodies[0]["statusCode"] == 500
    door = document if source is PLAIN else document["subsegments"][0]
    assert door["fault"] is document["fault"] is True
    assert [exception["message"] for exception in door["cause"]["exceptions"]] == ["sold out"]
    assert door["http"]["response"]["status"] == 500
    assert str(document).count("sold out") == 1


@pytest.mark.parametrize("header", [None, f"Root={ROOT};Lineage=a:1"], ids=["none", "no decision"])
def test_the_requests_own_header_counts_where_the_runtime_has_none(header: str | None) -> None:
    trace = f"Root={OURS};Parent={PARENT};Sampled=1"
    outcome = call(PLAIN, Invocation(header, request("/items/17", trace)))
    if header is not None:  # the runtime's word counts, whatever it is
        assert outcome.documents == []
        return
    (document,) = outcome.documents
    assert (document["trace_id"], document["parent_id"], document["name"]) == (OURS, PARENT, "shop")
    assert f"Root={OURS};Parent={document['subsegments'][0]['id']};Sampled=1" in outcome.bodies[0]["body"]


@pytest.mark.parametrize("source", [PLAIN, TRACED], ids=["plain", "traced"])
def test_an_unsampled_invocation_records_nothing_whatever_the_request_says(source: str) -> None:
    unsampled = SAMPLED.replace("Sampled=1", "Sampled=0")
    outcome = call(source, Invocation(unsampled, request("/items/17", f"Root={OURS};Parent={PARENT};Sampled=1")))
    assert outcome.documents == []
    assert unsampled in outcome.bodies[0]["body"]


def test_a_path_to_ignore_leaves_the_handler_alone() -> None:
    source = TRACED.replace('service="shop"', 'service="shop", ignore_paths="/health*"')
    outcome = call(source, Invocation(event=request("/health")))
    assert plain(outcome.documents) == [cold()]
