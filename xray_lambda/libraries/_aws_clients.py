"""AWS clients: each call, sync and async, in a subsegment; by hand and not by a card, which would cost twice as much.

A program may make hundreds of these calls in an invocation.
"""

from __future__ import annotations

from functools import wraps

from botocore.exceptions import ClientError

from xray_lambda._callables import is_coroutine_function
from xray_lambda._context import current
from xray_lambda._entity import UNTRACED
from xray_lambda._guard import swallow
from xray_lambda._recorder import active, current_entity
from xray_lambda.libraries._aws import AwsCall, Unsampled, aws, carrying, ended, refused
from xray_lambda.libraries._aws_messages import CARRIERS
from xray_lambda.libraries._card import NotOurCall
from xray_lambda.libraries._kinds import AWS, WITHIN, outgoing
from xray_lambda.libraries._targets import Patch, Target

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from xray_lambda._config import Config
    from xray_lambda._entity import Entity

    Function = Callable[..., Any]
    Args = tuple[Any, ...]
    Kwargs = dict[str, Any]

_get_current = current.get
_set_current = current.set

_MESSAGING = frozenset(path.partition(".")[2] for path in CARRIERS)
# Below which entity, by which settings, and what stands for a call there.
_last: tuple[Entity, Config | None, Unsampled | None] = (UNTRACED, None, None)


def api_calls(target: str) -> Patch:
    """Return the patch of a client's `_make_api_call(self, operation_name, api_params)`, sync or async."""
    return Patch([Target(target)], lambda function, _: _traced(function))


def _traced(function: Function) -> Function:
    return _traced_async(function) if is_coroutine_function(function) else _traced_sync(function)


def _traced_sync(function: Function) -> Function:
    @wraps(function)
    def traced_call(*args: Any, **kwargs: Any) -> Any:
        before = _get_current()
        sub, args, kwargs = _begun(before, args, kwargs)
        if sub is None:
            return function(*args, **kwargs)
        try:
            answer = function(*args, **kwargs)
        except BaseException as error:
            _failed(sub, before, error)
            raise
        _returned(sub, before, answer)
        return answer

    return traced_call


def _traced_async(function: Function) -> Function:
    @wraps(function)
    async def traced_call(*args: Any, **kwargs: Any) -> Any:
        before = _get_current()
        sub, args, kwargs = _begun(before, args, kwargs)
        if sub is None:
            return await function(*args, **kwargs)
        try:
            answer = await function(*args, **kwargs)
        except BaseException as error:
            _failed(sub, before, error)
            raise
        _returned(sub, before, answer)
        return answer

    return traced_call


def _begun(before: Entity | None, args: Args, kwargs: Kwargs) -> tuple[Entity | None, Args, Kwargs]:
    """Return what is current from here on, and what to call with; None where the call is none of ours."""
    parent = before if before is not None and not before.unsettled else current_entity()
    if parent is UNTRACED:
        return None, args, kwargs
    try:
        client, name, parameters = args if len(args) == 3 else _arguments(*args, **kwargs)
        sub: Entity | None = None if parent.sampled else _standing(parent, name)
        if sub is None:
            sub = aws(parent, client, name, parameters)
            if sub is WITHIN:
                return None, args, kwargs
            if isinstance(sub, (AwsCall, Unsampled)) and sub.operation.carrier is not None:
                args, kwargs = (client, name, carrying(sub, parameters)), {}
    except (NotOurCall, TypeError):
        return None, args, kwargs
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
        return None, args, kwargs
    if type(sub) is AwsCall:
        sub.__enter__()
    else:
        _set_current(sub)
    return sub, args, kwargs


def _arguments(self: Any, operation_name: Any, api_params: Any) -> Args:
    return self, operation_name, api_params


def _standing(parent: Entity, name: Any) -> Unsampled | None:
    """Return what stands for an unsampled call, the same for each below an entity; None where one has to look."""
    if name in _MESSAGING:
        return None
    config = active().config
    below, by, standing = _last
    return standing if below is parent and by is config else _remembered(parent, config)


def _remembered(parent: Entity, config: Config) -> Unsampled | None:
    global _last  # noqa: PLW0603 - one is enough: an invocation has one such entity
    standing = None
    if not config.ignore_calls and config.inject_to is None:
        standing = Unsampled(parent, AWS)
        standing.headers = outgoing(standing, "", "")
    _last = (parent, config, standing)
    return standing


def _returned(sub: Entity, before: Entity | None, answer: Any) -> None:
    if type(sub) is not AwsCall:
        _leave(sub, before)
        return
    try:
        ended(sub, answer)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        sub.__exit__(None, None, None)
        swallow(fault)
    else:
        sub.__exit__(None, None, None)


def _failed(sub: Entity, before: Entity | None, error: BaseException) -> None:
    """Record what the call raised; the error stays as it is."""
    if type(sub) is not AwsCall:
        _leave(sub, before)
        return
    unhandled: BaseException | None = error
    try:
        if isinstance(error, ClientError):
            unhandled = None
            refused(sub, error)
        else:
            ended(sub, None)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
    finally:
        sub.__exit__(None if unhandled is None else type(unhandled), unhandled, None)


def _leave(sub: Entity, before: Entity | None) -> None:
    if _get_current() is sub:
        _set_current(before)
