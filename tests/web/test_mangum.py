"""FastAPI behind Mangum in the real Lambda runtime: a request is a subsegment of the invocation, sent within it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.lambda_runtime.documents import cold, handled, plain
from tests.lambda_runtime.runtime import invoke
from tests.lambda_runtime.runtime_api import PARENT, ROOT, SAMPLED, Answer, Invocation

if TYPE_CHECKING:
    from tests.emitters.daemon import Document

pytestmark = pytest.mark.full

PROGRAM = """
    from fastapi import BackgroundTasks, FastAPI
    from mangum import Mangum
    from xray_lambda import annotate, subsegment, trace_header, traced_handler
    from xray_lambda.web.asgi import XRayMiddleware

    app = FastAPI()
    app.add_middleware(XRayMiddleware, service="shop", ignore_paths="/health*")

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


UNSAMPLED = SAMPLED.replace("Sampled=1", "Sampled=0")
OWN = f"Root={OURS};Parent={PARENT};Sampled=1"
INVOCATIONS = {
    "item": Invocation(event=request("/items/17")),
    "mail": Invocation(event=request("/items/18")),
    "failing": Invocation(event=request("/failing")),
    "health": Invocation(event=request("/health")),
    "unsampled": Invocation(UNSAMPLED, request("/items/17", OWN)),
    "undecided": Invocation(f"Root={ROOT};Lineage=a:1", request("/items/17", OWN)),
    "without a header": Invocation(None, request("/items/17", OWN)),
}


def answers(source: str) -> dict[str, Answer]:
    """Return what came of each of `INVOCATIONS`, all in one process."""
    # Mangum asks for the loop as Python 3.14 no longer likes it.
    outcome = invoke(source, *INVOCATIONS.values(), env={"PYTHONWARNINGS": "ignore"})
    assert all(answer.kind == "response" for answer in outcome.answers), outcome
    return dict(zip(INVOCATIONS, outcome.answers, strict=True))


@pytest.fixture(scope="module")
def bare() -> dict[str, Answer]:
    return answers(PLAIN)


@pytest.fixture(scope="module")
def traced() -> dict[str, Answer]:
    return answers(TRACED)


@pytest.fixture(params=["bare", "traced"])
def either(request: pytest.FixtureRequest) -> dict[str, Answer]:
    found: dict[str, Answer] = request.getfixturevalue(request.param)
    return found


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


PLACE = {"type": "subsegment", "trace_id": ROOT, "parent_id": PARENT}


def test_a_request_is_a_subsegment_of_the_traced_handler(traced: dict[str, Answer]) -> None:
    answer = traced["item"]
    assert answer.body["statusCode"] == 200
    assert f"Root={ROOT};Parent=" in answer.body["body"]
    assert without_lengths(plain(answer.documents)) == [cold(subsegments=[shop(17)])]


def test_without_the_decorator_it_hangs_below_lambdas_own_segment(bare: dict[str, Answer]) -> None:
    assert without_lengths(plain(bare["item"].documents)) == [{**PLACE, **shop(17)}]


def test_what_runs_after_the_answer_hangs_below_the_request_and_is_sent_in_time(
    traced: dict[str, Answer], bare: dict[str, Answer]
) -> None:
    mail, handler = traced["mail"].documents
    assert (mail["name"], mail["parent_id"]) == ("mail", handler["subsegments"][0]["id"])
    assert without_lengths(plain(bare["mail"].documents)) == [
        {**PLACE, **shop(18, id="#1")},
        {**PLACE, "parent_id": "#1", "name": "mail"},
    ]


def test_an_exception_is_recorded_once(either: dict[str, Answer]) -> None:
    (document,) = either["failing"].documents
    assert either["failing"].body["statusCode"] == 500
    door = document if document["name"] == "shop" else document["subsegments"][0]
    assert door["fault"] is document["fault"] is True
    assert [exception["message"] for exception in door["cause"]["exceptions"]] == ["sold out"]
    assert door["http"]["response"]["status"] == 500
    assert str(document).count("sold out") == 1


def test_the_requests_own_header_counts_where_the_runtime_has_none(bare: dict[str, Answer]) -> None:
    (document,) = bare["without a header"].documents
    assert (document["trace_id"], document["parent_id"], document["name"]) == (OURS, PARENT, "shop")
    header = f"Root={OURS};Parent={document['subsegments'][0]['id']};Sampled=1"
    assert header in bare["without a header"].body["body"]


def test_what_the_runtime_says_counts_whatever_the_request_says(either: dict[str, Answer]) -> None:
    assert either["unsampled"].documents == either["undecided"].documents == []
    assert UNSAMPLED in either["unsampled"].body["body"]


def test_answers_get_no_header_of_ours(either: dict[str, Answer]) -> None:
    assert [name for name, answer in either.items() if "x-amzn-trace-id" in answer.body["headers"]] == []


def test_a_path_to_ignore_leaves_the_handler_alone(traced: dict[str, Answer], bare: dict[str, Answer]) -> None:
    assert plain(traced["health"].documents) == [handled()]
    assert bare["health"].documents == []
