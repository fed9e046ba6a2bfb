"""Django's caches: each operation is a subsegment `LocMemCache.get`; keys and values are the program's own affair."""

from __future__ import annotations

from functools import partial
from types import FunctionType

from django.conf import settings
from django.utils.module_loading import import_string

from xray_lambda._entities import Subsegment
from xray_lambda._guard import swallow
from xray_lambda._recorder import active
from xray_lambda.libraries._card import around
from xray_lambda.libraries._messages import message_without_names
from xray_lambda.libraries._patching import replace

TYPE_CHECKING = False  # nothing below needs `typing` at run time
if TYPE_CHECKING:
    from typing import Any

    from xray_lambda.libraries._card import Call, Steps

_PART_OF = ("cache", 1)
OPERATIONS = (
    "add", "clear", "decr", "decr_version", "delete", "delete_many", "get", "get_many", "get_or_set", "has_key", "incr",
    "incr_version", "set", "set_many", "touch",
)  # fmt: skip


class CacheCall(Subsegment):
    """The subsegment of an operation; the simpler ones that it is made of belong to it."""

    __slots__ = ()

    stack = "cache"
    layer = 1
    message_of = staticmethod(message_without_names)  # an exception's own names the key


def trace_them() -> None:
    """Trace the backends that the settings name."""
    if not active().config.enabled:
        return
    for told in settings.CACHES.values():
        try:
            backend = import_string(told["BACKEND"])
        except (ImportError, KeyError, TypeError):  # which Django will say when the cache is asked for
            continue
        _trace(backend)


def _trace(backend: type) -> None:
    """Put a card on the operations of a backend, and on those that it inherits, once."""
    try:
        for owner in backend.__mro__:
            for operation in OPERATIONS:
                if isinstance(vars(owner).get(operation), FunctionType):
                    replace(owner, operation, partial(_traced, operation))
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)


def _traced(operation: str, function: Any) -> Any:
    def steps_of(call: Call) -> Steps:
        parent: Any = call.parent
        name = f"{type(call['self']).__name__}.{operation}"
        yield CacheCall(name, parent) if parent.sampled else parent

    return around(steps_of, ("self",), function, _PART_OF)
