"""What a filter expression says, as a tree; `str` of a node writes the expression again."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, Union

from xray_lambda.viewer.filters.tokens import quoted

Value = Union[str, float, bool]  # noqa: UP007 - read when this file is, on Python 3.10 too
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class All(NamedTuple):
    """Every part holds; one without parts always does."""

    parts: tuple[Any, ...]

    def __str__(self) -> str:
        return " AND ".join(_inner(part) for part in self.parts)


class Some(NamedTuple):
    """At least one part holds."""

    alternatives: tuple[Any, ...]

    def __str__(self) -> str:
        return " OR ".join(_inner(part) for part in self.alternatives)


class Not(NamedTuple):
    """The part does not hold."""

    denied: Any

    def __str__(self) -> str:
        return f"!{_inner(self.denied)}"


class Keyword(NamedTuple):
    """A keyword and what it is compared with; without operator: it is true, or it is set."""

    keyword: str
    operator: str | None
    value: Value | None

    def __str__(self) -> str:
        return self.keyword if self.operator is None else f"{self.keyword} {self.operator} {literal(self.value)}"


class Annotated(NamedTuple):
    """An annotation and what it is compared with; without operator: it is set, and not false."""

    key: str
    operator: str | None
    value: Value | None

    def __str__(self) -> str:
        name = annotation_name(self.key)
        return name if self.operator is None else f"{name} {self.operator} {literal(self.value)}"


class Target(NamedTuple):
    """Which service is meant; what is None may be anything."""

    name: str | None = None
    type: str | None = None
    account_id: str | None = None

    def __str__(self) -> str:
        if self.type is None and self.account_id is None:
            return "" if self.name is None else quoted(self.name)
        said = (("name", self.name), ("type", self.type), ("account.id", self.account_id))
        return f"id({', '.join(f'{key}: {quoted(value)}' for key, value in said if value is not None)})"


class Service(NamedTuple):
    """A service took part, and its segment is such."""

    service: Target
    block: Any

    def __str__(self) -> str:
        return f"service({self.service}){_braces(self.block)}"


class Edge(NamedTuple):
    """A service was called by another, and the call is such."""

    source: Target
    destination: Target
    block: Any

    def __str__(self) -> str:
        sides = ", ".join(str(side) or quoted("") for side in (self.source, self.destination))
        return f"edge({sides}){_braces(self.block)}"


class Cause(NamedTuple):
    """There is such a root cause. `cause` is fault, error or responsetime; `element` service, entity or exception."""

    cause: str
    element: str
    block: Any

    def __str__(self) -> str:
        return f"rootcause.{self.cause}.{self.element}{_braces(self.block)}"


class CauseLike(NamedTuple):
    """There is a root cause that one of these JSON patterns describes; kept as text, so that nodes can be compared."""

    patterns: str

    def __str__(self) -> str:
        return f"rootcause.json = #{self.patterns}"

    def read(self) -> list[dict[str, Any]]:
        """Return the patterns."""
        found: list[dict[str, Any]] = json.loads(self.patterns)
        return found


EVERYTHING = All(())


def literal(value: Value | None) -> str:
    """Write a value as it stands in an expression."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoted(value) if isinstance(value, str) else _figure(value or 0.0)


def annotation_name(key: str) -> str:
    """Write an annotation's key as it stands in an expression."""
    if _PLAIN_KEY.fullmatch(key):
        return f"annotation.{key}"
    return f"annotation[{quoted(key)}]"


def _figure(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _inner(part: Any) -> str:
    return f"({part})" if isinstance(part, All | Some) else str(part)


def _braces(block: Any) -> str:
    return "" if block == EVERYTHING else f" {{ {block} }}"
