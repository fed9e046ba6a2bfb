"""The service graph and its figures, read from a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.viewer.made import NOON, a_trace_id, call, documents, segment
from xray_lambda.viewer import graph
from xray_lambda.viewer.filters import Condition, parse, where
from xray_lambda.viewer.statistics import Statistics, histogram, rounded
from xray_lambda.viewer.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store() -> Iterator[Store]:
    found = Store(None)
    yield found
    found.close()


def read(store: Store, expression: str = "", **times: float) -> graph.Graph:
    with store.read() as connection:
        return graph.read(connection, where(parse(expression)), **times)


def trace(number: int, seconds: float = 1.0, **more: Any) -> dict[str, Any]:
    asked = call("bank", number + 0.1, seconds / 2, namespace="remote", **more)
    return segment("shop", number, seconds, trace_id=a_trace_id(number), subsegments=[asked])


def test_a_graph_for_the_screen_has_figures_for_nodes_and_edges(store: Store) -> None:
    store.add(documents(trace(1, 1.0), trace(2, 2.0, fault=True), trace(3, 4.0, error=True, throttle=True)))
    found = graph.for_screen(read(store))
    names = {node["id"]: (node["name"], node["type"]) for node in found["nodes"]}
    bank = next(node for node in found["nodes"] if node["name"] == "bank")
    shop = next(node for node in found["nodes"] if names[node["id"]] == ("shop", ""))
    del bank["id"]
    assert bank == {
        "name": "bank",
        "type": "remote",
        "root": False,
        "inferred": True,
        "requests": 3,
        "faults": 1,
        "errors": 1,
        "throttles": 1,
        "mean": pytest.approx(3.5 / 3),
        "p50": 1.0,
        "p90": 2.0,
        "p99": 2.0,
    }
    assert (shop["root"], shop["inferred"], shop["requests"], shop["p50"]) == (True, False, 3, 2.0)
    edges = {(names[edge["source"]], names[edge["target"]]): edge["requests"] for edge in found["edges"]}
    assert edges == {(("shop", "client"), ("shop", "")): 3, (("shop", ""), ("bank", "remote")): 3}


def test_an_edge_has_the_time_that_the_caller_waited(store: Store) -> None:
    asked = call("bank", 0, 4, namespace="remote")
    store.add(documents(segment("shop", 0, 5, subsegments=[asked]), segment("bank", 1, 1, parent_id=asked["id"])))
    edge = next(edge for edge in read(store).edges if edge.target.name == "bank")
    assert (edge.waited.mean, edge.target.statistics.mean) == (4.0, 1.0)


def test_only_the_traces_in_view_count(store: Store) -> None:
    store.add(documents(*(trace(number, 1.0, fault=number == 3) for number in range(1, 6))))

    def requests(found: graph.Graph) -> int:
        return sum(node.statistics.requests for node in found.nodes if node.name == "bank")

    assert requests(read(store)) == 5
    assert requests(read(store, 'service("bank") { fault }')) == 1
    assert requests(read(store, since=NOON + 2, until=NOON + 4)) == 3
    assert requests(read(store, 'service("bank") { fault }', since=NOON + 4)) == 0


def test_what_is_in_progress_counts_and_has_no_time(store: Store) -> None:
    store.add(documents(segment("shop", seconds=None)))
    shop = next(node for node in read(store).nodes if node.type != "client")
    assert (shop.statistics.requests, shop.statistics.ended) == (1, 0)
    assert (shop.statistics.mean, shop.statistics.percentile(0.5)) == (None, None)
    assert graph.for_api(read(store))[0]["ResponseTimeHistogram"] == []


def test_more_rows_than_are_read_at_once_are_all_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_AT_ONCE", 7)
    store.add(documents(*(trace(number, 1.0) for number in range(50))))
    assert [node.statistics.requests for node in read(store).nodes if node.type != "client"] == [50, 50]


def test_an_empty_store_has_an_empty_graph(store: Store) -> None:
    assert read(store) == ([], [])
    assert graph.for_screen(read(store)) == {"nodes": [], "edges": []}


@settings(max_examples=300, deadline=None)
@given(st.floats(0, 1e6) | st.floats(0, 0.02))
def test_a_time_in_a_histogram_is_off_by_a_twentieth_at_most(value: float) -> None:
    store = Store(None)
    try:
        with store.read() as connection:
            (found,) = connection.execute(f"SELECT {rounded('time')} FROM (SELECT ? time)", (value,)).fetchone()
    finally:
        store.close()
    assert abs(found - value) <= max(0.05 * value, 0.000_006)


def test_percentiles_and_histograms_are_of_those_that_ended() -> None:
    statistics = Statistics()
    statistics.times.update({0.1: 90, 1.0: 9, 5.0: 1, None: 50})
    assert [statistics.percentile(share) for share in (0.5, 0.9, 0.99, 1.0)] == [0.1, 0.1, 1.0, 5.0]
    assert histogram(statistics.times) == [
        {"Value": 0.1, "Count": 90},
        {"Value": 1.0, "Count": 9},
        {"Value": 5.0, "Count": 1},
    ]


def test_a_throttled_request_is_an_error_in_x_rays_counts() -> None:
    statistics = Statistics()
    statistics.flags.update({0: 5, 1: 1, 3: 2, 2: 4, 4: 3})
    assert statistics.summary() == {
        "OkCount": 5,
        "ErrorStatistics": {"ThrottleCount": 3, "OtherCount": 4, "TotalCount": 7},
        "FaultStatistics": {"OtherCount": 3, "TotalCount": 3},
        "TotalCount": 15,
        "TotalResponseTime": 0.0,
    }


def test_the_condition_of_a_graph_takes_parameters(store: Store) -> None:
    store.add(documents(trace(1), trace(2)))
    with store.read() as connection:
        found = graph.read(connection, Condition("traces.trace_id = ?", (a_trace_id(2),)))
    assert sum(node.statistics.requests for node in found.nodes) == 2
