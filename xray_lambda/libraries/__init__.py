"""Libraries: which of them are traced, and the switch that turns each on and off."""

from __future__ import annotations

from xray_lambda._recorder import active
from xray_lambda.libraries import threads

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

# Each library by the name that `patch` takes, with the distribution that brings it (None: Python itself).
SUPPORTED: dict[str, str | None] = {"threads": None}

_CARDS: dict[str, ModuleType] = {"threads": threads}


def patch(*names: str) -> None:
    """Trace the named libraries, now or when the program imports them; a second call changes nothing.

    Raises ValueError for an unknown name. Example: `patch("threads")`.
    """
    _check(names)
    if active().config.enabled:
        for name in names:
            _CARDS[name].apply()


def patch_all(*, ignore: Iterable[str] = ()) -> None:
    """Trace every supported library but those in `ignore`; imports none of them."""
    ignored = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    _check(ignored)
    patch(*(name for name in SUPPORTED if name not in ignored))


def unpatch(*names: str) -> None:
    """Stop tracing the named libraries, or all of them; one that is not traced stays as it is."""
    _check(names)
    for name in names or SUPPORTED:
        _CARDS[name].undo()


def _check(names: tuple[str, ...]) -> None:
    for name in names:
        if name not in SUPPORTED:
            from difflib import get_close_matches  # noqa: PLC0415 - 2 ms that only a mistake costs

            close = get_close_matches(str(name), SUPPORTED, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ValueError(f"unknown library {name!r}: {hint}the known ones are {', '.join(sorted(SUPPORTED))}")
