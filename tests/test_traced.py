"""`@traced`: every kind of callable, its signature and result untouched, its subsegment as long as its work."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import weakref
from typing import TYPE_CHECKING

import pytest

from xray_lambda import subsegment, traced
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator


@traced
def function(number: int, *, times: int = 2) -> int:
    """Multiply."""
    with subsegment("inside"):
        return number * times


@traced("named", namespace="remote", ignore=(KeyError,))
def named() -> None:
    raise KeyError


@traced
async def coroutine(number: int) -> int:
    await asyncio.sleep(0)
    with subsegment("inside"):
        return number + 1


@traced
def generator(count: int) -> Iterator[int]:
    for number in range(count):
        with subsegment("inside"):
            got = yield number
            if got:
                yield got * 100


@traced
async def async_generator(count: int) -> AsyncIterator[int]:
    for number in range(count):
        with subsegment("inside"):
            await asyncio.sleep(0)
            yield number


@traced
@contextlib.contextmanager
def manager(value: str) -> Iterator[str]:
    with subsegment("before"):
        pass
    yield value
    with subsegment("after"):
        pass


@traced
@contextlib.asynccontextmanager
async def async_manager(value: str) -> AsyncIterator[str]:
    await asyncio.sleep(0)
    yield value


class Shop:
    @traced
    def method(self) -> str:
        return type(self).__name__

    @traced
    @classmethod
    def above(cls) -> str:
        return cls.__name__

    @classmethod
    @traced
    def below(cls) -> str:
        return cls.__name__

    @traced
    @staticmethod
    def static() -> str:
        return "static"

    def __call__(self) -> str:
        return "called"


def test_a_function_is_a_subsegment_and_returns_what_it_returned() -> None:
    with capture() as traces:
        assert function(3, times=5) == 15
        assert traces.one.names() == ("function", [("inside", [])])


def test_a_decorated_function_looks_like_itself() -> None:
    assert (function.__name__, function.__doc__) == ("function", "Multiply.")
    assert str(inspect.signature(function)) == "(number: 'int', *, times: 'int' = 2) -> 'int'"
    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)


def test_a_name_a_namespace_and_what_to_ignore_can_be_given() -> None:
    with capture() as traces:
        with pytest.raises(KeyError):
            named()
        assert traces.one.name == "named"
        assert traces.one.document["namespace"] == "remote"
        assert traces.one.flags == set()


def test_a_coroutine_is_a_subsegment_until_it_is_done() -> None:
    async def main() -> int:
        with subsegment("main"):
            results = await asyncio.gather(coroutine(1), coroutine(2))
            return sum(results)

    with capture() as traces:
        assert asyncio.run(main()) == 5
        assert traces.one.names() == ("main", [("coroutine", [("inside", [])])] * 2)


def test_a_generator_is_a_subsegment_until_it_is_exhausted() -> None:
    with capture() as traces:
        with subsegment("main"):
            for _ in generator(2):
                with subsegment("consumer"):
                    pass
        main = traces.one
        assert [child.name for child in main.children] == ["generator", "consumer", "consumer"]
        assert main["generator"].names() == ("generator", [("inside", []), ("inside", [])])
        ends = [child.document["end_time"] for child in main.children]
        assert ends[0] == max(ends)


def test_a_generator_takes_what_is_sent_and_thrown_and_returns() -> None:
    @traced
    def echo() -> Generator[object, object, str]:
        got: object = None
        while got != "stop":
            try:
                got = yield got
            except LookupError as error:
                got = f"caught {error}"
        return "done"

    with capture():
        steps = echo()
        assert next(steps) is None
        assert steps.send("a") == "a"
        assert steps.throw(LookupError("b")) == "caught b"
        with pytest.raises(StopIteration) as stopped:
            steps.send("stop")
        assert stopped.value.value == "done"


def test_a_generator_that_is_closed_or_dropped_ends_its_subsegment() -> None:
    with capture() as traces:
        closed = generator(9)
        next(closed)
        closed.close()  # type: ignore[attr-defined]
        dropped = generator(9)
        next(dropped)
        del dropped
        gc.collect()
        assert [(root.name, root.flags) for root in traces.roots] == [("generator", set()), ("generator", set())]


def test_a_generator_that_is_never_started_is_no_subsegment() -> None:
    with capture() as traces:
        generator(3)
        assert len(traces) == 0


def test_two_generators_interleaved_keep_their_own_children() -> None:
    with capture() as traces:
        with subsegment("main"):
            assert list(zip(generator(2), generator(2), strict=False)) == [(0, 0), (1, 1)]
        shapes = [child.names() for child in traces.one.children]
        assert shapes == [("generator", [("inside", []), ("inside", [])])] * 2


def test_a_failing_generator_is_a_fault_and_its_exception_the_programs() -> None:
    @traced
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("no")

    with capture() as traces:
        with pytest.raises(ValueError, match="no"):
            list(failing())
        assert traces.one.flags == {"fault"}


def test_an_async_generator_is_a_subsegment_until_it_is_exhausted() -> None:
    async def main() -> list[int]:
        with subsegment("main"):
            numbers = []
            async for number in async_generator(2):
                with subsegment("consumer"):
                    numbers.append(number)
            return numbers

    with capture() as traces:
        assert asyncio.run(main()) == [0, 1]
        main_node = traces.one
        assert [child.name for child in main_node.children] == ["async_generator", "consumer", "consumer"]
        assert main_node["async_generator"].names() == ("async_generator", [("inside", []), ("inside", [])])


def test_an_async_generator_left_half_way_ends_its_subsegment() -> None:
    async def main() -> None:
        with subsegment("main"):
            async for _ in async_generator(9):
                break
            with subsegment("next"):
                pass

    with capture() as traces:
        asyncio.run(main())
        names = sorted(node.name for root in traces.roots for node in root.walk())
        assert names == ["async_generator", "inside", "main", "next"]
        assert traces.find("next").document["id"] in {child.id for child in traces.find("main").children}


def test_an_async_generator_takes_what_is_sent_and_thrown() -> None:
    @traced
    async def echo() -> AsyncGenerator[object, object]:
        got: object = None
        while got != "stop":
            try:
                got = yield got
            except LookupError as error:
                got = f"caught {error}"

    async def main() -> None:
        steps = echo()
        assert await steps.asend(None) is None
        assert await steps.asend("a") == "a"
        assert await steps.athrow(LookupError("b")) == "caught b"
        with pytest.raises(StopAsyncIteration):
            await steps.asend("stop")

    with capture():
        asyncio.run(main())


def test_a_context_manager_is_a_subsegment_as_long_as_its_block() -> None:
    with capture() as traces:
        with manager("x") as value, subsegment("block"):
            assert value == "x"
        assert traces.one.names() == ("manager", [("before", []), ("block", []), ("after", [])])


def test_an_async_context_manager_is_a_subsegment_as_long_as_its_block() -> None:
    async def main() -> None:
        async with async_manager("x") as value:
            with subsegment("block"):
                assert value == "x"

    with capture() as traces:
        asyncio.run(main())
        assert traces.one.names() == ("async_manager", [("block", [])])


def test_a_context_manager_sees_and_swallows_as_before() -> None:
    @traced
    @contextlib.contextmanager
    def swallowing() -> Iterator[None]:
        try:
            yield
        except ValueError:
            pass

    with capture() as traces:
        with swallowing():
            raise ValueError
        assert traces.one.flags == set()
        with pytest.raises(KeyError), swallowing():
            raise KeyError


def test_methods_of_every_kind_are_traced() -> None:
    with capture() as traces:
        assert [Shop().method(), Shop.above(), Shop().above(), Shop.below(), Shop.static()] == ["Shop"] * 4 + ["static"]
        assert [root.name for root in traces.roots] == [
            "Shop.method",
            "Shop.above",
            "Shop.above",
            "Shop.below",
            "Shop.static",
        ]


def test_partials_and_callable_objects_are_traced_under_their_own_names() -> None:
    with capture() as traces:
        assert traced(functools.partial(divmod, 7))(2) == (3, 1)
        assert traced(Shop())() == "called"
        assert [root.name for root in traces.roots] == ["divmod", "Shop"]


@pytest.mark.parametrize("wrong", [Shop, 17])
def test_what_cannot_be_traced_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError, match="@traced takes a function"):
        traced(wrong)  # type: ignore[call-overload]


def test_a_traced_function_runs_where_nothing_is_traced() -> None:
    with capture(None):
        assert function(2) == 4
        assert list(generator(2)) == [0, 1]
        assert asyncio.run(coroutine(1)) == 2
        with manager("x") as value:
            assert value == "x"


def test_a_function_decorated_by_a_context_manager_is_a_plain_function() -> None:
    @contextlib.contextmanager
    def timing() -> Iterator[None]:
        yield

    @traced("work")
    @timing()
    def work() -> int:
        return 5

    with capture() as traces:
        assert work() == 5
        assert traces.one.name == "work"


def test_an_async_context_manager_of_a_decorated_generator_is_entered_as_before() -> None:
    async def pages() -> AsyncIterator[int]:
        yield 7

    @functools.wraps(pages)
    def decorated() -> AsyncIterator[int]:
        return pages()

    async def main() -> None:
        async with traced("pages")(contextlib.asynccontextmanager(decorated))() as value:
            assert value == 7

    with capture() as traces:
        asyncio.run(main())
        assert traces.one.name == "pages"


def test_a_generator_keeps_nothing_of_what_passes_through_it() -> None:
    class Item:
        pass

    @traced
    def echo() -> Generator[Item | None, Item | None, None]:
        got: Item | None = None
        while True:
            try:
                got = yield got
            except LookupError:
                got = None

    with capture():
        steps = echo()
        next(steps)
        item = Item()
        alive = weakref.ref(item)
        steps.send(item)
        del item
        steps.throw(LookupError())
        assert alive() is None
        steps.close()


def test_dropped_generators_in_cycles_never_touch_the_context() -> None:
    """The collector closes them at any point; a ContextVar set inside another set crashes CPython 3.10 and 3.11."""

    class Client:
        pages: object
        me: object

    with capture() as traces:
        with subsegment("parent"):
            for _ in range(3000):
                client = Client()
                client.me, client.pages = client, generator(3)
                next(client.pages)
                del client
                with subsegment("child"):
                    pass
        gc.collect()
        assert sum(node.name == "child" for root in traces.roots for node in root.walk()) == 3000
