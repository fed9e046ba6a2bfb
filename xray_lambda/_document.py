"""Documents: a closing entity as JSON text, encoded once, and never longer than X-Ray takes."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quote

from xray_lambda._values import Budget, clean, snapshot

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Union

    from xray_lambda._recording import Recording

    Details = dict[str, object]
    Annotations = Union[dict[str, str], None]

# X-Ray takes 64 kB a document, and UDP 65 507 bytes with the daemon's header. All our text is ASCII,
# so that its length is its size: other characters are escaped.
DOCUMENT_BYTES = 64_000
_ENVELOPE_BYTES = 200
_OWN_BYTES = DOCUMENT_BYTES - _ENVELOPE_BYTES

MARK = "xray_lambda"
_MAX_NAME = 200
_MAX_NAMES = 1000
_FRAMES_KEPT = 3
_SQL_KEPT = 1000
_MESSAGE_KEPT = 200
_ANNOTATION_KEPT = 100

_encode_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode
_names: dict[object, str] = {}


def clean_name(name: object) -> str:
    """Return `name` as X-Ray takes it: letters, digits, spaces and `_.:/%&#=+-@`, at most 200 of them."""
    text = name if isinstance(name, str) else type(name).__name__
    kept = [" " if char.isspace() else char if char.isalnum() or char in "_.:/%&#=+-@" else "_" for char in clean(text)]
    return "".join(kept[:_MAX_NAME]).strip() or "unnamed"


def quoted_name(name: str) -> str:
    """Return a name cleaned and quoted for JSON; remembered, since programs use few names again and again."""
    try:
        return _names[name]
    except (KeyError, TypeError):
        text = quote(clean_name(name))
    if len(_names) >= _MAX_NAMES:
        _names.clear()
    if type(name) is str:
        _names[name] = text
    return text


def encode(entity: Recording, room: int) -> str:
    """Return a closed entity without its children as JSON text, less the closing brace.

    `room` is what metadata may take, in bytes. What does not fit is left out in this order: metadata, stack
    frames, SQL text, messages, annotations; `"truncated": true` in metadata `xray_lambda` marks it.
    """
    # Digits cut out of an integer cost half of what formatting a float does (0.19 us against 0.36 us).
    start, end = str(entity.start_ns), str(entity.end_ns)
    name = _names.get(entity.name) or quoted_name(entity.name)
    text = (
        f'{{"name":{name},"id":"{entity.id}",'
        f'"start_time":{start[:-9]}.{start[-9:-3]},"end_time":{end[:-9]}.{end[-9:-3]}'
    )
    annotations, details = entity.annotations, entity.details
    if details is None:
        if annotations is None:
            return text
        details = {}
    full = text + _sections(annotations, details, room)
    return full if len(full) <= _OWN_BYTES else text + _trimmed(annotations, details or {}, _OWN_BYTES - len(text))


def encode_in_progress(entity: Recording, room: int) -> str:
    """Return an open entity as a document that says so; the one that it closes with replaces it."""
    start = str(entity.start_ns)
    text = f'{{"name":{quoted_name(entity.name)},"id":"{entity.id}","start_time":{start[:-9]}.{start[-9:-3]}'
    return f'{text},"in_progress":true{_sections(entity.annotations, entity.details or {}, room)}}}'


def encode_bare(entity: Recording) -> str:
    """Return what is left of an entity that `encode` fails for: its ids, times and name."""
    name = quote(clean_name(entity.name))
    start, end = f"{entity.start_ns / 1e9:.6f}", f"{(entity.end_ns or 0) / 1e9:.6f}"
    return f'{{"name":{name},"id":"{entity.id}","start_time":{start},"end_time":{end}'


def splice(own: str, children: list[str] | None) -> tuple[str, list[str]]:
    """Close the text of `encode` with its finished children inside; return it and the oldest, which found no room."""
    if not children:
        return own + "}", []
    room = _OWN_BYTES - len(own) - 20 - sum(map(len, children)) - len(children)
    first = 0
    while room < 0 and first < len(children):
        room += len(children[first]) + 1
        first += 1
    kept = children[first:] if first else children
    inside = f',"subsegments":[{",".join(kept)}]}}' if kept else "}"
    return own + inside, children[:first]


def independent(document: str, trace_id: str, parent_id: str) -> str:
    """Turn an embedded subsegment into a document of its own."""
    return f'{{"type":"subsegment","trace_id":"{trace_id}","parent_id":"{parent_id}",{document[1:]}'


def _sections(annotations: Annotations, details: Details, room: int) -> str:
    """Return `,"key":value` for every section; annotations are JSON since they were put."""
    text = f',"annotations":{{{",".join(annotations.values())}}}' if annotations else ""
    for key, value in list(details.items()):
        if value is True:
            text += f',"{key}":true'
        elif key == "metadata":
            text += f',"metadata":{_metadata_text(value, room)}'  # type: ignore[arg-type]
        else:
            text += f',"{key}":{_encode_json(value)}'
    return text


def _metadata_text(metadata: dict[str, dict[str, object]], room: int) -> str:
    budget = Budget(room)
    plain = {
        namespace: snapshot(values, budget, 1)  # the namespaces themselves are ours
        for namespace, values in list(metadata.items())
    }
    if budget.cut:
        _mark(plain)
    return _encode_json(plain)


def _mark(metadata: dict[str, object]) -> None:
    ours = metadata.get(MARK)
    metadata[MARK] = {**(ours if isinstance(ours, dict) else {}), "truncated": True}


def _trimmed(annotations: Annotations, details: Details, room: int) -> str:
    """Sacrifice one section after the other until the rest fits; flags, ids and times always stay."""
    kept = dict(details)
    for sacrifice in (_without_metadata, _without_stacks, _without_sql, _without_messages):
        sacrifice(kept)
        text = _sections(annotations, kept, _OWN_BYTES)
        if len(text) <= room:
            return text
    short = {key: _short_annotation(text) for key, text in (annotations or {}).items()}
    text = _sections(short, kept, _OWN_BYTES)
    if len(text) <= room:
        return text
    flags = {key: value for key, value in kept.items() if value is True or key == "namespace"}
    return _sections(None, {**flags, "metadata": {MARK: {"truncated": True}}}, _OWN_BYTES)


def _without_metadata(details: Details) -> None:
    details["metadata"] = {MARK: {"truncated": True}}


def _without_stacks(details: Details) -> None:
    _replace_exceptions(details, _short_stack)


def _without_messages(details: Details) -> None:
    _replace_exceptions(details, lambda entry: {**entry, "message": str(entry.get("message", ""))[:_MESSAGE_KEPT]})


def _short_stack(entry: Details) -> Details:
    stack = entry.get("stack")
    if not isinstance(stack, list) or len(stack) <= _FRAMES_KEPT:
        return entry
    before = entry.get("truncated", 0)
    left_out = len(stack) - _FRAMES_KEPT + (before if isinstance(before, int) else 0)
    return {**entry, "stack": stack[:_FRAMES_KEPT], "truncated": left_out}


def _replace_exceptions(details: Details, change: Callable[[Details], Details]) -> None:
    cause = details.get("cause")
    if isinstance(cause, dict):
        details["cause"] = {**cause, "exceptions": [change(entry) for entry in cause["exceptions"]]}


def _without_sql(details: Details) -> None:
    sql = details.get("sql")
    if isinstance(sql, dict):
        details["sql"] = {key: str(value)[:_SQL_KEPT] for key, value in sql.items()}


def _short_annotation(text: str) -> str:
    key, value = next(iter(json.loads(f"{{{text}}}").items()))
    return f'"{key}":{quote(value[:_ANNOTATION_KEPT])}' if isinstance(value, str) else text
