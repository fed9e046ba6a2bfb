"""Traces in files: as `aws xray batch-get-traces` prints them, and as `invoke --json` and `tail --json` do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from xray_lambda.viewer.store import Store

_KEYS = ("Traces", "Segments", "documents")


def texts_in(content: bytes) -> Iterator[str]:
    """Yield the documents of a file, as JSON: an object or a list of them, or one a line.

    Taken are `{"Traces": [{"Segments": [{"Document": "..."}]}]}`, `{"documents": [...]}`, lists of any of these, and
    documents themselves. Raises ValueError for anything else.
    """
    try:
        values = [orjson.loads(content)]
    except orjson.JSONDecodeError as error:
        values = list(_lines(content, error))
    for value in values:
        yield from _texts(value)


def _lines(content: bytes, whole: orjson.JSONDecodeError) -> Iterator[Any]:
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) < 2:
        raise ValueError(f"it is not JSON: {whole.msg}")
    for number, line in enumerate(lines, 1):
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError as error:
            # Of a file that is one value over many lines, the fault of the whole says more than its first line's.
            fault = whole.msg if number == 1 else f"in line {number}, {error.msg}"
            raise ValueError(f"it is not JSON: {fault}") from None


def _texts(value: Any) -> Iterator[str]:
    """Walk to the documents; nothing recurses deeper than the four levels that there can be."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            waiting += reversed(one)
        elif not isinstance(one, dict):
            raise ValueError("it has something that is no trace and no segment document")
        elif "Document" in one:
            waiting.append(str(one["Document"]))
        elif any(key in one for key in _KEYS):
            waiting += [one[key] for key in reversed(_KEYS) if key in one]
        else:
            yield orjson.dumps(one).decode()


def export(store: Store, trace_ids: Iterable[str], write: Callable[[str], object]) -> int:
    """Write traces as BatchGetTraces answers, one a line, with the documents as they came; returns how many."""
    write('{"Traces": [')
    count = 0
    for trace_id in trace_ids:
        trace = _trace(store, trace_id)
        if trace is not None:
            write(("," if count else "") + "\n" + orjson.dumps(trace).decode())
            count += 1
    write('\n], "UnprocessedTraceIds": []}\n')
    return count


def _trace(store: Store, trace_id: str) -> dict[str, Any] | None:
    rows = store.summaries([trace_id])
    if not rows:
        return None
    segments = [{"Id": id, "Document": text} for id, text in store.texts(trace_id)]  # noqa: A001 - X-Ray's name
    return {"Id": trace_id, "Duration": rows[0]["duration"], "LimitExceeded": False, "Segments": segments}
