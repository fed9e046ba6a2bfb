"""Factories: subclasses that look like their base, for libraries that take a class of connections or cursors."""

from __future__ import annotations

from functools import lru_cache

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def traced_classes(root: type, make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `make`, called once for each class below `root`; what is no such class is returned as it is."""
    remembered = lru_cache(maxsize=64)(make)

    def traced(factory: Any) -> Any:
        if isinstance(factory, type) and issubclass(factory, root):
            return remembered(factory)  # type: ignore[arg-type]  # mypy takes a class for one of its objects
        return factory  # it may be called too, and need not be hashable

    return traced


def subclass(base: Any, root: type, outer: Mapping[str, object], inner: Mapping[str, object]) -> Any:
    """Return a subclass of `base`, itself below `root`: `outer` stands before what it defines, `inner` behind.

    So `inner` sees what the program's own methods hand on to `root` by `super()`. A class that cannot be subclassed is
    returned as it is.
    """
    kind: Any = type(base)
    try:
        if base is root:
            return kind(base.__name__, (root,), {**_looks(base), **inner, **outer})
        behind = type(root.__name__, (root,), {**_looks(root), **inner})
        return kind(base.__name__, (base, behind), {**_looks(base), **outer})
    except Exception:  # noqa: BLE001 - the program's class may refuse in any way
        return base


def _looks(base: type) -> dict[str, object]:
    return {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
