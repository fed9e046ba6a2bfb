"""A place in the tokens of a filter expression, and what can be read there: marks, words, operators, values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xray_lambda.viewer.filters.keywords import NUMBER, OPERATORS, TEXT
from xray_lambda.viewer.filters.tokens import FilterError, Token

if TYPE_CHECKING:
    from xray_lambda.viewer.filters.keywords import Kind
    from xray_lambda.viewer.filters.nodes import Value


class Cursor:
    """Stands before one of the tokens, and moves to the right."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.place = 0

    @property
    def next(self) -> Token:
        """The token that comes next."""
        return self.tokens[self.place]

    def take(self) -> Token:
        """Take the token that comes next."""
        token = self.next
        self.place += 1
        return token

    def mark(self, value: str) -> bool:
        """Take this mark if it comes next."""
        found = self.next.kind == "mark" and self.next.value == value
        self.place += found
        return found

    def word(self, value: str) -> bool:
        """Take this word, in any case, if it comes next."""
        found = self.next.kind == "word" and self.next.value.upper() == value
        self.place += found
        return found

    def need(self, value: str) -> None:
        """Take this mark. Raises FilterError if another comes next."""
        if not self.mark(value):
            raise self.unexpected(f"{value!r}")

    def unexpected(self, expected: str) -> FilterError:
        """Return the error that something else was expected here."""
        token = self.next
        found = "the expression ends" if token.kind == "end" else f"{token.value!r} stands"
        return FilterError(f"expected {expected} where {found}", token.position)

    def operator(self) -> Token | None:
        """Take an operator if one comes next, and return it in its one spelling."""
        token = self.next
        if token.kind == "word" and token.value.upper() in OPERATORS:
            self.place += 1
            return token._replace(value=token.value.upper())
        if token.kind == "mark" and token.value in OPERATORS:
            return self.take()
        return None

    def check(self, operator: Token, kind: Kind, what: str) -> None:
        """Raise FilterError for an operator that this kind has not."""
        if operator.value not in kind.operators:
            known = ", ".join(kind.operators)
            raise FilterError(f"{what} cannot be compared with {operator.value}; known: {known}", operator.position)

    def string(self) -> str:
        """Take a text; a single word needs no quotation marks."""
        if self.next.kind not in ("text", "word", "number"):
            raise self.unexpected("a text in quotation marks")
        return self.take().value

    def value(self) -> Value:
        """Take a value of any type: 17, true, "text"."""
        token = self.next
        if token.kind == "number":
            return self.number()
        if token.kind == "word" and token.value.lower() in ("true", "false"):
            self.place += 1
            return token.value.lower() == "true"
        if token.kind not in ("text", "word"):
            raise self.unexpected("a value")
        return self.take().value

    def number(self) -> float:
        """Take a number."""
        token = self.next
        if token.kind != "number":
            raise self.unexpected("a number")
        figure = float(token.value)
        if abs(figure) > 1e300:
            raise FilterError("this number is too large", token.position)
        self.place += 1
        return figure

    def value_of(self, kind: Kind, keyword: str) -> Value:
        """Take a value for a keyword of this kind."""
        token = self.next
        if kind is NUMBER:
            return self.number()
        if kind is TEXT:
            return self.string()
        if token.kind in ("word", "text") and token.value.lower() in ("true", "false"):
            self.place += 1
            return token.value.lower() == "true"
        raise self.unexpected(f"true or false, for {keyword} is a boolean keyword,")
