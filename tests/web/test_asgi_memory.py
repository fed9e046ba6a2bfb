"""A hundred thousand requests leave nothing behind: neither those that go well nor those that do not."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.asgi import HOST, REQUEST, body, http_scope, start, websocket_scope
from xray_lambda import _config, _recorder, subsegment
from xray_lambda._recorder import Recorder
from xray_lambda.web.asgi import XRayMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.full

NUMBER = 100_000
MOST = 5 * 1024 * 1024


class Counting:
    """An emitter that keeps nothing."""

    sent = 0

    def send(self, document: str) -> None:
        self.sent += 1


@pytest.fixture
def emitter() -> Iterator[Counting]:
    emitter = Counting()
    before = _recorder.active()
    _recorder.use(Recorder(_config.load({}, strict=True), emitter))
    yield emitter
    _recorder.use(before)


async def program(scope: Any, receive: Any, send: Any) -> None:
    """Answer, or fail to, as the path says."""
    with subsegment("work") as sub:
        sub.annotate(path=scope["path"])
    if scope["path"] == "/error":
        raise ValueError(scope["path"])
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        return
    await send(start(200, (b"content-length", b"1")))
    if scope["path"] != "/unfinished":
        await send(body(b"x"))


# As a program's requests are, nearly all of them go well.
KINDS = [http_scope("/items")] * 96 + [
    http_scope("/error"),
    http_scope("/unfinished"),
    http_scope("/unsampled", headers=[HOST, (b"x-amzn-trace-id", b"Sampled=0")]),
    websocket_scope("/feed"),
]


def resident() -> int:
    """Return how much memory the process has, in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_hundred_thousand_requests_grow_memory_by_less_than_five_megabytes(emitter: Counting) -> None:
    app = XRayMiddleware(program, service="shop", user=True)

    async def receive() -> Any:
        return REQUEST

    async def send(message: Any) -> None:
        pass

    async def serve(number: int) -> None:
        for one in range(number):
            try:
                await app({**KINDS[one % len(KINDS)]}, receive, send)
            except ValueError:
                pass

    asyncio.run(serve(5_000))
    before, emitter.sent = resident(), 0
    asyncio.run(serve(NUMBER))
    assert emitter.sent == NUMBER * 99 // 100
    assert resident() - before < MOST
