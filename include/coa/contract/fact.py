"""A fact that code or design relies on, and what an org answered when it was asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """How well a fact is known before an org was asked."""

    DOCUMENTED = "documented"
    """Salesforce's documentation says so."""
    METADATA = "metadata"
    """Seen in metadata that was retrieved from real orgs."""
    RECORDED = "recorded"
    """Seen in recorded traffic, public issues or other people's code."""
    INFERRED = "inferred"
    """Our conclusion, or general knowledge that nobody looked up."""


PROVED = frozenset({Standing.DOCUMENTED, Standing.METADATA})
"""Standings that need no org's word; facts of the others are told as unproved until one has answered."""


class AnswerState(StrEnum):
    """What became of a question."""

    ANSWERED = "answered"
    NOT_ASKABLE = "not_askable"
    """There is no question that tells it, or this org lacks what the question needs."""
    NOT_ASKED = "not_asked"
    """The run was not to ask it: its role, or status probes, were not allowed."""


@dataclass(frozen=True)
class Fact:
    """One fact of the catalogue.

    `expected`: the answer that the fact foretells, `also`: others with which the product works just as well.
    `rests`: what of the product depends on it. `change`: which setting or policy to change where it does not hold.
    `unaskable`: why no probe can ask it; such a fact has no `expected`.
    """

    id: str
    sentence: str
    source: str
    standing: Standing
    rests: str
    change: str = ""
    expected: str = ""
    also: tuple[str, ...] = ()
    unaskable: str = ""

    def holds(self, answer: str) -> bool:
        """Whether the org does as the fact says."""
        return answer == self.expected

    def harmless(self, answer: str) -> bool:
        """Whether the product works with this answer as it does with the expected one."""
        return answer == self.expected or answer in self.also


@dataclass(frozen=True)
class Answer:
    """What one org said to one fact. `answer` is a word of the probe's own, never a value of a record."""

    fact_id: str
    state: AnswerState
    answer: str = ""
    why: str = ""
    """Why it was not asked or could not be."""


class NotAskable(Exception):
    """This org lacks what the probe needs; the message says what."""
