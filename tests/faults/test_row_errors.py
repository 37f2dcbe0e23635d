"""Errors of single rows, by Bulk and by REST: what passes is sent again, later; what stays is listed."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from psycopg import sql

from coa.load.retry import is_transient, release_deferred, transient
from coa.model import NS, ORDER
from coa.staging.database import Database
from orgsim.launch import RunningOrg
from tests.engine.harness import Migration, Migrator
from tests.faults.conftest import verdict_on

TEXT = NS + "Invoice_Description__c"


@pytest.fixture(autouse=True)
def orders_for_rest(fault_source: RunningOrg) -> Iterator[None]:
    """Settled orders with line ends that Bulk is not trusted with; the shared source gets its own text back."""
    orders = [
        row
        for row in fault_source.control("GET", f"table/{ORDER}")
        if row["Id"] not in fault_source.control("GET", "planted")["blocked_orders"]
    ][:5]
    for row in orders:
        path = f"records/{ORDER}/{row['Id']}"
        fault_source.control("PATCH", path, {TEXT: "first line\r\nsecond"}, raw="true")
    yield
    for row in orders:
        fault_source.control("PATCH", f"records/{ORDER}/{row['Id']}", {TEXT: row[TEXT]}, raw="true")


# Text with a carriage return goes by REST (docs/settings.md, COA_EMBEDDED_CR).
REST = {"kind": "refuse_rows", "api": "rest", "sobject": ORDER}
WRAPPED = {
    "code": "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
    "message": "OrderTrigger: execution of AfterUpdate caused by: System.DmlException: Update failed. First exception "
    "on row 0 with id a0B000000000001; first error: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access",
}


class Killed(BaseException):
    """Stands for kill -9: nothing in the engine catches it."""


FINAL = {"code": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "Closed for changes"}


def _rest_rows(migration: Migration) -> list[dict[str, Any]]:
    return migration.run.db.rows(
        sql.SQL("SELECT * FROM {} WHERE step LIKE %s AND sobject = %s").format(migration.run.table("work")),
        ["%_exact", ORDER],
    )


def _listed(migration: Migration) -> list[dict[str, str]]:
    with (migration.folder / "rejected_rows.csv").open(encoding="utf-8-sig", newline="") as file:
        return [row for row in csv.DictReader(file) if row["reason_code"] == "refused_by_org"]


@pytest.mark.lane
@pytest.mark.parametrize(
    "error", [pytest.param({}, id="plain"), pytest.param(WRAPPED, id="wrapped", marks=pytest.mark.lane)]
)
def test_locked_rows_of_the_rest_step_are_sent_again_after_a_pause(
    migrator: Callable[..., Migrator], monkeypatch: pytest.MonkeyPatch, error: dict[str, str]
) -> None:
    made = migrator()
    made.target.control("POST", "faults", [{**REST, **error, "fraction": 1.0, "times": 4}])
    pauses: list[float] = []
    monkeypatch.setattr("coa.load.retry.time.sleep", pauses.append)

    migration = made.migrate_with_retries(chunk_size=50, lanes=1)

    assert made.target.control("GET", "faults")[0]["fired"] == 4, "the fault never struck"
    assert migration.state == "verified", migration.error
    assert pauses
    assert pauses[0] >= made.settings.retry_first_seconds
    assert any(later > earlier for earlier, later in pairwise(pauses))
    assert {row["state"] for row in _rest_rows(migration)} == {"accepted"}
    verdict = verdict_on(made, migration)
    assert verdict.clean, str(verdict)


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        pytest.param(policy, error, id=f"{policy}-{name}", marks=() if name == sampled else pytest.mark.lane)
        for policy, sampled in (("stop", "wrapped lock"), ("continue", "final"))
        for name, error in (("lock", {}), ("wrapped lock", WRAPPED), ("final", FINAL))
    ],
)
def test_rows_that_stay_refused_by_rest_are_listed_each_with_the_words_of_the_org(
    migrator: Callable[..., Migrator], error: dict[str, str], policy: str
) -> None:
    made = migrator()
    made.target.control("POST", "faults", [{**REST, **error, "fraction": 1.0, "times": -1}])

    migration = made.migrate_with_retries(chunk_size=50, on_row_failure=policy)

    rows = _rest_rows(migration)
    assert rows
    assert {row["state"] for row in rows} == {"rejected"}
    listed = _listed(migration)
    assert {row["source_id"] for row in rows} == {row["source_id"] for row in listed}
    told = error.get("message", "unable to obtain exclusive access")[:40]
    assert all(told in row["reason"] for row in listed), listed
    assert migration.state in ("rows_rejected", "failed")
    attempts = {row["attempts"] for row in rows}
    assert attempts == ({1} if error is FINAL else {made.settings.row_attempts})

    # Cured, and run again: as if nothing had been.
    made.target.control("DELETE", "faults")
    again = made.migrate_with_retries(chunk_size=50)
    assert again.state == "verified", again.error
    verdict = verdict_on(made, again)
    assert verdict.clean, str(verdict)


@pytest.mark.lane
def test_locks_wrapped_in_errors_of_triggers_are_sent_again_by_bulk_too(
    migrator: Callable[..., Migrator],
) -> None:
    made = migrator()
    made.target.control(
        "POST", "faults", [{"kind": "refuse_rows", "api": "bulk", **WRAPPED, "fraction": 0.5, "times": 6}]
    )

    migration = made.migrate_with_retries(chunk_size=12)

    assert migration.state == "verified", migration.error
    verdict = verdict_on(made, migration)
    assert verdict.clean, str(verdict)


@pytest.mark.lane
def test_rows_that_wait_for_another_round_when_the_process_is_killed_are_sent_by_the_next_try(
    migrator: Callable[..., Migrator], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the results of a job and the next round left them behind, and nobody sent or listed them."""
    made = migrator()
    made.target.control(
        "POST", "faults", [{"kind": "lock_rows", "sobject": ORDER, "fraction": 0.5, "times": 1}]
    )
    run = made.start(chunk_size=50, lanes=1)
    with monkeypatch.context() as patched:
        real: Any = release_deferred
        calls: list[Any] = []

        def second_time(*arguments: Any) -> int:
            waiting = run.has_table("work") and run.db.value(
                sql.SQL("SELECT count(*) FROM {} WHERE state = 'retry'").format(run.table("work"))
            )
            calls.append(waiting)
            if waiting:
                raise Killed
            return int(real(*arguments))

        patched.setattr("coa.load.jobs.release_deferred", second_time)
        with pytest.raises(Killed):
            made.go_on(run)
    assert calls[-1]

    migration = made.go_on(run)

    assert migration.state == "verified", migration.error
    verdict = verdict_on(made, migration)
    assert verdict.clean, str(verdict)
    assert len(made.target.control("GET", f"table/{ORDER}")) > 0


CASES = [
    ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access", True),
    ("SERVER_UNAVAILABLE", "", True),
    (WRAPPED["code"], WRAPPED["message"], True),
    ("CANNOT_EXECUTE_FLOW_TRIGGER", "We can't save: UNABLE_TO_LOCK_ROW: unable to obtain", True),
    (WRAPPED["code"], "OrderTrigger: FIELD_CUSTOM_VALIDATION_EXCEPTION, no", False),
    ("STRING_TOO_LONG", "data value too large: UNABLE_TO_LOCK_ROW", False),
    ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "say NOT_UNABLE_TO_LOCK_ROWS", False),
    ("", "", False),
]


@pytest.mark.parametrize(("code", "message", "passes"), CASES)
def test_both_paths_ask_one_rule_whether_an_error_may_pass(
    database: Database, code: str, message: str, passes: bool
) -> None:
    by_sql = database.value(sql.SQL("SELECT {}").format(transient(sql.Literal(code), sql.Literal(message))))

    assert is_transient(code, message) is by_sql is passes
