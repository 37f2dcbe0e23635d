"""SOQL literals: texts, lists of them, and date-times."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime


def text_list(values: Iterable[str]) -> str:
    """Texts for `IN (...)`, each quoted, quotes and backslashes in them escaped.

    >>> text_list(["a", "b'c"])
    "'a','b\\\\'c'"
    """
    return ",".join("'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" for value in values)


def date_time(moment: datetime) -> str:
    """A moment in UTC, cut to the millisecond that Salesforce keeps; raises `ValueError` for one without a zone.

    >>> date_time(datetime(2026, 1, 31, 12, 0, 0, 123900, tzinfo=UTC))
    '2026-01-31T12:00:00.123Z'
    """
    if moment.tzinfo is None:
        raise ValueError("A time without a time zone is ambiguous.")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
