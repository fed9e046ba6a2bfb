"""Hypothesis strategies: trees of filter expressions, and traces that they may or may not fit."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.viewer.made import NOON, a_trace_id
from xray_lambda.viewer.filters import nodes
from xray_lambda.viewer.filters.keywords import BOOLEAN, NUMBER, ROOT_CAUSES, SCOPES

# Few names, so that expressions and traces meet. SQLite's functions end a text at its first NUL, so there is none.
NAMES = st.sampled_from(["shop", "shop", "price", "Price", "T", "é\U0010ffff", '"%_\\'])
TEXTS = NAMES | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=4)
NUMBERS = st.sampled_from([0.0, 0.5, 1.0, 2.0, 200.0, 404.0, 500.0, -1.5, 1e-7, 1e20]) | st.floats(-1e6, 1e6)
KEYS = st.sampled_from(["order", "ColdStart", "a.b", "x y", '"quoted"'])
VALUES = st.one_of(TEXTS | st.just(""), NUMBERS, st.booleans())


def keyword(scope: str) -> st.SearchStrategy[nodes.Keyword]:
    return st.sampled_from(sorted(SCOPES[scope])).flatmap(lambda name: _compared(scope, name))


def _compared(scope: str, name: str) -> st.SearchStrategy[nodes.Keyword]:
    kind = SCOPES[scope][name].kind
    values: st.SearchStrategy[Any] = (
        st.booleans() if kind is BOOLEAN else NUMBERS if kind is NUMBER else TEXTS | st.just("")
    )
    compared = st.builds(nodes.Keyword, st.just(name), st.sampled_from(kind.operators), values)
    return compared | st.just(nodes.Keyword(name, None, None))


def annotated() -> st.SearchStrategy[nodes.Annotated]:
    text = st.builds(
        nodes.Annotated,
        KEYS,
        st.sampled_from(["=", "!=", "CONTAINS", "BEGINSWITH", "ENDSWITH"]),
        TEXTS | st.just(""),
    )
    figure = st.builds(nodes.Annotated, KEYS, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), NUMBERS)
    flag = st.builds(nodes.Annotated, KEYS, st.sampled_from(["=", "!="]), st.booleans())
    return text | figure | flag | KEYS.map(lambda key: nodes.Annotated(key, None, None))


def combined(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def more(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
        denied = inner.filter(lambda node: not isinstance(node, nodes.Not)).map(nodes.Not)
        return parts.map(nodes.All) | parts.map(nodes.Some) | denied

    return st.recursive(leaves, more, max_leaves=3)


def block(scope: str) -> st.SearchStrategy[Any]:
    leaves: st.SearchStrategy[Any] = keyword(scope)
    if not scope.startswith("rootcause"):
        leaves |= annotated()
    return st.just(nodes.EVERYTHING) | combined(leaves)


OPTIONAL = st.sampled_from([None, None, None, "shop", "price", "T"])
TYPES = st.sampled_from([None, None, None, None, "remote", "client", "AWS::DynamoDB::Table", "Database::SQL"])
TARGETS = st.builds(nodes.Target, OPTIONAL, TYPES, st.sampled_from([None, None, None, "123456789012"]))
SOURCES = st.builds(nodes.Target, OPTIONAL, TYPES, st.none())
CAUSES = (
    st.sampled_from(ROOT_CAUSES)
    .map(lambda name: name.split(".")[1:])
    .flatmap(lambda parts: st.builds(nodes.Cause, st.just(parts[0]), st.just(parts[1]), block(f"rootcause.{parts[1]}")))
)
SERVICES = st.builds(nodes.Service, TARGETS, block("service"))
EDGES = st.builds(nodes.Edge, SOURCES, TARGETS, block("edge"))
# By what is asked: each kind is tried on its own, so that none is rare.
CONDITIONS: dict[str, st.SearchStrategy[Any]] = {
    "keyword": keyword("trace"),
    "annotation": annotated(),
    "service": SERVICES,
    "edge": EDGES,
    "cause": CAUSES,
}
EXPRESSIONS = combined(st.one_of(list(CONDITIONS.values())))


@st.composite
def subsegment(draw: Any, depth: int = 1) -> dict[str, Any]:
    start = draw(st.floats(0, 2))
    body: dict[str, Any] = {"name": draw(NAMES), "start_time": NOON + start}
    body |= draw(st.sampled_from([{"in_progress": True}, {"end_time": NOON + start + 0.5}, {"end_time": NOON + 3}]))
    body |= draw(st.sampled_from([{}, {}, {"fault": True}, {"error": True}, {"error": True, "throttle": True}]))
    namespace = draw(st.sampled_from([None, "aws", "remote"]))
    if namespace:
        body["namespace"] = namespace
    body |= draw(st.sampled_from([{}, {"aws": {"table_name": "T"}, "name": "DynamoDB"}, {"sql": {}}]))
    body |= draw(_details())
    if depth:
        body["subsegments"] = draw(st.lists(subsegment(depth - 1), max_size=2))
    return body


@st.composite
def _details(draw: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        found["annotations"] = draw(st.dictionaries(KEYS, VALUES, max_size=2))
    if draw(st.booleans()):
        found["http"] = {
            "request": {"method": "GET", "url": draw(TEXTS)},
            "response": {"status": draw(st.sampled_from([200, 404, 429, 500]))},
        }
    if found.get("fault") or draw(st.integers(0, 3)) == 0:
        found |= {"fault": True, "cause": {"exceptions": [{"type": draw(NAMES), "message": draw(TEXTS)}]}}
    return found


@st.composite
def trace(draw: Any, number: int = 1) -> list[dict[str, Any]]:
    """Draw the documents of a trace: a segment, or a Lambda function's subsegment, and perhaps another segment."""
    root = draw(subsegment()) | {"trace_id": a_trace_id(number), "id": f"{number:04x}{0:012x}"}
    root.pop("namespace", None)
    root |= draw(
        st.sampled_from(
            [
                {},
                {"user": "shop", "aws": {"account_id": "123456789012"}},
                {"origin": "AWS::EC2::Instance", "aws": {"ec2": {"instance_id": "T", "availability_zone": "a b"}}},
                {"type": "subsegment", "parent_id": "f" * 16, "annotations": {"ColdStart": True}},
            ]
        )
    )
    bodies = [root]
    for place, child in enumerate(_walk(root)):
        child.setdefault("id", f"{number:04x}{place:012x}")
    if draw(st.booleans()):
        parent = draw(st.sampled_from([child["id"] for child in _walk(root)]))
        other = draw(subsegment(0)) | {
            "trace_id": root["trace_id"],
            "id": f"{number:04x}{'f' * 12}",
            "parent_id": parent,
        }
        other.pop("namespace", None)
        bodies.append(other)
    return bodies


def _walk(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [body, *(found for child in body.get("subsegments", ()) for found in _walk(child))]
