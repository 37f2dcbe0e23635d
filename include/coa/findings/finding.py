"""A finding, made from the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from coa.findings.texts import TEXTS
from coa.wording import filled


@dataclass(frozen=True)
class Finding:
    """Something a person should know before the first write. Made by `finding`.

    `severity`: one of `coa.codes.Severity`.
    `examples`: at most ten record ids.
    """

    severity: str
    code: str
    message: str
    next_step: str = ""
    sobject: str = ""
    field: str = ""
    count: int = 0
    examples: list[str] = dataclass_field(default_factory=list)


def finding(
    severity: str,
    text: str,
    *,
    code: str = "",
    sobject: str = "",
    field: str = "",
    count: int = 0,
    examples: Sequence[str] = (),
    **facts: object,
) -> Finding:
    """A finding with the sentences of the catalogue's entry `text`, its placeholders filled.

    `code`: by default the entry's key without what follows a colon (a variant of the sentence).
    `sobject`, `field` and `count` fill placeholders as `facts` do. Raises `KeyError` for an entry that the catalogue
    does not have, and for a placeholder that is not filled.

    >>> finding(
    ...     "blocker", "type_differs", sobject="Account", field="A__c", conflict="text here, a number there"
    ... ).message
    'Account.A__c is text here, a number there.'
    """
    entry = TEXTS[text]
    facts = {**facts, "sobject": sobject, "field": field, "count": count}
    return Finding(
        severity,
        code or text.partition(":")[0],
        filled(entry.message, **facts),
        filled(entry.next_step, **facts),
        sobject,
        field,
        count,
        list(examples),
    )


def finding_of(row: Mapping[str, Any]) -> Finding:
    """A finding as its row of `coa.finding` keeps it."""
    names = ("severity", "code", "message", "next_step", "sobject", "field", "count")
    return Finding(**{name: row[name] for name in names}, examples=list(row["examples"] or ()))
