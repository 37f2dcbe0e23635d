"""SOQL date literals as half-open ranges of days."""

from __future__ import annotations

import datetime as dt

_UNITS = ("DAYS", "WEEKS", "MONTHS", "QUARTERS", "YEARS", "FISCAL_QUARTERS", "FISCAL_YEARS")


def add_months(day: dt.date, months: int) -> dt.date:
    """First of the month that lies ``months`` away."""
    index = day.year * 12 + day.month - 1 + months
    return dt.date(index // 12, index % 12 + 1, 1)


def _period(unit: str, today: dt.date, shift: int) -> tuple[dt.date, dt.date]:
    """The whole calendar period ``shift`` periods from the current one."""
    if unit == "DAY":
        start = today + dt.timedelta(days=shift)
        return start, start + dt.timedelta(days=1)
    if unit == "WEEK":
        sunday = today - dt.timedelta(days=(today.weekday() + 1) % 7)
        start = sunday + dt.timedelta(weeks=shift)
        return start, start + dt.timedelta(weeks=1)
    months = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}[unit]
    first = today.replace(day=1, month=today.month - (today.month - 1) % months)
    return add_months(first, shift * months), add_months(first, (shift + 1) * months)


def literal_range(word: str, today: dt.date) -> tuple[dt.date, dt.date] | None:
    """[start, end) of a date literal such as TODAY or LAST_N_DAYS:30; None when it is none."""
    word = word.upper()
    simple = {"TODAY": 0, "YESTERDAY": -1, "TOMORROW": 1}
    if word in simple:
        return _period("DAY", today, simple[word])
    if word in ("LAST_90_DAYS", "NEXT_90_DAYS"):
        ninety = dt.timedelta(days=90)
        tomorrow = today + dt.timedelta(days=1)
        return (today - ninety, tomorrow) if word[0] == "L" else (tomorrow, tomorrow + ninety)
    head, _, number = word.partition(":")
    if number:
        return _counted(head, int(number), today)
    direction, _, unit = word.partition("_")
    unit = unit.removeprefix("FISCAL_")
    shifts = {"LAST": -1, "THIS": 0, "NEXT": 1}
    if direction in shifts and unit in ("WEEK", "MONTH", "QUARTER", "YEAR"):
        return _period(unit, today, shifts[direction])
    return None


def _counted(head: str, count: int, today: dt.date) -> tuple[dt.date, dt.date] | None:
    count = min(count, 100_000)
    if head == "N_DAYS_AGO":
        return _period("DAY", today, -count)
    direction, _, unit = head.partition("_N_")
    if direction not in ("LAST", "NEXT") or unit not in _UNITS:
        return None
    if unit == "DAYS":
        span = dt.timedelta(days=count)
        tomorrow = today + dt.timedelta(days=1)
        # LAST_N_DAYS includes today, NEXT_N_DAYS starts tomorrow.
        return (today - span, tomorrow) if direction == "LAST" else (tomorrow, tomorrow + span)
    period = unit.removeprefix("FISCAL_").rstrip("S")
    if direction == "LAST":
        return _period(period, today, -count)[0], _period(period, today, 0)[0]
    return _period(period, today, 1)[0], _period(period, today, count)[1]
