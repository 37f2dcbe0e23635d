"""The rules of `gtm_rules.yaml`: read whole, checked whole, every fault told at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from coa.errors import ConfigurationError

FILE = "gtm_rules.yaml"
FIELDS = (
    "contract_state",
    "contract_length_months",
    "auto_renew",
    "country",
    "currency",
    "pricing",
    "pricing_unit",
    "open_orders",
)
"""What a rule may look at: columns of the assessment."""
NEXT_STEP = f"correct the rules; the project's own {FILE} shows how they are written."


class Meaning(StrEnum):
    """What follows when a rule applies."""

    STAYS = "stays"
    AFTER = "after"
    NOTE = "note"


@dataclass(frozen=True)
class Source:
    """Where a rule is from."""

    title: str
    page: str
    edition: str
    noted_on: date

    def __str__(self) -> str:
        return f"{self.title} ({self.page}; {self.edition}; noted on {self.noted_on})"


@dataclass(frozen=True)
class Rule:
    """Applies to a value that is among `values` (`inside`), or that is not; in lower case, without blanks around."""

    id: str
    field: str
    inside: bool
    values: tuple[str, ...]
    means: Meaning
    says: str
    source: str
    inferred: bool


@dataclass(frozen=True)
class Sentence:
    """Something that is told, and the key of its source."""

    says: str
    source: str


@dataclass(frozen=True)
class Rules:
    """The file. `sources` by their keys; `otherwise` is told where no rule decides."""

    version: str
    sources: dict[str, Source]
    least_notice_days: int
    rules: tuple[Rule, ...]
    otherwise: Sentence
    prerequisites: tuple[Sentence, ...]


@cache
def shipped_rules() -> Rules:
    """The rules that the package is shipped with."""
    return parse_rules(files("coa.readiness").joinpath(FILE).read_text("utf-8"), FILE)


def parse_rules(text: str, name: str) -> Rules:
    """The rules in a text. Raises `ConfigurationError` that lists every fault; `name` says in which file."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{name} is not valid YAML: {error}.", next_step=NEXT_STEP) from error
    reader = _Reader()
    rules = reader.rules(document)
    if reader.faults:
        raise ConfigurationError(f"{name} cannot be used: {'; '.join(reader.faults)}.", next_step=NEXT_STEP)
    return rules


class _Reader:
    """Reads the document and collects what is wrong with it; what is missing becomes empty meanwhile."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.known: dict[str, Source] = {}

    def rules(self, document: Any) -> Rules:
        top = self._fields(
            document,
            "the file",
            (
                "version",
                "sources",
                "least_notice_days",
                "notice_source",
                "rules",
                "otherwise",
                "prerequisites",
            ),
        )
        sources = top.get("sources")
        if not isinstance(sources, dict) or not sources:
            self.faults.append("sources has no entry")
            sources = {}
        self.known = {str(key): self._source(one, f"sources.{key}") for key, one in sources.items()}
        self._of_source(top, "notice_source", "the file")
        rules = tuple(
            self._rule(one, f"rules[{n}]") for n, one in enumerate(self._list(top, "rules"), start=1)
        )
        for twice in sorted({r.id for r in rules if [o.id for o in rules].count(r.id) > 1}):
            self.faults.append(f"rule {twice} stands there twice")
        return Rules(
            self._text(top, "version", "the file"),
            self.known,
            self._days(top.get("least_notice_days")),
            rules,
            self._sentence(top.get("otherwise"), "otherwise"),
            tuple(
                self._sentence(one, f"prerequisites[{n}]")
                for n, one in enumerate(self._list(top, "prerequisites"), start=1)
            ),
        )

    def _source(self, node: Any, where: str) -> Source:
        one = self._fields(node, where, ("title", "page", "edition", "noted_on"))
        noted_on = one.get("noted_on")
        if type(noted_on) is not date:
            self.faults.append(f"{where}.noted_on is no date such as 2026-11-28")
            noted_on = date.min
        title, page, edition = (self._text(one, name, where) for name in ("title", "page", "edition"))
        return Source(title, page, edition, noted_on)

    def _rule(self, node: Any, where: str) -> Rule:
        one = self._fields(
            node,
            where,
            ("id", "field", "one_of", "none_of", "means", "says", "source", "inferred"),
            complete=False,
        )
        if not isinstance(one.get("inferred", False), bool):
            self.faults.append(f"{where}.inferred is neither true nor false")
        if one.get("field") not in FIELDS:
            self.faults.append(f"{where}.field is none of {', '.join(FIELDS)}")
        if one.get("means") not in list(Meaning):
            self.faults.append(f"{where}.means is none of {', '.join(Meaning)}")
            one["means"] = Meaning.NOTE
        if ("one_of" in one) == ("none_of" in one):
            self.faults.append(f"{where} needs either one_of or none_of")
        inside = "one_of" in one
        values = self._list(one, "one_of" if inside else "none_of", where)
        if not all(isinstance(value, str) for value in values):
            self.faults.append(f'{where}: write each value in quotes, as in ["12"]')
        return Rule(
            self._text(one, "id", where),
            str(one.get("field")),
            inside,
            tuple(str(value).strip().lower() for value in values),
            Meaning(one["means"]),
            self._text(one, "says", where),
            self._of_source(one, "source", where),
            bool(one.get("inferred", False)),
        )

    def _sentence(self, node: Any, where: str) -> Sentence:
        one = self._fields(node, where, ("says", "source"))
        return Sentence(self._text(one, "says", where), self._of_source(one, "source", where))

    def _fields(self, node: Any, where: str, names: tuple[str, ...], complete: bool = True) -> dict[str, Any]:
        """The mapping `node`; a fault for what is unknown, and, if it has to be `complete`, for what is missing."""
        if not isinstance(node, dict):
            self.faults.append(f"{where} is no mapping of names and values")
            return {}
        self.faults += [f"{where} has an unknown entry {name}" for name in node if name not in names]
        if complete:
            self.faults += [f"{where} lacks {name}" for name in names if name not in node]
        return dict(node)

    def _list(self, node: dict[str, Any], name: str, where: str = "the file") -> list[Any]:
        found = node.get(name)
        if not isinstance(found, list) or not found:
            self.faults.append(f"{where}: {name} is no list with entries")
            return []
        return found

    def _text(self, node: dict[str, Any], name: str, where: str) -> str:
        found = node.get(name)
        if not isinstance(found, str) or not found.strip():
            self.faults.append(f"{where}.{name} is no text")
            return ""
        return found

    def _of_source(self, node: dict[str, Any], name: str, where: str) -> str:
        key = self._text(node, name, where)
        if key and key not in self.known:
            self.faults.append(f"{where}.{name} names no source: {key}")
        return key

    def _days(self, value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        self.faults.append("least_notice_days is no number of days")
        return 0
