"""Callables: what kind of function a call runs and what it is called, without `inspect`, which costs 8 ms."""

from __future__ import annotations

from functools import partial

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import overload as overload  # noqa: PLC0414 - for those who decorate
else:

    def overload(function: object) -> object:
        """Stand in for typing.overload, which only type checkers need."""
        return function


# Code flags, named as in `inspect`.
GENERATOR = 0x20
COROUTINE = 0x80 | 0x100
ASYNC_GENERATOR = 0x200


def name_of(function: object) -> str:
    """Return what a function is called, the one inside partials and callable objects included."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name).rpartition("<locals>.")[2]


def code_of(function: Callable[..., object]) -> CodeType | None:
    """Return the code that a call runs: of a function, a bound method, a partial or an object with `__call__`."""
    while isinstance(function, partial):
        function = function.func
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return code if isinstance(code, type(code_of.__code__)) else None


def is_coroutine_function(function: Callable[..., object]) -> bool:
    """Say whether a call of `function` gives a coroutine."""
    code = code_of(function)
    return code is not None and bool(code.co_flags & COROUTINE)
