"""Stand-ins for functions that are no Python functions: wrapt's proxies, copied and pickled as the original is."""

from __future__ import annotations

from copy import copy

from xray_lambda._thirdparty import load

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Self

    Function = Callable[..., Any]

wrapt = load("wrapt")


def stand_in(original: Function, traced: Function) -> Function:
    """Return what looks like `original` and calls `traced`."""

    def forward(called: Function, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # A method is called bound; `traced` takes what the original in the class takes.
        return traced(*args, **kwargs) if called is original else traced(instance, *args, **kwargs)

    kind = _StandIn if hasattr(type(original), "__get__") else _Unbound
    return kind(original, forward)


class _AsTheOriginal:
    """Is copied, pickled and printed as what it stands in for, where wrapt refuses or shows itself."""

    __wrapped__: Any

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        return copy, (self.__wrapped__,)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)


class _Bound(_AsTheOriginal, wrapt.BoundFunctionWrapper):  # type: ignore[misc, name-defined]
    pass


class _StandIn(_AsTheOriginal, wrapt.FunctionWrapper):  # type: ignore[misc, name-defined]
    __bound_function_wrapper__ = _Bound


class _Unbound(_StandIn):
    """Of a builtin, which a class does not bind; wrapt 1.16 fails at it."""

    def __get__(self, instance: object, owner: type | None = None) -> Self:
        return self
