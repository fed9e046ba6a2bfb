"""Targets: a library is patched as a whole or not at all, looks as it did meanwhile, and is put back exactly."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from tests.libraries.programs import load, modules_forgotten, write
from xray_lambda.libraries._card import Call, card
from xray_lambda.libraries._kinds import opened
from xray_lambda.libraries._targets import Hook, Patch, Target, UnknownShape, on_import, patches_of, replacing
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from xray_lambda.libraries._card import Steps

LIBRARY = """
    import functools, json
    from _bisect import bisect_left
    from _json import encode_basestring
    from collections import deque

    def function(a, b=2, *, c=3):
        "Add."
        return a + b + c

    async def coroutine(a):
        return a

    def deprecated(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs)
        return inner

    @deprecated
    def decorated(a, b):
        return a + b

    class Base:
        def inherited(self, a):
            return ("inherited", type(self).__name__, a)

    class Client(Base):
        def method(self, a):
            return ("method", a)

        @staticmethod
        def static(a):
            return ("static", a)

        @classmethod
        def made(cls, a):
            return ("made", cls.__name__, a)

        class Inner:
            def deep(self, a):
                return ("deep", a)

    class Queue(deque):
        push = deque.append
        search = bisect_left

    class Sealed:
        __slots__ = ()

    partial = functools.partial(function, 1)
    decoder = json.JSONDecoder().decode
    number = 5
"""


@pytest.fixture(autouse=True)
def library(tmp_path: Path) -> Iterator[Any]:
    with modules_forgotten():
        sys.path.insert(0, str(tmp_path))
        write(tmp_path, fake=LIBRARY)
        yield load("fake")


def traced(*targets: str) -> Patch:
    @card(*targets)
    def call(call: Call) -> Steps:
        yield opened(call, "call", "remote", "fake", 1)

    return call


EVERYTHING = (
    "fake:function(a, b)", "fake:coroutine(a)", "fake:decorated(a, b)", "fake:Client.method(self, a)",
    "fake:Client.inherited(self, a)", "fake:Client.static(a)", "fake:Client.made(cls, a)",
    "fake:Queue.push(self, value)", "fake:Client.Inner.deep(self)", "fake:Queue.search(values, x)",
    "fake:encode_basestring(text)", "fake:partial()",
    "fake:decoder()", "fake:missing(a)?", "fake:Missing.method(self)?", "fake:Client.missing(self)?",
    "elsewhere:function()",
)  # fmt: skip


def holders(library: Any) -> list[Any]:
    return [library, library.Base, library.Client, library.Client.Inner, library.Queue]


def state(library: Any) -> list[Any]:
    return [(name, id(value)) for holder in holders(library) for name, value in vars(holder).items()]


def test_whatever_kind_of_function_is_replaced_works_and_is_put_back_exactly(library: Any) -> None:
    before = state(library)
    patch = traced(*EVERYTHING)
    patch.check(library)
    patch.apply(library)
    once = state(library)
    patch.apply(library)
    patch.check(library)
    assert state(library) == once != before
    client, queue = library.Client(), library.Queue()
    with capture() as traces:
        assert (library.function(1), library.decorated(1, 2), library.partial()) == (6, 3, 6)
        assert (client.method(1), client.inherited(2)) == (("method", 1), ("inherited", "Client", 2))
        assert library.Client.static(1) == client.static(1) == ("static", 1)
        assert library.Client.made(1) == client.made(1) == ("made", "Client", 1)
        assert client.Inner().deep(1) == ("deep", 1)
        queue.push(7)
        library.Queue.push(queue, 8)
        assert (list(queue), library.Queue.search([1, 2], 2)) == ([7, 8], 1)
        assert (library.encode_basestring("x"), library.decoder("1")) == ('"x"', 1)
        # `partial` and the function that it stands for are two calls, one within the other.
        assert [root.names() for root in traces.roots] == [("call", [])] * 15
    assert library.Base().inherited(1) == ("inherited", "Base", 1)
    patch.undo(library)
    patch.undo(library)
    assert state(library) == before
    with capture() as traces:
        client.inherited(1)
        queue.push(9)
        assert len(traces) == 0


def test_a_builtin_that_a_class_holds_is_not_bound_to_its_instances(library: Any) -> None:
    traced("fake:Queue.search(values, x)").apply(library)
    with capture() as traces:
        assert library.Queue().search([1, 2], 2) == 1
        assert traces.one.name == "call"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("fake:missing(a)", r"fake\.missing is missing"),
        ("fake:number", r"fake\.number is missing"),
        ("fake:number?", r"fake\.number is missing"),
        ("fake:Client.missing(self)", r"fake\.Client\.missing is missing"),
        ("fake:Missing.method(self)", r"fake\.Missing\.method is missing"),
        ("fake:function(b)", r"fake\.function does not take \(b\)"),
        ("fake:function(a, c)", r"fake\.function does not take \(a, c\)"),
        ("fake:function(a, b, c)", r"fake\.function does not take \(a, b, c\)"),
        ("fake:Client.method(self, a, b)?", r"fake\.Client\.method does not take \(self, a, b\)"),
        ("fake:Client.static(self, a)", r"fake\.Client\.static does not take \(self, a\)"),
        ("fake:Client.made(self, a)", r"fake\.Client\.made does not take \(self, a\)"),
    ],
)
def test_a_function_that_is_not_as_the_card_knows_it_is_told_by_name(library: Any, target: str, said: str) -> None:
    before = state(library)
    patch = traced("fake:function(a)", target)
    with pytest.raises(UnknownShape, match=f"^{said}$"):
        patch.check(library)
    patch.undo(library)
    assert state(library) == before


def test_a_target_reads_as_it_is_written() -> None:
    target = Target("fake.client:Client.send( self, request )?")
    assert (target.module, target.path, target.names, target.optional) == (
        "fake.client", "Client.send", ("self", "request"), True,
    )  # fmt: skip
    assert (Target("fake:send").names, Target("fake:send").optional) == ((), False)
    assert traced("fake:a", "fake.client:b").modules == {"fake", "fake.client"}


def test_a_plain_function_is_replaced_by_a_plain_function(library: Any) -> None:
    before = {name: inspect.signature(getattr(library, name)) for name in ("function", "coroutine", "decorated")}
    traced(*EVERYTHING).apply(library)
    for name, signature in before.items():
        function = getattr(library, name)
        assert type(function) is types.FunctionType
        assert (function.__name__, function.__module__, inspect.signature(function)) == (name, "fake", signature)
        assert pickle.loads(pickle.dumps(function)) is function  # noqa: S301 - our own
        assert copy.deepcopy(function) is function
    assert library.function.__doc__ == "Add."
    assert inspect.iscoroutinefunction(library.coroutine)
    assert type(vars(library.Client)["static"]) is staticmethod
    assert type(vars(library.Client)["made"]) is classmethod
    assert str(inspect.signature(library.Client().method)) == "(a)"


def signature(function: Callable[..., object]) -> str:
    try:
        return str(inspect.signature(function))
    except ValueError:
        return "unknown"


def test_a_function_of_c_looks_as_it_did_and_is_copied_and_pickled_as_before(library: Any) -> None:
    queue = library.Queue()
    names = [(library, "encode_basestring"), (library.Queue, "push"), (library.Queue, "search")]
    originals = [getattr(holder, name) for holder, name in names]
    bound = repr(queue.push)
    traced(*EVERYTHING).apply(library)
    for original, (holder, name) in zip(originals, names, strict=True):
        ours = getattr(holder, name)
        assert ours is not original
        assert ours == original
        assert hash(ours) == hash(original)
        assert (repr(ours), ours.__name__, ours.__qualname__, ours.__doc__) == (
            repr(original), original.__name__, original.__qualname__, original.__doc__,
        )  # fmt: skip
        assert isinstance(ours, type(original))
        assert inspect.isroutine(ours)
        assert signature(ours) == signature(original)
        assert copy.copy(ours) is ours
        assert copy.deepcopy([ours])[0] is ours
        assert pickle.loads(pickle.dumps(ours)) is original  # noqa: S301 - our own
    assert repr(queue.push) == bound
    pickle.loads(pickle.dumps(queue.push))(1)  # noqa: S301 - our own


def test_a_function_is_wrapped_by_hand_where_no_card_fits(library: Any) -> None:
    @replacing("fake:function(a)", "fake:Client.method(self)")
    def louder(original: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: (original(*args), "!")

    louder.apply(library)
    assert (library.function(1), library.Client().method(1)) == ((6, "!"), (("method", 1), "!"))
    louder.undo(library)
    assert (library.function(1), library.Client().method(1)) == (6, ("method", 1))


def test_a_library_reloaded_can_be_patched_anew(library: Any, tmp_path: Path) -> None:
    patch = traced("fake:function(a)", "fake:Client.method(self)")
    patch.apply(library)
    importlib.reload(library)
    before = state(library)
    patch.apply(library)
    with capture() as traces:
        assert (library.function(1), library.Client().method(1)) == (6, ("method", 1))
        assert [root.names() for root in traces.roots] == [("call", [])] * 2
    patch.undo(library)
    assert state(library) == before


def test_a_patch_that_two_libraries_need_stays_until_neither_does(library: Any) -> None:
    patch = traced("fake:function(a)")
    original = library.function
    patch.apply(library)
    patch.apply(library, "other")
    patch.undo(library)
    assert library.function is not original
    patch.undo(library, "other")
    assert library.function is original


def test_a_hook_listens_once_in_its_own_module_alone_until_it_is_stopped(library: Any) -> None:
    heard: list[str] = []

    @on_import("fake")
    def listen(module: types.ModuleType) -> Callable[[], object]:
        heard.append(f"start {module.__name__}")
        return lambda: heard.append("stop")

    for module in (pytest, library, library):
        listen.check(module)
        listen.apply(module)
    assert heard == ["start fake"]
    listen.undo(pytest)
    assert heard == ["start fake"]
    listen.undo(library)
    listen.undo(library)
    assert heard == ["start fake", "stop"]
    listen.apply(library)
    assert heard == ["start fake", "stop", "start fake"]


def test_a_hook_may_find_the_library_unknown(library: Any) -> None:
    @on_import("fake")
    def listen(module: types.ModuleType) -> Callable[[], object]:
        raise UnknownShape("fake.events is missing")

    with pytest.raises(UnknownShape, match=r"fake\.events is missing"):
        listen.apply(library)
    listen.undo(library)


def test_the_patches_of_a_card_are_what_its_module_defines_in_its_order() -> None:
    module = types.ModuleType("a_card")
    first, hook, second = traced("fake:a"), Hook("fake", lambda _: lambda: None), traced("fake:b")
    vars(module).update(first=first, helper=len, hook=hook, second=second)
    assert patches_of(module) == [first, hook, second]
