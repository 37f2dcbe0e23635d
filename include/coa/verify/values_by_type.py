"""Values of an org compared in Python by the type that the describe names.

Shares no code with `coa.canon_*` and `coa.fields.compare`: what one of them gets wrong, the other has to show.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

NUMBERS = frozenset({"double", "currency", "percent", "int", "long"})


def plain(kind: str, value: Any) -> Any:
    """A value that equals another one just when the two mean the same; None for an empty one.

    `value`: JSON of the REST API (None, bool, number, text) or a text of Bulk CSV. A value that is not of its type
    stays what it is, and so equals none that is.

    >>> plain("double", "5.00") == plain("double", 5), plain("datetime", "2020-01-02T03:04:05.678Z")
    (True, '2020-01-02T03:04:05Z')
    """
    if kind == "boolean":
        # A checkbox knows two values: an org that has none for it shows it unticked.
        return {"true": True, "false": False, "": False}.get(str(value or "").lower(), value)
    if value is None or value == "":
        return None
    if kind in NUMBERS:
        return _number(value)
    text = value if isinstance(value, str) else str(value)
    if kind == "datetime":
        return _instant(text)
    if kind == "multipicklist":
        # A set: an org gives it in the order of its own picklist.
        return frozenset(part for part in text.split(";") if part)
    return text


def _number(value: Any) -> Any:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return value
    # JSON numbers come as doubles, which keep 15 digits; more of them are not compared.
    return Decimal(f"{number:.15g}") if number.is_finite() else value


def _instant(text: str) -> str:
    """To the second, in UTC; both `Z` and `+0000` are what Salesforce writes."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
