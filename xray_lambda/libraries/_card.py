"""Cards: one a library call, a generator with one `yield` where the call happens; this drives it, sync and async.

A card reads the call, yields the subsegment that is to be open around it, and is sent what the call returned:

    @card("httpx._client:Client.send(self, request)", "httpx._client:AsyncClient.send(self, request)")
    def send(call: Call) -> Steps:
        request = call["request"]
        sub = http(call, request.method, str(request.url), request.headers)
        response = yield sub
        answered(sub, response.status_code, response.headers)

What the call raises is recorded on the subsegment and passes on, unless the card catches it at the `yield` and
records it in its own words; it passes on then too. Where nothing is sampled, what follows the `yield` does not run.
A second `yield until` keeps the subsegment open: `until(done)` sees to it that `done()` is called at the end; what
`done(result=...)` is given, the `yield` returns. A card that does so must let go of what the call returned by then, or
the program could never drop it.

`part_of=(stack, layer)` leaves calls alone that are made within one of that stack, at least so high in it: at less cost
than a card that finds out by itself.
"""

from __future__ import annotations

from functools import partial, wraps
from types import CoroutineType

from xray_lambda._callables import is_coroutine_function
from xray_lambda._context import current
from xray_lambda._entity import UNTRACED, Entity
from xray_lambda._guard import swallow
from xray_lambda._recorder import current_entity
from xray_lambda.libraries._outcome import failed, leave, returned
from xray_lambda.libraries._patching import replaced_function
from xray_lambda.libraries._targets import Patch, Target

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from xray_lambda.libraries._outcome import Done as Done  # noqa: PLC0414 - for the cards
    from xray_lambda.libraries._outcome import Steps as Steps  # noqa: PLC0414 - for the cards
    from xray_lambda.libraries._outcome import Until as Until  # noqa: PLC0414 - for the cards

    StepsOf = Callable[["Call"], Steps]
    Function = Callable[..., Any]
    Within = tuple[str, int]

NOWHERE: Within = ("nothing is part of this", 0)

_get_current = current.get

_NOTHING = Entity()


class NotOurCall(Exception):
    """The call lacks an argument that the card reads: it will fail by itself, in its own words."""


class Call:
    """One call of a library: its arguments by the names in the card's target, to read and to replace.

    `parent` is the entity that it is made under; `result`, once there is one, is what the program gets.
    """

    __slots__ = ("_places", "args", "kwargs", "parent", "result")

    def __init__(
        self, places: Mapping[str, int], parent: Entity, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._places = places
        self.parent = parent
        self.args = args
        self.kwargs = kwargs
        self.result: Any = None

    def __getitem__(self, name: str) -> Any:
        place = self._places.get(name)
        if place is not None and place < len(self.args):
            return self.args[place]
        try:
            return self.kwargs[name]
        except KeyError:
            raise NotOurCall(name) from None

    def get(self, name: str, default: object = None) -> Any:
        """Return an argument, or `default` where the program gave none."""
        place = self._places.get(name)
        if place is not None and place < len(self.args):
            return self.args[place]
        return self.kwargs.get(name, default)

    def __setitem__(self, name: str, value: object) -> None:
        place = self._places.get(name)
        if place is not None and place < len(self.args):
            self.args = (*self.args[:place], value, *self.args[place + 1 :])
        else:
            self.kwargs = {**self.kwargs, name: value}


def card(*targets: str, part_of: Within = NOWHERE) -> Callable[[StepsOf], Patch]:
    """Make a generator function the card of these functions: `module:Class.function(self, argument)`.

    The named arguments come first in the function, in that order, or it is not traced; a `?` at the end allows
    for it to be missing. See the module for an example.
    """

    def make(steps_of: StepsOf) -> Patch:
        return Patch([Target(text) for text in targets], partial(_traced, steps_of, part_of))

    return make


def around(steps_of: StepsOf, names: Sequence[str], function: Function, part_of: Within = NOWHERE) -> Function:
    """Return a function with a card around each call; `names` are those of its first arguments."""
    places = {name: place for place, name in enumerate(names)}
    drive = _drive_async if is_coroutine_function(function) else _drive
    return drive(steps_of, places, part_of, function)


def _traced(steps_of: StepsOf, part_of: Within, function: Function, target: Target) -> Function:
    return replaced_function(function, partial(around, steps_of, target.names, part_of=part_of))


def _drive(steps_of: StepsOf, places: Mapping[str, int], part_of: Within, function: Function) -> Function:
    stack, layer = part_of

    @wraps(function)
    def traced_call(*args: Any, **kwargs: Any) -> Any:
        parent = _get_current()
        # A call that is part of another one is the most frequent of all, and left alone without a further step.
        if parent is not None and parent.stack == stack and parent.layer >= layer and not parent.unsettled:
            return function(*args, **kwargs)
        opened = _opened(steps_of, places, part_of, args, kwargs)
        if opened is None:
            return function(*args, **kwargs)
        call, steps, sub = opened
        if not sub.sampled:
            with sub:
                result = function(*call.args, **call.kwargs)
            return result if type(result) is not CoroutineType else _in_coroutine(call, steps, sub, result)
        sub.__enter__()
        try:
            call.result = function(*call.args, **call.kwargs)
        except BaseException as error:
            failed(steps, sub, error)
            raise
        if type(call.result) is CoroutineType:
            leave(sub)
            return _in_coroutine(call, steps, sub, call.result)
        returned(steps, sub, call.result)
        result, call.result = call.result, None  # a card that is still open must not keep it alive
        return result

    return traced_call


def _drive_async(steps_of: StepsOf, places: Mapping[str, int], part_of: Within, function: Function) -> Function:
    stack, layer = part_of

    @wraps(function)
    async def traced_call(*args: Any, **kwargs: Any) -> Any:
        parent = _get_current()
        if parent is not None and parent.stack == stack and parent.layer >= layer and not parent.unsettled:
            return await function(*args, **kwargs)
        opened = _opened(steps_of, places, part_of, args, kwargs)
        if opened is None:
            return await function(*args, **kwargs)
        call, steps, sub = opened
        if not sub.sampled:
            with sub:
                return await function(*call.args, **call.kwargs)
        sub.__enter__()
        try:
            call.result = await function(*call.args, **call.kwargs)
        except BaseException as error:
            failed(steps, sub, error)
            raise
        returned(steps, sub, call.result)
        result, call.result = call.result, None  # a card that is still open must not keep it alive
        return result

    return traced_call


def _in_coroutine(call: Call, steps: Steps, sub: Entity, coroutine: Any) -> Any:
    """Return a coroutine in the place of one that a plain function returned: the call lasts until that is done."""
    driven: Any = _awaited(call, steps, sub, coroutine)
    driven.__name__, driven.__qualname__ = coroutine.__name__, coroutine.__qualname__
    return driven


async def _awaited(call: Call, steps: Steps, sub: Entity, coroutine: Any) -> Any:
    if not sub.sampled:
        with sub:
            return await coroutine
    sub.__enter__()
    try:
        call.result = await coroutine
    except BaseException as error:
        failed(steps, sub, error)
        raise
    returned(steps, sub, call.result)
    result, call.result = call.result, None
    return result


def _opened(
    steps_of: StepsOf, places: Mapping[str, int], part_of: Within, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Call, Steps, Entity] | None:
    """Run a card up to its `yield`; None where the call is none of ours: no trace, no fitting arguments."""
    parent = _get_current()
    if parent is None or parent.unsettled:
        parent = current_entity()
    if parent is UNTRACED or (parent.stack == part_of[0] and parent.layer >= part_of[1]):
        return None
    try:
        call = Call(places, parent, args, kwargs)
        steps = steps_of(call)
        sub = next(steps)
        # One that is current already is not entered again: it would take itself for what was current before it.
        return call, steps, sub if sub.sampled or sub is not parent else _NOTHING
    except (NotOurCall, StopIteration):
        return None
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
        return None
