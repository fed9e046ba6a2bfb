"""Patching: attributes of modules and classes, replaced now or when the program imports them, and put back."""

from __future__ import annotations

import sys
from types import FunctionType

from xray_lambda._guard import swallow

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    Function = Callable[..., Any]
    Wrapper = Callable[[Function], Function]
    WhenImported = Callable[[ModuleType], None]

_MISSING = object()
_replaced: dict[tuple[int, str], tuple[object, str, object, object]] = {}


def replace(owner: object, name: str, wrap: Wrapper) -> None:
    """Put `wrap(original)` in the place of `owner.name`; does nothing where that has been done.

    What `owner` itself holds under the name is kept, so that an inherited attribute is inherited again later.
    """
    key = (id(owner), name)
    done = _replaced.get(key)
    if done is not None and vars(owner).get(name) is done[3]:
        return
    wrapped = wrap(raw_attribute(owner, name))  # type: ignore[arg-type]
    _replaced[key] = (owner, name, vars(owner).get(name, _MISSING), wrapped)
    setattr(owner, name, wrapped)


def restore(owner: object, name: str) -> None:
    """Put back what `replace` replaced, unless somebody has wrapped it further since."""
    _, _, original, wrapped = _replaced.get((id(owner), name), (None, None, None, _MISSING))
    if vars(owner).get(name) is not wrapped:
        return
    del _replaced[id(owner), name]
    if original is _MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, original)


def raw_attribute(owner: object, name: str) -> object:
    """Return an attribute as it stands in the module or the class, not as it is bound: a staticmethod as such."""
    for holder in getattr(owner, "__mro__", (owner,)):
        if name in vars(holder):
            return vars(holder)[name]
    return getattr(owner, name)


def replaced_function(original: Function, make: Callable[[Function], Function]) -> Function:
    """Return `make(original)` in the form of the original: a static method, a class method, a function of C.

    A plain function is replaced by a plain function. For the rest there is wrapt, which keeps what a program can
    see of it; imported here and not before, since it costs 38 ms of a cold start (2.5), 15 behind botocore.
    """
    if isinstance(original, (staticmethod, classmethod)):
        return type(original)(make(original.__func__))
    traced = make(original)
    if isinstance(original, FunctionType):
        return traced
    from wrapt import FunctionWrapper  # noqa: PLC0415 - see above

    def forward(_wrapped: object, _instance: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        return traced(*args, **kwargs)

    return FunctionWrapper(original, forward)


_waiting: dict[str, list[WhenImported]] = {}


def when_imported(name: str, action: WhenImported) -> None:
    """Call `action(module)` once the module `name` is loaded; never imports it."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if module is not None and not getattr(spec, "_initializing", False):
        action(module)
        return
    _waiting.setdefault(name, []).append(action)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def forget(name: str, action: WhenImported) -> None:
    """Take back a `when_imported` that has not happened yet."""
    actions = _waiting.get(name, [])
    if action in actions:
        actions.remove(action)
    _leave_when_done()


def _leave_when_done() -> None:
    """Take the finder out of the program's imports when nothing waits any more."""
    if not any(_waiting.values()) and _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)


class _Finder:
    """Finds the waited-for modules by asking the finders behind it, and follows up when one has been executed."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not _waiting.get(name):
            return None
        for finder in sys.meta_path:
            find = None if finder is _FINDER else getattr(finder, "find_spec", None)
            spec = None if find is None else find(name, path, target)
            if spec is not None:
                return _followed(spec)
        return None


def _followed(spec: ModuleSpec) -> ModuleSpec:
    """Make the spec's loader run what waits for the module, and leave no trace of that on the loader."""
    loader = spec.loader
    execute = getattr(loader, "exec_module", None)
    if execute is None:
        return spec

    def exec_module(module: ModuleType) -> None:
        del loader.__dict__["exec_module"]
        execute(module)
        _follow_up(module)

    try:
        loader.exec_module = exec_module  # type: ignore[union-attr, method-assign]
    except AttributeError as fault:  # a loader without attributes of its own
        swallow(fault)
    return spec


def _follow_up(module: ModuleType) -> None:
    for action in _waiting.pop(module.__name__, ()):
        try:
            action(module)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
            swallow(fault)
    _leave_when_done()


_FINDER = _Finder()
