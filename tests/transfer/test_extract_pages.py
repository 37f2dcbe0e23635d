"""Result pages: in a row or side by side, cut off, taken up again; always every row once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from coa.errors import IncompleteExtract, OrgUnavailable
from coa.extract.bulk import ExtractSpec, ensure_state_table, extract_object
from coa.model import DETAIL
from coa.salesforce.session import Org
from coa.staging.database import Database
from coa.staging.runs import SOURCE, Run
from orgsim.launch import RunningOrg, running_org
from tests.engine.harness import FAST, connection_to

PAGE = 20
SPEC = ExtractSpec(SOURCE, DETAIL, ["Id", "Name", "CHANNEL_ORDERS__Quantity__c"])


@pytest.fixture(scope="module")
def many_pages() -> Iterator[RunningOrg]:
    with running_org(role="source", orders=40, seed=3, page_size=PAGE) as org:
        yield org


@pytest.fixture
def org(many_pages: RunningOrg) -> Iterator[RunningOrg]:
    many_pages.control("POST", "reset-counters")
    yield many_pages
    many_pages.control("DELETE", "faults")


@pytest.fixture
def run(database: Database) -> Run:
    settings = FAST.model_copy(update={"result_page_rows": PAGE, "request_retries": 2})
    started = Run.start(
        database,
        settings,
        dag_id="test",
        airflow_run_id=uuid4().hex,
        triggered_by="test",
        raw_params={},
    )
    ensure_state_table(started)
    return started


@pytest.fixture
def extract(org: RunningOrg, run: Run) -> Callable[..., int]:
    def extract(version: str = "") -> int:
        connection = dataclasses.replace(connection_to(org, "coa_source"), api_version=version)
        return extract_object(run, Org(connection, run.settings), SPEC)

    return extract


def everything(org: RunningOrg) -> set[str]:
    return {str(row["Id"]) for row in org.records(f"SELECT Id FROM {DETAIL}")}


def landed(run: Run) -> set[str]:
    from psycopg import sql

    rows = run.db.rows(sql.SQL('SELECT "Id" FROM {}').format(run.table(SOURCE, DETAIL)))
    assert len(rows) == len({row["Id"] for row in rows})
    return {str(row["Id"]) for row in rows}


@pytest.mark.parametrize("version", ["", "57.0"], ids=["side by side", "one after another"])
def test_every_row_arrives_once(version: str, org: RunningOrg, run: Run, extract: Callable[..., int]) -> None:
    assert extract(version) == len(everything(org)) > 3 * PAGE
    assert landed(run) == everything(org)


@pytest.mark.parametrize("version", ["", "57.0"], ids=["side by side", "one after another"])
def test_a_page_that_is_cut_off_is_fetched_again_and_never_half_counted(
    version: str, org: RunningOrg, run: Run, extract: Callable[..., int]
) -> None:
    org.control(
        "POST", "faults", {"kind": "truncate", "path": "/results", "skip": 1, "times": 3, "fraction": 0.6}
    )

    assert extract(version) == len(everything(org))
    assert landed(run) == everything(org)


def test_a_retry_fetches_only_the_pages_that_are_missing_of_the_same_job(
    org: RunningOrg, run: Run, extract: Callable[..., int]
) -> None:
    org.control("POST", "faults", {"kind": "html_503", "path": r"/results", "skip": 3, "times": -1})
    with pytest.raises((OrgUnavailable, IncompleteExtract)):
        extract()
    there = run.db.rows(f"SELECT locator FROM {run.schema}.extract_page")
    org.control("DELETE", "faults")
    org.control("POST", "reset-counters")
    jobs_before = sum(job["kind"] == "V2Query" for job in org.control("GET", "stats")["jobs"])

    assert extract() == len(everything(org))
    assert len(there) == 3
    pages = -(-len(everything(org)) // PAGE)
    assert landed(run) == everything(org)
    after = org.control("GET", "stats")
    assert sum(job["kind"] == "V2Query" for job in after["jobs"]) == jobs_before > 0
    lists_of_pages = -(-pages // 5)
    looks_at_the_job = 3
    assert after["calls"]["api"] <= pages - len(there) + lists_of_pages + looks_at_the_job
