"""What other commands ask a viewer that runs: whether it is one, and for traces as they finish."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import orjson
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from xray_lambda._version import VERSION
from xray_lambda.viewer import filters
from xray_lambda.viewer.finished import Condition, finished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from xray_lambda.viewer.serve import Viewer

PATH = "/xray-lambda"


def routes(viewer: Viewer) -> list[Route]:
    """Return the routes that stand beside X-Ray's own API."""

    async def about(_: Request) -> Response:
        store = None if viewer.store.path is None else str(viewer.store.path.absolute())
        return JSONResponse({"xray-lambda": VERSION, "process": os.getpid(), **viewer.status(), "store": store})

    async def traces(request: Request) -> Response:
        """Stream finished traces, a line of JSON each; an empty line says that the viewer is still there."""
        text = request.query_params.get("filter", "")
        try:
            condition = Condition(*filters.where(filters.parse(text))) if text.strip() else Condition()
        except filters.FilterError as error:
            return PlainTextResponse(str(error), 400)
        return StreamingResponse(_lines(viewer, condition), media_type="application/x-ndjson")

    return [Route(PATH, about), Route(f"{PATH}/traces", traces)]


async def _lines(viewer: Viewer, condition: Condition) -> AsyncIterator[bytes]:
    yield b"\n"
    async for trace in finished(viewer, condition):
        yield b"\n" if trace is None else orjson.dumps(trace) + b"\n"
