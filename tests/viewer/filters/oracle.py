"""A second reading of filter expressions, of one summary and without SQL: the tests hold the first one to it."""

from __future__ import annotations

import json
import operator
from typing import TYPE_CHECKING, NamedTuple

from xray_lambda.viewer.filters import nodes
from xray_lambda.viewer.filters.keywords import BOOLEAN, ELEMENTS, NUMBER, SCOPES
from xray_lambda.viewer.summaries import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from xray_lambda.viewer.filters.keywords import Kind
    from xray_lambda.viewer.summaries import Annotation


class _Here(NamedTuple):
    """What an expression speaks of: a trace, and in braces one of its services or an element of a root cause."""

    summary: Summary
    place: int
    subject: Any


def matches(node: Any, summary: Summary) -> bool:
    """Say whether a trace is one of those that the expression is about."""
    return _holds(node, "trace", _Here(summary, -1, summary))


def _holds(node: Any, scope: str, here: _Here) -> bool:
    return _TESTS[type(node)](node, scope, here)


def _all(node: nodes.All, scope: str, here: _Here) -> bool:
    return all(_holds(part, scope, here) for part in node.parts)


def _some(node: nodes.Some, scope: str, here: _Here) -> bool:
    return any(_holds(part, scope, here) for part in node.alternatives)


def _not(node: nodes.Not, scope: str, here: _Here) -> bool:
    return not _holds(node.denied, scope, here)


def _keyword(node: nodes.Keyword, scope: str, here: _Here) -> bool:
    meaning = SCOPES[scope][node.keyword]
    if meaning.many:
        values = [getattr(service, meaning.field) for service in here.summary.services]
    elif isinstance(here.subject, dict):
        values = [here.subject.get(meaning.field)]
    else:
        values = [_value(here.subject, meaning.field)]
    return any(_compared(value, meaning.kind, node.operator, node.value) for value in values)


def _value(subject: Any, field: str) -> Any:
    if field != "ok":
        return getattr(subject, field)
    bad = ("fault", "error") if isinstance(subject, Summary) else ("fault", "error", "throttle")
    return not any(getattr(subject, flag) for flag in bad)


def _annotated(node: nodes.Annotated, scope: str, here: _Here) -> bool:
    return any(
        _is_annotation(given, node)
        for given in here.summary.annotations
        if given.key == node.key and (scope == "trace" or given.service == here.place)
    )


def _is_annotation(given: Annotation, node: nodes.Annotated) -> bool:
    value: Any = next(value for value in (given.text, given.number, given.flag) if value is not None)
    if node.operator is None:
        return value is not False
    same_type = isinstance(value, bool) == isinstance(node.value, bool) and isinstance(value, str) == isinstance(
        node.value, str
    )
    if not same_type:
        return node.operator == "!="
    return bool(_COMPARISONS[node.operator](value, node.value))


def _service(node: nodes.Service, scope: str, here: _Here) -> bool:
    return any(
        _is_target(node.service, service.name, service.type, service.account_id)
        and _holds(node.block, "service", here._replace(place=place, subject=service))
        for place, service in enumerate(here.summary.services)
    )


def _edge(node: nodes.Edge, scope: str, here: _Here) -> bool:
    return any(
        _is_target(node.source, service.caller, service.caller_type, None)
        and _is_target(node.destination, service.name, service.type, service.account_id)
        and _holds(node.block, "edge", here._replace(place=place, subject=service))
        for place, service in enumerate(here.summary.services)
    )


def _is_target(target: nodes.Target, name: str, kind: str, account_id: str | None) -> bool:
    wanted = ((target.name, name), (target.type, kind), (target.account_id, account_id))
    return all(expected is None or expected == value for expected, value in wanted)


def _cause(node: nodes.Cause, scope: str, here: _Here) -> bool:
    found = _elements(_causes(here.summary).get(node.cause, []), ELEMENTS[node.element])
    inner = f"rootcause.{node.element}"
    return any(_holds(node.block, inner, here._replace(subject=element)) for element in found)


def _elements(causes: list[dict[str, Any]], lists: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield the elements of the innermost list, each with its place in it."""
    holders = causes
    for name in lists[:-1]:
        holders = [item for holder in holders for item in holder.get(name, [])]
    for holder in holders:
        items = holder.get(lists[-1], [])
        for index, item in enumerate(items):
            yield {**item, "index": index, "first": index == 0, "last": index == len(items) - 1}


def _cause_like(node: nodes.CauseLike, scope: str, here: _Here) -> bool:
    wanted = node.read()
    causes = [cause for found in _causes(here.summary).values() for cause in found]
    return any(_fits(pattern, cause) for pattern in wanted for cause in causes)


def _fits(pattern: dict[str, Any], cause: dict[str, Any]) -> bool:
    """Say whether a cause, or a part of one, has all that a pattern says."""
    for key, expected in pattern.items():
        value = cause.get(key)
        if isinstance(expected, list):
            if not isinstance(value, list) or len(value) != len(expected):
                return False
            if not all(_fits(item, part) for item, part in zip(expected, value, strict=True)):
                return False
        elif value != expected:
            return False
    return True


def _causes(summary: Summary) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(summary.root_causes) if summary.root_causes else {}
    return found


def _compared(value: Any, kind: Kind, comparison: str | None, expected: Any) -> bool:
    if kind is BOOLEAN:
        wanted = comparison is None or (comparison == "=") == expected
        return bool(value) == wanted
    if value is None:
        return False
    if kind is NUMBER:
        return comparison is None or bool(_COMPARISONS[comparison](value, expected))
    if comparison is None or (expected == "" and comparison not in ("=", "!=")):
        return bool(value)
    return bool(_COMPARISONS[comparison](value, expected))


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "CONTAINS": operator.contains,
    "BEGINSWITH": str.startswith,
    "ENDSWITH": str.endswith,
}
_TESTS: dict[type, Callable[[Any, str, _Here], bool]] = {
    nodes.All: _all,
    nodes.Some: _some,
    nodes.Not: _not,
    nodes.Keyword: _keyword,
    nodes.Annotated: _annotated,
    nodes.Service: _service,
    nodes.Edge: _edge,
    nodes.Cause: _cause,
    nodes.CauseLike: _cause_like,
}
