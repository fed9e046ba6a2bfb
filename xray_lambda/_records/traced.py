"""`@traced_record`: each call of a function that works on one record is a subsegment, which sees what it raises."""

from __future__ import annotations

from functools import partial, wraps

from xray_lambda._callables import is_coroutine_function, overload
from xray_lambda._records.events import facts_of
from xray_lambda._records.opening import Options, opened

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., object])


@overload
def traced_record(function: F, /) -> F: ...
@overload
def traced_record(  # noqa: F811 - the second overload
    function: None = None,
    /,
    *,
    name: str | None = None,
    continue_trace: bool = False,
    include_unsampled: bool = False,
) -> Callable[[F], F]: ...
def traced_record(  # noqa: F811 - what the overloads describe
    function: object = None,
    /,
    *,
    name: str | None = None,
    continue_trace: bool = False,
    include_unsampled: bool = False,
) -> object:
    """Trace a function, coroutine function or method that works on one record, its first argument; see `records`.

    For batch utilities, thread pools and tasks, which call a function for each record.
    Raises TypeError for what cannot be called. Example: `@traced_record`, or `@traced_record(continue_trace=True)`.
    """
    options = Options(name, continue_trace, include_unsampled)
    return partial(_decorate, options=options) if function is None else _decorate(function, options)


def _decorate(function: object, options: Options) -> object:
    if not callable(function):
        raise TypeError(f"@traced_record takes a function, not {function!r:.200}")
    if is_coroutine_function(function):
        return _coroutine(function, options)

    @wraps(function)
    def traced(*args: Any, **kwargs: Any) -> Any:
        with opened(_record_among(args, kwargs), "", options):
            return function(*args, **kwargs)

    return traced


def _coroutine(function: Callable[..., Any], options: Options) -> Callable[..., Any]:
    @wraps(function)
    async def traced(*args: Any, **kwargs: Any) -> Any:
        with opened(_record_among(args, kwargs), "", options):
            return await function(*args, **kwargs)

    return traced


def _record_among(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    """Return the first argument that is a record: before it a method has its object, behind it others their context."""
    candidates = [*args, *kwargs.values()]
    return next((one for one in candidates if facts_of(one) is not None), candidates[0] if candidates else None)
