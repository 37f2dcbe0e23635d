"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """
    >>> counted(1, "owner"), counted(1200, "owner")
    ('1 owner', '1,200 owners')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def verb(number: int, of_one: str, of_many: str) -> str:
    """The form of a verb that goes with a number.

    >>> verb(1, "stands", "stand"), verb(2, "stands", "stand")
    ('stands', 'stand')
    """
    return of_one if number == 1 else of_many
