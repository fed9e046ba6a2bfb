"""The handler that the layer's wrapper points Lambda's runtime to: it loads the function's own, and traces it.

The contract: XRAY_LAMBDA_HANDLER names the function's handler. It is loaded once, by the runtime's own loader, so that
what is wrong with it reads as it would without us; whatever goes wrong with tracing, the function runs untraced.
"""

from __future__ import annotations

import logging
import os
import sys

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[..., object]
    Load = Callable[[str], Handler]

_said: list[str] = []
_REDIRECT = f"{__name__}.handler"


def load() -> Handler:
    """Return the function's own handler, traced; what its import raises passes as it is."""
    name = os.environ.get("XRAY_LAMBDA_HANDLER", "")
    if os.environ.get("_HANDLER") == _REDIRECT:
        # As without us for the function's code. XRAY_LAMBDA_HANDLER stays, for processes that import this anew.
        os.environ["_HANDLER"] = name
    _guarded(_patch)
    own = runtime_loader()(name)
    return _guarded(lambda: _traced(own)) or own


def runtime_loader() -> Load:
    """Return the runtime client's loader, private to it: `_get_handler`, or `get_handler` in 4.1.0 and 4.2.0."""
    bootstrap = sys.modules.get("awslambdaric.bootstrap")
    found: Load | None = getattr(bootstrap, "_get_handler", None) or getattr(bootstrap, "get_handler", None)
    return found or load_by_name


def load_by_name(name: str) -> Handler:
    """Load `folder/module.function` as the runtime does, where it has no loader that we know of."""
    from importlib import import_module  # noqa: PLC0415 - most runtimes have a loader

    module, _, function = name.rpartition(".")
    handler: Handler = getattr(import_module(module.replace("/", ".")), function)
    return handler


def _patch() -> None:
    from xray_lambda.libraries import patch_configured  # noqa: PLC0415 - a fault in it must not stop the function

    patch_configured()


def _traced(own: Handler) -> Handler:
    """Return a handler traced, unless it is already, or the runtime fails with it: it does so as without us then."""
    from xray_lambda._callables import is_coroutine_function  # noqa: PLC0415 - as above
    from xray_lambda.lambda_runtime.handler import is_traced, traced_handler  # noqa: PLC0415 - as above

    handler: object = own
    while handler is not None:  # the program's own decorators may stand before ours
        if is_traced(handler):
            return own
        handler = getattr(handler, "__wrapped__", None)
    can_be = callable(own) and not is_coroutine_function(own)  # type: ignore[redundant-expr]  # whatever it named
    return traced_handler(own) if can_be else own


def _guarded(step: Callable[[], Handler | None]) -> Handler | None:
    """Run a step of ours; where it fails the function goes on without it, and one line in its log says why."""
    try:
        return step()
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        _say_once(f"{type(fault).__name__}: {fault}")
        return None


def _say_once(fault: str) -> None:
    if not _said:
        _said.append(fault)
        logging.getLogger("xray_lambda").warning("xray_lambda does not trace this function: %s", fault)


handler = load()
