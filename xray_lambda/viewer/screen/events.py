"""The live stream: what happens in the viewer, as server-sent events, some times a second at most."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import StreamingResponse
from starlette.routing import Route

from xray_lambda.viewer.screen.pages import HEADERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from xray_lambda.viewer.events import Event
    from xray_lambda.viewer.serve import Viewer

# Ten thousand documents a second are one event in this time: a page cannot show more, nor anybody see it.
_GATHER = 0.1
_MOST_IDS = 1_000
_MOST_REJECTIONS = 20


def routes(viewer: Viewer) -> list[Route]:
    """Return the route of the live stream."""

    async def stream(_: Request) -> StreamingResponse:
        headers = {**HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(viewer), headers=headers, media_type="text/event-stream")

    return [Route("/api/events", stream)]


async def _events(viewer: Viewer) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n" + _written("status", await asyncio.to_thread(viewer.status))
    gathered: list[Event] = []
    since = 0.0
    now = asyncio.get_running_loop().time
    async for event in viewer.events.listen():
        if event is None:
            yield b": still here\n\n"
            continue
        gathered.append(event)
        if now() - since >= _GATHER:
            await asyncio.sleep(_GATHER / 2)  # what comes right behind goes with it
        yield b"".join(_summed(gathered))
        gathered, since = [], now()


def _summed(events: list[Event]) -> list[bytes]:
    """Write events down: ids of traces in one, the last status, in the order in which a page wants them."""
    out: list[bytes] = [_written("cleared", None) for event in events if event.kind == "cleared"][:1]
    changed = list(dict.fromkeys(id for event in events if event.kind == "traces" for id in event.data))  # noqa: A001 - a trace's
    if changed:
        out.append(_written("traces", {"changed": changed[-_MOST_IDS:]}))
    out += [_written("rejected", event.data) for event in events if event.kind == "rejected"][-_MOST_REJECTIONS:]
    out += [_written("status", event.data) for event in events if event.kind == "status"][-1:]
    return out


def _written(kind: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps(data))
