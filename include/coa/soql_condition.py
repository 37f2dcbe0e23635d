"""Whether a text is exactly one SOQL condition: for `orders_where`, which is put behind our own WHERE.

Anything else that may follow a WHERE clause (LIMIT, ORDER BY, GROUP BY, FOR ...) would silently make a run
partial, and an unbalanced parenthesis would change the AND around it. The grammar is "conditionExpression" in
Salesforce's SOQL and SOSL Reference. Whether the fields exist is checked by the org.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^'\\]|\\.)*')
      | (?P<word>[A-Za-z_]\w*(?:\.\w+)*(?::\d+)?)
      | (?P<value>[+-]?\.?\d[\w.:+-]*)
      | (?P<sign><=|>=|!=|<>|[=<>(),])
    )""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
COMPARES = frozenset({"=", "!=", "<>", "<", "<=", ">", ">=", "LIKE"})
SETS = frozenset({"IN", "INCLUDES", "EXCLUDES"})
CLAUSES = frozenset(
    {
        "SELECT",
        "FROM",
        "WHERE",
        "LIMIT",
        "OFFSET",
        "ORDER",
        "GROUP",
        "HAVING",
        "FOR",
        "WITH",
        "USING",
        "UPDATE",
        "ALL",
    }
)
"""Words that begin another clause: no condition goes on with one."""
RESERVED = CLAUSES | {"AND", "OR", "NOT", "LIKE", "IN", "INCLUDES", "EXCLUDES", "BY"}
DEEPEST = 100


@dataclass(frozen=True)
class Token:
    """One word, sign or literal of the text."""

    kind: str
    text: str

    @property
    def upper(self) -> str:
        """The word in upper case, to be compared; empty for a literal."""
        return self.text.upper() if self.kind in ("word", "sign") else ""


class NoCondition(ValueError):
    """The text is no condition; the message says why, in words for whoever wrote it."""


def check_condition(text: str) -> None:
    """Raises `NoCondition` unless the text is one SOQL condition, without the word WHERE."""
    reader = _Reader(_tokens(text))
    reader.condition(0)
    if reader.here.kind != "end":
        raise NoCondition(_unexpected(reader.here))


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = TOKEN.match(text, position)
        rest = text[position:].lstrip()
        if rest.startswith(("--", "/*", "//", "#")):
            raise NoCondition("SOQL has no comments")
        if match is None or match.lastgroup is None:
            raise NoCondition(
                "a quote is not closed" if rest.startswith("'") else f"{rest[:1]!r} does not belong there"
            )
        token = Token(match.lastgroup, match[match.lastgroup])
        if token.kind == "value" and "--" in token.text:
            raise NoCondition("SOQL has no comments")
        found.append(token)
        position = match.end()
    return found


def _unexpected(token: Token) -> str:
    if token.kind == "end":
        return "it ends too early"
    if token.upper in CLAUSES:
        return f"{token.upper} is no part of a condition"
    return f"{token.text[:40]!r} is not expected there"


class _Reader:
    """Walks over the tokens by recursive descent."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = [*tokens, Token("end", "")]
        self.position = 0

    @property
    def here(self) -> Token:
        return self.tokens[self.position]

    def take(self, *allowed: str) -> bool:
        if self.here.upper in allowed and self.here.kind != "end":
            self.position += 1
            return True
        return False

    def need(self, *allowed: str) -> None:
        if not self.take(*allowed):
            raise NoCondition(_unexpected(self.here))

    def condition(self, depth: int) -> None:
        if depth > DEEPEST:
            raise NoCondition("its parentheses are nested too deep")
        self.term(depth)
        while self.take("AND", "OR"):
            self.term(depth)

    def term(self, depth: int) -> None:
        while self.take("NOT"):
            pass
        if self.take("("):
            self.condition(depth + 1)
            self.need(")")
            return
        self.operand(depth)
        if self.take("NOT"):
            self.need("IN")
            self.members(depth)
        elif self.take(*SETS):
            self.members(depth)
        else:
            self.need(*COMPARES)
            self.value()

    def operand(self, depth: int) -> None:
        """A field, or a function of fields such as CALENDAR_YEAR(CreatedDate)."""
        if depth > DEEPEST:
            raise NoCondition("its parentheses are nested too deep")
        if self.here.kind != "word" or self.here.upper in RESERVED:
            raise NoCondition(_unexpected(self.here))
        self.position += 1
        if self.take("("):
            self.argument(depth + 1)
            while self.take(","):
                self.argument(depth + 1)
            self.need(")")

    def argument(self, depth: int) -> None:
        if self.here.kind in ("text", "value"):
            self.position += 1
        else:
            self.operand(depth)

    def value(self) -> None:
        token = self.here
        if token.kind not in ("text", "value") and (token.kind != "word" or token.upper in RESERVED):
            raise NoCondition(_unexpected(token))
        self.position += 1

    def members(self, depth: int) -> None:
        """A list of values, or a semi-join: (SELECT field FROM object WHERE condition)."""
        self.need("(")
        if self.take("SELECT"):
            self.operand(depth + 1)
            self.need("FROM")
            self.operand(depth + 1)
            if self.take("WHERE"):
                self.condition(depth + 1)
        else:
            self.value()
            while self.take(","):
                self.value()
        self.need(")")
