"""Objects: what of an instance may be shown, what is only named, and that nothing of it is run, read or changed."""

from __future__ import annotations

import array
import asyncio
import collections
import contextvars
import dataclasses
import io
import itertools
import re
import socket
import sqlite3
import threading
import types
import weakref
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import mock

import attrs
import pydantic
import pytest

from tests.hostile import Lazy, Provoked, Proxy, Stream, hostile, refuse
from xray_lambda._objects import shown
from xray_lambda._scalars import label

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@dataclasses.dataclass
class Order:
    id: int
    note: str = "none"
    card: str = dataclasses.field(default="4111", repr=False)
    _cache: object = None
    currency: ClassVar[str] = "EUR"


@dataclasses.dataclass(frozen=True)
class Slotted:
    __slots__ = ("second", "first", "_hidden")  # noqa: RUF023 - the order is what is looked at
    second: int
    first: int
    _hidden: int


class Below(Slotted):
    __slots__ = ("third", "unset")

    def __init__(self) -> None:
        for number, name in enumerate(("second", "first", "_hidden", "third")):
            object.__setattr__(self, name, number)


@attrs.define
class Parcel:
    id: int
    code: str = attrs.field(repr=False)
    pin: str = attrs.field(repr=lambda _: "***")
    _private: int = 0


@attrs.define(slots=False)
class Letter:
    id: int
    code: str = attrs.field(default="x", repr=False)


class Customer(pydantic.BaseModel):
    name: str
    password: pydantic.SecretStr
    token: str = pydantic.Field(repr=False)
    internal: str = pydantic.Field(exclude=True)
    _private: int = pydantic.PrivateAttr(default=5)

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def greeting(self) -> str:
        raise Provoked


class Premium(Customer):
    level: int = 1


class OneField:
    """A field as pydantic 1 keeps it."""

    def __init__(self, **info: object) -> None:
        self.field_info = types.SimpleNamespace(**info)


class OldModel:
    __fields__: ClassVar[dict[str, OneField]] = {
        "name": OneField(repr=True, exclude=None),
        "token": OneField(repr=False, exclude=None),
        "internal": OneField(repr=True, exclude=True),
    }

    def __init__(self) -> None:
        self.name, self.token, self.internal = "a", "b", "c"


class Plain:
    kind = "plain"

    def __init__(self) -> None:
        self.b = 1
        self.a = [2]
        self._c = 3
        self.__d = 4

    @property
    def e(self) -> int:
        raise Provoked


class OneSlot:
    __slots__ = "only"  # noqa: PLC0205 - a text is allowed, and means one slot

    def __init__(self) -> None:
        self.only = 5


@dataclasses.dataclass
class Message:
    read: bool = True
    recv: object = None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Plain(), {"b": 1, "a": [2]}),
        (Order(17), {"id": 17, "note": "none"}),
        (Slotted(1, 2, 3), {"second": 1, "first": 2}),
        (Below(), {"second": 0, "first": 1, "third": 3}),
        (OneSlot(), {"only": 5}),
        (Parcel(1, "secret", "1234"), {"id": 1}),
        (Letter(1), {"id": 1}),
        (
            Customer(name="Ada", password=pydantic.SecretStr("hush"), token="t", internal="i"),
            {"name": "Ada", "password": pydantic.SecretStr("hush")},
        ),
        (
            Premium(name="Ada", password=pydantic.SecretStr("hush"), token="t", internal="i"),
            {"name": "Ada", "password": pydantic.SecretStr("hush"), "level": 1},
        ),
        (OldModel(), {"name": "a"}),
        (types.SimpleNamespace(b=1, a=2, _c=3), {"b": 1, "a": 2}),
        (Message(), {"read": True, "recv": None}),
        (Lazy(), {"table": "orders"}),
        (collections.UserDict(a=1), {"data": {"a": 1}}),
        (ValueError("no", 7), {"type": "ValueError", "message": "('no', 7)"}),
        (sqlite3.OperationalError("busy"), {"type": "sqlite3.OperationalError", "message": "busy"}),
    ],
    ids=label,
)
def test_an_instance_is_shown_by_its_public_fields_in_their_own_order(
    value: object, expected: dict[str, object]
) -> None:
    fields = shown(value)
    assert fields == expected
    assert isinstance(fields, dict)
    assert list(fields) == list(expected)


def test_a_secret_of_pydantic_shows_nothing_of_it() -> None:
    assert shown(pydantic.SecretStr("hush")) == "<pydantic.types.SecretStr>"
    assert shown(pydantic.SecretBytes(b"hush")) == "<pydantic.types.SecretBytes>"


def test_an_object_with_only_private_fields_is_named() -> None:
    class Closed:
        def __init__(self) -> None:
            self._secret = 1

    class Empty:
        __slots__ = ()

    assert shown(Closed()) == f"<{__name__}.{Closed.__qualname__}>"
    assert shown(Empty()) == f"<{__name__}.{Empty.__qualname__}>"


def test_of_very_many_fields_the_first_are_shown_and_the_number_of_the_rest() -> None:
    value = types.SimpleNamespace(**{f"field{number}": number for number in range(1500)})
    fields = shown(value)
    assert isinstance(fields, dict)
    assert len(fields) == 1001
    assert fields["field999"] == 999
    assert fields["…"] == "500 more"


def generate() -> Iterator[int]:
    yield 1


async def wait() -> None:
    raise Provoked


async def generate_later() -> AsyncIterator[int]:
    yield 1


class Connection:
    def recv(self) -> bytes:
        raise Provoked


class Model:
    def __init__(self) -> None:
        self.weights = [1]

    def __call__(self) -> None:
        raise Provoked


NAMED: dict[str, Any] = {
    "<generator>": generate(),
    "<list_iterator>": iter([1]),
    "<itertools.count>": itertools.count(),
    "<map>": map(str, [1]),
    "<zip>": zip([1], [2], strict=True),
    "<async_generator>": generate_later(),
    "<_io.BytesIO>": io.BytesIO(b"once"),
    "<_io.StringIO>": io.StringIO("once"),
    "<_io.TextIOWrapper>": io.TextIOWrapper(io.BytesIO(b"once")),
    "<tests.hostile.Stream>": Stream(),
    f"<{__name__}.Connection>": Connection(),
    f"<{__name__}.Model>": Model(),
    "<function>": generate,
    "<builtin_function_or_method>": len,
    "<method>": Stream().read,
    f"<{__name__}.Plain>": Plain,
    "<int>": int,
    "<module>": re,
    "<shop.LazyModule>": type("LazyModule", (types.ModuleType,), {"__module__": "shop"})("lazy"),
    "<object>": object(),
    "<mappingproxy>": types.MappingProxyType({"secret": 1}),
    "<code>": generate.__code__,
    "<ellipsis>": ...,
    "<_thread.lock>": threading.Lock(),
    "<threading.Event>": threading.Event(),
    "<weakref.WeakValueDictionary>": weakref.WeakValueDictionary(),
    "<unittest.mock.MagicMock>": mock.MagicMock(),
    "<_contextvars.ContextVar>": contextvars.ContextVar("x"),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_could_be_consumed_run_or_taken_apart_is_named(name: str) -> None:
    assert shown(NAMED[name]) == name


def test_iterators_and_streams_are_where_they_were() -> None:
    values: list[Any] = [generate(), iter([1]), itertools.count(1), map(int, "1")]
    stream = io.BytesIO(b"once")
    own = Stream()
    for value in [*values, stream, own]:
        shown(value)
    assert [next(value) for value in values] == [1, 1, 1, 1]
    assert stream.read() == b"once"
    assert own.position == 0


def test_a_coroutine_and_a_future_are_named_and_not_awaited() -> None:
    coroutine = wait()
    try:
        assert shown(coroutine) == "<coroutine>"
    finally:
        coroutine.close()
    loop = asyncio.new_event_loop()
    try:
        assert shown(loop.create_future()) == "<_asyncio.Future>"
    finally:
        loop.close()


def test_a_socket_is_named() -> None:
    with socket.socket() as connection:
        assert shown(connection) == "<socket.socket>"


def test_a_proxy_is_named_and_not_asked() -> None:
    assert shown(Proxy()) == "<shop.Hostile>"


@pytest.mark.parametrize("bases", [(), (Plain,), (dict,), (list,), (Exception,)])
def test_no_question_is_put_to_an_object(bases: tuple[type, ...]) -> None:
    kind = hostile(*bases, __str__=Exception.__str__) if Exception in bases else hostile(*bases)
    value = kind()
    fields = shown(value)
    if Plain in bases:
        assert fields == {"b": 1, "a": [2]}


def test_fields_whose_names_are_no_plain_texts_are_left_out() -> None:
    value = types.SimpleNamespace(a=1)
    odd: Any = {5: 2, hostile(str, __hash__=str.__hash__)("b"): 3, "c": 4}
    vars(value).update(odd)
    assert shown(value) == {"a": 1, "c": 4}


def test_a_slot_that_a_subclass_hides_behind_a_property_is_read_itself() -> None:
    class Hiding(OneSlot):
        only = property(refuse)

        def __init__(self) -> None:
            vars(OneSlot)["only"].__set__(self, 5)

    assert shown(Hiding()) == {"only": 5}


def test_slots_that_can_be_read_but_once_are_left_alone() -> None:
    class Once:
        __slots__ = iter(("a", "b"))

    assert shown(Once()) == f"<{__name__}.{Once.__qualname__}>"


def test_jsonpickle_tells_what_an_extension_type_holds_one_level_deep() -> None:
    held = Proxy()
    element = array.array("d", [1.0, 2.5])
    assert shown(element) == {"typecode": "d", "values": [1.0, 2.5]}
    assert shown(re.compile("a+")) == {"pattern": "a+"}
    xml = pytest.importorskip("xml.etree.ElementTree").Element("order", {"id": "1"})
    fields = shown(xml)
    assert isinstance(fields, dict)
    assert (fields["tag"], fields["attrib"]) == ("order", {"id": "1"})
    xml.text = held
    fields = shown(xml)
    assert isinstance(fields, dict)
    assert fields["text"] is held


def test_jsonpickle_is_not_asked_for_what_is_large() -> None:
    assert shown(array.array("d", bytes(8 * 100_000))) == "<array.array>"


@pytest.mark.parametrize("value", [Plain(), Order(1), Parcel(1, "a", "b"), Below(), types.SimpleNamespace(a=[1])])
def test_nothing_is_changed(value: Any) -> None:
    before = repr(shown(value)), repr(getattr(value, "__dict__", None))
    shown(value)
    assert (repr(shown(value)), repr(getattr(value, "__dict__", None))) == before
