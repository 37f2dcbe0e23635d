"""Facts that a migration depends on and that are not proved, and which of them its target has answered itself.

A fact is unproved when neither documentation nor metadata of real orgs states it. Two things answer it: a
contract (`coa_contract`), the newest of this target, or else of another org such as its sandbox; and the canary
of this run, which was read back and proved.
"""

from __future__ import annotations

from typing import Any

from coa.contract.cassette import cassette_of
from coa.contract.catalogue import FACTS
from coa.contract.fact import PROVED, AnswerState, Fact
from coa.load.canary_state import canary_of
from coa.load.observed import DID_NOT_HAPPEN, observed
from coa.plan.expected_corrections import RECEIVED_STAMPED
from coa.staging.runs import Run

NOTHING = "nothing"
"""Begins what rests on a fact that the product does not need."""
BORNE_OUT = "proved"
"""The answer of a canary to a fact that has no question of its own."""


def unproved_facts(run: Run) -> list[dict[str, Any]]:
    """Rows (id, sentence, standing, rests, change, by, answer, holds) in the catalogue's order.

    `by`: `contract`, `contract in another org`, `canary`, or empty where nobody has answered; `holds` is None then.
    """
    (by, by_contract), by_canary = _contract_answers(run), _canary_answers(run)
    return [
        _row(fact, by, by_contract.get(fact.id, ""), by_canary.get(fact.id, ""))
        for fact in FACTS
        if fact.standing not in PROVED and not fact.rests.startswith(NOTHING)
    ]


def _row(fact: Fact, contract: str, by_contract: str, by_canary: str) -> dict[str, Any]:
    # What this run has seen itself is the fresher word.
    answer = by_canary or by_contract
    return {
        "id": fact.id,
        "sentence": fact.sentence,
        "standing": fact.standing.value,
        "rests": fact.rests,
        "change": fact.change,
        "by": "canary" if by_canary else contract if by_contract else "",
        "answer": answer,
        "holds": (fact.harmless(answer) or answer == BORNE_OUT) if answer else None,
    }


def _contract_answers(run: Run) -> tuple[str, dict[str, str]]:
    """Who answered, and what: the newest contract of this target, whichever role it was asked in, else of any org."""
    kept = run.db.row(
        """SELECT cassette, org_id = %s AS of_target FROM coa.contract_cassette
           ORDER BY of_target DESC, made_at DESC LIMIT 1""",
        [str(run.record.target_org.get("id", ""))],
    )
    if kept is None:
        return "", {}
    answers = cassette_of(kept["cassette"], "the kept cassette").answers
    given = {name: one.answer for name, one in answers.items() if one.state == AnswerState.ANSWERED}
    return "contract" if kept["of_target"] else "contract in another org", given


def _canary_answers(run: Run) -> dict[str, str]:
    """What a proved canary says: its orders went through all steps, and were equal afterwards."""
    canary = canary_of(run)
    if canary is None or not canary["proved"]:
        return {}
    found = {"load.order": BORNE_OUT}
    stamps = [row for row in observed(run) if row["effect"] == RECEIVED_STAMPED]
    if any(row["surprise"] != DID_NOT_HAPPEN for row in stamps):
        # The date was put back by a date-only update, and the proof found it equal.
        found |= {"order.update.received-stamp": "stamped_over", "order.update.date-only": "kept"}
    elif stamps:
        found["order.update.received-stamp"] = "kept"
    return found
