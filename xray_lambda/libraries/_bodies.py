"""Bodies: an HTTP call lasts until its answer's last byte is there, or the program closes or drops the answer."""

from __future__ import annotations

import sys
from functools import partial, wraps
from weakref import WeakKeyDictionary, ref

from xray_lambda._callables import is_coroutine_function

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
    from typing import Any

    from xray_lambda.libraries._card import Done, Until

# What closes the subsegment of an answer that is not read yet. It holds no answer alive, and nothing is put on one.
_open: WeakKeyDictionary[Any, Done] = WeakKeyDictionary()
# Most often there is none, which this says at a tenth of the cost.
_any_open: dict[Any, Any] = vars(_open)["data"]


def until_read(answer: object) -> Until:
    """Return what keeps the subsegment open until `ended(answer)`, or until the program drops the answer."""
    return partial(_keep_open, ref(answer))


def _keep_open(waiting: ref[Any], done: Done) -> None:
    answer = waiting()
    if answer is not None:
        keep_open(answer, done)


def keep_open(answer: object, done: Done) -> None:
    """See to it that `done()` is called when an answer has ended."""
    _open[answer] = done


def is_open(answer: object) -> bool:
    """Say whether the subsegment of an answer is still open."""
    try:
        return bool(_any_open) and answer in _open
    except TypeError:  # as in `taken`
        return False


def taken(answer: object) -> Done | None:
    """Return what closes the subsegment of an answer, which nothing else will do from now on; None if it is closed."""
    try:
        return _open.pop(answer, None) if _any_open else None
    except TypeError:  # of a class that takes no reference, so that its subsegment never stayed open
        return None


def ended(answer: object, error: BaseException | None = None) -> None:
    """Close the subsegment of an answer, unless it is closed: all has been read, or reading ended in an error."""
    done = taken(answer)
    if done is not None:
        done(error)


def failure_through(*parts: object) -> BaseException | None:
    """Return the exception on its way through the program, if it came out of a method of one of these."""
    error = sys.exc_info()[1]
    traceback = None if error is None else error.__traceback__
    while traceback is not None:
        place = traceback.tb_frame.f_locals.get("self")
        if place is not None and any(place is part for part in parts):
            return error
        traceback = traceback.tb_next
    return None


def ending(
    method: Callable[..., Any], failure_of: Callable[[Any], BaseException | None] = failure_through
) -> Callable[..., Any]:
    """Wrap a method that ends an answer: it closes it, or gives its connection back."""

    @wraps(method)
    def ending_method(self: object, *args: object, **kwargs: object) -> object:
        if _any_open and is_open(self):  # the first alone is quick
            ended(self, failure_of(self))
        return method(self, *args, **kwargs)

    @wraps(method)
    async def ending_coroutine(self: object, *args: object, **kwargs: object) -> object:
        if is_open(self):
            ended(self, failure_of(self))
        return await method(self, *args, **kwargs)

    return ending_coroutine if is_coroutine_function(method) else ending_method


def reading(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method that returns an iterator over an answer's body."""

    @wraps(method)
    def chunks_of(self: object, *args: object, **kwargs: object) -> object:
        chunks = method(self, *args, **kwargs)
        if not is_open(self):
            return chunks
        return _watched_async(chunks, self) if hasattr(chunks, "__anext__") else _watched(chunks, self)

    return chunks_of


def _watched(chunks: Iterator[object], answer: object) -> Iterator[object]:
    try:
        yield from chunks
    except GeneratorExit:  # the program reads no further here: it closes or drops the answer, or goes on elsewhere
        raise
    except BaseException as error:
        ended(answer, error)
        raise
    ended(answer)


async def _watched_async(chunks: AsyncGenerator[object, None], answer: object) -> AsyncIterator[object]:
    try:
        async for chunk in chunks:
            yield chunk
    except GeneratorExit:
        raise
    except BaseException as error:
        ended(answer, error)
        raise
    finally:
        await chunks.aclose()
    ended(answer)
