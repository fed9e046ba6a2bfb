"""modules: each function and method that the program's own modules define is a subsegment, as `@traced` makes it one.

What is there after the import is replaced: the names in modules and classes. Whoever has taken a function before, a
registry during the import or another module's `from shop.orders import price`, keeps the untraced one.
"""

from __future__ import annotations

import re
from types import FunctionType, ModuleType
from weakref import WeakSet, ref

from xray_lambda._guard import is_ours, swallow
from xray_lambda._recorder import active
from xray_lambda._traced import traced
from xray_lambda.libraries._patching import forget_whenever, whenever_imported

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

# What each call of `patch_modules` asked for: modules, and what to leave out of them. A call to a function is traced
# if one of them asks for it.
_selected: dict[tuple[str, tuple[str, ...]], tuple[re.Pattern[str], re.Pattern[str]]] = {}

# The modules that were looked at, and where each function of ours keeps what stood in its place: on itself, since
# that reaches it through the module, and would be kept alive by any registry of ours.
_seen: WeakSet[ModuleType] = WeakSet()
_ORIGINAL = "_xray_lambda_original"

_NOT_IN_NAMES = re.compile(r"[\s/\\:]")
_DEEPEST = 50


def patch_modules(*names: str, ignore: Iterable[str] = ()) -> None:
    """Trace every function, coroutine, generator and method that these modules define, now or when they are imported.

    `shop.orders` is that module, `shop.pricing.*` that package and all below it, and `*` stands for anything elsewhere
    too. `ignore` names modules, classes and functions to leave out, each with all below it. No special method is
    traced but `__call__`. Raises ValueError for what can be no name. Example: `patch_modules("shop.*",
    ignore=["shop.settings", "shop.orders.Basket.total", "*.health"])`.
    """
    left_out = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    ignored = re.compile("|".join(f"{_pattern(name)}(\\..*)?" for name in left_out) or r"\b\B")
    found = {}
    for name in names:
        pattern = _pattern(name, package=not str(name).startswith("*"))
        found[name, left_out] = (re.compile(pattern + (r"(\..*)?" if name.endswith(".*") else "")), ignored)
    if found and active().config.enabled:
        _selected.update(found)
        whenever_imported(_is_wanted, _align)


def unpatch_modules(*names: str) -> None:
    """Take back what `patch_modules` was given under these names, or all of it; any other name changes nothing."""
    for key in [*_selected]:
        if not names or key[0] in names:
            _selected.pop(key, None)
    if not _selected:
        forget_whenever(_is_wanted, _align)
    for module in [*_seen]:
        _align(module)


def _pattern(name: object, *, package: bool = True) -> str:
    """Return the regular expression for a name, but for the `.*` at its end."""
    if not isinstance(name, str) or not all(name.split(".")) or _NOT_IN_NAMES.search(name) or not package:
        raise ValueError(f"{name!r:.200} names no module: expected 'shop.orders', or 'shop.*' for all below a package")
    return ".*".join(map(re.escape, name.removesuffix(".*").split("*")))


def _is_wanted(module_name: str) -> bool:
    return any(pattern.fullmatch(module_name) for pattern, _ in [*_selected.values()])


def _is_selected(module_name: str, path: str) -> bool:
    dotted = f"{module_name}.{path}"
    return any(
        pattern.fullmatch(module_name) and not ignored.fullmatch(dotted) for pattern, ignored in [*_selected.values()]
    )


def _align(module: ModuleType) -> None:
    """Trace the functions of a module that are selected, and put back those that no longer are."""
    if not issubclass(type(module), ModuleType):  # what a module has put in its own place
        return
    _seen.add(module)
    namespace: dict[str, Any] = object.__getattribute__(module, "__dict__")  # a lazy module's own would load it
    home = namespace.get("__name__")
    made: dict[int, object] = {}  # one for each function, whatever names it has
    for holder, name, path in _functions(namespace, str(home), "", set()):
        try:
            raw = _content(holder)[name]
            put = _other(raw, str(home), path, made)
            if put is not None:
                _put(holder, name, put)
        except Exception as fault:  # noqa: BLE001 - the edge where our faults stop, and a class refuses
            swallow(fault)


def _other(raw: Any, home: str, path: str, made: dict[int, object]) -> object:
    """Return what is to stand in the place of a function, or None if it is to stay."""
    function: Any = _function(raw)
    if not _is_selected(home, path):
        return _original_of(function)
    if _is_traced(function):
        return None
    if id(raw) not in made:
        name = function.__qualname__
        made[id(raw)] = ours = traced(path if "<" in name else name)(raw)  # no `<lambda>` nor `logged.<locals>.inner`
        vars(_function(ours))[_ORIGINAL] = (ref(_function(ours)), raw)
    return made[id(raw)]


def _original_of(function: Any) -> object:
    """Return what stood in the place of a function of ours; None for any other, attributes of ours or not."""
    known, raw = vars(function).get(_ORIGINAL, (None, None))
    return raw if known is not None and known() is function else None


def _functions(holder: Any, home: str, path: str, seen: set[int]) -> Iterator[tuple[Any, str, str]]:
    """Yield where each function stands that is defined in this module: in what, and under which name and path.

    Nothing is asked of any value but its type: it may be a proxy, which would go and look at what it stands for.
    """
    for name, value in [*_content(holder).items()]:
        if issubclass(type(value), type):
            if id(value) not in seen and type.__getattribute__(value, "__module__") == home:
                seen.add(id(value))
                yield from _functions(value, home, f"{path}{name}.", seen)
        elif not _is_special(holder, name):
            function = _function(value)
            if function is not None and function.__module__ == home:
                yield holder, name, path + name


def _content(holder: Any) -> dict[str, Any]:
    return holder if type(holder) is dict else type.__getattribute__(holder, "__dict__")


def _put(holder: Any, name: str, value: object) -> None:
    if type(holder) is dict:
        holder[name] = value
    else:
        setattr(holder, name, value)


def _function(value: Any) -> FunctionType | None:
    """Return the Python function that a value is, as a plain, static or class method; None for anything else."""
    if type(value) is staticmethod or type(value) is classmethod:
        value = value.__func__
    return value if type(value) is FunctionType else None


def _is_special(holder: Any, name: str) -> bool:
    """Say whether Python calls a method by itself, at any time: what prints, compares or makes an object."""
    if not (name.startswith("__") and name.endswith("__")):
        return False
    return name != "__call__" or type(holder) is dict or issubclass(holder, type)


def _is_traced(function: Any) -> bool:
    """Say whether a function is traced already: by us, by `@traced`, or below another decorator."""
    for _ in range(_DEEPEST):
        if type(function) is not FunctionType:
            break
        if is_ours(function.__code__):
            return True
        function = vars(function).get("__wrapped__")
    return False
