"""Cards: what one reads and replaces, and where it records; the call goes on being the program's."""

from __future__ import annotations

import asyncio
import inspect
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest

from tests.libraries.cards import FORMS, Library, answer, caught, fail, iter_once, names_in, noted, plain, sub
from xray_lambda import subsegment
from xray_lambda._context import current
from xray_lambda.libraries._card import Call, around
from xray_lambda.libraries._kinds import WITHIN, Quiet, opened
from xray_lambda.testing import HEADER, capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.libraries.cards import StepsOf
    from xray_lambda._entity import Entity
    from xray_lambda.libraries._card import Steps

UNSAMPLED = HEADER.replace("Sampled=1", "Sampled=0")


@pytest.fixture(params=FORMS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_call_is_a_subsegment_and_returns_what_it_returned(kind: str) -> None:
    result = object()
    library = Library(kind, noted, lambda given: result)
    with capture() as traces:
        with subsegment("parent"):
            assert library(1) is result
        assert traces.one.names() == ("parent", [("call", [])])
        assert traces.one["call"].annotations == {"given": 1, "result": str(result)}


@pytest.mark.parametrize(("args", "kwargs"), [((1, 2), {}), ((1,), {"other": 2}), ((), {"given": 1, "other": 2})])
def test_arguments_are_read_and_replaced_by_name_however_they_are_given(
    kind: str, args: tuple[int, ...], kwargs: dict[str, int]
) -> None:
    def swapping(call: Call) -> Steps:
        call["given"], call["other"] = call.get("other"), call["given"]
        yield sub(call)

    given = dict(kwargs)
    with capture():
        assert Library(kind, swapping, answer)(*args, **kwargs) == (2, 1)
    assert kwargs == given


def test_an_argument_that_was_not_given_has_the_default_that_the_card_has_for_it(kind: str) -> None:
    def defaulting(call: Call) -> Steps:
        call["other"] = call.get("other", "default")
        yield sub(call)

    with capture():
        assert Library(kind, defaulting, answer)(1) == (1, "default")


def test_what_a_card_replaced_before_it_failed_is_not_used(kind: str) -> None:
    def failing(call: Call) -> Steps:
        call["given"] = call["other"] = "replaced"
        yield None  # no entity

    with capture(strict=False):
        assert Library(kind, failing, answer)(1, other=2) == (1, 2)


def test_a_result_can_be_replaced(kind: str) -> None:
    def replacing(call: Call) -> Steps:
        entity = sub(call)
        call.result = [(yield entity)]

    with capture():
        assert Library(kind, replacing, lambda given: given)(1) == [1]


def test_a_call_that_lacks_an_argument_fails_by_itself_in_the_librarys_own_words(kind: str) -> None:
    def reading(call: Call) -> Steps:
        yield sub(call, call["given"])

    said = r"answer\(\) missing 1 required positional argument: 'given'"
    with capture() as traces, pytest.raises(TypeError, match=said):
        Library(kind, reading, answer)()
    assert len(traces) == 0


def ran(steps: list[str]) -> StepsOf:
    def card(call: Call) -> Steps:
        steps.append("before")
        entity = sub(call)
        yield entity
        steps.append("after")

    return card


@pytest.mark.parametrize("header", [None, "Root=1-5759e988-bd862e3fe1be46a994272793"])
def test_without_a_sampled_trace_a_card_records_nothing(kind: str, header: str | None) -> None:
    steps: list[str] = []
    with capture(header) as traces:
        assert Library(kind, ran(steps), lambda: 5)() == 5
    assert len(traces) == 0
    assert steps in ([], ["before"])


def test_without_a_trace_the_card_does_not_run(kind: str) -> None:
    steps: list[str] = []
    with capture(None):
        Library(kind, ran(steps), lambda: 5)()
    assert steps == []


def test_in_an_unsampled_trace_nothing_runs_after_the_call_and_exceptions_pass(kind: str) -> None:
    steps: list[str] = []
    with capture(UNSAMPLED) as traces:
        assert Library(kind, ran(steps), lambda: 5)() == 5
        error = KeyError()
        assert caught(lambda: Library(kind, ran(steps), fail)(error)) is error
    assert (steps, len(traces)) == (["before", "before"], 0)


def test_a_card_may_leave_a_call_alone(kind: str) -> None:
    def leaving(call: Call) -> Steps:
        if call["given"] == 1:
            return
        yield sub(call)

    library = Library(kind, leaving, answer)
    with capture() as traces:
        assert (library(1), library(2)) == ((1, None), (2, None))
    assert names_in(traces) == [("call", [])]


def test_what_a_library_calls_in_turn_belongs_to_its_call(kind: str) -> None:
    """A call that tries again by calling itself is one call."""
    library: Any = None

    def trying(given: int) -> str:
        if kind == "sync" and given:
            return str(library.function(given - 1))
        with subsegment("inside"):
            return "done"

    library = Library(kind, plain, trying)
    with capture() as traces:
        assert library(3) == "done"
    assert names_in(traces) == [("call", [("inside", [])])]


def test_an_ignored_call_is_quiet_with_all_within_and_what_follows_is_not(kind: str) -> None:
    def ignored(call: Call) -> Steps:
        yield Quiet(call.parent)

    inner = around(lambda call: iter_once(call.parent), (), lambda: subsegment("inside").id)

    def work(given: object) -> Entity | None:
        inner()  # its entity is current already, and must not be entered again
        inner()
        return current.get()

    library = Library(kind, ignored, work)
    with capture() as traces:
        with subsegment("parent") as parent:
            assert isinstance(library(1), Quiet)
            assert current.get() is parent
            with subsegment("next"):
                pass
        assert traces.one.names() == ("parent", [("next", [])])


def test_a_call_within_another_leaves_the_entity_of_that_current(kind: str) -> None:
    library = Library(kind, lambda call: iter_once(WITHIN), lambda given: current.get())
    with capture(), subsegment("outer") as outer:
        assert library(1) is outer


def test_calls_side_by_side_do_not_nest() -> None:
    async def work(given: int) -> int:
        await asyncio.sleep(0)
        return int(await deeper(given))

    async def other(given: int) -> int:
        await asyncio.sleep(0)
        return given

    def named(call: Call) -> Steps:
        yield opened(call, f"call {call['given']}", "remote", f"stack {call['given']}", 1)

    deeper = around(lambda call: iter_once(call.parent.child("deeper")), ("given",), other)
    function = around(named, ("given",), work)

    async def main() -> list[Any]:
        with subsegment("parent"):
            return [*await asyncio.gather(*(function(number) for number in range(5)))]

    with capture() as traces:
        assert asyncio.run(main()) == [*range(5)]
        children: list[Any] = [("call " + str(number), [("deeper", [])]) for number in range(5)]
        assert sorted(child.names() for child in traces.one.children) == children


def test_threads_call_side_by_side() -> None:
    together = threading.Barrier(4)

    def work(given: str) -> None:
        together.wait()
        with subsegment(f"inside {given}"):
            together.wait()

    def named(call: Call) -> Steps:
        yield sub(call, call["given"])

    function = around(named, ("given",), work)
    with capture() as traces:
        threads = [threading.Thread(target=function, args=(str(number),)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(names_in(traces)) == [(str(number), [(f"inside {number}", [])]) for number in range(4)]


def documented(given: int, *, other: str = "x") -> str:
    """What it does."""
    return f"{given}{other}"


async def documented_async(given: int, *, other: str = "x") -> str:
    """What it does."""
    return f"{given}{other}"


@pytest.mark.parametrize("function", [documented, documented_async])
def test_a_function_looks_as_it_did(function: Callable[..., Any]) -> None:
    traced = around(plain, ("given",), function)
    assert (traced.__name__, traced.__qualname__, traced.__doc__) == (
        function.__name__,
        function.__name__,
        "What it does.",
    )
    assert inspect.signature(traced) == inspect.signature(function)
    assert inspect.iscoroutinefunction(traced) == inspect.iscoroutinefunction(function)
    assert type(traced) is types.FunctionType


def test_a_coroutine_that_is_never_awaited_records_nothing_and_warns_by_its_own_name() -> None:
    function = around(plain, ("given",), documented_async)
    with capture() as traces:
        with pytest.warns(RuntimeWarning, match="coroutine 'documented_async' was never awaited"):
            function(1)
        assert len(traces) == 0


def test_a_coroutine_of_a_plain_function_is_one_by_its_own_name_and_starts_where_it_is_awaited() -> None:
    def hidden(given: int) -> object:
        return documented_async(given)

    function = around(plain, ("given",), hidden)

    async def main() -> str:
        with subsegment("making"):
            coroutine = function(1)
            assert type(coroutine) is types.CoroutineType
            assert (coroutine.__name__, coroutine.__qualname__) == ("documented_async", "documented_async")
            assert current.get() is not None
        with subsegment("waiting"):
            return str(await coroutine)

    with capture() as traces:
        assert asyncio.run(main()) == "1x"
        assert current.get() is None
    assert {root.name for root in traces.roots} >= {"making", "waiting"}
    assert traces.find("call").document["namespace"] == "remote"


def test_awaitables_that_are_no_coroutines_are_the_programs_own() -> None:
    """What libraries return to be awaited or entered cannot be replaced by anything else."""

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        assert around(plain, (), lambda: future)() is future
        future.cancel()

    with capture() as traces:
        asyncio.run(main())
    assert traces.one.name == "call"


def test_generators_of_unsampled_cards_are_closed_without_a_word() -> None:
    closed: list[type[BaseException]] = []

    def watching(call: Call) -> Steps:
        try:
            yield call.parent
        except BaseException as error:
            closed.append(type(error))
            raise

    with capture(UNSAMPLED):
        around(watching, (), lambda: 1)()
    assert closed == [GeneratorExit]
