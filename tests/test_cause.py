"""Causes: what is told of an exception and of all that hangs on it, once in a trace, and without a mark on it."""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import copy
import dataclasses
import enum
import gc
import sys
import types
import weakref
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import xray_lambda
from tests.hostile import refuse
from xray_lambda import traced
from xray_lambda._cause import Recorded, describe, is_cancelled, is_fault, stack_of
from xray_lambda.testing import capture, counting_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Python 3.10 has the backport, which pytest and hypothesis bring along.
ExceptionGroup: Any = getattr(builtins, "ExceptionGroup", None) or pytest.importorskip("exceptiongroup").ExceptionGroup
new_runtime = pytest.mark.skipif(sys.version_info < (3, 11), reason="co_qualname is new in Python 3.11")


def caught(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


def raised(error: BaseException) -> BaseException:
    """Return an exception as it is after it was raised and caught."""

    def fail() -> None:
        raise error

    return caught(fail)


def told(error: BaseException, recorded: Recorded | None = None, **options: Any) -> list[dict[str, Any]]:
    cause = describe(error, recorded or Recorded(), counting_ids(), **options)
    assert isinstance(cause, dict)
    exceptions: Any = cause["exceptions"]
    return list(exceptions)


def row(exceptions: Sequence[dict[str, Any]]) -> list[tuple[str, str | None]]:
    """Return each message with the message that its `cause` leads to."""
    messages = {entry["id"]: entry["message"] for entry in exceptions}
    return [(entry["message"], messages.get(entry.get("cause"), entry.get("cause"))) for entry in exceptions]


def lines(exceptions: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(frame["label"].rpartition(".")[2], frame["line"]) for frame in exceptions[0]["stack"]]


def start_of(function: Any) -> int:
    line: int = function.__code__.co_firstlineno
    return line


def inner() -> None:
    raise LookupError("no such tea")


def outer() -> None:
    inner()


def test_a_cause_tells_type_message_and_stack_innermost_frame_first() -> None:
    error = caught(outer)
    cause = describe(error, Recorded(), counting_ids())
    assert isinstance(cause, dict)
    [entry] = told(error)
    assert set(cause) == {"working_directory", "exceptions"}
    assert {key: value for key, value in entry.items() if key != "stack"} == {
        "id": "0000000000000001",
        "type": "LookupError",
        "message": "no such tea",
    }
    assert lines([entry]) == [
        ("inner", start_of(inner) + 1),
        ("outer", start_of(outer) + 1),
        ("caught", start_of(caught) + 2),
    ]
    assert {frame["path"] for frame in entry["stack"]} == {__file__}


class Shop:
    def sell(self) -> None:
        raise LookupError


@new_runtime
def test_a_frame_is_labelled_with_its_qualified_name() -> None:
    [entry] = told(caught(Shop().sell))
    assert entry["stack"][0]["label"] == "Shop.sell"


def test_frames_of_ours_are_left_out() -> None:
    error = caught(traced(inner))
    with capture():
        in_trace = caught(traced(inner))
    for one in (error, in_trace):
        assert lines(told(one)) == [("inner", start_of(inner) + 1), ("caught", start_of(caught) + 2)]


def test_frames_of_the_examples_that_we_bring_along_are_the_programs() -> None:
    package = Path(xray_lambda.__file__).parent
    for file, labels in (("examples/shop/app.py", ["fail", "caught"]), ("_traced.py", ["caught"])):
        scope: dict[str, Any] = {}
        exec(compile("def fail():\n 1 / 0", str(package / file), "exec"), scope)  # noqa: S102 - a made-up file
        assert [label for label, _ in lines(told(caught(scope["fail"])))] == labels


class Refused(Exception):
    class Again(Exception):  # noqa: D106 - a name within a name
        pass


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KeyError("x"), "KeyError"),
        (Refused("x"), f"{__name__}.Refused"),
        (Refused.Again("x"), f"{__name__}.Refused.Again"),
        (type("Local", (Exception,), {"__module__": "__main__"})("x"), "Local"),
        (type("N" * 10_000, (Exception,), {"__module__": "m"})("x"), "m." + "N" * 498),
        (concurrent.futures.TimeoutError(), concurrent.futures.TimeoutError.__name__),
    ],
)
def test_a_type_is_named_with_its_module_unless_it_is_builtin(error: BaseException, kind: str) -> None:
    name = told(error)[0]["type"]
    assert name == kind or (isinstance(error, concurrent.futures.TimeoutError) and name.endswith(kind))


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("text"), "text"),
        (ValueError(), ""),
        (KeyError("key"), "'key'"),
        (ValueError("x" * 2000), "x" * 2000),
        (ValueError("x" * 5_000_000), "x" * 2000 + "…"),
        (ValueError("half \ud800"), "half ?"),
        (Silent("x"), ""),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_a_message_is_what_the_exception_says_within_bounds(error: BaseException, message: str) -> None:
    assert told(error)[0]["message"] == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "404 Client Error: Not Found for url: https://a.b/c?token=secret",
            "404 Client Error: Not Found for url: https://a.b/c?…",
        ),
        ("404, url='https://me:secret@a.b/c?secret'\nmore", "404, url='https://a.b/c?…'\nmore"),
        ("is it https://a.b/c? or not", "is it https://a.b/c? or not"),
        ("what? https://a.b/c", "what? https://a.b/c"),
        ("://" * 600 + "?secret", "://" * 600 + "?…"),
    ],
)
def test_a_url_in_a_message_shows_neither_userinfo_nor_query(text: str, message: str) -> None:
    assert told(ValueError(text))[0]["message"] == message


def test_what_it_was_raised_from_follows_by_id() -> None:
    def fail() -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError as first:
                raise ValueError("second") from first
        except ValueError as second:
            raise RuntimeError("third") from second

    exceptions = told(caught(fail))
    assert row(exceptions) == [("third", "second"), ("second", "'first'"), ("'first'", None)]


def test_what_was_being_handled_follows_by_id() -> None:
    def fail() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")  # noqa: B904 - that is what is tried

    assert row(told(caught(fail))) == [("second", "'first'"), ("'first'", None)]


def test_what_the_program_suppresses_is_left_out() -> None:
    def fail() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second") from None

    assert row(told(caught(fail))) == [("second", None)]


def test_a_cause_counts_more_than_what_was_being_handled() -> None:
    error = raised(ValueError("second"))
    error.__context__ = KeyError("handled")
    error.__cause__ = KeyError("cause")
    assert row(told(error)) == [("second", "'cause'"), ("'cause'", None)]


def test_a_circle_of_causes_is_told_once_and_never_goes_round() -> None:
    one, two, three = ValueError("one"), ValueError("two"), ValueError("three")
    one.__cause__, two.__cause__, three.__cause__ = two, three, one
    assert row(told(one)) == [("one", "two"), ("two", "three"), ("three", None)]
    own = ValueError("own")
    own.__cause__ = own
    assert row(told(own)) == [("own", None)]


def chain(length: int) -> BaseException:
    error = ValueError(str(length))
    for number in range(length - 1, 0, -1):
        above = ValueError(str(number))
        above.__cause__ = error
        error = above
    return error


def test_of_a_long_chain_ten_are_told_and_the_others_are_counted() -> None:
    ten = told(chain(10))
    assert [entry["message"] for entry in ten] == [str(number) for number in range(1, 11)]
    assert all("skipped" not in entry for entry in ten)
    more = told(chain(15))
    assert row(more) == row(ten)
    assert [entry.get("skipped") for entry in more] == [None] * 9 + [5]
    endless = told(chain(100_000))
    assert endless[-1]["skipped"] == 990


def descend(depth: int) -> int:
    return descend(depth - 1) if depth else int("x")


def test_of_a_deep_stack_the_innermost_frames_are_told_and_the_others_are_counted() -> None:
    [entry] = told(caught(lambda: descend(200)))
    assert len(entry["stack"]) == 50
    assert entry["truncated"] == 203 - 50
    assert {frame["label"] for frame in entry["stack"]} == {"descend"}
    [entry] = told(caught(lambda: descend(200)), stack_frames=0)
    assert ("stack" in entry, entry["truncated"]) == (False, 203)
    [entry] = told(caught(lambda: descend(200)), stack_frames=1000)
    assert (len(entry["stack"]), "truncated" in entry) == (203, False)


def test_an_endless_recursion_is_told_like_any_other_exception() -> None:
    def recurse() -> None:
        recurse()

    [entry] = told(caught(recurse))
    assert entry["type"] == "RecursionError"
    assert len(entry["stack"]) == 50
    assert entry["truncated"] > 100


def test_an_exception_that_was_never_raised_has_no_stack() -> None:
    assert told(ValueError("x")) == [{"id": "0000000000000001", "type": "ValueError", "message": "x"}]
    assert stack_of(None, 5) == ([], 0)


def test_a_long_path_and_a_long_label_are_cut() -> None:
    name = "f" * 5000
    scope: dict[str, Any] = {}
    exec(compile(f"def {name}():\n 1 / 0", "/" + "p" * 5000 + "/app.py", "exec"), scope)  # noqa: S102 - a made-up file
    [entry] = told(caught(scope[name]))
    path, label = entry["stack"][0]["path"], entry["stack"][0]["label"]
    assert (len(path), path[-7:], label) == (500, "/app.py", "f" * 500)


def test_an_exception_of_a_service_is_marked_as_remote() -> None:
    error = ValueError("second")
    error.__cause__ = KeyError("first")
    assert [entry.get("remote") for entry in told(error, remote=True)] == [True, None]


def test_a_deleted_working_directory_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError

    monkeypatch.setattr("os.getcwd", fail)
    assert describe(ValueError("x"), Recorded(), counting_ids()) == {
        "exceptions": [{"id": "0000000000000001", "type": "ValueError", "message": "x"}]
    }


def group(message: str, *members: Exception) -> Any:
    return ExceptionGroup(message, list(members))


def first(row_: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    """Drop how many members a group says that it has."""
    return [(one.partition(" (")[0], other and other.partition(" (")[0]) for one, other in row_]


def test_members_of_a_group_follow_each_other_each_with_its_own_causes() -> None:
    one, two, three = ValueError("one"), ValueError("two"), ValueError("three")
    one.__cause__ = KeyError("below")
    exceptions = told(group("all", one, group("some", two), three))
    assert first(row(exceptions)) == [
        ("all", "one"),
        ("one", "'below'"),
        ("'below'", "some"),
        ("some", "two"),
        ("two", "three"),
        ("three", None),
    ]


def test_the_cause_of_a_group_comes_before_its_members() -> None:
    error = group("all", ValueError("one"))
    error.__cause__ = KeyError("below")
    assert first(row(told(error))) == [("all", "'below'"), ("'below'", "one"), ("one", None)]


def test_what_two_members_share_is_told_once_and_makes_no_circle() -> None:
    below = KeyError("below")
    one, two, three = ValueError("one"), ValueError("two"), ValueError("three")
    one.__cause__ = two.__cause__ = three.__cause__ = below
    assert first(row(told(group("all", one, two, three)))) == [
        ("all", "one"),
        ("one", "'below'"),
        ("'below'", "two"),
        ("two", "three"),
        ("three", None),
    ]


def test_of_a_large_group_ten_are_told_and_the_others_are_counted() -> None:
    exceptions = told(group("all", *(ValueError(str(number)) for number in range(20))))
    assert len(exceptions) == 10
    assert exceptions[-1]["skipped"] == 11
    assert told(group("all", *(ValueError(str(number)) for number in range(5000))))[-1]["skipped"] == 990


def test_a_group_whose_members_are_recorded_leads_to_the_first_of_them() -> None:
    recorded = Recorded()
    one, two, new = ValueError("one"), ValueError("two"), ValueError("new")
    recorded.remember(one, "a" * 16)
    recorded.remember(two, "b" * 16)
    assert first(row(told(group("all", one, two), recorded))) == [("all", "a" * 16)]
    assert first(row(told(group("all", one, new), recorded))) == [("all", "new"), ("new", "a" * 16)]


def test_what_only_looks_like_a_group_is_none() -> None:
    class BaseExceptionGroup(Exception):
        exceptions = "no tuple"

    class Errors(Exception):
        exceptions = (ValueError("one"),)

    assert row(told(BaseExceptionGroup("odd"))) == [("odd", None)]
    assert row(told(Errors("own"))) == [("own", None)]


def test_an_exception_is_told_once_and_then_by_its_id() -> None:
    recorded, new_id = Recorded(), counting_ids()
    error = raised(ValueError("x"))
    cause = describe(error, recorded, new_id)
    assert isinstance(cause, dict)
    assert describe(error, recorded, new_id) == "0000000000000001"
    above = raised(RuntimeError("above"))
    above.__cause__ = error
    cause = describe(above, recorded, new_id)
    assert isinstance(cause, dict)
    assert [(entry["id"], entry["cause"]) for entry in cause["exceptions"]] == [  # type: ignore[attr-defined]
        ("0000000000000002", "0000000000000001")
    ]


def test_another_trace_tells_it_again() -> None:
    error = raised(ValueError("x"))
    assert told(error, Recorded()) == told(error, Recorded())


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Slotted(Exception):
    __slots__ = ("code",)


class Referable(Exception):
    pass


KINDS = [ValueError, KeyError, OSError, KeyboardInterrupt, Referable, Slotted, Frozen]


@pytest.mark.parametrize("kind", KINDS)
def test_an_equal_exception_is_another_exception(kind: Any) -> None:
    recorded = Recorded()

    def fail() -> None:
        raise kind(5)

    known = caught(fail)
    recorded.remember(known, "a" * 16)
    assert recorded.find(known) == "a" * 16
    assert recorded.find(caught(fail)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_in_the_place_of_one_that_is_gone_is_another_exception(kind: Any) -> None:
    """A retry raises the same at the same line, and Python gives it the memory of the last one."""
    recorded = Recorded()

    def attempt(number: int) -> tuple[int, str | None]:
        try:
            raise kind(5)
        except kind as error:
            found = recorded.find(error)
            recorded.remember(error, f"{number:016x}")
            return id(error), found

    attempts = [attempt(number) for number in range(20)]
    assert [found for _, found in attempts] == [None] * 20
    assert len({place for place, _ in attempts}) < 20, "Python gave none the memory of another"


def test_an_exception_is_not_kept_alive() -> None:
    recorded = Recorded()

    class Witness:
        pass

    def fail(kind: Any) -> weakref.ref[Witness]:
        witness = Witness()
        try:
            raise kind(5)
        except kind as error:
            describe(error, recorded, counting_ids())
            return weakref.ref(witness)

    assert [fail(kind)() for kind in (ValueError, Referable, Slotted)] == [None] * 3
    error = Referable()
    reference = weakref.ref(error)
    recorded.remember(error, "a" * 16)
    del error
    gc.collect()
    assert reference() is None


def test_only_the_last_ones_are_remembered() -> None:
    recorded = Recorded()
    errors = [ValueError(str(number)) for number in range(100)]
    for number, error in enumerate(errors):
        recorded.remember(error, f"{number:016x}")
    assert [recorded.find(error) for error in errors] == [None] * 68 + [f"{number:016x}" for number in range(68, 100)]


def looks(error: BaseException) -> object:
    """Return all that can be seen of an exception."""
    return (
        copy.copy(vars(error)),
        error.args,
        error.__cause__,
        error.__context__,
        error.__suppress_context__,
        error.__traceback__,
        copy.copy(getattr(error, "__notes__", None)),
        [name for name in dir(error) if name != "__dict__"],
    )


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_set_on_an_exception(kind: Any) -> None:
    error = raised(kind(5))
    if hasattr(error, "add_note") and kind is not Frozen:
        error.add_note("the program's own")
    before = looks(error)
    recorded = Recorded()
    describe(error, recorded, counting_ids())
    describe(error, recorded, counting_ids())
    assert looks(error) == before


def test_a_frozen_exception_is_told_like_any_other() -> None:
    [entry] = told(raised(Frozen(7)))
    assert (entry["type"], entry["message"]) == (f"{__name__}.Frozen", "7")


class Hostile(Exception):
    """Refuses every question but the one for its text."""

    __getattribute__ = __getattr__ = __eq__ = __hash__ = __repr__ = __bool__ = __len__ = refuse
    __class__ = __traceback__ = __cause__ = __context__ = __suppress_context__ = property(refuse)

    def __str__(self) -> str:
        return "hostile"


def test_an_exception_is_asked_for_nothing_but_its_text() -> None:
    recorded = Recorded()
    one, two = raised(Hostile()), raised(Hostile())
    error = raised(group("all", one, two))  # type: ignore[arg-type]
    exceptions = told(error, recorded)
    assert first(row(exceptions)) == [("all", "hostile"), ("hostile", "hostile"), ("hostile", None)]
    assert lines(exceptions[1:])[0] == ("fail", start_of(raised) + 4)
    assert describe(one, recorded, counting_ids()) == exceptions[1]["id"]
    assert is_fault(one, (KeyError,))


class Zero(enum.IntEnum):
    STATUS = 0


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ValueError("x"), True),
        (KeyboardInterrupt(), True),
        (StopIteration(), True),
        (asyncio.CancelledError(), False),
        (type("Own", (asyncio.CancelledError,), {})(), False),
        (concurrent.futures.CancelledError(), True),
        (asyncio.TimeoutError(), True),
        (GeneratorExit(), False),
        (SystemExit(), False),
        (SystemExit(None), False),
        (SystemExit(0), False),
        (SystemExit(False), False),
        (SystemExit(Zero.STATUS), False),
        (SystemExit(1), True),
        (SystemExit("0"), True),
        (SystemExit(0.0), True),
        (SystemExit(""), True),
        (SystemExit([]), True),
    ],
    ids=repr,
)
def test_a_cancellation_a_closed_generator_and_a_clean_exit_are_no_faults(error: BaseException, fault: bool) -> None:
    assert is_fault(error, ()) is fault


def test_what_is_ignored_is_no_fault_nor_are_its_subclasses() -> None:
    assert not is_fault(KeyError(), (LookupError, OSError))
    assert is_fault(ValueError(), (LookupError, OSError))
    assert not is_fault(SystemExit(1), (SystemExit,))


def test_nothing_is_cancelled_where_asyncio_was_never_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_cancelled(asyncio.CancelledError())
    monkeypatch.delitem(sys.modules, "asyncio.exceptions")
    assert not is_cancelled(asyncio.CancelledError())


def _chained(errors: list[Exception], links: list[tuple[int, int, bool]]) -> Exception:
    for above, below, handled in links:
        setattr(errors[above % len(errors)], "__context__" if handled else "__cause__", errors[below % len(errors)])
    return errors[0]


_errors = st.recursive(
    st.builds(ValueError, st.text(max_size=5)),
    lambda inner: st.builds(lambda members: group("group", *members), st.lists(inner, min_size=1, max_size=4)),
    max_leaves=15,
)
_links = st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans())


@given(st.lists(_errors, min_size=1, max_size=6), st.lists(_links, max_size=8))
def test_however_exceptions_hang_together_each_is_told_once_and_can_be_reached(
    errors: list[Exception], links: list[tuple[int, int, bool]]
) -> None:
    exceptions = told(_chained(errors, links))
    assert len({entry["id"] for entry in exceptions}) == len(exceptions) <= 10
    assert all(above["cause"] == below["id"] for above, below in pairwise(exceptions))
    assert "cause" not in exceptions[-1]


def test_traceback_objects_without_a_line_are_told() -> None:
    frame = sys._getframe()
    traceback = types.TracebackType(None, frame, 0, -1)
    [entry], left_out = stack_of(traceback, 5)
    assert (entry["path"], left_out) == (__file__, 0)
    assert isinstance(entry["line"], int)
    assert entry["line"] >= 0
