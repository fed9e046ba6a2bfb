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

from xray_lambda._callables import is_coroutine_function
from xray_lambda._context import current
from xray_lambda._entity import UNTRACED
from xray_lambda._guard import swallow
from xray_lambda._recorder import current_entity
from xray_lambda.libraries._patching import replaced_function
from xray_lambda.libraries._targets import Patch, Target

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from typing import Any

    from xray_lambda._entity import Entity

    Until = Callable[["Done"], object]
    # The first value yielded is an Entity, a second one an Until.
    Steps = Generator[Any, Any, None]
    StepsOf = Callable[["Call"], Steps]
    Function = Callable[..., Any]
    Within = tuple[str, int]

NOWHERE: Within = ("nothing is part of this", 0)

_get_current = current.get
_set_current = current.set


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
            self.kwargs[name] = value


class Done:
    """Closes a subsegment that outlives its call: when called, once, or when the program drops what holds it."""

    __slots__ = ("_steps", "_sub")

    def __init__(self, steps: Steps, sub: Entity) -> None:
        self._steps = steps
        self._sub: Entity | None = sub

    def __call__(self, error: BaseException | None = None, *, result: object = None) -> None:
        sub, self._sub = self._sub, None
        if sub is None:
            return
        if error is not None:
            _failed(self._steps, sub, error)
        else:
            _returned(self._steps, sub, result)

    def __del__(self) -> None:
        self()


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
    @wraps(function)
    def traced_call(*args: Any, **kwargs: Any) -> Any:
        opened = _opened(steps_of, places, part_of, args, kwargs)
        if opened is None:
            return function(*args, **kwargs)
        call, steps, sub = opened
        if not sub.sampled:
            with sub:
                return function(*call.args, **call.kwargs)
        sub.__enter__()
        try:
            call.result = function(*call.args, **call.kwargs)
        except BaseException as error:
            _failed(steps, sub, error)
            raise
        _returned(steps, sub, call.result)
        result, call.result = call.result, None  # a card that is still open must not keep it alive
        return result

    return traced_call


def _drive_async(steps_of: StepsOf, places: Mapping[str, int], part_of: Within, function: Function) -> Function:
    @wraps(function)
    async def traced_call(*args: Any, **kwargs: Any) -> Any:
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
            _failed(steps, sub, error)
            raise
        _returned(steps, sub, call.result)
        result, call.result = call.result, None  # a card that is still open must not keep it alive
        return result

    return traced_call


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
        return call, steps, next(steps)
    except (NotOurCall, StopIteration):
        return None
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
        return None


def _returned(steps: Steps, sub: Entity, result: object) -> None:
    """Let the card record what the call returned, and close the subsegment unless it is to stay open."""
    try:
        until = steps.send(result)
    except StopIteration:
        sub.__exit__(None, None, None)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        sub.__exit__(None, None, None)
        swallow(fault)
    else:
        _stay_open(steps, sub, until)


def _stay_open(steps: Steps, sub: Entity, until: Until) -> None:
    """Give the caller its own current entity back; the subsegment closes when it is done."""
    if _get_current() is sub:
        _set_current(sub.before)  # type: ignore[attr-defined]  # one that is sampled has it
    done = Done(steps, sub)
    try:
        until(done)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        done()
        swallow(fault)


def _failed(steps: Steps, sub: Entity, error: BaseException) -> None:
    """Let the card record what the call raised, or record it here; the error stays as it is, its traceback too."""
    traceback = error.__traceback__
    fault = None
    try:
        steps.throw(error)
        steps.close()
        unhandled: BaseException | None = None
    except StopIteration:
        unhandled = None
    except BaseException as raised:  # noqa: BLE001 - most often the error itself on its way back
        unhandled = error
        # A StopIteration that goes through a generator comes out as the cause of a RuntimeError: PEP 479.
        if raised is not error and raised.__cause__ is not error and isinstance(raised, Exception):
            fault = raised
    error.__traceback__ = traceback
    sub.__exit__(None if unhandled is None else type(error), unhandled, traceback)
    if fault is not None:
        swallow(fault)
