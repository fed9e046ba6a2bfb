"""What X-Ray requires of a segment document: the rules of its schema, without which it is not taken.

The schema is X-Ray's published one (v1.0.0): unknown keys do no harm, and neither does a flag that is false. Limits
that X-Ray cuts to instead of refusing (250 characters for a URL, 50 annotations) are not looked at here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DEEPEST = 100
_ID = re.compile(r"[0-9a-fA-F]{16}")
_TRACE_ID = re.compile(r"1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24}")
_SEGMENT_NAME = re.compile(r"[\w\s.:/%&#=+@-]{1,200}")
_ANNOTATION_KEY = re.compile(r"[A-Za-z0-9_.]{1,500}")
_LATEST = 1e11  # the year 5138; a time in milliseconds is later
_LONGEST_NAME = 250


def fault_in(body: dict[str, Any]) -> str | None:
    """Say in one line what X-Ray would refuse this document for; None when it would take it."""
    return _fault_at_top(body) or _fault_below(body)


def _fault_at_top(body: dict[str, Any]) -> str | None:
    trace_id, parent, alone = body.get("trace_id"), body.get("parent_id"), body.get("type") is not None
    if not (isinstance(trace_id, str) and _TRACE_ID.fullmatch(trace_id)):
        return _wrong("trace_id", trace_id, "1-, 8 hex digits, - and 24 hex digits")
    if alone and body["type"] != "subsegment":
        return _wrong("type", body["type"], "'subsegment', or left out for a segment")
    if (alone or parent is not None) and not (isinstance(parent, str) and _ID.fullmatch(parent)):
        return _wrong("parent_id", parent, "16 hex digits")
    if not alone and not (isinstance(body.get("name"), str) and _SEGMENT_NAME.fullmatch(body["name"])):
        return _wrong("name", body.get("name"), "1 to 200 letters, digits, spaces and _.:/%&#=+-@")
    return None


def _fault_below(body: dict[str, Any]) -> str | None:
    """Check what holds for a document and for each subsegment in it, level by level: it decides how deep that goes."""
    level, depth = [body], 0
    while level:
        if depth == DEEPEST:
            return f"subsegments are nested over {DEEPEST} deep"
        for entity in level:
            if fault := _fault_in_entity(entity):
                return fault if entity is body else f"subsegment {_shown(entity.get('name'))}: {fault}"
        below = [child for entity in level for child in entity.get("subsegments") or ()]
        if not all(isinstance(child, dict) for child in below):
            return "subsegments has an item that is no object"
        level, depth = below, depth + 1
    return None


def _fault_in_entity(entity: dict[str, Any]) -> str | None:
    id, name = entity.get("id"), entity.get("name")  # noqa: A001 - X-Ray's name
    if not (isinstance(id, str) and _ID.fullmatch(id)):
        return _wrong("id", id, "16 hex digits")
    if not (isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME):
        return _wrong("name", name, f"a text of 1 to {_LONGEST_NAME} characters")
    return _fault_in_times(entity) or _fault_in_blocks(entity)


def _fault_in_times(entity: dict[str, Any]) -> str | None:
    for key in ("start_time", "end_time"):
        time = entity.get(key)
        if (time is not None or key == "start_time") and not _is_time(time):
            return _wrong(key, time, "a time in seconds since 1970")
    ended, running = entity.get("end_time") is not None, entity.get("in_progress") is True
    if ended and running:
        return "it has an end_time and is in_progress"
    return None if ended or running else "it has neither an end_time nor in_progress"


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LATEST


def _fault_in_blocks(entity: dict[str, Any]) -> str | None:
    """Check the optional keys that are there; most entities have few."""
    for key, value in entity.items():
        check = _CHECKS.get(key)
        if check is not None and value is not None and (fault := check(key, value)):
            return fault
    return None


def _flag(key: str, value: object) -> str | None:
    return None if isinstance(value, bool) else _wrong(key, value, "true or false")


def _block(key: str, value: object) -> str | None:
    return None if isinstance(value, dict) else _wrong(key, value, "an object")


def _text(key: str, value: object) -> str | None:
    return None if isinstance(value, str) else _wrong(key, value, "a text")


def _list(key: str, value: object) -> str | None:
    return None if isinstance(value, list) else _wrong(key, value, "a list")


def _metadata(key: str, value: object) -> str | None:
    if not isinstance(value, dict):
        return _wrong(key, value, "an object")
    for name, part in value.items():
        if not isinstance(part, dict):
            return (
                f"{key} {_shown(name)} is {_shown(part)}, not an object: metadata has namespaces, and these have keys"
            )
    return None


def _annotations(key: str, value: object) -> str | None:
    if not isinstance(value, dict):
        return _wrong(key, value, "an object")
    for name, content in value.items():
        if not _ANNOTATION_KEY.fullmatch(name):
            return f"the annotation key {_shown(name)} has more than letters, digits, _ and ."
        if not isinstance(content, str | int | float):
            return f"annotation {_shown(name)} is {_shown(content)}, not a text, a number or a boolean"
    return None


def _http(key: str, value: object) -> str | None:
    if not isinstance(value, dict):
        return _wrong(key, value, "an object")
    for part, texts in (("request", ("method", "url", "user_agent", "client_ip")), ("response", ())):
        block = value.get(part)
        if block is not None and not isinstance(block, dict):
            return _wrong(f"http.{part}", block, "an object")
        for name in texts:
            if block and not isinstance(block.get(name, ""), str | None):
                return _wrong(f"http.{part}.{name}", block[name], "a text")
    status = (value.get("response") or {}).get("status")
    return None if status is None or _is_whole(status) else _wrong("http.response.status", status, "a whole number")


def _is_whole(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)


def _cause(key: str, value: object) -> str | None:
    if isinstance(value, str):
        return None if _ID.fullmatch(value) else _wrong(key, value, "16 hex digits, or an object")
    if not isinstance(value, dict):
        return _wrong(key, value, "16 hex digits, or an object")
    exceptions = value.get("exceptions")
    if not isinstance(exceptions, list | None):
        return _wrong("cause.exceptions", exceptions, "a list")
    return next((fault for exception in exceptions or () if (fault := _fault_in_exception(exception))), None)


def _fault_in_exception(exception: object) -> str | None:
    if not isinstance(exception, dict):
        return _wrong("an exception in cause", exception, "an object")
    id = exception.get("id")  # noqa: A001 - X-Ray's name
    return (
        None if isinstance(id, str) and _ID.fullmatch(id) else f"an exception's id is {_shown(id)}, not 16 hex digits"
    )


_CHECKS: dict[str, Callable[[str, object], str | None]] = {
    **dict.fromkeys(("fault", "error", "throttle", "in_progress"), _flag),
    **dict.fromkeys(("aws", "sql", "service"), _block),
    **dict.fromkeys(("subsegments", "precursor_ids", "links"), _list),
    # aws-xray-sdk gives every local subsegment the namespace `local`, which the documentation does not have.
    **dict.fromkeys(("user", "origin", "resource_arn", "namespace"), _text),
    "annotations": _annotations,
    "metadata": _metadata,
    "http": _http,
    "cause": _cause,
}


def _wrong(key: str, value: object, wanted: str) -> str:
    return f"there is no {key}" if value is None else f"{key} is {_shown(value)}, not {wanted}"


def _shown(value: object) -> str:
    """Show a value in a few characters, however large: nothing of it is copied whole."""
    if isinstance(value, str):
        return repr(value[:60] + ("..." if len(value) > 60 else ""))
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return _WORDS.get(repr(value), repr(value)[:60])


_WORDS = {"None": "null", "True": "true", "False": "false"}
