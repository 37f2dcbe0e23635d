"""The checklist of the cases on the page: who reads it, who changes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import samples

from coa.staging.database import Database
from coa_airflow.approvers import LIST

Get = Callable[..., Any]
OURS = {"X-COA-Page": "1"}
SAID = {"state": "logged", "owner": "Ada", "case_number": "00123456", "scenario": ""}


@pytest.fixture
def pair(database: Database) -> int:
    database.execute("DELETE FROM coa.case_work")
    samples.finished_run(database)
    return int(database.value("SELECT pair_id FROM coa.run LIMIT 1"))


def keep(get: Get, pair: int, user: str | None = "admin", **changed: Any) -> Any:
    call = {"topic": "lma", "body": SAID, "headers": OURS} | changed
    return get(
        f"/coa/api/cases/{pair}/{call['topic']}",
        user=user,
        method="POST",
        body=call["body"],
        headers=call["headers"],
    )


def lma(get: Get) -> dict[str, Any]:
    [found] = get("/coa/api/cases").json()["pairs"]
    return next(c for c in found["cases"] if c["topic"] == "lma")


def test_whoever_may_approve_keeps_a_case_and_is_written_down(get: Get, pair: int) -> None:
    assert keep(get, pair).json() == {"saved": True}

    found = lma(get)
    assert {name: found[name] for name in SAID} == SAID
    assert found["changed_by"] == "admin"


def test_a_viewer_reads_and_may_not_change(get: Get, pair: int) -> None:
    [found] = get("/coa/api/cases").json()["pairs"]

    assert (found["source"], found["target"], found["may_edit"]) == ("Old PBO", "New PBO", False)
    assert keep(get, pair, "viewer").status_code == 403
    assert lma(get)["state"] == "open"


def test_where_the_deployment_names_approvers_only_they_change(
    get: Get, pair: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIST, "bert")

    assert keep(get, pair).status_code == 403
    assert lma(get)["state"] == "open"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"user": None}, 401),
        ({"user": "clerk"}, 404),
        ({"headers": {}}, 403),
        ({"topic": "weather"}, 404),
        ({"body": SAID | {"state": "perhaps"}}, 422),
    ],
)
def test_what_is_not_theirs_or_no_case_is_refused(
    get: Get, pair: int, changed: dict[str, Any], status: int
) -> None:
    assert keep(get, pair, **changed).status_code == status
    assert lma(get)["state"] == "open"


def test_a_pair_without_runs_of_the_user_is_not_found(get: Get, pair: int) -> None:
    assert keep(get, pair + 1000).status_code == 404


def test_the_tab_of_a_run_shows_the_list(get: Get, pair: int, database: Database) -> None:
    keep(get, pair)
    run = database.row("SELECT airflow_run_id FROM coa.run LIMIT 1")
    assert run is not None

    cases = get("/coa/api/dags/coa_migrate/run", run_id=run["airflow_run_id"]).json()["cases"]

    assert [c["case_number"] for c in cases if c["topic"] == "lma"] == ["00123456"]
