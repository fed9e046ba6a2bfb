"""The guard: our own faults end here, each place is told of once, and nothing of it can reach the program."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.hostile import TooLate, a_time_out, strike
from xray_lambda import _guard
from xray_lambda._guard import forget, guarded, say_once, swallow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def as_in_production(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(_guard, "strict", False)
    caplog.set_level(logging.DEBUG, "xray_lambda")


def caught(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


def divide() -> float:
    return 1 / 0


def test_a_fault_of_ours_is_told_of_once_at_debug_level_with_its_place_and_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fault = caught(divide)
    swallow(fault)
    swallow(caught(divide))
    [record] = caplog.records
    line = divide.__code__.co_firstlineno + 1
    assert (record.name, record.levelno) == ("xray_lambda", logging.DEBUG)
    assert record.getMessage() == f"xray_lambda could not record something and went on ({__file__}:{line})"
    assert record.exc_info is not None
    assert record.exc_info[1] is fault


def test_faults_of_two_places_are_both_told_of(caplog: pytest.LogCaptureFixture) -> None:
    swallow(caught(divide))
    swallow(caught(lambda: 1 / 0))
    assert len(caplog.records) == 2


def test_a_fault_that_was_never_raised_is_told_of_by_its_type(caplog: pytest.LogCaptureFixture) -> None:
    swallow(KeyError("x"))
    assert caplog.messages == ["xray_lambda could not record something and went on (KeyError:0)"]


def test_strict_mode_raises_the_fault_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guard, "strict", True)
    fault = KeyError("x")
    with pytest.raises(KeyError) as raised:
        swallow(fault)
    assert raised.value is fault


def test_a_guarded_method_does_its_work_and_a_fault_in_it_ends_there(caplog: pytest.LogCaptureFixture) -> None:
    done: list[object] = []

    @guarded
    def work(value: object, *, more: object) -> None:
        """What it does."""
        done.append((value, more))
        divide()

    work(1, more=2)
    assert done == [(1, 2)]
    assert (work.__name__, work.__doc__) == ("work", "What it does.")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("passing", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_passes_a_guarded_method(passing: type[BaseException]) -> None:
    @guarded
    def work() -> None:
        raise passing

    with pytest.raises(passing):
        work()


def test_a_word_is_said_once_at_its_level_until_all_is_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        say_once(logging.WARNING, "a key", "the %s is %d", "answer", 42)
    say_once(logging.ERROR, "another key", "no %")
    forget()
    say_once(logging.WARNING, "a key", "again")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "the answer is 42"),
        ("ERROR", "no %"),
        ("WARNING", "again"),
    ]


def test_a_program_with_ever_new_places_is_told_of_the_first_ones_only(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3 * _guard._MAX_SEEN):
        say_once(logging.WARNING, f"key {number}", "said")
    assert len(caplog.records) == len(_guard._seen) == _guard._MAX_SEEN


@pytest.fixture
def broken_logging() -> Iterator[None]:
    def fail(record: logging.LogRecord) -> bool:
        raise RuntimeError("a filter of the program's")

    log = logging.getLogger("xray_lambda")
    log.addFilter(fail)
    yield
    log.removeFilter(fail)


@pytest.mark.usefixtures("broken_logging")
def test_a_log_filter_of_the_program_that_fails_does_not_fail_here() -> None:
    swallow(KeyError("x"))
    say_once(logging.ERROR, "key", "said")


def test_a_time_out_of_the_program_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    with a_time_out():
        late = caught(strike)
        assert isinstance(late, TooLate)
        with pytest.raises(TooLate) as raised:
            swallow(late)
    assert raised.value is late
    assert caplog.records == []


def test_a_time_out_that_strikes_while_a_fault_is_told_of_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guard.log, "log", lambda *arguments, **more: strike())
    with a_time_out():
        with pytest.raises(TooLate):
            swallow(KeyError("x"))
        with pytest.raises(TooLate):
            say_once(logging.ERROR, "key", "said")


def test_an_interrupt_while_it_is_told_of_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_guard.log, "log", interrupt)
    with pytest.raises(KeyboardInterrupt):
        swallow(KeyError("x"))


def test_a_fault_for_lack_of_stack_ends_here_although_there_is_none_to_tell_of_it() -> None:
    depths: list[int] = []
    escaped: list[int] = []

    def guarded() -> None:
        try:
            deeper()
        except Exception as fault:
            swallow(fault)

    def deeper() -> None:
        raise RecursionError("no stack left")

    def descend() -> int:
        """Go down as far as the stack does, and try at every depth on the way up; return how far it is from the end."""
        try:
            room = descend() + 1
        except RecursionError:
            return 0
        depths.append(room)
        if room > 1:  # the frames of `guarded` and `deeper`
            _guard._seen.clear()
            try:
                guarded()
            except RecursionError:
                escaped.append(room)
        return room

    descend()
    assert len(depths) > 100
    assert escaped == []
