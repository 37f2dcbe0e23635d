"""The page of standing approvals: what each allows, and that only approvers withdraw one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import samples

from coa.staging.database import Database, json_value
from coa_airflow.approvers import LIST

Get = Callable[..., Any]
LISTED = "/coa/api/standing"
OURS = {"X-COA-Page": "1"}
TERMS = {"params": {"draft_orders": "load", "lanes": 3, "orders_where": ""}, "mapping_sha256": "ab" * 32}


def grant(database: Database, *, until: str = "1 day", terms: dict[str, Any] | None = TERMS) -> int:
    if not database.value("SELECT count(*) FROM coa.run"):
        samples.finished_run(database)
    return int(
        database.value(
            """INSERT INTO coa.standing_approval
                 (pair_id, granted_by, granted_in, expires_at, max_records, actions, terms)
               SELECT pair_id, 'anna', run_id, now() + %s::interval, 500, '{insert,update}', %s FROM coa.run
               RETURNING standing_id""",
            [until, json_value(terms) if terms else None],
        )
    )


@pytest.fixture(autouse=True)
def _no_grants(database: Database) -> None:
    database.execute("DELETE FROM coa.standing_approval")


def in_force(database: Database) -> int:
    return int(database.value("SELECT count(*) FROM coa.standing_approval WHERE revoked_at IS NULL"))


def withdraw(get: Get, standing_id: int, user: str, headers: dict[str, str] = OURS) -> Any:
    return get(f"{LISTED}/{standing_id}/withdraw", user=user, method="POST", headers=headers)


def test_each_grant_says_what_it_allows_and_whether_it_counts(get: Get, database: Database) -> None:
    grant(database, terms=None)
    grant(database, until="-1 day")
    grant(database)

    newest, expired, old = get(LISTED).json()["grants"]

    assert (newest["state"], newest["max_records"], newest["actions"]) == (
        "in_force",
        500,
        ["insert", "update"],
    )
    assert (newest["source"], newest["target"], newest["granted_by"]) == ("Old PBO", "New PBO", "anna")
    assert newest["policies"] == ["draft_orders load"]
    assert newest["mapping"] == "ab" * 6
    assert (expired["state"], old["state"]) == ("expired", "invalid")


def test_a_viewer_reads_and_may_not_withdraw(get: Get, database: Database) -> None:
    standing_id = grant(database)

    assert get(LISTED).json()["grants"][0]["may_withdraw"] is False
    assert withdraw(get, standing_id, "viewer").status_code == 403
    assert in_force(database) == 1


def test_whoever_may_approve_withdraws_it_and_is_written_down(get: Get, database: Database) -> None:
    standing_id = grant(database)

    assert withdraw(get, standing_id, "admin").json() == {"withdrawn": True}

    assert in_force(database) == 0
    assert (
        database.value("SELECT data ->> 'by' FROM coa.event WHERE event = 'standing_approval_withdrawn'")
        == "admin"
    )
    assert get(LISTED).json()["grants"][0]["state"] == "withdrawn"
    assert withdraw(get, standing_id, "admin").status_code == 409


def test_where_the_deployment_names_approvers_only_they_withdraw(
    get: Get, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing_id = grant(database)
    monkeypatch.setenv(LIST, "bert")
    assert withdraw(get, standing_id, "admin").status_code == 403
    assert in_force(database) == 1

    monkeypatch.setenv(LIST, "bert, admin")
    assert withdraw(get, standing_id, "admin").status_code == 200
    assert in_force(database) == 0


@pytest.mark.parametrize(
    ("user", "headers", "status"), [(None, OURS, 401), ("clerk", OURS, 404), ("admin", {}, 403)]
)
def test_nobody_else_and_no_foreign_page_withdraws_one(
    get: Get, database: Database, user: str, headers: dict[str, str], status: int
) -> None:
    standing_id = grant(database)

    assert withdraw(get, standing_id, user, headers).status_code == status
    assert in_force(database) == 1
