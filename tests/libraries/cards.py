"""Functions of a library of the tests' own, in the forms that libraries have them in, and cards around them."""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING, Any

from xray_lambda.libraries._card import Call, around
from xray_lambda.libraries._kinds import opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Steps
    from xray_lambda.testing import Traces

    StepsOf = Callable[[Call], Steps]

FORMS = ["sync", "async", "plain function of a coroutine"]


def sub(call: Call, name: str = "call") -> Entity:
    return opened(call, name, "remote", "test", 1)


def plain(call: Call) -> Steps:
    yield sub(call)


def noted(call: Call) -> Steps:
    """Record what went in and what came out."""
    entity = sub(call)
    result = yield entity
    entity.annotate(given=call["given"], result=str(result))


class Library:
    """A function of a library with a card around it, in one of the forms that libraries have them in."""

    def __init__(self, kind: str, steps_of: StepsOf, work: Callable[..., Any]) -> None:
        async def work_async(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            return work(*args, **kwargs)

        def returns_coroutine(*args: Any, **kwargs: Any) -> Any:
            return work_async(*args, **kwargs)

        self.is_async = kind != "sync"
        function = {"sync": work, "async": work_async}.get(kind, returns_coroutine)
        self.function = around(steps_of, ("given", "other"), function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.is_async:
            return self.function(*args, **kwargs)

        async def main() -> Any:
            return await self.function(*args, **kwargs)

        return asyncio.run(main())


def answer(given: object, other: object = None) -> object:
    return (given, other)


def fail(given: BaseException, other: object = None) -> object:
    raise given


def names_in(traces: Traces) -> list[Any]:
    return [root.names() for root in traces.roots]


def caught(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


def by_hand(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call without an event loop, which has frames and cycles of its own."""
    result = function(*args, **kwargs)
    try:
        while type(result) is types.CoroutineType:
            result.send(None)
    except StopIteration as stop:
        return stop.value
    return result


def iter_once(entity: Entity) -> Steps:
    yield entity
