"""The service graph: which services took part in some traces, how they did, and who called whom."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from xray_lambda.viewer.services import CLIENT
from xray_lambda.viewer.statistics import FLAGS, Statistics, histogram, rounded

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

    def take(self, edge: Edge) -> None:
        """Count calls that came in."""
        self.statistics.add(edge.taken)
        self.account_id = self.account_id or edge.account_id
        self.root = self.root or edge.root
        self.inferred = self.inferred and edge.inferred
        self.during(edge)

    def during(self, edge: Edge) -> None:
        """Be there as long as these calls took."""
        self.start = min(self.start, edge.start)
        self.end = max(self.end, edge.end)


class Edge:
    """The calls of one service by another: `waited` has the times that the caller saw, `taken` those of the called."""

    __slots__ = ("account_id", "end", "inferred", "root", "source", "start", "taken", "target", "waited")

    source: Node
    target: Node

    def __init__(self) -> None:
        self.account_id: str | None = None
        self.root = False
        self.inferred = True
        self.start = float("inf")
        self.end = 0.0
        self.waited = Statistics()
        self.taken = Statistics()

    def take(self, columns: Iterable[tuple[Any, ...]]) -> None:
        """Count some calls, given column by column, as `read` selects them."""
        accounts, roots, inferred, starts, ends, answered, waited, flags, *times = columns
        self.account_id = self.account_id or next(filter(None, accounts), None)
        self.root = self.root or any(roots)
        self.inferred = self.inferred and all(inferred)
        self.start = min(self.start, *starts)
        self.end = max(self.end, *ends)
        self.taken.seconds += sum(answered)
        self.waited.seconds += sum(waited)
        self.taken.flags.update(flags)
        counts = (self.taken.durations, self.taken.times, self.waited.times)
        for count, values in zip(counts, times, strict=True):
            count.update(values)


class Graph(NamedTuple):
    """Services and the calls between them, those first where traces began."""

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
        "SELECT s.name, s.type, s.caller, s.caller_type, s.account_id, s.root, s.inferred, s.start, "  # noqa: S608 - columns of ours; the filters bind what users write
        "s.start + coalesce(s.duration, 0), coalesce(s.response_time, 0), coalesce(s.call_time, 0), "
        f"{FLAGS}, {rounded('s.duration')}, {rounded('s.response_time')}, {rounded('s.call_time')} "
        f"FROM services s WHERE s.trace_id IN (SELECT traces.trace_id FROM traces WHERE {wanted})"
    )
    cursor = connection.cursor()
    cursor.row_factory = None
    cursor.execute(statement, parameters)
    edges: dict[tuple[str, str, str, str], Edge] = {}
    while rows := cursor.fetchmany(_AT_ONCE):
        _count(rows, edges)
    return _graph(edges)


# SQLite would sort all rows to group them, which takes longer than this; so many at a time are some 30 MB.
_AT_ONCE = 50_000


def _count(rows: list[tuple[Any, ...]], edges: dict[tuple[str, str, str, str], Edge]) -> None:
    groups: dict[tuple[str, str, str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        groups[row[:4]].append(row[4:])
    for key, group in groups.items():
        edge = edges.get(key) or edges.setdefault(key, Edge())
        edge.take(zip(*group, strict=True))


def _graph(edges: dict[tuple[str, str, str, str], Edge]) -> Graph:
    nodes: dict[Key, Node] = {}
    # In what order rows come is the store's business; a graph has the entries first, then what was called first.
    for (name, kind, caller, caller_type), edge in sorted(edges.items(), key=_by_entry):
        target, source = (name, kind), (caller, caller_type)
        edge.target = nodes.get(target) or nodes.setdefault(target, Node(len(nodes), *target))
        edge.source = nodes.get(source) or nodes.setdefault(source, Node(len(nodes), *source))
        edge.waited.flags = edge.taken.flags
        edge.target.take(edge)
        if caller_type == CLIENT:
            edge.source.during(edge)
    return Graph(list(nodes.values()), list(edges.values()))


def _by_entry(item: tuple[tuple[str, str, str, str], Edge]) -> tuple[bool, float, tuple[str, str, str, str]]:
    key, edge = item
    return not edge.root, edge.start, key


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
        "SummaryStatistics": edge.waited.summary(),
        "ResponseTimeHistogram": histogram(edge.waited.times),
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
            {"source": edge.source.number, "target": edge.target.number} | _figures(edge.waited) for edge in graph.edges
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
