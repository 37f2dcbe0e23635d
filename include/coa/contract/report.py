"""What a contract leaves behind: its state's facts, `summary.json`, the cassette, `facts.csv`, `contract.md`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coa.artifacts import as_json
from coa.contract.cassette import cassette_of
from coa.contract.catalogue import FACTS
from coa.contract.fact import Answer, AnswerState, Fact
from coa.decide import Facts
from coa.staging.runs import Run
from coa.states import RunState

CASSETTE_FILE = "cassette.json"
COLUMNS = (
    "id",
    "sentence",
    "standing",
    "source",
    "state",
    "expected",
    "answer",
    "holds",
    "why",
    "rests",
    "change",
)


def facts_of_contract(run: Run, *, crashed: bool, stopped_as: str | None) -> Facts:
    """What is known of a contract that is over: it is proved when all was asked and a query found nothing left."""
    kept = kept_cassette(run)
    return Facts(
        crashed=crashed,
        stopped_as=RunState(stopped_as) if stopped_as else None,
        proved=kept is not None and kept["remaining"] == 0,
    )


def kept_cassette(run: Run) -> dict[str, Any] | None:
    """The row of `coa.contract_cassette` of a run, None when it did not come so far."""
    return run.db.row("SELECT * FROM coa.contract_cassette WHERE run_id = %s", [run.run_id])


def answers_of(kept: dict[str, Any] | None) -> dict[str, Answer]:
    """By fact; empty where nothing was asked."""
    return cassette_of(kept["cassette"], CASSETTE_FILE).answers if kept else {}


def differing(answers: dict[str, Answer]) -> list[tuple[Fact, Answer]]:
    """Facts that an org answers otherwise than the catalogue, in its order."""
    return [
        (fact, answers[fact.id])
        for fact in FACTS
        if fact.id in answers
        and answers[fact.id].state == AnswerState.ANSWERED
        and not fact.holds(answers[fact.id].answer)
    ]


def summarize_contract(
    run: Run, state: str, calls: dict[str, int], seconds: dict[str, float]
) -> dict[str, Any]:
    """`summary.json`: answers by kind, the facts that differ, and what became of the records."""
    kept = kept_cassette(run)
    answers = answers_of(kept)
    counts = {one.value: sum(a.state == one for a in answers.values()) for one in AnswerState}
    differ = differing(answers)
    return {
        "run_id": run.run_id,
        "mode": run.record.mode,
        "role": run.params.role,
        "state": state,
        "plan_hash": run.record.plan_hash,
        "objects": {},
        "facts": {
            "all": len(FACTS),
            **counts,
            "hold": counts["answered"] - len(differ),
            "differ": len(differ),
        },
        "differ": [
            {
                "id": fact.id,
                "expected": fact.expected,
                "answer": one.answer,
                "harmless": fact.harmless(one.answer),
            }
            for fact, one in differ
        ],
        "records": {
            "made": kept["made"] if kept else {},
            "deleted": kept["deleted"] if kept else 0,
            "in_recycle_bin": kept["in_recycle_bin"] if kept else 0,
            "left": kept["remaining"] if kept else None,
        },
        "api_calls": calls,
        "seconds": seconds,
        "message": run.record.message,
    }


def fact_rows(run: Run) -> Iterable[dict[str, Any]]:
    """Rows of `facts.csv`: the whole catalogue, with the answers as far as there are any."""
    answers = answers_of(kept_cassette(run))
    for fact in FACTS:
        answer = answers.get(fact.id)
        answered = answer is not None and answer.state == AnswerState.ANSWERED
        yield {
            "id": fact.id,
            "sentence": fact.sentence,
            "standing": fact.standing.value,
            "source": fact.source,
            "state": answer.state.value if answer else AnswerState.NOT_ASKED.value,
            "expected": fact.expected,
            "answer": answer.answer if answer else "",
            "holds": fact.holds(answer.answer) if answer and answered else "",
            "why": answer.why if answer else "the run did not come so far",
            "rests": fact.rests,
            "change": fact.change,
        }


def contract_markdown(summary: dict[str, Any], answers: dict[str, Answer]) -> str:
    """The page for a person: what differs and what follows from it, what was not asked, what became of the records."""
    facts, records = summary["facts"], summary["records"]
    lines = [
        f"# Contract {summary['run_id']}: {summary['state']}",
        "",
        f"{facts['answered']} of {facts['all']} facts answered: {facts['hold']} hold, {facts['differ']} differ; "
        f"{facts['not_askable']} cannot be asked, {facts['not_asked']} were not to be asked.",
        "",
        f"Records made: {sum(records['made'].values())}, deleted: {records['deleted']}, left: {records['left']}; "
        f"in the recycle bin: {records['in_recycle_bin']}. Auto-numbers that these records took are not used again.",
    ]
    for fact, answer in differing(answers):
        lines += ["", f"## {fact.id}", "", *described(fact, answer.answer)]
    for state, title in (
        (AnswerState.NOT_ASKED, "Not asked"),
        (AnswerState.NOT_ASKABLE, "Not askable"),
    ):
        found = [a for a in answers.values() if a.state == state]
        if found:
            lines += ["", f"## {title}", "", *(f"- `{one.fact_id}`: {one.why}." for one in found)]
    return "\n".join([*lines, ""])


def described(fact: Fact, answer: str, expected: str = "") -> list[str]:
    """What a difference means, in lines of Markdown; `expected`: another answer to compare with than the fact's."""
    return [
        fact.sentence,
        "",
        f"- the catalogue: {expected or fact.expected} ({fact.standing.value}: {fact.source})",
        f"- this org: {answer}" + ("; the product works with it as it is" if fact.harmless(answer) else ""),
        f"- on it rests: {fact.rests}",
        f"- change: {fact.change}",
    ]


def cassette_text(kept: dict[str, Any]) -> str:
    """The file that a partner may read and send."""
    return as_json(kept["cassette"]) + "\n"
