"""Bodies of WSGI answers: each bit is made with the request current, and the last one sent is the request's end.

A server is given what it would see without us: something that has a length or none, its own file wrapper to hand to
`sendfile`, and `close`, which it calls however the request ends (PEP 3333).
"""

from __future__ import annotations

from xray_lambda._document import MARK

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from xray_lambda.web._exchange import Exchange


def until_sent(body: Iterable[bytes], file_wrapper: object, exchange: Exchange) -> Iterable[bytes]:
    """Return a body in a form that ends the exchange when the server has sent it; `file_wrapper` is the server's."""
    if isinstance(file_wrapper, type) and isinstance(body, file_wrapper):
        _end_when_closed(body, exchange)
        return body
    if type(body) is list or type(body) is tuple:
        if not exchange.entity.sampled:  # none of the program's code is to run, and nobody wants to know when it ends
            exchange.end()
            return body
        return Blocks(body, exchange)
    return SizedBody(body, exchange) if hasattr(body, "__len__") else Body(body, exchange)


def _end_when_closed(file: Any, exchange: Exchange) -> None:
    """End the exchange when a server closes its own file wrapper, which it has to find as it made it."""
    try:
        file.close = Closing(exchange, getattr(file, "close", None))
    except AttributeError:  # one of C, as mod_wsgi's: what it does from here on cannot be seen
        exchange.end()


class Closing:
    """What a server calls when an answer has been sent, in the place of `close`: that, and the exchange's end."""

    __slots__ = ("_close", "_exchange")

    def __init__(self, exchange: Exchange, close: Callable[[], object] | None = None) -> None:
        self._exchange = exchange
        self._close = close

    def __call__(self) -> None:
        exchange, close = self._exchange, self._close
        if close is not None:
            exchange.resume()
            try:
                close()
            except BaseException as error:
                exchange.leave()
                exchange.end(error)
                raise
            exchange.leave()
        exchange.end()

    def __del__(self) -> None:
        """End the exchange of a server that forgets to close."""
        self._exchange.abandon()


class Chunks:
    """The bits of an answer, each made with the request current."""

    __slots__ = ("_chunks", "_exchange", "_source", "is_over")

    def __init__(self, source: Iterable[Any], exchange: Exchange) -> None:
        self._source = source
        self._chunks: Iterator[Any] | None = None
        self._exchange = exchange
        self.is_over = True  # none has been asked for yet

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> Any:
        exchange = self._exchange
        exchange.resume()
        try:
            if self._chunks is None:
                self._chunks = iter(self._source)
                self.is_over = False
            chunk = next(self._chunks)
        except BaseException as error:
            self.is_over = True
            exchange.leave()
            if not isinstance(error, StopIteration):
                exchange.end(error)
            raise
        exchange.leave()
        return chunk


class Body(Chunks):
    """A body, and what closes it."""

    __slots__ = ("_closing",)

    def __init__(self, body: Iterable[bytes], exchange: Exchange) -> None:
        super().__init__(body, exchange)
        self._closing = Closing(exchange, getattr(body, "close", None))

    def close(self) -> None:
        """Close the program's own body, and the exchange."""
        if not self.is_over and self._exchange.entity.sampled:
            self._exchange.entity.metadata({"disconnected": True}, namespace=MARK)
        self._closing()


class SizedBody(Body):
    """A body that has a length; servers take that of one chunk for Content-Length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._source)  # type: ignore[arg-type]  # what has no length is a Body


class Blocks(SizedBody):
    """A body that stands ready."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:  # type: ignore[override]  # nothing is made meanwhile
        return iter(self._source)
