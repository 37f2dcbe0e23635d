"""The syntax tree of a SOQL query, and the parser that makes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, VisitError

from orgsim.errors import ApiError

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """kind: string, number, date, datetime, currency, relative (date literal) or word (true, false, null, TODAY...)."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Select:
    """A selected path or function, with its alias."""

    what: Path | Function
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Compare:
    """operator: = != < > <= >= like in not_in in_query not_in_query includes excludes."""

    operand: Path | Function
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Logic:
    """operator: and, or, not."""

    operator: str
    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class OrderBy:
    what: Path | Function
    descending: bool = False
    nulls_last: bool = False


@dataclass(slots=True)
class Query:
    select: list[Select] = field(default_factory=list)
    children: list[Query] = field(default_factory=list)
    source: str = ""
    alias: str = ""
    where: Any = None
    group: list[Path | Function] = field(default_factory=list)
    having: Any = None
    order: list[OrderBy] = field(default_factory=list)
    limit: int | None = None
    offset: int | None = None
    typeof: bool = False
    all_rows: bool = False
    text: str = ""


def _path(token: str) -> Path:
    return tuple(part.strip() for part in token.split("."))


def _unescape(text: str) -> str:
    out, escapes = [], {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
    position, body = 0, text[1:-1]
    while position < len(body):
        char = body[position]
        if char == "\\" and position + 1 < len(body):
            follower = body[position + 1]
            # In LIKE patterns \% and \_ stay escaped: the compiler needs to see them.
            out.append("\\" + follower if follower in "%_" else escapes.get(follower, follower))
            position += 2
        else:
            out.append(char)
            position += 1
    return "".join(out)


class _Build(Transformer[Token, Any]):
    """Lark's tree to :class:`Query`."""

    def query(self, parts: list[Any]) -> Query:
        query = Query()
        for part in parts:
            if isinstance(part, Select):
                query.select.append(part)
            elif isinstance(part, Query):
                query.children.append(part)
            elif isinstance(part, tuple):
                name, value = part
                if name == "source":
                    query.source, query.alias = value
                else:
                    setattr(query, name, value)
        return query

    def source(self, parts: list[Any]) -> tuple[str, tuple[str, str]]:
        return "source", (str(parts[0]), str(parts[1]) if len(parts) > 1 else "")

    def scope(self, _parts: list[Any]) -> None:
        return None

    def with_(self, _parts: list[Any]) -> None:
        return None

    def select_field(self, parts: list[Any]) -> Select:
        return Select(_path(parts[0]), str(parts[1]) if len(parts) > 1 else "")

    def select_function(self, parts: list[Any]) -> Select:
        return Select(parts[0], str(parts[1]) if len(parts) > 1 else "")

    def subquery(self, parts: list[Any]) -> Query:
        child: Query = parts[0]
        return child

    def typeof(self, _parts: list[Any]) -> tuple[str, bool]:
        return "typeof", True

    def function(self, parts: list[Any]) -> Function:
        return Function(str(parts[0]).upper(), tuple(parts[1:]))

    def path_argument(self, parts: list[Any]) -> Path:
        return _path(parts[0])

    path_operand = path_argument

    def where(self, parts: list[Any]) -> tuple[str, Any]:
        return "where", parts[0]

    def having(self, parts: list[Any]) -> tuple[str, Any]:
        return "having", parts[0]

    def group(self, parts: list[Any]) -> tuple[str, Any]:
        return "group", list(parts)

    def order(self, parts: list[Any]) -> tuple[str, Any]:
        return "order", list(parts)

    def order_item(self, parts: list[Any]) -> OrderBy:
        words = [str(one).lower() for one in parts[1:]]
        return OrderBy(parts[0], "desc" in words, "last" in words)

    def limit(self, parts: list[Any]) -> tuple[str, int]:
        return "limit", int(float(parts[0]))

    def offset(self, parts: list[Any]) -> tuple[str, int]:
        return "offset", int(float(parts[0]))

    def tail(self, _parts: list[Any]) -> None:
        return None

    def all_rows(self, _parts: list[Any]) -> tuple[str, bool]:
        return "all_rows", True

    def all_of(self, parts: list[Any]) -> Logic:
        return Logic("and", tuple(parts))

    def any_of(self, parts: list[Any]) -> Logic:
        return Logic("or", tuple(parts))

    def negated(self, parts: list[Any]) -> Logic:
        return Logic("not", tuple(parts))

    def compare(self, parts: list[Any]) -> Compare:
        operator = str(parts[1])
        return Compare(parts[0], "!=" if operator == "<>" else operator, parts[2])

    def like(self, parts: list[Any]) -> Compare:
        return Compare(parts[0], "like", parts[1])

    def is_in(self, parts: list[Any]) -> Compare:
        return Compare(parts[0], "in", parts[1])

    def not_in(self, parts: list[Any]) -> Compare:
        return Compare(parts[0], "not_in", parts[1])

    def in_query(self, parts: list[Any]) -> Compare:
        return Compare(parts[0], "in_query", parts[1])

    def not_in_query(self, parts: list[Any]) -> Compare:
        return Compare(parts[0], "not_in_query", parts[1])

    def includes(self, parts: list[Any]) -> Compare:
        return Compare(parts[0], "includes", parts[1])

    def excludes(self, parts: list[Any]) -> Compare:
        return Compare(parts[0], "excludes", parts[1])

    def literals(self, parts: list[Any]) -> tuple[Literal, ...]:
        return tuple(parts)

    def string(self, parts: list[Any]) -> Literal:
        return Literal("string", _unescape(parts[0]))

    def number(self, parts: list[Any]) -> Literal:
        return Literal("number", str(parts[0]))

    def date(self, parts: list[Any]) -> Literal:
        return Literal("date", str(parts[0]))

    def datetime(self, parts: list[Any]) -> Literal:
        return Literal("datetime", str(parts[0]))

    def currency(self, parts: list[Any]) -> Literal:
        return Literal("currency", str(parts[0])[3:])

    def relative(self, parts: list[Any]) -> Literal:
        return Literal("relative", str(parts[0]).upper())

    def word(self, parts: list[Any]) -> Literal:
        return Literal("word", str(parts[0]))


@cache
def _parser() -> Lark:
    grammar = resources.files(__package__).joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", start="query", transformer=_Build())


@lru_cache(maxsize=512)
def parse(text: str) -> Query:
    """The tree of a query; MALFORMED_QUERY with the place of the error otherwise."""
    if not text.strip():
        raise ApiError("MALFORMED_QUERY", "A query string has to be specified")
    if len(text) > 100_000:
        raise ApiError("QUERY_TOO_COMPLICATED", "SOQL statements cannot be longer than 100,000 characters")
    try:
        query: Query = _parser().parse(text)  # type: ignore[assignment]
    except UnexpectedInput as problem:
        raise ApiError(
            "MALFORMED_QUERY", located(text, problem.line, problem.column, _unexpected(problem))
        ) from None
    except (VisitError, RecursionError):
        raise ApiError("MALFORMED_QUERY", "the query cannot be understood") from None
    query.text = text
    return query


def _unexpected(problem: UnexpectedInput) -> str:
    token = getattr(problem, "token", None) or getattr(problem, "char", "")
    if not token or getattr(token, "type", "") == "$END":
        return "unexpected token: '<EOF>'"
    return f"unexpected token: '{token}'"


def located(text: str, row: int, column: int, message: str) -> str:
    """The usual three-line picture: an excerpt, a caret, the place (contract E3)."""
    row, column = max(row, 1), max(column, 1)
    lines = text.splitlines() or [""]
    line = lines[min(row, len(lines)) - 1]
    start = max(0, column - 40)
    excerpt = line[start : column + 40]
    caret = " " * (column - 1 - start) + "^"
    return f"\n{excerpt}\n{caret}\nERROR at Row:{row}:Column:{column}\n{message}"
