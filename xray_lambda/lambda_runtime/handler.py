"""`@traced_handler`: each invocation is a subsegment below Lambda's own segment, sent before the result is."""

from __future__ import annotations

import os
from functools import partial, wraps

from xray_lambda._callables import is_coroutine_function, name_of, overload
from xray_lambda._context import current
from xray_lambda._entities import FacadeSegment, Subsegment
from xray_lambda._entity import UNTRACED, flags_of
from xray_lambda._guard import swallow
from xray_lambda._recorder import active

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from xray_lambda._config import Config
    from xray_lambda._entity import Entity, Ignored
    from xray_lambda._recorder import Recorder

    F = TypeVar("F", bound=Callable[..., object])
    Redact = Callable[[Any], object]

_get_current = current.get
_set_current = current.set


class Options:
    """What `@traced_handler(...)` was told; None where the settings decide."""

    __slots__ = ("capture_event", "capture_response", "ignore", "name", "redact", "service")

    def __init__(
        self,
        name: str | None,
        service: str | None,
        capture_response: bool | None,  # noqa: FBT001 - keywords where it is called
        capture_event: bool | None,  # noqa: FBT001
        redact: Redact | None,
        ignore: Ignored,
    ) -> None:
        self.name = name
        self.service = service
        self.capture_response = capture_response
        self.capture_event = capture_event
        self.redact = redact
        self.ignore = ignore

    def named(self, name: str) -> Options:
        """Return these options with a name; one decorator may be put on several handlers."""
        name = self.name or name
        return Options(name, self.service, self.capture_response, self.capture_event, self.redact, self.ignore)


@overload
def traced_handler(handler: F, /) -> F: ...  # noqa: D103 - see below
@overload
def traced_handler(  # noqa: D103, F811 - the second overload
    handler: None = None,
    /,
    *,
    name: str | None = None,
    service: str | None = None,
    capture_response: bool | None = None,
    capture_event: bool | None = None,
    redact: Redact | None = None,
    ignore: Ignored = (),
) -> Callable[[F], F]: ...
def traced_handler(  # noqa: F811 - what the overloads describe
    handler: object = None,
    /,
    *,
    name: str | None = None,
    service: str | None = None,
    capture_response: bool | None = None,
    capture_event: bool | None = None,
    redact: Redact | None = None,
    ignore: Ignored = (),
) -> object:
    """Trace a Lambda handler: a function, method, callable object or coroutine function of `event, context`.

    What it returns and gets is recorded only with `capture_response` and `capture_event`, after `redact`.
    Raises TypeError for what cannot be called. Example: `@traced_handler(ignore=(NotFound,))`.
    """
    options = Options(name, service, capture_response, capture_event, redact, ignore)
    if handler is None:
        return partial(_decorate, options=options)
    return _decorate(handler, options)


def _decorate(handler: object, options: Options) -> object:
    if not callable(handler):
        raise TypeError(f"@traced_handler takes a function, not {handler!r:.200}")
    if is_traced(handler):
        return handler
    options = options.named(name_of(handler))
    return _wrap_async(handler, options) if is_coroutine_function(handler) else _wrap(handler, handler, options)


def is_traced(handler: object) -> bool:
    """Say whether `handler` is one that `@traced_handler` made, or a decorator's copy of one."""
    return getattr(handler, "__dict__", {}).get(_MARK) is True


_MARK = "__xray_lambda_handler__"


def _wrap(handler: Callable[..., object], call: Callable[..., object], options: Options) -> Callable[..., object]:
    @wraps(handler)
    def traced_handler(*args: object, **kwargs: object) -> object:
        before = _get_current()
        invocation = _enter(options, before, args, kwargs)
        try:
            result = call(*args, **kwargs)
        except BaseException as error:
            _leave(invocation, before, options, None, error)
            raise
        _leave(invocation, before, options, result, None)
        return result

    traced_handler.__dict__[_MARK] = True
    return traced_handler


def _wrap_async(handler: Callable[..., object], options: Options) -> Callable[..., object]:
    """Return a plain function that runs the coroutine; under a running loop it gives a coroutine, for async tests."""
    from xray_lambda.lambda_runtime import loop  # noqa: PLC0415 - 0.1 ms that plain handlers save

    def run_to_end(*args: object, **kwargs: object) -> object:
        return loop.run(handler(*args, **kwargs))  # type: ignore[arg-type]

    outside = _wrap(handler, run_to_end, options)

    async def inside(*args: object, **kwargs: object) -> object:
        before = _get_current()
        invocation = _enter(options, before, args, kwargs)
        try:
            result = await handler(*args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            _leave(invocation, before, options, None, error)
            raise
        _leave(invocation, before, options, result, None)
        return result

    @wraps(outside)
    def traced_handler(*args: object, **kwargs: object) -> object:
        return inside(*args, **kwargs) if loop.is_running() else outside(*args, **kwargs)

    return traced_handler


def _enter(options: Options, before: Entity | None, args: tuple[object, ...], kwargs: dict[str, object]) -> Entity:
    """Make what this invocation works under current; never raises."""
    try:
        recorder = active()
        header = recorder.read_header()
        if before is None and header:
            parent: Entity = recorder.enter(header)
        else:
            parent = _parent(recorder, before, header)
        cold, recorder.cold = recorder.cold, False
        invocation = parent.child(options.name, None, options.ignore)  # type: ignore[arg-type]
        if not isinstance(invocation, Subsegment):
            _set_current(invocation)
            return invocation
        invocation.__enter__()
        if isinstance(parent, FacadeSegment):
            parent.handler = invocation
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
        return UNTRACED
    try:
        _note_start(invocation, options, recorder.config, cold and is_on_demand(), args, kwargs)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
    return invocation


def _parent(recorder: Recorder, before: Entity | None, header: str | None) -> Entity:
    """Return what the invocation belongs to: its facade, or the entity of the same trace that calls the handler."""
    caller = recorder.settle(before)
    if not header:
        return caller
    facade = recorder.enter(header)
    return caller if _is_work_of(facade, caller) else facade


def _is_work_of(facade: Entity, entity: Entity) -> bool:
    """Say whether `entity` is work under way in the invocation that `facade` stands for."""
    segment = entity.segment
    return (
        entity is not segment
        and entity.end_ns is None
        and isinstance(segment, FacadeSegment)
        and facade.sampled
        and (segment.trace_id, segment.id) == (facade.trace_id, facade.id)
    )


def _leave(
    invocation: Entity, before: Entity | None, options: Options, result: object, error: BaseException | None
) -> None:
    """Close the invocation, which sends it, and drop what it left current; never raises."""
    try:
        if invocation.sampled:
            _set_current(invocation)
            if error is None:
                _note_result(invocation, options, result)
            invocation.__exit__(None, error, None)
            segment = invocation.segment
            if isinstance(segment, FacadeSegment) and segment.handler is invocation:
                segment.handler = UNTRACED  # the two would be a cycle, which only the garbage collector frees
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)
    finally:
        _set_current(before)


def _note_start(
    invocation: Subsegment,
    options: Options,
    config: Config,
    cold: bool,  # noqa: FBT001 - one caller
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> None:
    """Annotate ColdStart, Service and tenant_id, keep the event, and tell of the start, where that is wanted."""
    invocation.annotations = {"ColdStart": '"ColdStart":true' if cold else '"ColdStart":false'}
    service = options.service or config.service
    if service is not None:
        invocation.annotate(Service=service)
    tenant = tenant_of(kwargs["context"] if "context" in kwargs else args[-1] if args else None)
    if tenant is not None:
        invocation.annotate(tenant_id=tenant)
    if config.capture_event if options.capture_event is None else options.capture_event:
        _capture(invocation, options, "event", event_of(args, kwargs))
    if config.early:
        invocation.announce()


def event_of(args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """Return the event among a handler's arguments: before the context, which may have been given by name."""
    if "event" in kwargs:
        return kwargs["event"]
    before = args if "context" in kwargs else args[:-1]
    return before[-1] if before else None


def is_on_demand() -> bool:
    """Say whether a user waited for this environment: not so with provisioned concurrency, SnapStart or instances."""
    return (
        os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand") == "on-demand"
        and "AWS_LAMBDA_MAX_CONCURRENCY" not in os.environ
    )


def tenant_of(context: object) -> str | None:
    """Return the tenant of an invocation; contexts of tests may lack the attribute, or have one that is no text."""
    try:
        tenant = getattr(context, "tenant_id", None)
        return tenant if isinstance(tenant, str) and tenant else None
    except Exception:  # noqa: BLE001 - a property of the program's own context
        return None


def _note_result(invocation: Entity, options: Options, result: object) -> None:
    """Flag the status of a proxy response, and keep the response where that is wanted; never raises."""
    try:
        if isinstance(result, dict):
            code = result.get("statusCode")
            if isinstance(code, int) and code >= 400:  # an HTTPStatus is one too
                invocation.flag(*flags_of(code))
        wanted = options.capture_response
        if active().config.capture_response if wanted is None else wanted:
            _capture(invocation, options, "response", result)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)


def _capture(invocation: Entity, options: Options, key: str, value: object) -> None:
    """Record a copy as it is now; `redact` gets a copy as well, so that it cannot change what the program holds."""
    from xray_lambda._values import Budget, snapshot  # noqa: PLC0415 - 0.25 ms that most cold starts save

    copy: object = snapshot(value, Budget(active().config.metadata_bytes))
    if options.redact is not None:
        try:
            copy = options.redact(copy)
        except Exception as error:  # noqa: BLE001 - the program's own function; what it would have hidden stays out
            copy = f"not recorded: redact raised {type(error).__name__}"
    invocation.metadata({key: copy})
