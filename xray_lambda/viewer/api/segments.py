"""PutTraceSegments and PutTelemetryRecords: what daemons and SDKs send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xray_lambda.viewer.api.calls import Refused, listed
from xray_lambda.viewer.documents import Rejected

if TYPE_CHECKING:
    from xray_lambda.viewer.serve import Viewer

# The daemon sends 50 at a time; the service takes more, and says no number.
_MOST_DOCUMENTS = 10_000


def put_trace_segments(viewer: Viewer, body: dict[str, Any]) -> dict[str, Any]:
    """Store documents; those that X-Ray would refuse are told one by one, and the others are kept."""
    taken, unprocessed = [], []
    for text in listed(body, "TraceSegmentDocuments", str, _MOST_DOCUMENTS):
        try:
            taken.append(viewer.take(text))
        except Rejected as rejected:
            unprocessed.append(_unprocessed(rejected))
    viewer.add(taken)
    return {"UnprocessedTraceSegments": unprocessed}


def _unprocessed(rejected: Rejected) -> dict[str, str]:
    # X-Ray's own codes, as far as they are known: InvalidTraceId and MissingId name their field, the rest are one.
    code = "InvalidTraceId" if "trace_id" in rejected.reason else "InvalidSegment"
    said = {"ErrorCode": code, "Message": rejected.reason}
    return said if rejected.id is None else {"Id": rejected.id, **said}


def put_telemetry_records(viewer: Viewer, body: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - all operations take the same
    """Take what a daemon tells of itself; nothing is made of it here."""
    records = listed(body, "TelemetryRecords", dict, 100)
    if any("Timestamp" not in record for record in records):
        raise Refused("TelemetryRecords: each has a Timestamp")
    return {}
