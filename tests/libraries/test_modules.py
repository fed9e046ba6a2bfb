"""patch_modules: whatever kind of function a module defines is traced, and looks and works as it did."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.libraries.programs import load, modules_forgotten, write
from xray_lambda import configure, patch_modules, subsegment, unpatch_modules
from xray_lambda.testing import Traces, capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder to write modules to, from which they are imported."""
    with modules_forgotten():
        sys.path.insert(0, str(tmp_path))
        yield tmp_path
        unpatch_modules()


def module(folder: Path, text: str, *, ignore: Any = ()) -> Any:
    """Write the module `shop`, have it traced, and import it."""
    write(folder, shop=text)
    patch_modules("shop", ignore=ignore)
    return load("shop")


def names_in(traces: Traces) -> list[Any]:
    return [root.names() for root in traces.roots]


def leaves(*names: str) -> list[Any]:
    return [(name, []) for name in names]


KINDS = """
    import asyncio, contextlib

    def function(number, *, times=2):
        "Multiply."
        return number * times

    async def coroutine(number):
        await asyncio.sleep(0)
        return inner(number)

    def inner(number):
        return number + 1

    def generator(count):
        for number in range(count):
            inner(number)
            yield number

    async def async_generator(count):
        for number in range(count):
            await asyncio.sleep(0)
            inner(number)
            yield number

    @contextlib.contextmanager
    def manager(value):
        yield inner(value)

    double = lambda number: 2 * number

    class Order:
        def method(self):
            return type(self).__name__

        @classmethod
        def made(cls):
            return cls.__name__

        @staticmethod
        def static():
            return "static"

        @classmethod
        async def loaded(cls):
            return cls.__name__

        def __call__(self):
            return "called"

        class Line:
            def total(self):
                return 7

            class Price:
                @staticmethod
                def vat():
                    return 19

    Order.Line.Price.of = Order
"""


def test_functions_of_every_kind_are_traced_as_long_as_they_work(folder: Path) -> None:
    """Where the peer wraps coroutines and generators like plain functions, they end before they begin."""
    shop = module(folder, KINDS)

    async def main() -> list[int]:
        return [await shop.coroutine(1), *[number async for number in shop.async_generator(1)]]

    with capture() as traces:
        assert shop.function(3, times=5) == 15
        assert asyncio.run(main()) == [2, 0]
        assert list(shop.generator(1)) == [0]
        with shop.manager(1) as value, subsegment("block"):
            assert value == 2
        assert shop.double(2) == 4
    assert names_in(traces) == [
        ("function", []),
        ("coroutine", leaves("inner")),
        ("async_generator", leaves("inner")),
        ("generator", leaves("inner")),
        ("manager", leaves("inner", "block")),
        ("double", []),
    ]


def test_methods_of_every_kind_are_traced_in_nested_classes_too(folder: Path) -> None:
    """The peer leaves class methods out."""
    shop = module(folder, KINDS)
    order = shop.Order()
    with capture() as traces:
        assert [order.method(), order.made(), shop.Order.made(), order.static(), order()] == [
            *["Order"] * 3, "static", "called",
        ]  # fmt: skip
        assert asyncio.run(shop.Order.loaded()) == "Order"
        assert (shop.Order.Line().total(), shop.Order.Line.Price.vat()) == (7, 19)
    assert names_in(traces) == leaves(
        *("Order.method", "Order.made", "Order.made", "Order.static", "Order.__call__", "Order.loaded"),
        *("Order.Line.total", "Order.Line.Price.vat"),
    )


def test_traced_functions_look_as_they_did(folder: Path) -> None:
    shop = module(folder, KINDS)
    assert (shop.function.__name__, shop.function.__doc__, shop.function.__module__) == (
        "function",
        "Multiply.",
        "shop",
    )
    assert str(inspect.signature(shop.function)) == "(number, *, times=2)"
    assert str(inspect.signature(shop.Order().method)) == "()"
    assert inspect.iscoroutinefunction(shop.coroutine)
    assert inspect.iscoroutinefunction(shop.Order.loaded)
    assert inspect.isgeneratorfunction(shop.generator)
    assert inspect.isasyncgenfunction(shop.async_generator)
    assert type(vars(shop.Order)["made"]) is classmethod
    assert type(vars(shop.Order)["static"]) is staticmethod
    assert "return number * times" in inspect.getsource(shop.function)


def test_a_subclass_defined_elsewhere_inherits_what_is_traced(folder: Path) -> None:
    shop = module(folder, KINDS)

    class Special(shop.Order):  # type: ignore[misc, name-defined]
        def method(self) -> str:
            return f"special {super().method()}"

    with capture() as traces:
        assert (Special().method(), Special.made()) == ("special Special", "Special")
    assert names_in(traces) == leaves("Order.method", "Order.made")


def test_only_what_a_module_defines_is_traced_in_it(folder: Path) -> None:
    write(folder, lib="def borrowed(): pass\nclass Borrowed:\n    def method(self): pass")
    shop = module(folder, "from lib import borrowed, Borrowed\nfrom json import dumps\ndef own(): borrowed()")
    with capture() as traces:
        shop.own()
        shop.borrowed()
        shop.Borrowed().method()
        shop.dumps(1)
    assert names_in(traces) == leaves("own")


def test_no_special_method_but_a_call_is_traced(folder: Path) -> None:
    special = module(
        folder,
        """
        class Meta(type):
            def __call__(cls, *args):
                return super().__call__(*args)

        class Basket(metaclass=Meta):
            def __init__(self, lines): self.lines = lines
            def __repr__(self): return f"Basket({self.lines})"
            def __eq__(self, other): return self.lines == other.lines
            def __hash__(self): return 5
            def __len__(self): return len(self.lines)
            def __iter__(self): return iter(self.lines)
            def __getattr__(self, name): return name
            def __enter__(self): return self
            def __exit__(self, *args): pass
            def __del__(self): pass
            def __call__(self): return len(self)

        def __getattr__(name): return name
        """,
    )
    with capture() as traces:
        basket = special.Basket([1])
        with basket:
            assert (repr(basket), basket == special.Basket([1]), hash(basket)) == ("Basket([1])", True, 5)
            assert (len(basket), [*basket], basket.x, special.anything) == (1, [1], "x", "anything")
        assert basket() == 1
        del basket
    assert names_in(traces) == leaves("Basket.__call__")


DECORATED = """
    import abc, collections, dataclasses, enum, functools, typing
    from xray_lambda import traced

    @functools.lru_cache
    def cached(number): return number

    @functools.singledispatch
    def dispatched(value): return "any"

    @dispatched.register
    def of_int(value: int): return "int"

    def logged(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs)
        return inner

    def hidden(function):
        def inner(*args, **kwargs):
            return function(*args, **kwargs)
        return inner

    @logged
    def decorated(a, b=1): return a + b

    @hidden
    def covered(): return 3

    partial = functools.partial(decorated, 1)
    also = decorated

    @dataclasses.dataclass(order=True)
    class Line:
        price: int
        callback: typing.Callable = decorated
        def total(self): return self.price

    class Point(typing.NamedTuple):
        x: int
        def moved(self): return self._replace(x=self.x + 1)

    Pair = collections.namedtuple("Pair", "a b")

    class Colour(enum.Enum):
        RED = 1
        @classmethod
        def _missing_(cls, value): return cls.RED
        def described(self): return self.name

    class Shape(abc.ABC):
        @property
        def name(self): return "shape"
        @functools.cached_property
        def slow(self): return 4
        @abc.abstractmethod
        def area(self): return 0

    class Square(Shape):
        def area(self): return super().area() + 1

    @typing.runtime_checkable
    class HasArea(typing.Protocol):
        def area(self): ...

    class Wrapped:
        @functools.singledispatchmethod
        def of(self, value): return "any"
        by = functools.partialmethod(of, 1)

    @typing.overload
    def many(a: int) -> int: ...
    @typing.overload
    def many(a: str) -> str: ...
    def many(a): return a
"""


@pytest.fixture
def decorated(folder: Path) -> Any:
    return module(folder, DECORATED)


def test_caches_and_registries_of_functions_go_on_working(decorated: Any) -> None:
    assert (decorated.cached(1), decorated.cached(1), decorated.cached.cache_info().hits) == (1, 1, 1)
    decorated.cached.cache_clear()
    decorated.dispatched.register(str)(lambda value: "str")
    assert [decorated.dispatched(value) for value in (1.5, 1, "x")] == ["any", "int", "str"]
    assert decorated.dispatched.dispatch(int)(1) == "int"
    assert decorated.Wrapped().of(1) == decorated.Wrapped().by() == "any"


def test_decorated_functions_are_traced_under_the_names_that_they_go_by(decorated: Any) -> None:
    with capture() as traces:
        assert (decorated.decorated(1), decorated.covered(), decorated.also(2), decorated.many(2)) == (2, 3, 3, 2)
    assert names_in(traces) == leaves("decorated", "covered", "decorated", "many")
    assert decorated.decorated is decorated.also
    assert decorated.partial(2) == 3


def test_classes_that_are_made_by_others_work_as_before(decorated: Any) -> None:
    line, point, square = decorated.Line(3), decorated.Point(1), decorated.Square()
    with capture() as traces:
        assert (line.total(), line < decorated.Line(4), repr(line)[:13]) == (3, True, "Line(price=3,")
        assert (point.moved(), point._asdict(), decorated.Pair(1, 2)._replace(a=3)) == ((2,), {"x": 1}, (3, 2))
        assert (decorated.Colour(9), decorated.Colour.RED.described()) == (decorated.Colour.RED, "RED")
        assert (square.area(), square.name, square.slow) == (1, "shape", 4)
    assert names_in(traces) == [
        *leaves("Line.total", "Point.moved", "Colour._missing_", "Colour.described"),
        ("Square.area", leaves("Shape.area")),
    ]
    assert isinstance(square, decorated.HasArea)
    assert not isinstance(line, decorated.HasArea)
    with pytest.raises(TypeError, match="abstract"):
        decorated.Shape()


def test_models_of_pydantic_validate_as_before(folder: Path) -> None:
    shop = module(
        folder,
        """
        from typing import Any
        from pydantic import BaseModel, PrivateAttr, computed_field, field_validator, model_validator, validate_call

        class Order(BaseModel):
            number: int
            _seen: list[str] = PrivateAttr(default_factory=list)

            @field_validator("number")
            @classmethod
            def positive(cls, value: int) -> int:
                if value < 1: raise ValueError("too small")
                return value

            @model_validator(mode="after")
            def checked(self) -> "Order":
                return self

            @computed_field
            @property
            def double(self) -> int:
                return 2 * self.number

            def total(self) -> int:
                return self.number

        @validate_call
        def price(number: int) -> int:
            return number
        """,
    )
    with capture() as traces:
        assert shop.Order(number="3").model_dump() == {"number": 3, "double": 6}
        assert shop.Order(number=4).total() == 4
        assert shop.price("5") == 5
        with pytest.raises(ValueError, match="too small"):
            shop.Order(number=0)
    assert {"Order.total", "price"} <= {root.name for root in traces.roots}


def test_what_is_traced_already_is_not_traced_twice(folder: Path) -> None:
    shop = module(
        folder,
        """
        import contextlib, functools
        from xray_lambda import bind, traced, traced_handler

        def around(function):
            return functools.wraps(function)(lambda *args: function(*args))

        @traced("by hand")
        def named(): pass

        @around
        @traced
        def below(): pass

        @traced
        @contextlib.contextmanager
        def manager(): yield

        class Order:
            @classmethod
            @traced
            def made(cls): pass

        @traced_handler
        def handler(event, context): pass
        """,
    )
    patch_modules("shop", "shop.*")
    with capture() as traces:
        shop.named()
        shop.below()
        with shop.manager():
            pass
        shop.Order.made()
    assert names_in(traces) == leaves("by hand", "below", "manager", "Order.made")
    with capture() as traces:
        shop.handler({}, None)
    assert len(list(traces.one.walk())) == 1


def test_functions_and_classes_are_pickled_by_reference_as_before(folder: Path) -> None:
    shop = module(folder, KINDS)
    for one in (shop.function, shop.coroutine, shop.Order, shop.Order.static, shop.Order.made):
        assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - our own
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(shop.function, 3).result() == 6


ALL = {"function", "inner", "Order.method", "Order.static", "Order.Line.total"}


@pytest.mark.parametrize(
    ("ignore", "traced"),
    [
        ((), ALL),
        ("shop.function", {"inner", "Order.method", "Order.static", "Order.Line.total"}),
        (["shop.func", "function", "shop.Order.stat"], ALL),
        ({"shop.Order"}, {"function", "inner"}),
        (["shop.Order.Line"], {"function", "inner", "Order.method", "Order.static"}),
        (["shop.Order.Line.*"], {"function", "inner", "Order.method", "Order.static"}),
        (["shop.Order.method", "*.inner"], {"function", "Order.static", "Order.Line.total"}),
        (["shop"], set()),
    ],
)  # fmt: skip
def test_what_is_to_be_ignored_is_left_alone_with_all_below_it(folder: Path, ignore: Any, traced: set[str]) -> None:
    """The peer takes regular expressions and matches them against the beginning of the name."""
    shop = module(folder, KINDS, ignore=ignore)
    with capture() as traces:
        shop.function(1)
        shop.inner(1)
        order = shop.Order()
        order.method()
        order.static()
        order.Line().total()
    assert {root.name for root in traces.roots} == traced


def test_a_function_is_traced_if_one_call_asks_for_it_and_until_none_does(folder: Path) -> None:
    shop = module(folder, KINDS, ignore=["shop.Order", "shop.inner"])
    inner, function = shop.inner, shop.function
    patch_modules("sho*", ignore="shop.double")
    assert shop.function is function
    assert shop.inner is not inner
    unpatch_modules("shop", "never given")
    assert shop.function is function
    unpatch_modules("sho*")
    assert shop.inner is inner
    assert shop.function is not function


def test_unpatching_puts_back_exactly_what_was_there(folder: Path) -> None:
    write(folder, shop=KINDS)
    shop = load("shop")

    def state() -> list[Any]:
        holders = (shop, shop.Order, shop.Order.Line, shop.Order.Line.Price)
        return [(name, id(value)) for holder in holders for name, value in vars(holder).items()]

    before = state()
    patch_modules("shop")
    once = state()
    patch_modules("shop")
    assert state() == once != before
    unpatch_modules()
    unpatch_modules()
    assert state() == before
    with capture() as traces:
        shop.function(1)
        shop.Order.made()
    assert len(traces) == 0


def test_what_somebody_has_wrapped_further_is_left_to_them(folder: Path) -> None:
    shop = module(folder, KINDS)
    ours = shop.function
    shop.function = theirs = functools.wraps(ours)(lambda *args: [ours(*args)])
    unpatch_modules()
    assert shop.function is theirs


def test_nothing_is_asked_of_what_a_module_holds(folder: Path) -> None:
    """A proxy goes and looks at what it stands for: outside a request, that fails; a lazy object would load."""
    shop = module(
        folder,
        """
        from tests.hostile import Proxy

        class Meta(type):
            def __getattribute__(cls, name): raise RuntimeError(name)
            def __eq__(cls, other): raise RuntimeError
            def __hash__(cls): raise RuntimeError

        class Closed(metaclass=Meta):
            proxy = Proxy()
            def method(self): return 1

        proxy, closed, cls = Proxy(), Closed(), Closed

        def function(): return closed.method()
        """,
    )
    with capture() as traces:
        assert shop.function() == 1
    assert names_in(traces) == [("function", leaves("Closed.method"))]


def test_a_class_that_refuses_is_left_alone_and_the_rest_traced(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("XRAY_LAMBDA_STRICT")
    caplog.set_level(logging.DEBUG, "xray_lambda")
    shop = module(
        folder,
        """
        class Meta(type):
            def __setattr__(cls, name, value): raise TypeError("sealed")

        class Sealed(metaclass=Meta):
            def method(self): return 1
            def other(self): return 2

        def function(): return Sealed().method()
        """,
    )
    with capture(strict=False) as traces:
        assert shop.function() == 1
    assert names_in(traces) == leaves("function")
    assert {record.levelname for record in caplog.records} == {"DEBUG"}


def test_exceptions_pass_as_they_are_and_are_recorded(folder: Path) -> None:
    shop = module(folder, "class Lost(Exception): pass\ndef fail(): raise Lost('no')")
    with capture() as traces, pytest.raises(shop.Lost, match="no"):
        shop.fail()
    assert traces.one.flags == {"fault"}
    assert traces.one.exceptions[0]["type"] == "shop.Lost"


@pytest.mark.parametrize(
    "name",
    ["", ".", "shop.", ".orders", "shop..orders", "shop orders", "shop/orders", "shop\\orders", "shop:price", "*",
     "*.models", "*shop", 17, None, ["shop"], ("shop",), b"shop"],
)  # fmt: skip
def test_what_can_be_no_module_is_a_value_error_that_names_it(name: Any) -> None:
    finders = [*sys.meta_path]
    said = (
        repr(name).replace("\\", "\\\\").replace("*", "\\*").replace("(", "\\(").replace(")", "\\)").replace("[", "\\[")
    )
    with pytest.raises(ValueError, match=f"{said} names no module: expected 'shop.orders', or 'shop\\.\\*' for all"):
        patch_modules("json", name)
    assert sys.meta_path == finders


@pytest.mark.parametrize("name", ["", "shop.", "a b", 17])
def test_what_can_be_no_name_to_ignore_is_a_value_error_too(name: Any) -> None:
    with pytest.raises(ValueError, match=f"{name!r} names no module"):
        patch_modules("shop", ignore=[name])


def test_no_name_at_all_and_a_name_that_matches_nothing_change_nothing(folder: Path) -> None:
    finders = [*sys.meta_path]
    patch_modules()
    assert sys.meta_path == finders
    patch_modules("no_such_module", "no_such.*")
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_module'"):
        load("no_such_module")
    unpatch_modules("no_such_module")
    unpatch_modules("no_such.*")
    assert sys.meta_path == finders


def test_a_disabled_tracer_patches_nothing(folder: Path) -> None:
    finders = [*sys.meta_path]
    configure(enabled=False)
    with pytest.raises(ValueError, match="names no module"):
        patch_modules("*")
    patch_modules("shop")
    assert sys.meta_path == finders


@pytest.mark.parametrize("call", [contextlib.nullcontext, lambda: capture(None)])
def test_without_a_trace_the_program_runs_as_before(folder: Path, call: Callable[[], Any]) -> None:
    shop = module(folder, KINDS)
    with call():
        assert shop.function(2) == 4
        assert list(shop.generator(2)) == [0, 1]
        assert asyncio.run(shop.coroutine(1)) == 2
