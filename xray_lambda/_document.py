"""Documents: a closing entity as JSON text, encoded once, and never longer than X-Ray takes."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quote

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from xray_lambda._recording import Recording

    Details = dict[str, object]
    Annotations = dict[str, str] | None

# X-Ray takes 64 kB a document, and UDP 65 507 bytes with the daemon's header. All our text is ASCII,
# so that its length is its size: other characters are escaped.
DOCUMENT_BYTES = 64_000
_ENVELOPE_BYTES = 200
_OWN_BYTES = DOCUMENT_BYTES - _ENVELOPE_BYTES

MARK = "xray_lambda"
_MARKED = f',"metadata":{{"{MARK}":{{"truncated":true}}}}'
_MAX_NAME = 200
_MAX_NAMES = 1000
_FRAMES_KEPT = 3
_FIELD_KEPT = 1000
_MESSAGE_KEPT = 200
_ANNOTATION_KEPT = 100
_TYPE_KEPT = 100

_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
try:
    # What `_json.encode` makes anew at each call, for as long as the encoding itself takes.
    _chunks = json.encoder.c_make_encoder(None, _json.default, quote, None, ":", ",", False, False, False)  # type: ignore[attr-defined]
    _chunks({}, 0)
except (AttributeError, TypeError):  # a Python that has it otherwise
    _chunks = lambda value, _: _json.iterencode(value)  # noqa: E731 - one line less than a function
_names: dict[object, str] = {}


def clean_name(name: object) -> str:
    """Return `name` as X-Ray takes it: letters, digits, spaces and `_.:/%&#=+-@`, at most 200 of them."""
    given = name if isinstance(name, str) else type(name).__name__
    text = (given if type(given) is str and given.isascii() else _values().clean(given)).strip()[:_MAX_NAME]
    kept = [" " if char.isspace() else char if char.isalnum() or char in "_.:/%&#=+-@" else "_" for char in text]
    return "".join(kept).strip() or "unnamed"


def quoted_name(name: object) -> str:
    """Return a name cleaned and quoted for JSON; remembered, since programs use few names again and again."""
    text = quote(clean_name(name))
    if type(name) is str and len(name) <= _MAX_NAME:
        if len(_names) >= _MAX_NAMES:
            _names.clear()
        _names[name] = text
    return text


def encode(entity: Recording, room: int) -> str:
    """Return a closed entity without its children as JSON text, less the closing brace.

    `room` is what metadata may take, in bytes. What does not fit is left out in this order: metadata, stack
    frames, SQL and AWS texts, messages, annotations; `"truncated": true` in metadata `xray_lambda` marks it.
    """
    # Digits cut out of an integer cost half of what formatting a float does (0.19 us against 0.36 us).
    start, end = str(entity.start_ns), str(entity.end_ns)
    try:
        name = _names[entity.name]
    except (KeyError, TypeError):
        name = quoted_name(entity.name)
    text = (
        f'{{"name":{name},"id":"{entity.id}",'
        f'"start_time":{start[:-9]}.{start[-9:-3]},"end_time":{end[:-9]}.{end[-9:-3]}'
    )
    annotations, details = entity.annotations, entity.details
    if details is None:
        if annotations is None:
            return text
        details = {}
    return text + _fitted(annotations, details, room, _OWN_BYTES - len(text))


def encode_in_progress(entity: Recording, room: int) -> str:
    """Return an open entity as a document that says so; the one that it closes with replaces it."""
    start = str(entity.start_ns)
    text = f'{{"name":{quoted_name(entity.name)},"id":"{entity.id}","start_time":{start[:-9]}.{start[-9:-3]}'
    sections = _fitted(entity.annotations, entity.details or {}, room, _OWN_BYTES - len(text) - 20)
    return f'{text},"in_progress":true{sections}}}'


def encode_bare(entity: Recording) -> str:
    """Return what is left of an entity that `encode` fails for: its ids, times and name."""
    name, start, end = quote(clean_name(entity.name)), str(entity.start_ns), str(entity.end_ns)
    times = f'"start_time":{start[:-9]}.{start[-9:-3]},"end_time":{end[:-9]}.{end[-9:-3]}'
    return f'{{"name":{name},"id":"{entity.id}",{times}'


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


def _fitted(annotations: Annotations, details: Details, metadata_room: int, room: int) -> str:
    """Return all sections within `room`; metadata, the first to be sacrificed, gets what the others leave."""
    text = _sections(annotations, details)
    if "metadata" in details:
        left = room - len(text) - _values().OVERHEAD - len(_MARKED)
        text += f',"metadata":{_metadata_text(details["metadata"], min(metadata_room, left))}'  # type: ignore[arg-type]
    return text if len(text) <= room else _trimmed(annotations, details, room)


def _sections(annotations: Annotations, details: Details) -> str:
    """Return `,"key":value` for every section but metadata; annotations are JSON since they were put."""
    text = f',"annotations":{{{",".join(annotations.values())}}}' if annotations else ""
    sections = dict(details)
    sections.pop("metadata", None)
    return f"{text},{''.join(_chunks(sections, 0))[1:-1]}" if sections else text  # all at once: a third of one by one


def _encode_json(value: object) -> str:
    return "".join(_chunks(value, 0))


def _metadata_text(metadata: dict[object, object], room: int) -> str:
    """Return metadata as JSON, no longer than `room` and its overhead; what was cut is marked."""
    budget = _values().Budget(room)
    plain = {name: values for name, values in _values().mapping(metadata, budget).items() if isinstance(values, dict)}
    if budget.cut or len(plain) < len(metadata):
        plain.setdefault(MARK, {})["truncated"] = True
    return _encode_json(plain)


def _trimmed(annotations: Annotations, details: Details, room: int) -> str:
    """Sacrifice metadata and one section after the other until the rest fits; flags, ids and times always stay."""
    kept = dict(details)
    for sacrifice in (_shorten_stacks, _shorten_fields, _shorten_messages):
        sacrifice(kept)
        text = _sections(annotations, kept) + _MARKED
        if len(text) <= room:
            return text
    short = {key: _short_annotation(text) for key, text in (annotations or {}).items()}
    text = _sections(short, kept) + _MARKED
    return text if len(text) <= room else _sections(None, _essence(kept)) + _MARKED


def _essence(details: Details) -> Details:
    """Return what always fits: the flags, and the exceptions by the ids that others may refer to."""
    essence = {key: value for key, value in details.items() if value is True or key in ("namespace", "cause")}
    _replace_exceptions(essence, _bare_exception)
    return essence


def _shorten_stacks(details: Details) -> None:
    _replace_exceptions(details, _short_stack)


def _shorten_messages(details: Details) -> None:
    _replace_exceptions(details, lambda entry: {**entry, "message": str(entry.get("message", ""))[:_MESSAGE_KEPT]})


def _shorten_fields(details: Details) -> None:
    for section in ("sql", "aws"):
        fields = details.get(section)
        if isinstance(fields, dict):
            plain, budget = _values().snapshot, _values().Budget
            details[section] = {key: plain(value, budget(_FIELD_KEPT)) for key, value in fields.items()}


def _bare_exception(entry: Details) -> Details:
    kept = {key: value for key, value in entry.items() if key in ("id", "cause", "remote", "skipped")}
    return {**kept, "type": str(entry.get("type"))[:_TYPE_KEPT]}


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


def _short_annotation(text: str) -> str:
    key, value = next(iter(json.loads(f"{{{text}}}").items()))
    return f'"{key}":{quote(value[:_ANNOTATION_KEPT])}' if isinstance(value, str) else text


def _values() -> ModuleType:
    """Return what makes plain data of the program's, loaded when the first metadata comes: 0.25 ms."""
    from xray_lambda import _values as values  # noqa: PLC0415

    return values
