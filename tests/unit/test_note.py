"""The line that Airflow shows beside a run, for every kind of run and every state."""

from __future__ import annotations

from typing import Any

import pytest

from coa.model import LOADED, ORDER
from coa.report.summary import ALL_COUNTS, COUNTS, RELINK_COUNTS, UNDO_COUNTS, note_of, objects_of


def summary(
    state: str, names: tuple[str, ...], mode: str = "full", message: str = "", *, order: dict[str, int]
) -> dict[str, Any]:
    objects = {name: dict.fromkeys(names, 0) for name in LOADED}
    objects[ORDER] |= order
    return {"run_id": "R", "mode": mode, "state": state, "message": message, "objects": objects}


def test_a_migration_tells_what_it_wrote_and_a_dry_run_what_it_would() -> None:
    counts = {"extracted": 70, "to_insert": 60, "inserted": 58, "blocked": 10, "rejected": 2}

    written = note_of(summary("verified", COUNTS, order=counts))
    planned = note_of(summary("dry_run", COUNTS, order=counts))

    assert "70 orders: 58 inserted, 10 blocked, 2 rejected" in written
    assert "70 orders: 60 to insert, 10 blocked, 2 rejected" in planned
    assert "0 details: nothing to do" in written


def test_what_differs_on_purpose_is_said_beside_the_verdict() -> None:
    done = summary("verified", COUNTS, order={"extracted": 70, "inserted": 70})

    note = note_of({**done, "explained": {"owner_policy": 1080, "truncated": 2}})

    assert note.endswith(
        "1,082 values differ on purpose: 1,080 owners replaced (owner_policy), 2 texts cut off (too_long_policy)"
    )


def test_a_roll_back_has_other_counts() -> None:
    counts = {"to_delete": 60, "to_restore": 3, "left": 2, "deleted": 59, "restored": 3, "rejected": 1}

    written = note_of(summary("rows_rejected", UNDO_COUNTS, "rollback", "One was refused.", order=counts))
    planned = note_of(summary("dry_run", UNDO_COUNTS, "rollback", order=counts))

    assert written.startswith("rows_rejected (R): One was refused.; ")
    assert "65 orders: 59 deleted, 3 restored, 2 left as they are, 1 rejected" in written
    assert "65 orders: 60 to delete, 3 to restore, 2 left as they are" in planned


def test_a_relinking_has_other_counts() -> None:
    objects = {
        "Visit__c": dict.fromkeys(RELINK_COUNTS, 0)
        | {"to_set": 9, "unchanged": 2, "left": 1, "set": 8, "held": 1}
    }
    done = {"run_id": "R", "mode": "relink", "state": "verified", "message": "", "objects": objects}

    assert note_of(done) == "verified (R); 12 Visit__c: 8 set, 1 held, 1 left as they are"
    assert note_of({**done, "state": "dry_run"}) == (
        "dry_run (R); 12 Visit__c: 9 to set, 1 held, 1 left as they are"
    )


@pytest.mark.parametrize("state", ["failed", "blocked", "not_approved"])
def test_a_run_that_did_not_end_well_says_why_and_not_that_there_was_nothing_to_do(state: str) -> None:
    note = note_of(summary(state, COUNTS, message="Anna rejected the plan.", order={"extracted": 70}))

    assert note.startswith(f"{state} (R): Anna rejected the plan.; ")
    assert "nothing to do" not in note


@pytest.mark.parametrize("odd", [None, {}, {"objects": None}, {"objects": [1]}, {"objects": {ORDER: "x"}}])
def test_counts_of_an_unknown_shape_are_none(odd: Any) -> None:
    assert objects_of(odd) == {}
    assert objects_of({"objects": {ORDER: {"inserted": 4, "new": 1, "odd": "x"}}})[ORDER] | {"new": 1} == {
        **ALL_COUNTS,
        "inserted": 4,
        "new": 1,
    }
