"""GetServiceGraph, GetTraceGraph and GetTimeSeriesServiceStatistics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from xray_lambda.viewer import graph
from xray_lambda.viewer.api.calls import Refused, listed, no_group, optional_text, time_range
from xray_lambda.viewer.filters import Condition, FilterError, of_services, parse
from xray_lambda.viewer.filters.nodes import Edge, Service
from xray_lambda.viewer.statistics import histogram, series

if TYPE_CHECKING:
    from xray_lambda.viewer.serve import Viewer
    from xray_lambda.viewer.statistics import Statistics

Body = dict[str, Any]
_MOST_TRACES = 500
# X-Ray has a value a minute, or every five; a screen's worth of any period is enough.
_PERIOD = 60
_MOST_VALUES = 1_000
# What comes in from outside: X-Ray gives the statistics of edges where nothing is selected.
_ENTRIES = Condition("s.root")


def get_service_graph(viewer: Viewer, body: Body) -> Body:
    """Return the services of all traces that began in a time range."""
    start, end = time_range(body)
    no_group(body)
    with viewer.store.read() as connection:
        found = graph.read(connection, Condition("1"), start, end)
    services = graph.for_api(found)
    return {"StartTime": start, "EndTime": end, "Services": services, "ContainsOldGroupVersions": False}


def get_trace_graph(viewer: Viewer, body: Body) -> Body:
    """Return the services of some traces."""
    ids = listed(body, "TraceIds", str, _MOST_TRACES)
    condition = Condition(f"traces.trace_id IN ({', '.join('?' * len(ids))})", tuple(ids))
    with viewer.store.read() as connection:
        return {"Services": graph.for_api(graph.read(connection, condition))}


def get_time_series_service_statistics(viewer: Viewer, body: Body) -> Body:
    """Return how a service or an edge did, period by period; of none, how requests from outside did."""
    start, end = time_range(body)
    no_group(body)
    period = body.get("Period", _PERIOD)
    if type(period) is not int or not 1 <= period <= 86_400:
        raise Refused("Period: expected whole seconds, from 1 to 86400")
    start = math.floor(start / period) * period
    if (end - start) / period > _MOST_VALUES:
        raise Refused(f"the time range has more than {_MOST_VALUES} periods of {period} s")
    selected = _selected(optional_text(body, "EntitySelectorExpression"))
    condition = _ENTRIES if selected is None else of_services(selected)
    edge = not isinstance(selected, Service)
    with viewer.store.read() as connection:
        found = series(connection, condition, "s.call_time" if edge else "s.response_time", start, end, period)
    values = [_value(time, statistics, edge=edge) for time, statistics in found.items()]
    return {"TimeSeriesServiceStatistics": values, "ContainsOldGroupVersions": False}


def _selected(text: str | None) -> Service | Edge | None:
    if text is None:
        return None
    alone = text.strip()[:2].lower() == "id"  # `id(...)` stands for `service(id(...))`
    try:
        node = parse(f"service({text})" if alone else text)
    except FilterError as fault:
        raise Refused(f"EntitySelectorExpression: {fault}") from None
    if not isinstance(node, Service | Edge):
        raise Refused("EntitySelectorExpression: expected service(...), edge(...) or id(...)")
    return node


def _value(time: float, statistics: Statistics, *, edge: bool) -> Body:
    return {
        "Timestamp": time,
        "EdgeSummaryStatistics" if edge else "ServiceSummaryStatistics": statistics.summary(),
        "ResponseTimeHistogram": histogram(statistics.times),
    }
