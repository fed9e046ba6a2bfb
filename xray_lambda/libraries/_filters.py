"""Filters: which calls are left out of the trace, and which hosts are sent the trace header."""

from __future__ import annotations

import re
from functools import lru_cache

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from xray_lambda._config import CallFilter


def ignores(filters: tuple[CallFilter, ...], name: str, what: str) -> bool:
    """Say whether a call is to be ignored: by its name (a host, a service), its URL or its `Service.Operation`."""
    return any(_matches(one, name, what) for one in filters)


def sends_header_to(filters: tuple[CallFilter, ...] | None, name: str, what: str) -> bool:
    """Say whether a call carries the trace header; None allows every host."""
    return filters is None or any(_matches(one, name, what) for one in filters)


def _matches(one: CallFilter, name: str, what: str) -> bool:
    if callable(one):
        return bool(one(name, what))
    pattern = _pattern(one)
    return any(pattern.fullmatch(text) for text in (name, name.rpartition(":")[0], what, what.partition("://")[2]))


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of a text in which `*` stands for anything, in a host for no slash; case does not count.

    A URL without a path stands for all of its host.
    """
    scheme, separator, rest = text.rpartition("://")
    host, slash, path = rest.partition("/")
    end = re.escape(slash) + _with_stars(path, ".*") if slash or not separator else "(?:/.*)?"
    start = _with_stars(scheme, "[^:/]*") + re.escape(separator) + _with_stars(host, "[^/]*")
    return re.compile(start + end, re.IGNORECASE | re.DOTALL)


def _with_stars(text: str, anything: str) -> str:
    return anything.join(re.escape(part) for part in re.split(r"\*+", text))
