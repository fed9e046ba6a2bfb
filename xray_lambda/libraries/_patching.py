"""Replaces an attribute of a class or module by a wrapper, once, and puts the original back."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable

    Wrapper = Callable[[Callable[..., object]], Callable[..., object]]

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
    wrapped = wrap(getattr(owner, name))
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
