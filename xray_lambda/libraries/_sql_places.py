"""Double-quoted SQL text, a name or a value? SQLite takes `"x"` for a string where nothing is called x.

A value is what stands where values stand: after an operator, in VALUES, in IN, as an argument of a function. It may
still be a name there, which is hidden then, unless a dot shows it: Django and SQLAlchemy write `"table"."column"`.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# After these words a value is due, after those a name; any other word is a name itself, or a function.
_VALUES = _words(
    "VALUES IN LIKE ILIKE GLOB MATCH REGEXP RLIKE IS NOT BETWEEN CASE WHEN THEN ELSE DEFAULT LIMIT OFFSET TOP ESCAPE "
    "RETURN ATTACH DATABASE"
)
_NAMES = _words(
    "SELECT DISTINCT ALL FROM JOIN ON WHERE AND OR HAVING BY SET UPDATE INTO INSERT DELETE TABLE VIEW INDEX TRIGGER "
    "COLUMN CONSTRAINT REFERENCES PRIMARY FOREIGN KEY UNIQUE CHECK CONFLICT USING AS RETURNING UNION EXCEPT INTERSECT "
    "WITH RECURSIVE EXISTS IF ONLY TO ADD DROP ALTER RENAME CREATE SAVEPOINT RELEASE OVER PARTITION ORDER GROUP END DO "
    "COLLATE"
)
# A name follows these whatever it looks like; what they name may have its columns in parentheses.
_NAMING = _words("FROM JOIN INTO UPDATE TABLE VIEW INDEX TRIGGER AS REFERENCES CONSTRAINT SAVEPOINT RELEASE")
_WITH_COLUMNS = _words("INTO TABLE VIEW INDEX REFERENCES WITH RECURSIVE")
_IN_BETWEEN = _words("ON IF NOT EXISTS")  # INDEX "i" ON "t" ("a"), TABLE IF NOT EXISTS "t" ("a")
_OPERATORS = frozenset("=<>!+-*/%|&~^")

_looks_like_a_name = re.compile(r'"[^\W\d][\w$]*"').fullmatch


class Places:
    """Follows a statement token by token, and knows what is due next."""

    __slots__ = ("_before", "_between", "_called", "_columns", "_listed", "_naming", "_strict", "_value")

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict  # show what cannot be a value, not what looks like a name as well
        self._value = False  # a value is due
        self._naming = False  # a name is due, whatever it looks like
        self._listed = False  # each comma of this list leads to a value
        self._called = False  # a name was last: what opens now are its arguments
        self._columns = False  # ... or its columns
        self._between = False  # the next AND leads to a value
        self._before: list[tuple[bool, bool]] = []

    def shows(self, quoted: str) -> bool:
        """Say whether double-quoted text that has no dot beside it is a name."""
        return not self._value and (self._naming or (not self._strict and _looks_like_a_name(quoted) is not None))

    def word(self, word: str) -> None:
        """Go over a word, in upper case."""
        self._naming = word in _NAMING
        self._called = word not in _VALUES and word not in _NAMES
        self._value = word in _VALUES or (word == "AND" and self._between)
        if self._called:
            return
        self._between = word == "BETWEEN"
        if word not in _IN_BETWEEN:
            self._columns = word in _WITH_COLUMNS
            if word in _NAMES or word == "VALUES":
                self._listed = self._value

    def operand(self, *, name: bool = False) -> None:
        """Go over a literal, a placeholder or a name."""
        self._value = self._naming = False
        self._called = name

    def other(self, char: str) -> None:
        """Go over a character of punctuation."""
        if char == "(":
            self._before.append((self._listed, self._between))
            self._value = self._listed = not self._columns if self._called else self._value
            self._columns = self._between = False
        elif char == ")":
            self._listed, self._between = self._before.pop() if self._before else (False, False)
            self._value = False
        elif char == ",":
            self._value = self._listed
        elif char == ";":
            self.__init__(strict=self._strict)  # type: ignore[misc]  # a new statement
        else:
            self._value = char in _OPERATORS
        self._naming = self._called = False
