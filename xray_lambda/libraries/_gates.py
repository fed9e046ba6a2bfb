"""Gates: what stands before a loaded library until the program comes to use it; then its card is loaded and put on.

Lambda's own modules and boto3 load more than most functions ever call by themselves: urllib3, http.client, threads,
sqlite3. A gate costs a cold start some microseconds, a card with what it needs up to two milliseconds.
"""

from __future__ import annotations

from functools import wraps
from operator import attrgetter
from threading import RLock
from types import BuiltinFunctionType, FunctionType

from xray_lambda._context import current
from xray_lambda._guard import swallow
from xray_lambda.libraries._patching import OPEN, raw_attribute, replace, restore

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

_get_current = current.get
_opening = RLock()
_PATIENCE = 5  # seconds


def stand_before(module: ModuleType, paths: tuple[str, ...], stack: str, go_on: Callable[[], object]) -> bool:
    """Put a gate before each of these functions of a module; False where one is not there to be gated.

    The first call through one of them calls `go_on`, which puts the card in the gates' place, and then is what it
    was to be. A call by a library of the same `stack`, which the card would leave alone, goes through and opens none.
    """
    try:
        places = [(_owner_of(module, path), path.rpartition(".")[2]) for path in paths]
        if not all(_can_be_gated(raw_attribute(*place)) for place in places):
            return False
    except AttributeError:
        return False
    started: list[bool] = []
    for owner, name in places:
        replace(owner, name, _gate_for(owner, name, stack, lambda: _open(places, started, go_on)))
    return True


def take_away(module: ModuleType, paths: tuple[str, ...]) -> None:
    """Take away the gates that still stand before these functions."""
    for path in paths:
        try:
            restore(_owner_of(module, path), path.rpartition(".")[2])
        except AttributeError as gone:
            swallow(gone)


def _owner_of(module: ModuleType, path: str) -> Any:
    holder = path.rpartition(".")[0]
    return attrgetter(holder)(module) if holder else module


def _can_be_gated(original: object) -> bool:
    """Say whether a plain function can stand in for it: for one of Python, or one of C in a module."""
    return isinstance(original, (FunctionType, BuiltinFunctionType))


def _gate_for(owner: Any, name: str, stack: str, open_all: Callable[[], None]) -> Callable[..., Any]:
    def gate_for(original: Callable[..., Any]) -> Callable[..., Any]:
        opened: list[bool] = []

        @wraps(original)
        def gate(*args: Any, **kwargs: Any) -> Any:
            entity = _get_current()
            # Somebody who wrapped the gate still calls it when it has been opened.
            if opened or (stack and entity is not None and entity.stack == stack):
                return original(*args, **kwargs)
            open_all()
            opened.append(True)
            return raw_attribute(owner, name)(*args, **kwargs)  # type: ignore[operator]

        gate.__dict__[OPEN] = open_all
        return gate

    return gate_for


def _open(places: list[tuple[Any, str]], started: list[bool], go_on: Callable[[], object]) -> None:
    """Put the card in the place of the gates, once; other threads wait for that, so that none of their calls is missed.

    But not for ever: a fork may leave the lock held for good in the child.
    """
    if not _opening.acquire(timeout=_PATIENCE):
        return
    try:
        if not started:
            started.append(True)
            _put_on(places, go_on)
    finally:
        _opening.release()


def _put_on(places: list[tuple[Any, str]], go_on: Callable[[], object]) -> None:
    try:
        go_on()
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
    finally:
        for place in places:  # that the card has not taken
            if hasattr(raw_attribute(*place), OPEN):
                restore(*place)
