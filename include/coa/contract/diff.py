"""Where two orgs differ that were asked the same: a cassette, and its replay on an org of another kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from coa.contract.catalogue import BY_ID, FACTS
from coa.contract.fact import Answer, AnswerState, Fact


@dataclass(frozen=True)
class Difference:
    """A fact to which the replay answers otherwise than the cassette."""

    fact: Fact
    cassette: str
    replay: str


@dataclass(frozen=True)
class Comparison:
    """`same`: facts with one answer; `not_compared`: why, by fact; `unknown`: ids that this catalogue lacks."""

    same: tuple[Fact, ...]
    different: tuple[Difference, ...]
    not_compared: dict[str, str]
    unknown: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """`58 hold, 3 differ`."""
        return f"{len(self.same)} hold, {len(self.different)} differ"


def answered(answers: Iterable[Answer]) -> list[Fact]:
    """Facts of the catalogue that were answered, in its order: those that a replay asks for."""
    found = {one.fact_id for one in answers if one.state == AnswerState.ANSWERED}
    return [fact for fact in FACTS if fact.id in found and not fact.unaskable]


def compare(cassette: dict[str, Answer], replay: dict[str, Answer]) -> Comparison:
    """Answers by fact id of both sides. What one side did not answer is not compared, and told."""
    same: list[Fact] = []
    different: list[Difference] = []
    not_compared: dict[str, str] = {}
    for fact in FACTS:
        here, there = cassette.get(fact.id), replay.get(fact.id)
        if here is None or here.state != AnswerState.ANSWERED:
            not_compared[fact.id] = here.why if here else "the cassette does not have it"
        elif there is None or there.state != AnswerState.ANSWERED:
            not_compared[fact.id] = f"the simulator: {there.why if there else 'it was not asked'}"
        elif here.answer == there.answer:
            same.append(fact)
        else:
            different.append(Difference(fact, here.answer, there.answer))
    unknown = tuple(sorted(set(cassette) - set(BY_ID)))
    return Comparison(tuple(same), tuple(different), not_compared, unknown)


def told(found: Comparison) -> str:
    """The comparison for a person: the headline, each difference with what follows from it, then what was left out."""
    lines = [found.headline]
    for one in found.different:
        fact = one.fact
        lines += [
            "",
            f"{fact.id}: {fact.sentence}",
            f"  the cassette: {one.cassette}",
            f"  the simulator: {one.replay}",
            f"  on it rests: {fact.rests}",
            f"  change: {fact.change}",
        ]
    if found.unknown:
        lines += ["", f"Not in this program's catalogue: {', '.join(found.unknown)}."]
    lines += ["", f"{len(found.not_compared)} facts were not compared: not askable, or not asked."]
    return "\n".join(lines)
