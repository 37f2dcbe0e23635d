"""How far each case is: what is kept, what is refused, and what a form carries on."""

from __future__ import annotations

from typing import Any

import pytest

from coa.casework.checklist import Entry, carry_on, checklist, checklist_markdown, checklist_of, save
from coa.casework.topics import TOPICS
from coa.codes import CaseState, CaseTopic
from coa.errors import ConfigurationError
from coa.staging.database import Database
from tests.readiness.snapshot import Snapshot


@pytest.fixture
def run(database: Database) -> Any:
    snapshot = Snapshot()
    snapshot.order("2026-03-01")
    pair = database.value(
        "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('s', 't') RETURNING pair_id"
    )
    return snapshot.stage(database, pair_id=pair)


def of(run: Any, topic: CaseTopic) -> dict[str, Any]:
    return next(row for row in checklist_of(run) if row["topic"] == topic)


def test_every_topic_is_open_until_somebody_says_something(run: Any) -> None:
    rows = checklist_of(run)

    assert [r["topic"] for r in rows] == [t.code for t in TOPICS] == list(CaseTopic)
    assert {(r["state"], r["owner"], r["case_number"]) for r in rows} == {("open", "", "")}


def test_what_was_said_last_is_kept_with_who_said_it(run: Any) -> None:
    for state, number in (("logged", "00123456"), ("done", "00123456")):
        said = {"state": state, "owner": "Ada", "case_number": number, "scenario": "taken_over"}
        with run.db.transaction() as connection:
            save(connection, run.pair_id, Entry.read("consolidation", said), "admin")

    row = of(run, CaseTopic.CONSOLIDATION)

    assert (row["state"], row["owner"], row["case_number"]) == ("done", "Ada", "00123456")
    assert (row["scenario"], row["changed_by"]) == ("taken_over", "admin")
    assert row["changed_at"] is not None
    assert of(run, CaseTopic.LMA)["state"] == "open"


def test_another_pair_has_a_checklist_of_its_own(run: Any) -> None:
    with run.db.transaction() as connection:
        save(connection, run.pair_id, Entry.read("lma", {"state": "done"}), "admin")
        other = checklist(connection, run.pair_id + 1)

    assert {r["state"] for r in other} == {"open"}


@pytest.mark.parametrize(
    ("topic", "said", "fault"),
    [
        ("weather", {}, "there is no topic weather"),
        ("lma", {"state": "maybe"}, "state is one of open, logged, done, not_needed"),
        ("lma", {"owner": "x" * 81}, "owner is a name"),
        ("lma", {"owner": "a\nb"}, "owner is a name"),
        ("lma", {"case_number": "<b>"}, "case_number is at most 40"),
        ("lma", {"state": "logged"}, "a logged case has a number"),
        ("lma", {"scenario": "taken_over"}, "scenario is of the consolidation alone"),
        ("consolidation", {"scenario": "both"}, "scenario is of the consolidation alone"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_reason(topic: str, said: dict[str, str], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        Entry.read(topic, said)


def test_all_faults_are_told_together() -> None:
    with pytest.raises(ConfigurationError, match=r"state is one of.*; owner is.*; case_number is"):
        Entry.read("lma", {"state": "x", "owner": "x" * 99, "case_number": "?"})


def test_the_form_of_an_approval_carries_the_numbers_on(run: Any) -> None:
    with run.db.transaction() as connection:
        save(connection, run.pair_id, Entry.read("lma", {"state": "open", "owner": "Ada"}), "admin")
        save(connection, run.pair_id, Entry.read("checkout", {"state": "done", "case_number": "1"}), "admin")

    told = carry_on(
        run,
        {
            "lma_case": " 00987654 ",
            "checkout_case": "1",
            "agentexchange_case": "see <mail>",
            "community_case": "",
            "reason": "7",
        },
        "bert",
    )

    assert told == ["License Management App (LMA)"]
    row = of(run, CaseTopic.LMA)
    assert (row["state"], row["owner"], row["case_number"], row["changed_by"]) == (
        "logged",
        "Ada",
        "00987654",
        "bert",
    )
    assert of(run, CaseTopic.CHECKOUT)["changed_by"] == "admin"
    assert of(run, CaseTopic.AGENTEXCHANGE)["state"] == CaseState.OPEN


def test_the_approvers_page_escapes_what_was_typed(run: Any) -> None:
    with run.db.transaction() as connection:
        save(connection, run.pair_id, Entry.read("lma", {"owner": "[Ada](http://x)|"}), "admin")

    assert r"\[Ada\]\(http://x\)\|" in checklist_markdown(checklist_of(run))
