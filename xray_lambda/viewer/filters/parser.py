"""A filter expression -> its tree, every keyword, operator and value checked; what is wrong is said with its place."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from xray_lambda.viewer.filters import patterns
from xray_lambda.viewer.filters.cursor import Cursor
from xray_lambda.viewer.filters.keywords import BOOLEAN, NUMBER, OPERATORS, ROOT_CAUSES, SCOPES, TEXT
from xray_lambda.viewer.filters.nodes import (
    EVERYTHING,
    All,
    Annotated,
    Cause,
    CauseLike,
    Edge,
    Keyword,
    Not,
    Service,
    Some,
    Target,
)
from xray_lambda.viewer.filters.tokens import FilterError, Token, tokenize

if TYPE_CHECKING:
    from typing import Any


_DEEPEST = 30
_MOST_CONDITIONS = 200
_WORDS = ("AND", "OR", "NOT", *OPERATORS)


def parse(text: str) -> Any:
    """Return the tree of an expression; an empty one is true of every trace. Raises FilterError."""
    return _Parser(tokenize(text)).whole()


class _Parser(Cursor):
    """Reads one expression from left to right; `scope` is what the braces around the current place speak of."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self.depth = 0
        self.conditions = 0
        self.scope = "trace"

    def whole(self) -> Any:
        if self.next.kind == "end":
            return EVERYTHING
        found = self.some()
        if self.next.kind != "end":
            raise self.unexpected("AND, OR or the end")
        return found

    def some(self) -> Any:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise FilterError(f"the expression is nested more than {_DEEPEST} deep", self.next.position)
        parts = [self.all()]
        while self.word("OR"):
            parts.append(self.all())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def all(self) -> Any:
        parts = [self.one()]
        # Conditions side by side hold together, as in `ok !partial duration < 3`.
        while self.word("AND") or self.begins_another():
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def begins_another(self) -> bool:
        token = self.next
        if token.kind == "word":
            return token.value.upper() != "OR"
        return token.kind == "mark" and token.value in ("!", "(")

    def one(self) -> Any:
        denied = False
        while self.mark("!") or self.word("NOT"):
            denied = not denied
        if self.mark("("):
            found = self.some()
            self.need(")")
        else:
            found = self.condition()
        return Not(found) if denied else found

    def condition(self) -> Any:
        self.conditions += 1
        token = self.next
        if self.conditions > _MOST_CONDITIONS:
            raise FilterError(f"the expression has more than {_MOST_CONDITIONS} conditions", token.position)
        if token.kind != "word" or token.value.upper() in _WORDS:
            raise self.unexpected("a keyword")
        self.place += 1
        name = token.value.lower()
        if name in ("service", "edge") and self.mark("("):
            return self.service(token) if name == "service" else self.edge(token)
        if name == "annotation" or name.startswith("annotation."):
            return self.annotation(token)
        if name == "rootcause.json":
            return self.cause_like(token)
        if name in ROOT_CAUSES:
            return self.cause(token, name)
        return self.keyword(token, name)

    def service(self, token: Token) -> Any:
        target = self.target(")")
        self.need(")")
        return Service(target, self.block("service", token))

    def edge(self, token: Token) -> Any:
        begins = self.next.position
        source = self.target(",")
        if source.account_id is not None:
            raise FilterError("the account of a caller is not known; say its name or type", begins)
        self.need(",")
        destination = self.target(")")
        self.need(")")
        return Edge(source, destination, self.block("edge", token))

    def target(self, end: str) -> Target:
        if self.next.kind == "mark" and self.next.value == end:
            return Target()
        if self.word("ID"):
            self.need("(")
            return self.identity()
        return Target(self.string() or None)

    def identity(self) -> Target:
        fields: dict[str, str] = {}
        names = {"name": "name", "type": "type", "account.id": "account_id", "accountid": "account_id"}
        while not self.mark(")"):
            if fields:
                self.need(",")
            token = self.take()
            key = token.value.lower()
            separated = key.endswith(":")  # a word takes the colons that follow it
            field = names.get(key.rstrip(":"))
            if token.kind != "word" or field is None:
                self.place -= 1
                raise self.unexpected("name:, type: or account.id:")
            if not separated:
                self.need(":")
            fields[field] = self.string()
        return Target(**fields)

    def block(self, scope: str, token: Token) -> Any:
        """Read what stands in braces, if they are there; in it, keywords speak of `scope`."""
        if self.scope != "trace":
            raise FilterError(f"{token.value} cannot stand inside the braces of another", token.position)
        if not self.mark("{"):
            return EVERYTHING
        if self.mark("}"):
            return EVERYTHING
        self.scope = scope
        found = self.some()
        self.scope = "trace"
        self.need("}")
        return found

    def annotation(self, token: Token) -> Any:
        if self.scope.startswith("rootcause"):
            raise FilterError(f"{token.value} cannot stand inside the braces of a root cause", token.position)
        key = token.value[len("annotation.") :]
        if not key:
            self.need("[")
            key = self.string()
            self.need("]")
        operator = self.operator()
        if operator is None:
            return Annotated(key, None, None)
        value = self.value()
        kind = BOOLEAN if isinstance(value, bool) else TEXT if isinstance(value, str) else NUMBER
        self.check(operator, kind, f"a {kind.name} value")
        return Annotated(key, operator.value, value)

    def cause(self, token: Token, name: str) -> Any:
        _, cause, element = name.split(".")
        return Cause(cause, element, self.block(f"rootcause.{element}", token))

    def cause_like(self, token: Token) -> Any:
        if self.scope != "trace":
            raise FilterError("rootcause.json cannot stand inside braces", token.position)
        self.need("=")
        if self.next.kind != "json":
            raise self.unexpected('JSON after a #, as in #[{"Services": [{"Name": "shop"}]}]')
        found = self.take()
        return CauseLike(patterns.read(found.value, found.position))

    def keyword(self, token: Token, name: str) -> Any:
        meaning = SCOPES[self.scope].get(name)
        if meaning is None:
            raise FilterError(_unknown(token.value, self.scope), token.position)
        operator = self.operator()
        if operator is None:
            return Keyword(name, None, None)
        self.check(operator, meaning.kind, token.value)
        return Keyword(name, operator.value, self.value_of(meaning.kind, token.value))


def _unknown(word: str, scope: str) -> str:
    """Say what is wrong with a word that is no keyword here, and what would be one."""
    name = word.lower()
    if name.startswith("group."):
        return f"{word}: groups are kept in an AWS account; put the group's own filter expression here instead"
    where = "" if scope == "trace" else f" in the braces of {scope}"
    elsewhere = [other for other, known in SCOPES.items() if name in known]
    if elsewhere:
        return f"{word} has no meaning{where or ' of a whole trace'}; it stands in the braces of {', '.join(elsewhere)}"
    known = sorted(SCOPES[scope])
    if scope == "trace":
        known += ["service(...)", "edge(...)", "annotation.KEY", "rootcause.json", *ROOT_CAUSES]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{word!r} is no keyword{where}; {hint}known: {', '.join(known)}"
