"""Plays an ASGI server for one request or WebSocket: gives an app its scope and messages, and keeps what it sends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Message = dict[str, Any]

HOST = (b"host", b"shop.example.com")


def http_scope(path: str = "/", *, headers: Iterable[tuple[bytes, bytes]] = (HOST,), **more: Any) -> dict[str, Any]:
    """Return the scope of a GET as uvicorn has it; `more` is added, and replaces."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"token=secret",
        "root_path": "",
        "headers": list(headers),
        "client": ("198.51.100.4", 51000),
        "server": ("127.0.0.1", 8000),
        **more,
    }


def websocket_scope(path: str = "/", **more: Any) -> dict[str, Any]:
    scope = http_scope(path, **{"type": "websocket", "scheme": "ws", "subprotocols": [], **more})
    del scope["method"]
    return scope


class Server:
    """One request: `messages` are what the client has sent, then it waits, until it is told that the client is gone.

    `fails_after` messages sent, sending raises, as ASGI 2.4 has it for a client that is gone.
    """

    def __init__(self, *messages: Message, fails_after: int | None = None) -> None:
        self.waiting = [*messages]
        self.sent: list[Message] = []
        self.gone = asyncio.Event()
        self.fails_after = fails_after

    async def receive(self) -> Message:
        if self.waiting:
            return self.waiting.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.fails_after is not None and len(self.sent) >= self.fails_after:
            self.gone.set()
            raise ConnectionResetError("the client is gone")
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(bytes(name), bytes(value)) for name, value in self.sent[0].get("headers", ())]

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


REQUEST = {"type": "http.request", "body": b"", "more_body": False}


async def answered(app: Any, scope: dict[str, Any] | None = None, server: Server | None = None) -> Server:
    """Let an app answer one request; what it raises passes."""
    server = Server(REQUEST) if server is None else server
    await app(http_scope() if scope is None else scope, server.receive, server.send)
    return server


def get(app: Any, path: str = "/", **more: Any) -> Server:
    """Let an app answer a GET in an event loop of its own."""
    return asyncio.run(answered(app, http_scope(path, **more)))


def start(status: int = 200, *headers: tuple[bytes, bytes], **more: Any) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(text: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": text, "more_body": more}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer with a greeting."""
    await send(start(200, (b"content-length", b"5")))
    await send(body(b"hello"))


def replying(*messages: Any) -> Any:
    """Return an app that sends these messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app
