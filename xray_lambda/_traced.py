"""`@traced`: every call of a function, coroutine, generator or context manager is a subsegment."""

from __future__ import annotations

from functools import partial, wraps

from xray_lambda._api import subsegment
from xray_lambda._callables import ASYNC_GENERATOR, COROUTINE, GENERATOR, code_of, name_of, overload
from xray_lambda._context import current

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from typing import Any, ParamSpec, TypeVar

    from xray_lambda._entity import Entity, Ignored, Namespace

    P = ParamSpec("P")
    R = TypeVar("R")
    F = TypeVar("F", bound=Callable[..., object])


@overload
def traced(function: F, /) -> F: ...
@overload
def traced(  # noqa: F811 - the second overload
    name: str | None = None, /, *, namespace: Namespace | None = None, ignore: Ignored = ()
) -> Callable[[F], F]: ...
def traced(  # noqa: F811 - what the overloads describe
    function: object = None, /, *, namespace: Namespace | None = None, ignore: Ignored = ()
) -> object:
    """Make every call of what is decorated a subsegment, named after it or `@traced("name")`.

    A generator's subsegment lasts until it is exhausted or closed, a context manager's as long as its block.
    `ignore` names exception classes that are no faults. Raises TypeError for what cannot be called.
    """
    if function is None or isinstance(function, str):
        return partial(_trace, name=function, namespace=namespace, ignore=ignore)
    return _trace(function, name=None, namespace=namespace, ignore=ignore)


def _trace(function: object, *, name: str | None, namespace: Namespace | None, ignore: Ignored) -> object:
    if isinstance(function, (staticmethod, classmethod)):
        inner = _trace(function.__func__, name=name, namespace=namespace, ignore=ignore)
        return type(function)(inner)  # type: ignore[arg-type]
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"@traced takes a function, not {function!r:.200}; decorate the methods of a class")
    name = name or name_of(function)
    return _wrapper_for(function)(function, partial(subsegment, name, namespace=namespace, ignore=ignore))


def _wrapper_for(function: Callable[..., object]) -> Callable[..., object]:
    if _context_manager_kind(function) is not None:
        return _context_manager
    code = code_of(function)
    flags = 0 if code is None else code.co_flags
    if flags & ASYNC_GENERATOR:
        return _async_generator
    if flags & COROUTINE:
        return _coroutine
    return _generator if flags & GENERATOR else _function


def _context_manager_kind(function: object) -> object:
    """Return which of contextlib's decorators made `function`, `contextmanager` or `asynccontextmanager`; else None.

    What else contextlib makes, as a function that is decorated by a context manager, is a plain function.
    """
    if (getattr(function, "__globals__", None) or {}).get("__name__") != "contextlib":
        return None
    import contextlib  # noqa: PLC0415 - loaded already, since it made `function`

    code = getattr(function, "__code__", None)
    for made_by in (contextlib.contextmanager, contextlib.asynccontextmanager):
        if made_by(_sample).__code__ is code:  # type: ignore[arg-type]
            return made_by
    return None


def _sample() -> None:
    """Stand in for a function, to see what contextlib makes of it."""


def _function(function: Callable[P, R], opened: Callable[[], Entity]) -> Callable[P, R]:
    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with opened():
            return function(*args, **kwargs)

    return wrapper


def _coroutine(function: Callable[..., object], opened: Callable[[], Entity]) -> Callable[..., object]:
    @wraps(function)
    async def wrapper(*args: object, **kwargs: object) -> object:
        with opened():
            return await function(*args, **kwargs)  # type: ignore[misc]

    return wrapper


def _context_manager(function: Callable[..., object], opened: Callable[[], Entity]) -> Callable[..., object]:
    """Wrap by contextlib again: the subsegment is current inside the `with` block, as the user would write it."""
    import contextlib  # noqa: PLC0415 - loaded already, since it made `function`

    if _context_manager_kind(function) is contextlib.asynccontextmanager:

        @wraps(function)
        async def enter_async(*args: object, **kwargs: object) -> AsyncGenerator[object, None]:
            with opened():
                async with function(*args, **kwargs) as value:  # type: ignore[attr-defined]
                    yield value

        return contextlib.asynccontextmanager(enter_async)

    @wraps(function)
    def enter(*args: object, **kwargs: object) -> Generator[object, None, None]:
        with opened(), function(*args, **kwargs) as value:  # type: ignore[attr-defined]
            yield value

    return contextlib.contextmanager(enter)


class _Steps:
    """The context of a generator's body: its subsegment is current while the body runs, and only then.

    A generator runs in its caller's context; so each step puts the body's current entity in place, and the
    caller's back.
    """

    __slots__ = ("_entity", "_inside", "_outside")

    def __init__(self, entity: Entity) -> None:
        self._entity = entity
        self._inside: Entity | None = None
        self._outside: Entity | None = None

    def start(self) -> None:
        self._outside = current.get()
        self._entity.__enter__()
        self.pause()

    def resume(self) -> None:
        self._outside = current.get()
        current.set(self._inside)

    def pause(self) -> None:
        self._inside = current.get()
        current.set(self._outside)

    def finish(self, error: BaseException | None) -> None:
        """Close the subsegment, with the caller's context in place afterwards."""
        current.set(self._entity)
        self._entity.__exit__(None, error, None)
        current.set(self._outside)

    def abandon(self, error: BaseException) -> None:
        """Close the subsegment and leave the context alone: the collector, which closes what a program has dropped,
        may run inside another `ContextVar.set`, and a set within a set crashes CPython 3.10 and 3.11.
        """
        self._entity.__exit__(None, error, None)


def _generator(function: Callable[..., object], opened: Callable[[], Entity]) -> Callable[..., object]:
    @wraps(function)
    def wrapper(*args: object, **kwargs: object) -> Generator[object, object, object]:
        body: Generator[object, object, object] = function(*args, **kwargs)  # type: ignore[assignment]
        steps = _Steps(opened())
        steps.start()
        advance: Callable[[Any], object] = body.send
        passed: list[object] = [None]  # on to the body and not kept here, nor is what it yields
        while True:
            steps.resume()
            try:
                item = advance(passed.pop())
            except StopIteration as stop:
                steps.finish(None)
                return stop.value
            except BaseException as error:
                steps.finish(error)
                raise
            steps.pause()
            try:
                passed.append((yield item))
                advance = body.send
            except GeneratorExit as error:
                try:
                    body.close()
                finally:
                    steps.abandon(error)
                raise
            except BaseException as error:  # noqa: BLE001 - whatever is thrown in belongs to the body
                passed.append(error)
                advance = body.throw
            del item

    return wrapper


def _async_generator(function: Callable[..., object], opened: Callable[[], Entity]) -> Callable[..., object]:
    @wraps(function)
    async def wrapper(*args: object, **kwargs: object) -> AsyncGenerator[object, object]:
        body: AsyncGenerator[object, object] = function(*args, **kwargs)  # type: ignore[assignment]
        steps = _Steps(opened())
        steps.start()
        advance: Callable[[Any], Awaitable[object]] = body.asend
        passed: list[object] = [None]  # on to the body and not kept here, nor is what it yields
        while True:
            steps.resume()
            try:
                item = await advance(passed.pop())
            except StopAsyncIteration:
                steps.finish(None)
                return
            except BaseException as error:
                steps.finish(error)
                raise
            steps.pause()
            try:
                passed.append((yield item))
                advance = body.asend
            except GeneratorExit as error:
                try:
                    await body.aclose()
                finally:
                    steps.abandon(error)
                raise
            except BaseException as error:  # noqa: BLE001 - whatever is thrown in belongs to the body
                passed.append(error)
                advance = body.athrow
            del item

    return wrapper
