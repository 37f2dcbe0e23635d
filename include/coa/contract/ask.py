"""Walks through the catalogue: which questions a run may ask, how many records they make, and the answers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from coa.contract.catalogue import FACTS
from coa.contract.fact import Answer, AnswerState, Fact, NotAskable
from coa.contract.marks import CHILDREN_FIRST
from coa.contract.probe_org import Exchange, ForbiddenWrite, ProbeOrg
from coa.contract.probes import PROBES, STAGE, Access
from coa.contract.stage import Stage
from coa.errors import OrgRefused

log = logging.getLogger(__name__)

NEEDS_ROLE = "it makes records, and the org was asked as a source, which is only read"
NEEDS_LEAVE = "it makes an order something else than Draft; see the param status_probes"


@dataclass
class Asked:
    """The answer to one fact, and the exchanges that led to it."""

    fact: Fact
    answer: Answer
    exchanges: list[Exchange] = field(default_factory=list)


def askable(fact: Fact, allowed: Access) -> bool:
    """Whether a run that may do so much asks for this fact."""
    return not fact.unaskable and PROBES[fact.id].access <= allowed


def count_beforehand(allowed: Access, facts: Iterable[Fact] = FACTS) -> dict[str, int]:
    """The most records of each sObject that a run makes; what is announced to the gate."""
    counts: Counter[str] = Counter()
    for fact in facts:
        if askable(fact, allowed):
            counts.update(PROBES[fact.id].writes)
    if allowed >= Access.WRITE:
        counts.update(STAGE)
    return {name: counts[name] for name in reversed(CHILDREN_FIRST) if counts[name]}


def ask_all(
    org: ProbeOrg,
    allowed: Access,
    facts: Iterable[Fact] = FACTS,
    on_answer: Callable[[Asked], None] = lambda _asked: None,
) -> list[Asked]:
    """The answers in the order of the facts. Raises what a broken connection raises, never for an odd answer.

    What only reads is asked first, while the org has no record of ours, and what releases orders last. Orders of status
    probes are deleted as soon as they have answered.
    """
    stage = Stage(org)
    wanted = list(facts)
    asked: dict[str, Asked] = {}
    for fact in sorted(wanted, key=_access):
        one = asked[fact.id] = _ask(org, stage, fact, allowed)
        log.info("%s: %s %s", fact.id, one.answer.answer or one.answer.state, one.answer.why)
        on_answer(one)
    return [asked[fact.id] for fact in wanted]


def _access(fact: Fact) -> Access:
    return PROBES[fact.id].access if fact.id in PROBES else Access.READ


def _ask(org: ProbeOrg, stage: Stage, fact: Fact, allowed: Access) -> Asked:
    if fact.unaskable:
        return Asked(fact, Answer(fact.id, AnswerState.NOT_ASKABLE, why=fact.unaskable))
    probe = PROBES[fact.id]
    if probe.access > allowed:
        why = NEEDS_ROLE if allowed == Access.READ else NEEDS_LEAVE
        return Asked(fact, Answer(fact.id, AnswerState.NOT_ASKED, why=why))
    org.exchanges = []
    org.announce(probe.writes)
    before = {sobject: len(ids) for sobject, ids in org.made.items()}
    try:
        answer = Answer(fact.id, AnswerState.ANSWERED, probe.ask(org, stage))
    except NotAskable as lacking:
        answer = Answer(fact.id, AnswerState.NOT_ASKABLE, why=str(lacking))
    except OrgRefused as refused:
        why = f"the org refused what the probe asked: {refused.code or refused.status}"
        answer = Answer(fact.id, AnswerState.NOT_ASKABLE, why=why)
    except (LookupError, TypeError, ValueError) as odd:
        # Another server than Salesforce, or a new version of it: one odd answer must not keep the others back.
        log.warning("%s: an answer that the probe does not know", fact.id, exc_info=odd)
        why = f"the org answered in a form that the probe does not know ({type(odd).__name__})"
        answer = Answer(fact.id, AnswerState.NOT_ASKABLE, why=why)
    org.drop_queries()
    if probe.access == Access.STATUS:
        _delete_made_since(org, before)
    return Asked(fact, answer, org.exchanges)


def _delete_made_since(org: ProbeOrg, before: dict[str, int]) -> None:
    """At once: an order that is no Draft stands for no longer than it takes to look at it."""
    for sobject in CHILDREN_FIRST[:2]:
        fresh = org.made.get(sobject, [])[before.get(sobject, 0) :]
        if fresh:
            org.delete(sobject, *fresh)


__all__ = ["Asked", "ForbiddenWrite", "ask_all", "askable", "count_beforehand"]
