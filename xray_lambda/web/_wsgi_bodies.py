"""Bodies of WSGI answers: each bit is made with the request current, and the last one sent is the request's end.

A server is given what it would see without us: something that has a length or none, its own file wrapper to hand to
`sendfile`, and `close`, which it calls however the request ends (PEP 3333).
"""

from __future__ import annotations

from xray_lambda._context import current
from xray_lambda._document import MARK

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from xray_lambda.web._exchange import Exchange


_get_current = current.get
_set_current = current.set
_END = object()


def until_sent(body: Iterable[bytes], file_wrapper: object, exchange: Exchange) -> Iterable[bytes]:
    """Return a body in a form that ends the exchange when the server has sent it; `file_wrapper` is the server's."""
    kind = type(body)
    if kind is list or kind is tuple:
        if exchange.entity.sampled:
            return Blocks(body, exchange)
        exchange.end()  # none of the program's code is to run, and nobody wants to know when it was sent
        return body
    is_file = isinstance(body, file_wrapper) if isinstance(file_wrapper, type) else _is_made_by(file_wrapper, body)
    if is_file:
        _end_when_closed(body, exchange)
        return body
    return SizedBody(body, exchange) if hasattr(kind, "__len__") else Body(body, exchange)


class Noting:
    """Stands for a server's file wrapper that is a function, as uWSGI's, which knows its result again by identity."""

    __slots__ = ("_wrap", "made")

    def __init__(self, wrap: Callable[..., object]) -> None:
        self._wrap = wrap
        self.made: object = None

    def __call__(self, *args: object) -> object:
        """Wrap a file as the server does, and keep what comes out."""
        self.made = self._wrap(*args)
        return self.made


def _is_made_by(file_wrapper: object, body: object) -> bool:
    return isinstance(file_wrapper, Noting) and body is file_wrapper.made


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
        close(self._close, self._exchange)

    def __del__(self) -> None:
        """End the exchange of a server that forgets to close."""
        if not self._exchange.ended:
            self._exchange.abandon()


def close(function: Callable[[], object] | None, exchange: Exchange) -> None:
    """Call what the program has for the end of an answer, with the request current, and end the exchange."""
    if function is not None:
        before = _get_current()
        _set_current(exchange.inside)
        try:
            function()
        except BaseException as error:
            _set_current(before)
            exchange.end(error)
            raise
        _set_current(before)
    exchange.end()


class Chunks:
    """The bits of an answer, each made with the request current; `is_over` unless more of them are due."""

    __slots__ = ("_exchange", "_source", "is_over")

    def __init__(self, source: Iterable[Any], exchange: Exchange) -> None:
        self._source = source
        self._exchange = exchange
        self.is_over = True

    def __iter__(self) -> Iterator[Any]:
        exchange, chunks = self._exchange, None
        self.is_over = False
        while True:
            before = _get_current()
            _set_current(exchange.inside)
            try:
                if chunks is None:
                    chunks = iter(self._source)
                chunk = next(chunks, _END)
            except BaseException as error:
                self.is_over = True
                _set_current(before)
                exchange.end(error)
                raise
            exchange.inside = _get_current()  # it may stand within a `with subsegment()`
            _set_current(before)
            if chunk is _END:
                self.is_over = True
                return
            yield chunk


class Body(Chunks):
    """A body, and what closes it."""

    __slots__ = ()

    def close(self) -> None:
        """Close the program's own body, and the exchange."""
        exchange = self._exchange
        if not self.is_over and exchange.entity.sampled:
            exchange.entity.metadata({"disconnected": True}, namespace=MARK)
        close(getattr(self._source, "close", None), exchange)

    def __del__(self) -> None:
        """End the exchange of a server that forgets to close."""
        if not self._exchange.ended:
            self._exchange.abandon()


class SizedBody(Body):
    """A body that has a length; servers take that of one chunk for Content-Length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._source)  # type: ignore[arg-type]  # what has no length is a Body


class Blocks(SizedBody):
    """A body that stands ready."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._source)  # nothing is made meanwhile
