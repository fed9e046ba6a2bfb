"""GetTraceSummaries and BatchGetTraces."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import orjson

from xray_lambda.viewer.api.calls import Refused, expression, listed, read_token, time_range, token
from xray_lambda.viewer.filters import Condition, where
from xray_lambda.viewer.processed import processed
from xray_lambda.viewer.store import Cursor
from xray_lambda.viewer.store.writing import annotation_value

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from xray_lambda.viewer.serve import Viewer

Body = dict[str, Any]
_PAGE = 100
_MOST_TRACES = 100  # X-Ray takes five at a time; whoever sends more wants them, and they are near
_TRACE_ID = re.compile(r"1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24}")
# What is looked at in the time range: when a trace began, was under way, or ended.
_RANGES = {
    "TraceId": "traces.start >= ? AND traces.start <= ?",
    "Event": 'traces."end" >= ? AND traces.start <= ?',
    "Service": 'traces."end" >= ? AND traces."end" <= ?',
}
_CAUSES = {"fault": "FaultRootCauses", "error": "ErrorRootCauses", "responsetime": "ResponseTimeRootCauses"}


def batch_get_traces(viewer: Viewer, body: Body) -> Body:
    """Return whole traces, their segments as X-Ray processes them; ids of which nothing is known are left out."""
    ids = listed(body, "TraceIds", str, _MOST_TRACES)
    for trace_id in ids:
        if not _TRACE_ID.fullmatch(trace_id):
            raise Refused(f"TraceIds: {trace_id!r:.60} is no trace id, as 1-5759e988-bd862e3fe1be46a994272793 is one")
    durations = {row["trace_id"]: row["duration"] for row in viewer.store.summaries(ids)}
    traces = [
        {
            "Id": trace_id,
            "Duration": durations[trace_id],
            "LimitExceeded": False,
            "Segments": [
                {"Id": segment["id"], "Document": orjson.dumps(segment).decode()}
                for segment in processed(viewer.store.trace(trace_id))
            ],
        }
        for trace_id in dict.fromkeys(ids)
        if trace_id in durations
    ]
    return {"Traces": traces, "UnprocessedTraceIds": []}


def get_trace_summaries(viewer: Viewer, body: Body) -> Body:
    """Return a page of summaries, the newest first."""
    start, end = time_range(body)
    kind = body.get("TimeRangeType", "TraceId")
    if kind not in _RANGES:
        raise Refused(f"TimeRangeType: {kind!r:.50} is none of {', '.join(_RANGES)}")
    filtered = where(expression(body))
    given = read_token(body, float, str)
    before = None if given is None else Cursor(*given)
    condition = Condition(f"{_RANGES[kind]} AND {filtered.sql}", (start, end, *filtered.parameters))
    rows = viewer.store.query(condition.sql, condition.parameters, limit=_PAGE, before=before)
    answer: Body = {
        "TraceSummaries": _summaries(viewer, rows),
        "ApproximateTime": time.time(),
        "TracesProcessedCount": viewer.store.count(_RANGES[kind], (start, end)),
    }
    if len(rows) == _PAGE:
        answer["NextToken"] = token([float(rows[-1]["start"]), rows[-1]["trace_id"]])
    return answer


def _summaries(viewer: Viewer, rows: list[Body]) -> list[Body]:
    ids = [row["trace_id"] for row in rows]
    services: dict[str, list[Body]] = {trace_id: [] for trace_id in ids}
    annotations: dict[str, list[Body]] = {trace_id: [] for trace_id in ids}
    with viewer.store.read() as connection:
        for table, found in (("services", services), ("annotations", annotations)):
            for row in _of_traces(connection, table, ids):
                found[row["trace_id"]].append(dict(row))
    return [_summary(row, services[row["trace_id"]], annotations[row["trace_id"]]) for row in rows]


def _of_traces(connection: sqlite3.Connection, table: str, ids: list[str]) -> Iterable[sqlite3.Row]:
    marks = ", ".join("?" * len(ids))
    return connection.execute(f"SELECT * FROM {table} WHERE trace_id IN ({marks}) ORDER BY trace_id, place", ids)  # noqa: S608 - a table of ours and question marks


def _summary(row: Body, services: list[Body], annotations: list[Body]) -> Body:
    summary = {
        "Id": row["trace_id"],
        "StartTime": row["start"],
        "Duration": row["duration"],
        "ResponseTime": row["response_time"],
        "HasFault": bool(row["fault"]),
        "HasError": bool(row["error"]),
        "HasThrottle": bool(row["throttle"]),
        "IsPartial": bool(row["in_progress"]),
        "Http": _http(row),
        "Annotations": _annotations(annotations, services),
        "Users": _users(services),
        "ServiceIds": _distinct(_service_id(service) for service in services),
        "ResourceARNs": _named(services, "resource_arn", "ARN"),
        "InstanceIds": _named(services, "instance_id", "Id"),
        "AvailabilityZones": _named(services, "availability_zone", "Name"),
        "EntryPoint": _service_id({**row, "type": row["origin"]}),
        "Revision": row["documents"],
        **_root_causes(row["root_causes"]),
    }
    return {key: value for key, value in summary.items() if value is not None}


def _http(row: Body) -> Body:
    names = {"HttpURL": "url", "HttpStatus": "status", "HttpMethod": "method", "UserAgent": "user_agent"}
    return {name: row[field] for name, field in {**names, "ClientIp": "client_ip"}.items() if row[field] is not None}


def _annotations(annotations: list[Body], services: list[Body]) -> Body:
    found: Body = {}
    by_place = {service["place"]: _service_id(service) for service in services}
    for annotation in annotations:
        value = annotation_value(annotation)
        kind = "BooleanValue" if isinstance(value, bool) else "StringValue" if isinstance(value, str) else "NumberValue"
        known = found.setdefault(annotation["key"], {}).setdefault((kind, value), [])
        known.append(by_place[annotation["service"]])
    return {
        key: [{"AnnotationValue": {kind: value}, "ServiceIds": _distinct(ids)} for (kind, value), ids in values.items()]
        for key, values in found.items()
    }


def _users(services: list[Body]) -> list[Body]:
    found: dict[str, list[Body]] = {}
    for service in services:
        if service["user"]:
            found.setdefault(service["user"], []).append(_service_id(service))
    return [{"UserName": user, "ServiceIds": _distinct(ids)} for user, ids in found.items()]


def _service_id(service: Body) -> Body:
    found = {"Name": service["name"], "Names": [service["name"]]}
    more = {"AccountId": service.get("account_id"), "Type": service["type"]}
    return {**found, **{key: value for key, value in more.items() if value}}


def _distinct(items: Iterable[Body]) -> list[Body]:
    return list({repr(item): item for item in items}.values())


def _named(services: list[Body], field: str, name: str) -> list[Body]:
    return [{name: value} for value in dict.fromkeys(service[field] for service in services if service[field])]


def _root_causes(stored: str | None) -> Body:
    causes = orjson.loads(stored) if stored else {}
    for found in causes.values():
        for cause in found:
            for service in cause["Services"]:
                service["Names"] = [service["Name"]]
    return {name: causes.get(kind, []) for kind, name in _CAUSES.items()}
