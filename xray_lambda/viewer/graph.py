"""The service graph: which services took part in some traces, how they did, and who called whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from xray_lambda.viewer.services import CLIENT
from xray_lambda.viewer.statistics import COUNTS, Statistics, histogram, rounded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from typing import Any

    from xray_lambda.viewer.filters import Condition

Key = tuple[str, str]


class Node:
    """A service, known by its name and type; a client has no statistics of its own."""

    __slots__ = ("account_id", "end", "inferred", "name", "number", "root", "start", "statistics", "type")

    def __init__(self, number: int, name: str, kind: str) -> None:
        self.number = number
        self.name = name
        self.type = kind
        self.account_id: str | None = None
        self.root = False
        self.inferred = True
        self.start = float("inf")
        self.end = 0.0
        self.statistics = Statistics()


class Edge:
    """The calls of one service by another; their times are as the caller waited."""

    __slots__ = ("end", "source", "start", "statistics", "target")

    def __init__(self, source: Node, target: Node) -> None:
        self.source = source
        self.target = target
        self.start = float("inf")
        self.end = 0.0
        self.statistics = Statistics()


class Graph(NamedTuple):
    """Services and the calls between them, those that nobody called first."""

    nodes: list[Node]
    edges: list[Edge]


def read(
    connection: sqlite3.Connection, condition: Condition, since: float | None = None, until: float | None = None
) -> Graph:
    """Return the graph of the traces that a condition over `traces` fits, and that began between two times."""
    limits = [(f"traces.start {sign} ?", value) for sign, value in ((">=", since), ("<=", until)) if value is not None]
    wanted = " AND ".join([*(sql for sql, _ in limits), condition.sql])
    parameters = (*(value for _, value in limits), *condition.parameters)
    statement = (
        "SELECT s.name, s.type, s.account_id, s.caller, s.caller_type, max(s.root) root, min(s.inferred) inferred, "  # noqa: S608 - columns of ours; the filters bind what users write
        f"{rounded('s.response_time')} time, {rounded('s.duration')} duration, {rounded('s.call_time')} waited, "
        f"total(s.response_time) seconds, total(s.call_time) waited_seconds, {COUNTS}, "
        "min(s.start) start, max(s.start + coalesce(s.duration, 0)) over "
        f"FROM services s WHERE s.trace_id IN (SELECT traces.trace_id FROM traces WHERE {wanted}) "
        "GROUP BY s.name, s.type, s.account_id, s.caller, s.caller_type, time, s.duration IS NULL, duration, waited"
    )
    return _graph(connection.execute(statement, parameters))


def _graph(rows: Iterable[sqlite3.Row]) -> Graph:
    nodes: dict[Key, Node] = {}
    edges: dict[tuple[Key, Key], Edge] = {}
    for row in rows:
        key, caller = (row["name"], row["type"]), (row["caller"], row["caller_type"])
        node = nodes.get(key) or nodes.setdefault(key, Node(len(nodes), *key))
        source = nodes.get(caller) or nodes.setdefault(caller, Node(len(nodes), *caller))
        edge = edges.get((caller, key)) or edges.setdefault((caller, key), Edge(source, node))
        _count(node, edge, row)
    for edge in edges.values():  # a client is there as long as what it calls
        if edge.source.type == CLIENT:
            edge.source.start = min(edge.source.start, edge.start)
            edge.source.end = max(edge.source.end, edge.end)
    return Graph(list(nodes.values()), list(edges.values()))


def _count(node: Node, edge: Edge, row: sqlite3.Row) -> None:
    node.statistics.add(row, row["time"], row["duration"])
    node.statistics.seconds += row["seconds"]
    edge.statistics.add(row, row["waited"], None)
    edge.statistics.seconds += row["waited_seconds"]
    node.account_id = node.account_id or row["account_id"]
    node.root = node.root or bool(row["root"])
    node.inferred = node.inferred and bool(row["inferred"])
    for part in (node, edge):
        part.start = min(part.start, row["start"])
        part.end = max(part.end, row["over"])


def for_api(graph: Graph) -> list[dict[str, Any]]:
    """Return a graph in the form of X-Ray's `Services`."""
    leaving: dict[int, list[Edge]] = {}
    for edge in graph.edges:
        leaving.setdefault(edge.source.number, []).append(edge)
    return [_service(node, leaving.get(node.number, [])) for node in graph.nodes]


def _service(node: Node, leaving: list[Edge]) -> dict[str, Any]:
    service: dict[str, Any] = {
        "ReferenceId": node.number,
        "Name": node.name,
        "Names": [node.name],
        "State": "unknown" if node.inferred else "active",
        "StartTime": node.start,
        "EndTime": node.end,
        "Edges": [_edge(edge) for edge in leaving],
    }
    optional = {"Root": node.root, "Type": node.type, "AccountId": node.account_id}
    service |= {key: value for key, value in optional.items() if value}
    if node.type != CLIENT:
        service |= {
            "SummaryStatistics": node.statistics.summary(),
            "DurationHistogram": histogram(node.statistics.durations),
            "ResponseTimeHistogram": histogram(node.statistics.times),
        }
    return service


def _edge(edge: Edge) -> dict[str, Any]:
    return {
        "ReferenceId": edge.target.number,
        "StartTime": edge.start,
        "EndTime": edge.end,
        "SummaryStatistics": edge.statistics.summary(),
        "ResponseTimeHistogram": histogram(edge.statistics.times),
        "Aliases": [],
    }


def for_screen(graph: Graph) -> dict[str, list[dict[str, Any]]]:
    """Return a graph as the page draws it: nodes with an id, and edges between these ids; times in seconds."""
    return {
        "nodes": [
            {"id": node.number, "name": node.name, "type": node.type, "root": node.root, "inferred": node.inferred}
            | _figures(node.statistics)
            for node in graph.nodes
        ],
        "edges": [
            {"source": edge.source.number, "target": edge.target.number} | _figures(edge.statistics)
            for edge in graph.edges
        ],
    }


def _figures(statistics: Statistics) -> dict[str, Any]:
    return {
        "requests": statistics.requests,
        "faults": statistics.fault,
        "errors": statistics.error,
        "throttles": statistics.throttle,
        "mean": statistics.mean,
        "p50": statistics.percentile(0.5),
        "p90": statistics.percentile(0.9),
        "p99": statistics.percentile(0.99),
    }
