"""Completions of a filter expression that is being typed: keywords, operators, services, annotations, values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from xray_lambda.viewer.filters.keywords import BOOLEAN, OPERATORS, ROOT_CAUSES, SCOPES, TEXT
from xray_lambda.viewer.filters.nodes import annotation_name, literal
from xray_lambda.viewer.filters.tokens import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from xray_lambda.viewer.filters.keywords import Meaning

_MOST = 50
# What is being typed at the cursor: a text that is not closed yet, or a word.
_UNFINISHED = re.compile(r"""("(?:[^"\\]|\\.)*|'(?:[^'\\]|\\.)*|[\w$.\[\]\-:/]+)\Z""")
_CLOSED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', re.DOTALL)
_BEFORE = re.compile(
    r"(?P<keyword>annotation\[[^\]]*\]|[\w$][\w$.]*)\s*(?P<operator>!=|<=|>=|=|<|>|contains|beginswith|endswith)\s*\Z",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?:\b(?:service|edge)\s*\(\s*|\bedge\s*\([^(){}]*,\s*|\bname:\s*)\Z", re.IGNORECASE)
_TYPE = re.compile(r"\btype:\s*\Z", re.IGNORECASE)
_COMPARABLE = re.compile(r"(?P<keyword>annotation\[[^\]]*\]|[\w$][\w$.]*)\s+\Z")
_ENDED = re.compile(r"""(?:["'})\]]|\b(?:true|false)|\d)\s+\Z""", re.IGNORECASE)
_BLOCK = re.compile(
    r"\b(?P<scope>service|edge)\s*\([^{}]*\)\s*\Z|\brootcause\.\w+\.(?P<element>\w+)\s*\Z", re.IGNORECASE
)


class Completion(NamedTuple):
    """What may be put in place of the characters from `start` to the cursor. `kind` says what it is."""

    text: str
    kind: str
    detail: str
    start: int


class Known(NamedTuple):
    """What there is in the store to choose from, the most frequent first."""

    services: Sequence[str] = ()
    types: Sequence[str] = ()
    annotations: Mapping[str, Sequence[str | float | bool]] = {}
    values: Mapping[str, Sequence[str]] = {}  # of string keywords, by keyword


def complete(text: str, at: int, known: Known) -> list[Completion]:
    """Return what may stand at the cursor, `at` characters into `text`, the likeliest first; at most 50."""
    before = text[: max(0, at)]
    typed = _typed(before)
    start = len(before) - len(typed)
    rest = _CLOSED.sub(lambda found: '"' + "_" * (len(found[0]) - 2) + '"', before[:start])
    wanted = typed.strip("\"'").lower()
    options = list(_options(before[:start], rest, known, typed))
    fitting = [option for option in options if _plain(option[0]).startswith(wanted)]
    fitting += [option for option in options if wanted and wanted in _plain(option[0])[1:] and option not in fitting]
    return [Completion(*option, start) for option in fitting if option[0] != typed][:_MOST]


def _plain(text: str) -> str:
    return text.strip("\"'").lower()


def _typed(before: str) -> str:
    """Return what is being typed at the end; nothing where a text has just been closed."""
    outside = _CLOSED.sub(lambda found: "\0" * len(found[0]), before)
    match = _UNFINISHED.search(outside)
    return before[match.start() :] if match else ""


Option = tuple[str, str, str]


def _options(exact: str, rest: str, known: Known, typed: str) -> Iterator[Option]:
    scope = _scope(rest)
    compared = _BEFORE.search(exact)
    if _TYPE.search(rest):
        yield from ((quoted(kind), "type", "type of a service") for kind in known.types)
    elif _NAME.search(rest):
        yield from ((quoted(name), "service", "service") for name in known.services)
        yield ("id(", "function", 'id(name: "...", type: "...")')
    elif compared:
        yield from _values(compared["keyword"], scope, known)
    elif typed[:1] in {'"', "'"}:
        return
    else:
        compares = _COMPARABLE.search(exact)
        if compares:
            yield from _operators(compares["keyword"], scope)
        if compares or _ENDED.search(rest):
            yield from _joining()
        yield from _keywords(scope, known)


def _scope(rest: str) -> str:
    """Say what the braces around the end of an expression speak of."""
    opened = rest.rfind("{")
    if opened <= rest.rfind("}"):
        return "trace"
    found = _BLOCK.search(rest[:opened])
    if found is None:
        return "trace"
    scope = f"rootcause.{found['element']}" if found["element"] else found["scope"]
    return scope.lower() if scope.lower() in SCOPES else "trace"


def _values(keyword: str, scope: str, known: Known) -> Iterable[Option]:
    key = _annotation_key(keyword)
    if key is not None:
        return [(literal(value), "value", f"value of annotation {key}") for value in known.annotations.get(key, ())]
    name = keyword.lower()
    meaning = SCOPES[scope].get(name)
    if meaning is None:
        return []
    if meaning.kind is BOOLEAN:
        return [(value, "value", f"{name} is a boolean keyword") for value in ("true", "false")]
    if name in ("name", "type") and meaning.kind is TEXT:
        names = known.services if name == "name" else known.types
        return [(quoted(value), "service" if name == "name" else "type", name) for value in names]
    return [(quoted(value), "value", f"value of {name}") for value in known.values.get(name, ())]


def _operators(keyword: str, scope: str) -> Iterator[Option]:
    meaning = SCOPES[scope].get(keyword.lower())
    if _annotation_key(keyword) is not None:
        yield from ((operator, "operator", "compares an annotation") for operator in OPERATORS)
    elif meaning is not None and meaning.kind is not BOOLEAN:
        yield from ((operator, "operator", f"compares a {meaning.kind.name}") for operator in meaning.kind.operators)


def _joining() -> Iterator[Option]:
    yield ("AND", "operator", "both hold")
    yield ("OR", "operator", "one of them holds")


def _keywords(scope: str, known: Known) -> Iterator[Option]:
    if scope == "trace":
        yield ("service(", "function", 'service("name") { filter }')
        yield ("edge(", "function", 'edge("source", "destination") { filter }')
    for keyword, meaning in SCOPES[scope].items():
        yield (keyword, "keyword", _described(meaning))
    if not scope.startswith("rootcause"):
        yield from ((annotation_name(key), "annotation", "annotation") for key in known.annotations)
    if scope == "trace":
        yield from ((name, "function", f"{name} {{ filter }}") for name in ROOT_CAUSES)
    yield ("NOT", "operator", "does not hold")


def _described(meaning: Meaning) -> str:
    return f"{meaning.kind.name} keyword"


def _annotation_key(keyword: str) -> str | None:
    if keyword.lower().startswith("annotation."):
        return keyword[len("annotation.") :]
    if keyword.lower().startswith("annotation["):
        return keyword[len("annotation[") : -1].strip("\"'")
    return None
