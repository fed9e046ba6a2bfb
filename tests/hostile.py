"""Objects that do harm when they are looked at: whatever of theirs is asked raises; and time-outs that strike then."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Provoked(BaseException):
    """No Exception, so that nothing but not asking at all goes unnoticed."""


def refuse(self: object, *arguments: object, **more: object) -> NoReturn:
    raise Provoked


# What any object may be asked by the interpreter or by a library. Not `__del__`, and nothing of what classes need.
QUESTIONS = (
    "__getattr__", "__str__", "__repr__", "__format__", "__bytes__", "__bool__", "__len__", "__iter__", "__contains__",
    "__getitem__", "__eq__", "__lt__", "__le__", "__hash__", "__int__", "__index__", "__float__", "__complex__",
    "__dir__", "__sizeof__", "__reduce__", "__reduce_ex__", "__getstate__", "__copy__", "__deepcopy__", "__json__",
    "__length_hint__", "__reversed__", "__enter__", "__array__", "__fspath__", "__round__", "__trunc__", "__add__",
    "__sub__", "__neg__", "__abs__", "__instancecheck__", "__missing__",
    "items", "keys", "values", "get", "isoformat", "bit_length", "tolist", "dict", "json", "model_dump", "_asdict",
)  # fmt: skip


def hostile(*bases: type, **more: object) -> Any:
    """Return a class below `bases` whose instances refuse every question, their attributes included."""
    questions: dict[str, object] = dict.fromkeys(QUESTIONS, refuse)
    questions |= {"__getattribute__": refuse, "__class__": property(refuse), "__dict__": property(refuse)}
    return type("Hostile", bases, {**questions, "__module__": "shop", **more})


Proxy = hostile()


class Lazy:
    """A sequence that would ask a database: reading any of it is noted."""

    def __init__(self) -> None:
        self.table = "orders"

    __len__ = __getitem__ = __iter__ = __contains__ = __bool__ = refuse

    @property
    def rows(self) -> list[object]:
        raise Provoked


class Stream:
    """Something that can be read once."""

    def __init__(self) -> None:
        self.position = 0

    def read(self, size: int = -1) -> bytes:
        self.position += 1
        return b"gone"

    def __iter__(self) -> Iterator[bytes]:
        raise Provoked


class TooLate(Exception):
    """What a program's time-out raises out of its signal handler, wherever it is at that moment."""


@contextmanager
def a_time_out() -> Iterator[None]:
    """Let `strike` raise TooLate out of a signal handler."""

    def end(number: int, frame: object) -> NoReturn:
        raise TooLate

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def strike(self: object = None, *arguments: object) -> None:
    signal.raise_signal(signal.SIGTERM)


def broken(self: object) -> NoReturn:
    raise RuntimeError


def scalar(answer: Callable[[Any], object]) -> Any:
    """Return a numpy-like scalar, one of the few objects that are asked something: its shape is the `answer`."""
    shape = property(answer)
    return type("Scalar", (), {"dtype": 1, "item": lambda self: "item", "shape": shape, "__module__": "shop"})()
