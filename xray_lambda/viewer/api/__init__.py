"""X-Ray's API as routes of Starlette: what SDKs ask a daemon for, and what boto3 and the AWS CLI read traces with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xray_lambda.viewer.api import graphs, rules, segments, traces
from xray_lambda.viewer.api.calls import endpoint, unknown

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from xray_lambda.viewer.api.calls import Operation
    from xray_lambda.viewer.serve import Viewer

# The paths are those of the service model of botocore.
OPERATIONS: dict[str, Operation] = {
    "/TraceSegments": segments.put_trace_segments,
    "/TelemetryRecords": segments.put_telemetry_records,
    "/Traces": traces.batch_get_traces,
    "/TraceSummaries": traces.get_trace_summaries,
    "/ServiceGraph": graphs.get_service_graph,
    "/TraceGraph": graphs.get_trace_graph,
    "/TimeSeriesServiceStatistics": graphs.get_time_series_service_statistics,
    "/GetSamplingRules": rules.get_sampling_rules,
    "/SamplingTargets": rules.get_sampling_targets,
    "/SamplingStatisticSummaries": rules.get_sampling_statistic_summaries,
    "/CreateSamplingRule": rules.create_sampling_rule,
    "/UpdateSamplingRule": rules.update_sampling_rule,
    "/DeleteSamplingRule": rules.delete_sampling_rule,
}


def routes(viewer: Viewer) -> list[BaseRoute]:
    """Return the routes of the API, and last the one that says which operations there are."""
    return [*(endpoint(path, operation, viewer) for path, operation in OPERATIONS.items()), unknown(OPERATIONS)]
