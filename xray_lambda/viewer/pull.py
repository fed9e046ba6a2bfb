"""Fetches traces from a real X-Ray account, through botocore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# BatchGetTraces takes five ids a call.
AT_ONCE = 5


def matching(client: Any, expression: str, since: float, until: float, most: int) -> list[str]:
    """Return the ids of the traces of a time (seconds since 1970) that a filter finds, `most` of them at most."""
    request = {"StartTime": since, "EndTime": until, **({"FilterExpression": expression} if expression else {})}
    found: list[str] = []
    while len(found) < most:
        answer = client.get_trace_summaries(**request)
        found += [summary["Id"] for summary in answer.get("TraceSummaries") or () if summary.get("Id")]
        if not answer.get("NextToken"):
            break
        request["NextToken"] = answer["NextToken"]
    return list(dict.fromkeys(found))[:most]


def documents(client: Any, trace_ids: Sequence[str]) -> Iterator[str]:
    """Yield the documents of traces, as X-Ray has them; those it does not know are left out."""
    for place in range(0, len(trace_ids), AT_ONCE):
        request: dict[str, Any] = {"TraceIds": list(trace_ids[place : place + AT_ONCE])}
        while True:
            answer = client.batch_get_traces(**request)
            for trace in answer.get("Traces") or ():
                yield from (segment["Document"] for segment in trace.get("Segments") or ())
            if not answer.get("NextToken"):
                break
            request["NextToken"] = answer["NextToken"]
