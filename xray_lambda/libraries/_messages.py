"""Messages: what a database says of a failed call, without the values that it quotes.

An exception of the program's own is recorded as it is. That of a database quotes what it was sent: the duplicate
entry, the rest of the statement, the parameters. Names stay: of tables, columns, keys, users.
"""

from __future__ import annotations

import re

from xray_lambda._scalars import exception_text

TYPE_CHECKING = False  # `typing` costs 3 ms of cold start; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_MAX_READ = 2000

# What stands in quotes behind one of these words is a name; behind any other it may be a value.
_NAMING = frozenset((
    "@", "attribute", "column", "constraint", "database", "domain", "engine", "event", "extension", "file",
    "function", "host", "index", "key", "language", "option", "parameter", "partition", "plugin", "procedure",
    "relation", "role", "routine", "savepoint", "schema", "sequence", "server at", "server on", "setting", "socket",
    "table", "tablespace", "trigger", "type", "user", "variable", "view",
))  # fmt: skip
_STRING = r"""(?<!\w)(?:'.*?(?:'(?!\w)|\Z)|".*?(?:"(?!\w)|\Z))"""
_QUOTED = re.compile(rf"(\bserver (?:at|on) |\b\w+ |@)?{_STRING}", re.DOTALL)
_BACKQUOTED = re.compile(r"(?<!\w)`.*?(?:`(?!\w)|\Z)", re.DOTALL)  # a name in SQL
_WORDY = (
    # The words around tell better than the quotes where these end.
    (re.compile(r"\b(entry|near|value:?) '.*'(?= (?:at line|for (?:key|column|function)) )", re.DOTALL), r"\1 ?"),
    (re.compile(r"\n(?:CONTEXT|DETAIL|HINT|LINE \d+|QUERY|WHERE):.*", re.DOTALL), ""),
    (re.compile(r"(invalid input for query argument [^:]*): .*(?= \()", re.DOTALL), r"\1"),
    (re.compile(r"(of argument: \w+|Command # \d+) ?\(.*\)(?=, it must| of pipeline)", re.DOTALL), r"\1"),
)


def message_of(error: BaseException) -> str:
    """Return the message of a SQL database's exception without values."""
    return without_values(_text(error), _NAMING, to_the_last_quote=True)


def message_without_names(error: BaseException) -> str:
    """Return the message of an exception without anything that it quotes: where keys are values too."""
    return _BACKQUOTED.sub("?", without_values(_text(error), frozenset()))


def without_values(text: str, naming: AbstractSet[str], *, to_the_last_quote: bool = False) -> str:
    """Return a message with `?` for what it quotes, but for what stands behind one of the words `naming`.

    A value may have quotes of its own, unescaped: `to_the_last_quote` takes it to end with the last one that there is.
    Example: `without_values("Duplicate entry 'ada' for key 'email'", {"key"}) == "Duplicate entry ? for key 'email'"`.
    """
    is_cut, text = len(text) > _MAX_READ, text[:_MAX_READ]
    for pattern, instead in _WORDY:
        text = pattern.sub(instead, text)
    shown: list[str] = []
    place = 0
    while (match := _QUOTED.search(text, place)) is not None:
        word = match[1] or ""
        is_name = word.strip().lower() in naming
        shown += text[place : match.start()], match[0] if is_name else word + "?"
        place = match.end()
        if to_the_last_quote and not is_name:
            place = len(text) if is_cut else _last_quote(text, text[match.start() + len(word)], place)
    return "".join(shown) + text[place:]


def _last_quote(text: str, quote: str, place: int) -> int:
    """Return where the last quote behind `place` ends that may be a closing one; `place` if there is none."""
    return max((match.end() for match in re.compile(rf"{quote}(?!\w)").finditer(text, place)), default=place)


def _text(error: BaseException) -> str:
    """Return a message as text; Python would write several arguments as a tuple, with quotes of its own."""
    if len(error.args) == 1 and isinstance(error.args[0], dict) and isinstance(error.args[0].get("M"), str):
        return str(error.args[0]["M"])  # of what PostgreSQL says, all of which pg8000 passes on, the message alone
    if type(error).__str__ is BaseException.__str__ and len(error.args) > 1:
        return " ".join(str(one) for one in error.args if isinstance(one, (str, int)))
    return exception_text(error)
