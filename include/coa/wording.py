"""Sentences that people read: numbers in them, and texts with named placeholders."""

from __future__ import annotations

from string import Formatter
from typing import Any, NamedTuple


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


def escape_markdown(text: str) -> str:
    """For names that come from outside: no Markdown of theirs takes effect.

    >>> escape_markdown("a_b | <c>")
    'a\\\\_b \\\\| \\\\<c\\\\>'
    """
    return "".join("\\" + c if c in "\\`*_{}[]<>()#|!" else c for c in text)


class Text(NamedTuple):
    """An entry of a catalogue: what is the case, and what to do next; both with placeholders for `filled`."""

    message: str
    next_step: str


class _Sentence(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, list):
            return ", ".join(map(str, value))
        if "|" in format_spec:
            return verb(value, *format_spec.split("|"))
        if format_spec.replace(" ", "").isalpha():
            return counted(value, format_spec)
        return str(super().format_field(value, format_spec))


def filled(text: str, **facts: object) -> str:
    """A text with its placeholders filled. Raises `KeyError` when a fact that it names is missing.

    Lists are joined by commas. A number with a noun is counted, one with two forms chooses between them.

    >>> filled("{n:record} of {names} {n:is|are} held", n=1200, names=["Customer", "Order"])
    '1,200 records of Customer, Order are held'
    """
    return _Sentence().vformat(text, (), facts)


def parts(text: str) -> list[tuple[str, str]]:
    """A text as (literal, name of the placeholder that follows, empty at the end).

    >>> parts("{n} are gone.")
    [('', 'n'), (' are gone.', '')]
    """
    return [(literal, name or "") for literal, name, _, _ in Formatter().parse(text)]


def placeholders(text: str) -> set[str]:
    """Names of the facts that a text needs.

    >>> sorted(placeholders("{n:record} of {names}"))
    ['n', 'names']
    """
    return {name for _, name in parts(text) if name}
