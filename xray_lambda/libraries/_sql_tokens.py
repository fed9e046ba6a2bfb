"""SQL's tokens in each dialect: what is a literal, a name, a comment; where that is open, all the rest of the text.

Each pattern matches in one way only, so that reading a statement takes linear time. The kinds: `space`, comments
included; `literal`; `rest`, where what follows can be read in two ways; `dollar` and `comment`, which begin what no
pattern can end; `name`; `either`, a name or a literal by where it stands; `unended`, a name that never ends; `marker`,
as `$1`; `number`; `word`; `other`, a single character.
"""

from __future__ import annotations

import re
from functools import cache

_ALIASES = {"postgres": "postgresql", "cockroachdb": "postgresql", "redshift": "postgresql", "mariadb": "mysql"}

_SINGLE, _DOUBLE, _BACKTICK = "'", '"', "`"
_LETTER = r"(?:[^\W\d]|[^\x00-\x7f])"
_DOLLAR = rf"\$(?:{_LETTER}(?:\w|[^\x00-\x7f])*)?\$"
# A name, or an array of strings, a comment...
_BRACKETS = r"""\[(?:[^\[\]'"`#$/-]|-(?!-)|/(?!\*))*(?:['"`#$]|--|/\*)"""
_COLON = r"(?<![^\s(,=<>+*/|-]):\d{1,5}(?!\w)"  # not the second half of a slice, [1:2]
_PREFIX = r"(?:[bBxXnN]|[uU]&)?"
_DASHES = r"--(?=[\x00-\x20]|\Z)"  # to MySQL, only two dashes before a space begin a comment
_PLAIN = {"plain": r"""(?:[^\W\d][\w$]*(?![\w$'"])|[ (),;=<>*+%])+"""}
_COMMON = {"number": r"\.?\d[\w.]*(?:(?<=[eE])[+-]\d[\w.]*)?", "word": r"[^\W\d][\w$]*", "other": "."}


def _simple(quote: str) -> str:
    """Quoted text in which a backslash is a backslash."""
    return rf"{quote}[^{quote}]*(?:{quote}{quote}[^{quote}]*)*(?:{quote}|\Z)"


def _escaped(quote: str) -> str:
    """Quoted text in which a backslash escapes what follows."""
    return rf"{quote}[^{quote}\\]*(?:(?:{quote}{quote}|\\.)[^{quote}\\]*)*(?:{quote}|\\?\Z)"


def _open(quote: str) -> str:
    """Quoted text in which a backslash may escape: up to the end where one stands before a quote."""
    return rf"{quote}[^{quote}\\]*(?:(?:{quote}{quote}|\\[^{quote}])[^{quote}\\]*)*(?:{quote}|\\?\Z|\\{quote}.*)"


def _name(quote: str) -> str:
    """Quoted text that ends: what does not end is no name to be shown."""
    return rf"{quote}[^{quote}]*(?:{quote}{quote}[^{quote}]*)*{quote}(?!{quote})"


_DIALECTS = {
    "postgresql": {
        "space": r"\s+|--[^\r\n]*",
        "comment": r"/\*",
        # The server may be set to let a backslash escape in plain strings.
        "literal": rf"[eE]{_escaped(_SINGLE)}|{_PREFIX}{_open(_SINGLE)}",
        "dollar": _DOLLAR,
        "name": rf"(?:[uU]&)?{_name(_DOUBLE)}",
        "unended": '".*',
        "marker": rf"\$\d{{1,5}}(?!\w)|{_COLON}",
    },
    "mysql": {
        # What MySQL runs of a comment, /*! ... */, depends on its version, and so does where quotes begin and end.
        "space": rf"\s+|{_DASHES}[^\n]*|#[^\n]*|/\*(?!M?!).*?(?:\*/|\Z)|/\*M?![^'\"`\\#*-]*\*/",
        "literal": rf"{_PREFIX}{_escaped(_SINGLE)}|{_escaped(_DOUBLE)}",
        "name": _name(_BACKTICK),
        "rest": rf"/\*.*|{_DOLLAR}.*",  # MySQL 9 takes for a string what older ones take for a name
        "unended": "`.*",
        "marker": _COLON,
    },
    "sqlite": {
        "space": r"\s+|--[^\n]*|/\*.*?(?:\*/|\Z)",
        "literal": _PREFIX + _simple(_SINGLE),
        "name": rf"{_name(_BACKTICK)}|\[[^\]]*\]",
        "either": _name(_DOUBLE),
        "unended": r'["`\[].*',
        "marker": rf"[$?@]\d{{1,5}}(?!\w)|{_COLON}",
    },
    "": {
        "space": rf"\s+|{_DASHES}[^\r\n]*(?=\r?\n|\Z)|/\*(?!M?!)[^*/]*(?:(?:\*(?!/)|/(?!\*))[^*/]*)*\*/",
        "rest": rf"--.*|/\*.*|#.*|'''.*|[nN]?[qQ]'.*|{_DOLLAR}.*|{_BRACKETS}.*|\]\].*",
        "literal": rf"[eE]{_escaped(_SINGLE)}|{_PREFIX}{_open(_SINGLE)}",
        "name": _name(_BACKTICK),
        "either": r'"[^"\\]*(?:(?:""|\\[^"])[^"\\]*)*"(?!")',
        "unended": '["`].*',
        "marker": _COLON,
    },
}


def dialect_of(name: str) -> str:
    """Return the dialect that a database of this name is read in; "" where it is not known."""
    known = _ALIASES.get(name, name)
    return known if known in _DIALECTS else ""


def has_open_names(dialect: str) -> bool:
    """Say whether double-quoted text is a name or a literal by where it stands."""
    return "either" in _DIALECTS[dialect]


@cache
def tokens(dialect: str, *, every: bool) -> re.Pattern[str]:
    """Return the pattern that matches one token, whose kind is its `lastgroup`.

    Unless `every` one counts, words and the punctuation between them are one, of the kind `plain`: four times as fast.
    """
    kinds = {**({} if every else _PLAIN), **_DIALECTS[dialect], **_COMMON}
    return re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items()), re.DOTALL)
