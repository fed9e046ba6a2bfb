"""The tree of a filter expression -> a condition of SQL over the tables of the store; every value is a parameter.

The condition is one about a row of `traces`; it is never NULL, so that NOT means what it says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xray_lambda.viewer.filters import nodes, patterns
from xray_lambda.viewer.filters.keywords import BOOLEAN, ELEMENTS, NUMBER, SCOPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from xray_lambda.viewer.filters.keywords import Kind


class Condition(NamedTuple):
    """A piece of SQL and the values of its question marks."""

    sql: str
    parameters: tuple[object, ...] = ()


TRUE, FALSE = Condition("1"), Condition("0")


def where(node: Any, scope: str = "trace") -> Condition:
    """Return the condition that an expression makes: `SELECT ... FROM traces WHERE` it."""
    return _WRITERS[type(node)](node, scope)


def _all(node: nodes.All, scope: str) -> Condition:
    return _joined(" AND ", (where(part, scope) for part in node.parts), TRUE)


def _some(node: nodes.Some, scope: str) -> Condition:
    return _joined(" OR ", (where(part, scope) for part in node.alternatives), FALSE)


def _not(node: nodes.Not, scope: str) -> Condition:
    sql, parameters = where(node.denied, scope)
    return Condition(f"(NOT {sql})", parameters)


def _keyword(node: nodes.Keyword, scope: str) -> Condition:
    meaning = SCOPES[scope][node.keyword]
    if not meaning.many:
        return _compared(_column(scope, meaning.field), meaning.kind, node.operator, node.value)
    found = _compared(_column("service", meaning.field), meaning.kind, node.operator, node.value)
    return _some_service(found)


def _annotated(node: nodes.Annotated, scope: str) -> Condition:
    value = _annotation_value(node)
    found = Condition(f"a.key = ? AND {value.sql}", (node.key, *value.parameters))
    if scope == "trace":
        return _listed("annotations a", "a.trace_id", found)
    return _exists(
        "annotations a", Condition(f"a.trace_id = s.trace_id AND a.service = s.place AND {found.sql}", found.parameters)
    )


def _annotation_value(node: nodes.Annotated) -> Condition:
    operator, value = node.operator, node.value
    if operator is None:
        return Condition("coalesce(a.flag, 1)")
    column = "flag" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
    if operator == "!=":  # a value of another type is another value
        return Condition(f"(a.{column} IS NULL OR a.{column} != ?)", (value,))
    if column == "flag":
        return Condition("(a.flag IS NOT NULL AND a.flag = ?)", (value,))
    if column == "number":
        return _number("a.number", operator, value)
    # Here the empty text is a value like any other: the key alone says that the annotation is set.
    return Condition("(a.text IS NOT NULL)") if operator != "=" and value == "" else _text("a.text", operator, value)


def of_services(node: nodes.Service | nodes.Edge) -> Condition:
    """Return the condition over a row of `services`, called s, that a service or an edge makes."""
    if isinstance(node, nodes.Edge):
        source = _named("s.caller", "s.caller_type", node.source)
        return _joined(" AND ", (*source, *_target(node.destination), where(node.block, "edge")), TRUE)
    return _joined(" AND ", (*_target(node.service), where(node.block, "service")), TRUE)


def _service(node: nodes.Service, scope: str) -> Condition:  # noqa: ARG001 - all writers take the same
    return _some_service(of_services(node), indexed=node.service.name is not None)


def _edge(node: nodes.Edge, scope: str) -> Condition:  # noqa: ARG001 - all writers take the same
    return _some_service(of_services(node), indexed=node.destination.name is not None)


def _target(target: nodes.Target) -> list[Condition]:
    account = [] if target.account_id is None else [_text("s.account_id", "=", target.account_id)]
    return [*_named("s.name", "s.type", target), *account]


def _named(name: str, kind: str, target: nodes.Target) -> list[Condition]:
    wanted = ((name, target.name), (kind, target.type))
    return [Condition(f"{column} = ?", (value,)) for column, value in wanted if value is not None]


def _some_service(condition: Condition, *, indexed: bool = False) -> Condition:
    """Hold for traces with such a service; where an index finds these, they are looked up once, not trace by trace."""
    if indexed:
        return _listed("services s", "s.trace_id", condition)
    return _exists("services s", Condition(f"s.trace_id = traces.trace_id AND {condition.sql}", condition.parameters))


def _cause(node: nodes.Cause, scope: str) -> Condition:  # noqa: ARG001 - all writers take the same
    sources = [f"json_each(traces.root_causes, '$.{node.cause}') e0"]
    for depth, name in enumerate(ELEMENTS[node.element]):
        sources.append(f"json_each(e{depth}.value, '$.{name}') e{depth + 1}")
    block = where(node.block, f"rootcause.{node.element}")
    return _exists(", ".join(sources), block)


def _cause_like(node: nodes.CauseLike, scope: str) -> Condition:  # noqa: ARG001 - all writers take the same
    fitting = _joined(" OR ", (_pattern(pattern) for pattern in node.read()), FALSE)
    return _exists("json_each(traces.root_causes) k, json_each(k.value) c", fitting)


def _pattern(pattern: dict[str, Any]) -> Condition:
    read = {"is": "json_extract(c.value, ?) IS ?", "length": "json_array_length(c.value, ?) IS ?"}
    found = (Condition(read[what], (path, value)) for what, path, value in patterns.conditions(pattern))
    return _joined(" AND ", found, TRUE)


def _column(scope: str, field: str) -> str:
    """Write where a field stands: in a column, or in an element of a root cause."""
    if scope.startswith("rootcause"):
        return _element(scope, field)
    table = "traces" if scope == "trace" else "s"
    if field == "ok":
        bad = ("fault", "error") if scope == "trace" else ("fault", "error", "throttle")
        return f"(NOT ({' OR '.join(f'{table}.{flag}' for flag in bad)}))"
    return f'{table}."{field}"'


def _element(scope: str, field: str) -> str:
    lists = ELEMENTS[scope.partition(".")[2]]
    depth = len(lists)
    if field == "last":
        return f"(e{depth}.key = json_array_length(e{depth - 1}.value, '$.{lists[-1]}') - 1)"
    places = {"first": f"(e{depth}.key = 0)", "index": f"e{depth}.key"}
    return places.get(field) or f"json_extract(e{depth}.value, '$.{field}')"


def _compared(column: str, kind: Kind, operator: str | None, value: object) -> Condition:
    if kind is BOOLEAN:
        wanted = operator is None or (operator == "=") == value
        return Condition(f"coalesce({column}, 0)" if wanted else f"(NOT coalesce({column}, 0))")
    if kind is NUMBER:
        return Condition(f"({column} IS NOT NULL)") if operator is None else _number(column, operator, value)
    if operator is None or (value == "" and operator not in ("=", "!=")):
        return Condition(f"(coalesce({column}, '') != '')")
    return _text(column, operator, value)


def _number(column: str, operator: str, value: object) -> Condition:
    return Condition(f"({column} IS NOT NULL AND {column} {operator} ?)", (value,))


def _text(column: str, operator: str, value: object) -> Condition:
    sql, parameters = _TEXT[operator](column, str(value))
    return Condition(f"({column} IS NOT NULL AND {sql})", parameters)


def _begins(column: str, value: str) -> Condition:
    """Ask for a range, which an index can find."""
    end = _after(value)
    if end is None:
        return Condition(f"{column} >= ?", (value,))
    return Condition(f"{column} >= ? AND {column} < ?", (value, end))


def _after(prefix: str) -> str | None:
    """Return the least text after all that begin with `prefix`, in the order of code points; None if there is none."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)  # no text of SQLite has surrogates


_TEXT: dict[str, Callable[[str, str], Condition]] = {
    "=": lambda column, value: Condition(f"{column} = ?", (value,)),
    "!=": lambda column, value: Condition(f"{column} != ?", (value,)),
    "CONTAINS": lambda column, value: Condition(f"instr({column}, ?) > 0", (value,)),
    "BEGINSWITH": _begins,
    "ENDSWITH": lambda column, value: Condition(f"substr({column}, ?) = ?", (-len(value), value)),
}
_WRITERS: dict[type, Callable[[Any, str], Condition]] = {
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


def _exists(tables: str, condition: Condition) -> Condition:
    """Hold where there is such a row. Nothing that a user wrote is ever part of the SQL."""
    return Condition(f"EXISTS (SELECT 1 FROM {tables} WHERE {condition.sql})", condition.parameters)  # noqa: S608


def _listed(table: str, column: str, condition: Condition) -> Condition:
    """Hold for the traces of such rows."""
    sql = f"traces.trace_id IN (SELECT {column} FROM {table} WHERE {condition.sql})"  # noqa: S608 - as above
    return Condition(sql, condition.parameters)


def _joined(word: str, conditions: Iterable[Condition], none: Condition) -> Condition:
    found = list(conditions)
    if not found:
        return none
    sql = word.join(condition.sql for condition in found)
    return Condition(f"({sql})", tuple(value for condition in found for value in condition.parameters))
