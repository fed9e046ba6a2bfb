"""Outcomes of calls: each is recorded as what it is, and passes as itself; a subsegment may outlive its call."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import threading
import traceback
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.hostile import TooLate, a_time_out, strike
from tests.libraries.cards import FORMS, Library, answer, by_hand, caught, fail, names_in, noted, plain, sub
from xray_lambda import subsegment
from xray_lambda._context import current
from xray_lambda.libraries._card import Call, around
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.libraries.cards import StepsOf
    from xray_lambda.libraries._card import Steps


@pytest.fixture(params=FORMS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


EXCEPTIONS = [
    ValueError("no"), KeyError(), StopAsyncIteration(), GeneratorExit(), KeyboardInterrupt(), SystemExit(3),
    asyncio.CancelledError(),
]  # fmt: skip


def passing(call: Call) -> Steps:
    yield sub(call)


def catching(call: Call) -> Steps:
    entity = sub(call)
    try:
        yield entity
    except BaseException as error:
        entity.annotate(caught=type(error).__name__)


def catching_and_raising(call: Call) -> Steps:
    entity = sub(call)
    try:
        yield entity
    except BaseException as error:
        entity.annotate(caught=type(error).__name__)
        raise


def closing_up(call: Call) -> Steps:
    entity = sub(call)
    try:
        yield entity
    finally:
        entity.annotate(caught="finally")


def raising_another(call: Call) -> Steps:
    entity = sub(call)
    try:
        yield entity
    except BaseException as error:
        raise LookupError from error


def yielding_on(call: Call) -> Steps:
    entity = sub(call)
    try:
        yield entity
    except BaseException:
        yield lambda done: None


CARDS = pytest.mark.parametrize(
    "card", [passing, catching, catching_and_raising, closing_up, raising_another, yielding_on],
    ids=lambda card: card.__name__,
)  # fmt: skip


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
@CARDS
def test_an_exception_passes_as_itself(kind: str, card: StepsOf, error: BaseException) -> None:
    passes_as_itself(Library(kind, card, fail).function, card, error)


@CARDS
def test_a_stop_iteration_passes_as_itself(card: StepsOf) -> None:
    """Out of a generator, as the card is one, it would come as a RuntimeError; as it does out of a coroutine."""
    passes_as_itself(around(card, ("given",), fail), card, StopIteration(5))


def passes_as_itself(function: Callable[..., Any], card: StepsOf, error: BaseException) -> None:
    cause = ZeroDivisionError()
    error.__cause__, error.__context__, error.__traceback__ = cause, cause, None
    with capture() as traces:
        assert caught(partial(by_hand, function, error)) is error
    assert (error.__cause__, error.__context__) == (cause, cause)
    ours = {"traced_call", "_awaited"}
    names = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
    assert len(ours.intersection(names)) == 1
    expected = [
        "caught",
        "by_hand",
        *ours.intersection(names),
        *(["work_async"] if "work_async" in names else []),
        "fail",
    ]
    assert names == expected
    assert names_in(traces) == [("call", [])]


def test_an_exception_that_the_card_leaves_is_recorded_and_one_that_it_catches_is_its_own_affair(kind: str) -> None:
    with capture() as traces:
        for card in (passing, catching, catching_and_raising, closing_up):
            with pytest.raises(ValueError, match="no"):
                Library(kind, card, fail)(ValueError("no"))
        left, kept, raised, closed = traces.roots
    assert (left.flags, left.exceptions[0]["message"], left.annotations) == ({"fault"}, "no", {})
    assert (kept.flags, kept.exceptions, kept.annotations) == (set(), [], {"caught": "ValueError"})
    assert (raised.flags, raised.exceptions[0]["message"]) == ({"fault"}, "no")
    assert (closed.flags, closed.annotations) == ({"fault"}, {"caught": "finally"})


def test_an_exception_that_allows_no_attribute_passes_as_itself(kind: str) -> None:
    @dataclass(frozen=True)
    class Frozen(Exception):
        number: int = 1

    class Odd(Exception):
        __traceback__ = property(lambda self: 1 / 0)

    for error in (Frozen(), Odd()):
        with capture() as traces:
            assert caught(partial(Library(kind, plain, fail), error)) is error
        assert traces.one.flags == {"fault"}


def test_a_cancelled_call_is_marked_and_no_fault() -> None:
    task: Any = None

    async def wait(given: object) -> None:
        task.cancel()
        await asyncio.sleep(60)

    async def main() -> None:
        nonlocal task
        task = asyncio.create_task(around(plain, ("given",), wait)(1))
        with pytest.raises(asyncio.CancelledError):
            await task

    with capture() as traces:
        asyncio.run(main())
    assert traces.one.flags == set()
    assert traces.one.metadata == {"xray_lambda": {"cancelled": True}}


def failing_in_words(call: Call) -> Steps:
    entity = sub(call)
    try:
        yield entity
    except ValueError:
        entity.annotate(ratio=1 / 0)


def failing_at_the_end(call: Call) -> Steps:
    entity = sub(call)
    try:
        yield entity
    finally:
        raise RuntimeError("a fault of the card")


def test_a_failed_call_keeps_nothing_of_the_program_alive(kind: str) -> None:
    """With the collector off: what is freed is freed by itself, as it was without us."""

    class Held:
        pass

    def failing(given: object, other: object = None) -> None:
        held = Held()
        alive.append(weakref.ref(held))
        raise ValueError(other)

    alive: list[weakref.ref[Held]] = []
    gc.collect()
    gc.disable()
    try:
        with capture(strict=False):
            for card in (
                passing,
                catching,
                catching_and_raising,
                raising_another,
                failing_in_words,
                failing_at_the_end,
            ):
                run_and_forget(Library(kind, card, failing).function)
        assert [one() for one in alive] == [None] * 6
    finally:
        gc.enable()


def run_and_forget(function: Callable[..., Any]) -> None:
    error = Exception()
    try:
        by_hand(function, error, other=error)
    except ValueError:
        pass


def test_a_call_keeps_no_argument_and_no_result_alive(kind: str) -> None:
    class Held:
        pass

    library = Library(kind, noted, lambda given: [given])
    gc.collect()
    gc.disable()
    try:
        with capture():
            given = Held()
            alive = weakref.ref(given)
            result: Any = library(given)
            assert result == [given]
            del given, result
            assert alive() is None
    finally:
        gc.enable()


def before_the_yield(call: Call) -> Steps:
    raise RuntimeError("a fault of the card")
    yield


def no_entity(call: Call) -> Steps:
    yield "no entity"


def after_the_yield(call: Call) -> Steps:
    yield sub(call)
    raise RuntimeError("a fault of the card")


def in_until(call: Call) -> Steps:
    def until(done: object) -> None:
        raise RuntimeError("a fault of the card")

    yield sub(call)
    yield until


def no_until(call: Call) -> Steps:
    yield sub(call)
    yield "no function"


def after_until(call: Call) -> Steps:
    yield sub(call)
    yield lambda done: done()
    raise RuntimeError("a fault of the card")


FAULTS: dict[StepsOf, list[Any]] = {
    before_the_yield: [], no_entity: [], after_the_yield: [("call", [])], in_until: [("call", [])],
    no_until: [("call", [])], after_until: [("call", [])],
}  # fmt: skip


@pytest.mark.parametrize("card", FAULTS, ids=lambda card: card.__name__)
def test_a_fault_of_a_card_is_told_of_at_debug_level_and_the_call_goes_on(
    kind: str, card: StepsOf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "xray_lambda")
    with capture(strict=False) as traces:
        with subsegment("parent") as parent:
            assert Library(kind, card, answer)(1) == (1, None)
            assert current.get() is parent
        assert traces.one.names() == ("parent", FAULTS[card])
    assert {record.levelname for record in caplog.records if record.name == "xray_lambda"} == {"DEBUG"}


@pytest.mark.parametrize("card", FAULTS, ids=lambda card: card.__name__)
def test_a_fault_of_a_card_is_raised_in_strict_mode(kind: str, card: StepsOf) -> None:
    with capture(), subsegment("parent") as parent:
        with pytest.raises((RuntimeError, AttributeError, TypeError)):
            Library(kind, card, answer)(1)
        assert current.get() is parent


@pytest.mark.parametrize(
    "card", [failing_in_words, failing_at_the_end, raising_another], ids=lambda card: card.__name__
)
def test_a_fault_of_a_card_never_takes_the_place_of_the_calls_exception(kind: str, card: StepsOf) -> None:
    error = ValueError("the program's")
    with capture(strict=False) as traces:
        assert caught(partial(Library(kind, card, fail), error)) is error
    assert traces.one.flags == {"fault"}
    assert traces.one.exceptions[0]["message"] == "the program's"


def striking_before(call: Call) -> Steps:
    strike()
    yield sub(call)


def striking_after(call: Call) -> Steps:
    yield sub(call)
    strike()


def striking_at_an_error(call: Call) -> Steps:
    try:
        yield sub(call)
    except ValueError:
        strike()


def striking_in_until(call: Call) -> Steps:
    yield sub(call)
    yield strike


@contextmanager
def interrupts() -> Iterator[None]:
    """Let SIGINT interrupt, which it does not in what a shell runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "card", [striking_before, striking_after, striking_at_an_error, striking_in_until], ids=lambda card: card.__name__
)
@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, TooLate), (signal.SIGINT, KeyboardInterrupt)])
def test_a_time_out_or_an_interrupt_that_strikes_in_a_card_reaches_the_program(
    card: StepsOf, number: signal.Signals, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "strike", lambda *_: signal.raise_signal(number))
    work = fail if card is striking_at_an_error else answer
    with a_time_out(), interrupts(), capture(strict=False) as traces:
        with subsegment("parent") as parent:
            with pytest.raises(raised) as struck:
                around(card, ("given",), work)(ValueError())
            assert current.get() is parent
        assert [child.name for child in traces.one.children] == ([] if card is striking_before else ["call"])
        assert struck.traceback  # as long as it lives, so does all that its frames hold


class Response:
    """What a program reads after the call, and may forget to close."""

    def __init__(self) -> None:
        self.done: Any = None

    def until(self) -> Callable[[Any], None]:
        return partial(setattr, self, "done")


def streaming(call: Call) -> Steps:
    entity = sub(call)
    response = yield entity
    alive = weakref.ref(response)
    del response
    size = yield lambda done: setattr(alive(), "done", done)
    entity.annotate(size=size if size is not None else "unknown")


def test_a_subsegment_stays_open_until_it_is_said_to_be_done(kind: str) -> None:
    library = Library(kind, streaming, lambda given: Response())
    with capture() as traces:
        with subsegment("parent") as parent:
            response = library(1)
            assert current.get() is parent
            with subsegment("reading"):
                response.done(result=17)
            response.done()
            response.done(ValueError())
        parent_node = traces.one
    assert [child.name for child in parent_node.children] == ["call", "reading"]
    assert parent_node["call"].annotations == {"size": 17}
    assert parent_node["call"].flags == set()
    ended = [child.document["end_time"] for child in parent_node.children]
    assert ended == sorted(ended)


def test_an_error_at_the_end_is_recorded(kind: str) -> None:
    library = Library(kind, streaming, lambda given: Response())
    with capture() as traces:
        library(1).done(ConnectionError("gone"))
    assert traces.one.flags == {"fault"}
    assert traces.one.exceptions[0]["message"] == "gone"


def test_what_the_program_drops_is_done_at_once(kind: str) -> None:
    """By itself, with the collector off; else a connection would be given back later than without us."""
    library = Library(kind, streaming, lambda given: Response())
    gc.collect()
    gc.disable()
    try:
        with capture() as traces:
            response = library(1)
            alive = weakref.ref(response)
            assert len(traces) == 0
            del response
            assert alive() is None
        assert traces.one.annotations == {"size": "unknown"}
    finally:
        gc.enable()


def test_what_is_in_a_cycle_is_done_when_the_collector_comes(kind: str) -> None:
    library = Library(kind, streaming, lambda given: Response())
    with capture() as traces:
        response = library(1)
        response.me = response
        del response
        gc.collect()
        assert traces.one.name == "call"


@pytest.mark.parametrize("where", ["thread", "task"])
def test_it_may_be_done_in_another_thread_or_task(kind: str, where: str) -> None:
    library = Library(kind, streaming, lambda given: Response())

    async def in_task(response: Response) -> None:
        async def close() -> None:
            response.done(result=1)

        await asyncio.create_task(close())

    with capture() as traces:
        with subsegment("parent") as parent:
            response = library(1)
            if where == "thread":
                thread = threading.Thread(target=response.done, kwargs={"result": 1})
                thread.start()
                thread.join()
            else:
                asyncio.run(in_task(response))
            assert current.get() is parent
        assert traces.one.names() == ("parent", [("call", [])])
        assert traces.one["call"].annotations == {"size": 1}


def test_only_one_of_many_threads_does_it() -> None:
    library = Library("sync", streaming, lambda given: Response())
    together = threading.Barrier(4)

    def finish(response: Response) -> None:
        together.wait()
        response.done(result=1)

    with capture() as traces:
        for _ in range(50):
            response = library(1)
            threads = [threading.Thread(target=finish, args=(response,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert [root.annotations for root in traces.roots] == [{"size": 1}] * 50


def test_what_is_dropped_in_cycles_never_touches_the_context() -> None:
    """The collector comes at any point; a ContextVar set inside another set crashes CPython 3.10 and 3.11."""
    function = around(streaming, ("given",), lambda given: Response())
    with capture() as traces:
        with subsegment("parent") as parent:
            for _ in range(3000):
                response = function(1)
                response.me = response
                del response
                with subsegment("child"):
                    pass
            assert current.get() is parent
        gc.collect()
        names = [node.name for root in traces.roots for node in root.walk()]
    assert (names.count("child"), names.count("call")) == (3000, 3000)
