"""FastAPI: routes of included and mounted routers, dependencies, sync endpoints, error handlers, streams of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse

from tests.web.asgi import get
from xray_lambda import annotate, subsegment
from xray_lambda.testing import capture
from xray_lambda.web.asgi import XRayMiddleware

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from xray_lambda.testing import Traces

app = FastAPI()
app.add_middleware(XRayMiddleware, service="shop")
rooms = APIRouter(prefix="/rooms")
shops = APIRouter(prefix="/shops/{shop}")
sub = FastAPI()


class OutOfStock(Exception):
    """What the program has an answer for."""


@pytest.fixture
def traces() -> Iterator[Traces]:
    with capture(header=None) as traces:
        yield traces


async def session() -> AsyncIterator[str]:
    with subsegment("session"):
        pass
    yield "session"


def mail() -> None:
    with subsegment("mail"):
        pass


@app.exception_handler(OutOfStock)
async def out_of_stock(request: Any, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "gone"}, 409)


@app.get("/items/{id}")
async def item(id: int, tasks: BackgroundTasks, session: Annotated[str, Depends(session)]) -> dict[str, int]:  # noqa: A002 - the parameter's name
    annotate(item=id)
    tasks.add_task(mail)
    return {"id": id}


@app.get("/sync/{id}")
def sync(id: int) -> int:  # noqa: A002 - the parameter's name
    with subsegment("in a thread"):
        return id


@app.get("/errors/{kind}")
async def errors(kind: str) -> None:
    raise {"stock": OutOfStock(), "http": HTTPException(503, "later"), "bug": ZeroDivisionError("bug")}[kind]


@app.get("/events")
async def events() -> StreamingResponse:
    async def two() -> AsyncIterator[str]:
        for number in range(2):
            with subsegment(f"event {number}"):
                yield f"data: {number}\n\n"

    return StreamingResponse(two(), media_type="text/event-stream")


@rooms.get("/{room}")
@sub.get("/rooms/{room}")
async def room(room: str) -> str:
    return room


shops.include_router(rooms)
app.include_router(shops, prefix="/v1")
app.mount("/tenants/{tenant}", sub)


def test_a_request_is_a_segment_with_what_its_dependencies_and_tasks_did(traces: Traces) -> None:
    assert get(app, "/items/17").body == b'{"id":17}'
    assert traces.one.names() == ("shop", [("session", []), ("mail", [])])
    assert traces.one.annotations == {"item": 17, "route": "/items/{id}"}


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/shops/7/rooms/8", "/v1/shops/{shop}/rooms/{room}"),
        ("/tenants/7/rooms/8", "/tenants/{tenant}/rooms/{room}"),
        ("/docs", "/docs"),
        ("/nowhere", None),
    ],
)
def test_the_route_is_an_annotation(traces: Traces, path: str, route: str | None) -> None:
    get(app, path)
    assert traces.one.annotations.get("route") == route


def test_a_sync_endpoint_runs_in_a_thread_that_belongs_to_the_request(traces: Traces) -> None:
    assert get(app, "/sync/17").body == b"17"
    assert traces.one.names() == ("shop", [("in a thread", [])])


def test_what_the_program_answers_for_is_as_bad_as_its_status(traces: Traces) -> None:
    assert get(app, "/errors/stock").status == 409
    assert (traces.one.flags, traces.one.exceptions) == ({"error"}, [])
    traces.clear()
    assert get(app, "/items/seventeen").status == 422
    assert (traces.one.flags, traces.one.exceptions) == ({"error"}, [])
    traces.clear()
    assert get(app, "/errors/http").status == 503
    assert traces.one.flags == {"fault"}
    assert [exception["type"] for exception in traces.one.exceptions] == ["fastapi.exceptions.HTTPException"]


def test_a_bug_is_recorded_once(traces: Traces) -> None:
    with pytest.raises(ZeroDivisionError):
        get(app, "/errors/bug")
    assert traces.one.flags == {"fault"}
    assert [exception["message"] for exception in traces.one.exceptions] == ["bug"]
    assert traces.one.exceptions[0]["stack"][0]["label"] == "errors"


def test_events_belong_to_the_request_until_the_last(traces: Traces) -> None:
    assert get(app, "/events").body == b"data: 0\n\ndata: 1\n\n"
    assert traces.one.names() == ("shop", [("event 0", []), ("event 1", [])])
    assert len(traces.documents) == 1
