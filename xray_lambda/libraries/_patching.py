"""Patching: attributes of modules and classes, replaced now or when the program imports them, and put back."""

from __future__ import annotations

import sys
from functools import cache
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
    Wanted = Callable[[str], bool]

# Where a gate keeps what opens it: see _gates.
OPEN = "__xray_lambda_open__"
_MISSING = object()
_replaced: dict[tuple[int, str], tuple[object, str, object, object]] = {}


def replace(owner: object, name: str, wrap: Wrapper) -> None:
    """Put `wrap(original)` in the place of `owner.name`; does nothing where that has been done.

    What `owner` itself holds under the name is kept, so that an inherited attribute is inherited again later.
    """
    key = (id(owner), name)
    done = _replaced.get(key)
    if done is None or vars(owner).get(name) is not done[3]:
        original, raw = vars(owner).get(name, _MISSING), raw_attribute(owner, name)
    elif hasattr(done[3], OPEN):  # a gate, which gives its place at once: no call goes by in between
        original, raw = done[2], vars(done[3])["__wrapped__"]
    else:
        return
    wrapped = wrap(raw)  # type: ignore[arg-type]
    _replaced[key] = (owner, name, original, wrapped)
    setattr(owner, name, wrapped)
    if done is not None and hasattr(done[3], OPEN):
        getattr(done[3], OPEN)()  # it may have been another library's


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
    if isinstance(original, FunctionType):
        return make(original)
    from xray_lambda.libraries._standin import stand_in  # noqa: PLC0415 - see above

    return stand_in(original, make(original))


_waiting: dict[str, list[WhenImported]] = {}
_watching: list[tuple[Wanted, WhenImported]] = []


def when_imported(name: str, action: WhenImported) -> None:
    """Call `action(module)` once the module `name` is loaded; never imports it."""
    _waiting.setdefault(name, []).append(action)
    _enter_imports()
    if name in sys.modules:
        _follow_up_when_ready(name)


def whenever_imported(wanted: Wanted, action: WhenImported) -> None:
    """Call `action(module)` for every module whose name is `wanted` that is loaded, now, later or anew."""
    if (wanted, action) not in _watching:
        _watching.append((wanted, action))
    _enter_imports()
    for name in [*sys.modules]:
        if wanted(name):
            _follow_up_when_ready(name)


def forget(name: str, action: WhenImported) -> None:
    """Take back a `when_imported` that has not happened yet."""
    _taken(_waiting.get(name, []), action)
    _leave_imports()


def forget_whenever(wanted: Wanted, action: WhenImported) -> None:
    """Take back a `whenever_imported`."""
    _taken(_watching, (wanted, action))
    _leave_imports()


def _taken(entries: list[Any], entry: object) -> bool:
    """Take an entry off a list that other threads change too; False where one of them was faster."""
    try:
        entries.remove(entry)
    except ValueError:
        return False
    return True


def _enter_imports() -> None:
    """Be the first who is asked: what a finder before ours finds, ours is not asked for."""
    if sys.meta_path and sys.meta_path[0] is _FINDER:
        return
    places = [place for place, finder in enumerate(sys.meta_path) if finder is _FINDER]
    sys.meta_path.insert(0, _FINDER)
    for place in reversed(places):
        del sys.meta_path[place + 1]


def _leave_imports() -> None:
    """Take the finder out of the program's imports when nothing waits any more."""
    if _is_idle() and _FINDER in sys.meta_path:
        _taken(sys.meta_path, _FINDER)
        if not _is_idle():  # another thread has begun to wait meanwhile, and saw the finder still there
            _enter_imports()


def _is_idle() -> bool:
    return not _watching and not any(_waiting.values())


class _Finder:
    """Finds the waited-for modules by asking the finders behind it, and follows up when one has been executed."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not _waiting.get(name) and not any(wanted(name) for wanted, _ in _watching):
            return None
        for finder in [*sys.meta_path]:
            find = None if finder is _FINDER else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(name, path, target)
            if spec is not None:
                _follow(name, spec)
                return spec
        return None


def _follow(name: str, spec: ModuleSpec) -> None:
    if hasattr(spec.loader, "exec_module"):
        spec.loader = _Loader(name, spec.loader)  # type: ignore[assignment]  # a loader in all but its class


class _Loader:
    """Stands in for a module's loader until that executes the module, and follows up then.

    The loader stays as it is: modules may share it, and it may be a class.
    """

    _loader: Any = None

    def __init__(self, name: str, loader: Any) -> None:
        self._name = name
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        loader = self._loader
        spec: Any = getattr(module, "__spec__", None)
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = loader
        if spec is not None and spec.loader is self:
            spec.loader = loader
        loader.exec_module(module)
        if spec is not None and spec.loader is not loader:
            _follow(self._name, spec)  # it has put another in its place, for the module's first use: a LazyLoader
        else:
            _follow_up(self._name, module)


def _follow_up_when_ready(name: str) -> None:
    """Do what waits for a loaded module; where its import or its lazy loading has yet to end, do it then."""
    module: Any = sys.modules.get(name)
    spec: Any = None
    try:
        spec = object.__getattribute__(module, "__spec__")  # nothing of a lazy module's own, which would load it
    except AttributeError:
        pass
    if type(module).__name__ == "_LazyModule":
        _follow(name, spec)
        return
    if getattr(spec, "_initializing", False):
        spec.__class__ = _unfinished(spec.__class__)
        if spec._initializing:  # noqa: SLF001 - else another thread has just ended it
            return
    if module is not None:
        _follow_up(name, module)


@cache
def _unfinished(kind: Any) -> Any:
    """Return the class of the spec of a module whose import goes on: the import says there when it ends."""
    if kind.__name__ == "Unfinished":
        return kind

    class Unfinished(kind):  # type: ignore[misc]
        @property
        def _initializing(self) -> bool:
            return bool(self.__dict__["_initializing"])

        @_initializing.setter
        def _initializing(self, goes_on: bool) -> None:
            self.__dict__["_initializing"] = goes_on
            if not goes_on:
                self.__class__ = kind
                _follow_up_when_ready(self.name)

    return Unfinished


def _follow_up(name: str, module: ModuleType) -> None:
    for wanted, action in [*_watching]:
        if wanted(name):
            _do(action, module)
    loaded = sys.modules.get(name)  # another one, where the module has put that in its own place
    if loaded is not None:
        waiting = _waiting.get(name, [])
        for action in [*waiting]:
            if _taken(waiting, action):
                _do(action, loaded)
    _leave_imports()


def _do(action: WhenImported, module: ModuleType) -> None:
    try:
        action(module)
    except Exception as fault:  # noqa: BLE001 - the edge where our faults stop
        swallow(fault)


_FINDER = _Finder()
