"""What an async view streams: each bit is made with the request current."""

from __future__ import annotations

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator
    from typing import Any

    from xray_lambda.web._exchange import Exchange


class AsyncChunks:
    """The bits of an answer from an async iterator."""

    __slots__ = ("_chunks", "_exchange", "_source")

    def __init__(self, source: AsyncIterable[Any], exchange: Exchange) -> None:
        self._source = source
        self._chunks: AsyncIterator[Any] | None = None
        self._exchange = exchange

    def __aiter__(self) -> AsyncChunks:
        return self

    async def __anext__(self) -> Any:
        exchange = self._exchange
        exchange.resume()
        try:
            if self._chunks is None:
                self._chunks = aiter(self._source)
            chunk = await anext(self._chunks)
        except BaseException as error:
            exchange.leave()
            if not isinstance(error, StopAsyncIteration):
                exchange.end(error)
            raise
        exchange.leave()
        return chunk
