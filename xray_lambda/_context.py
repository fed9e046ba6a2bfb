"""The one ContextVar: which entity is current here, in every thread, task and environment alike."""

from __future__ import annotations

# `contextvars` only passes it on, for 0.07 ms of cold start.
from _contextvars import ContextVar
from functools import wraps

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    from xray_lambda._entity import Entity

    P = ParamSpec("P")
    R = TypeVar("R")

current: ContextVar[Entity | None] = ContextVar("xray_lambda_current", default=None)


def carried(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` as it runs in another thread with what is current here, which may be nothing.

    A copied `contextvars.Context` could be entered by one thread at a time only.
    """
    entity = current.get()

    @wraps(function)
    def carry(*args: P.args, **kwargs: P.kwargs) -> R:
        token = current.set(entity)
        try:
            return function(*args, **kwargs)
        finally:
            current.reset(token)

    return carry
