"""Two orgs move into one: one proof over both, and a roll-back of one leaves the other's records as they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from tests.engine.harness import Migration, Migrator
from tests.engine.undo import roll_back
from tests.reconcile.pairs import create, delete, dump, edit, table

from coa import pipeline
from coa.config import ALL_SOURCES
from coa.errors import WrongOrg
from coa.model import CUSTOMER, CUSTOMER_ORG_ID, DETAIL, NS, ORDER, ORDER_CUSTOMER, SOURCE_ID
from coa.salesforce.session import Org
from coa.staging.database import Database
from coa.staging.runs import Run
from orgsim.launch import running_org, running_pair

COMPANY, COUNTRY = NS + "Customer_Company_Name__c", NS + "Customer_Country__c"
COMMENT = NS + "Error_Comment__c"


@pytest.fixture
def two(database: Database, tmp_path: Path) -> Iterator[tuple[Migrator, Migrator]]:
    """Two sources that have a customer in common, and one target."""
    with (
        running_pair(orders=6, seed=7, job_delay=0.0, planted=False) as (source, target),
        running_org(role="source", orders=6, seed=8, job_delay=0.0, planted=False) as other,
    ):
        first = Migrator(database, source, target, tmp_path / "artifacts")
        second = replace(first, source=other)
        # A customer of the first that the target does not have is one of the second as well, with orders in both.
        known = {str(r[CUSTOMER_ORG_ID])[:15] for r in table(target, CUSTOMER).values()}
        shared = next(
            org
            for order in table(source, ORDER).values()
            if (org := table(source, CUSTOMER)[order[ORDER_CUSTOMER]][CUSTOMER_ORG_ID])[:15] not in known
        )
        busy = next(iter(table(other, ORDER).values()))[ORDER_CUSTOMER]
        edit(other, CUSTOMER, busy, **{CUSTOMER_ORG_ID: shared})
        yield first, second


def verify_all(first: Migrator, second: Migrator) -> Migration:
    """What `coa_verify` does with `run_id` `all_sources` on the first pair."""
    run = pipeline.start(
        first.db,
        first.settings,
        dag_id="coa_verify",
        airflow_run_id=f"verify-{uuid4().hex}",
        triggered_by="test",
        raw_params={"run_id": ALL_SOURCES, "verify_sample": 0},
    )
    source, target = first.orgs()

    def org_of(of: Run, role: str) -> Org:
        return (
            second.orgs()[0]
            if role == "source" and of.pair_id != run.pair_id
            else first.orgs()[role == "target"]
        )

    pipeline.verify_run(run, source, target)
    pipeline.verify_all_sources(run, org_of, lambda run_id: first.artifacts / run_id)
    return first.finish(run)


def keys(made: Migrator, sobject: str) -> dict[str, str]:
    """Migration key -> id of what was moved into the target."""
    return {str(r[SOURCE_ID]): i for i, r in table(made.target, sobject).items() if r[SOURCE_ID]}


def unexplained(migration: Migration) -> dict[str, int]:
    return {r["sobject"]: r["unexplained"] for r in migration.summary["all_sources"]["records"]}


@pytest.mark.lane
def test_both_sources_are_proved_together_and_undone_apart(two: tuple[Migrator, Migrator]) -> None:
    first, second = two
    of_first, of_second = first.migrate(), second.migrate()
    assert (of_first.state, of_second.state) == ("verified", "verified"), (of_first.error, of_second.error)

    together = verify_all(first, second)

    proof = together.summary["all_sources"]
    assert together.state == "verified", proof
    assert proof["equal"]
    for row in proof["records"]:
        assert row["target"] == len(keys(first, row["sobject"]))
        assert row["sources"] == row["target"] + row["matched"] + row["left"] - row["gone"]
    assert all(float(v["target"]) == float(v["sources"]) for v in proof["values"])
    assert [s["org_id"] for s in proof["sources"]] == [first.source.org_id, second.source.org_id]
    assert (first.artifacts / proof["sources"][1]["run_id"] / "report.html").is_file()
    assert second.source.org_id in (together.folder / "report.html").read_text()

    # A record that no source accounts for, and a value that somebody changed of what the other source brought.
    stray = {
        CUSTOMER_ORG_ID: "00D8x00000Nobody",
        COMPANY: "Nobody",
        COUNTRY: "US",
        SOURCE_ID: "a09000000000Nob",
    }
    nobody = create(first.target, CUSTOMER, **stray)
    order = table(first.target, ORDER)[
        keys(first, ORDER)[min(table(second.source, ORDER).keys() & keys(first, ORDER))]
    ]
    edit(first.target, ORDER, order["Id"], **{COMMENT: "typed in since"})
    off = verify_all(first, second)
    assert off.state == "differences"
    assert unexplained(off) == {CUSTOMER: -1, ORDER: 0, DETAIL: 0}
    assert off.summary["all_sources"]["sources"][1]["state"] == "differences"
    delete(first.target, CUSTOMER, nobody)
    edit(first.target, ORDER, order["Id"], **{COMMENT: order[COMMENT]})

    before = dump(first.target)
    undone = roll_back(first, of_first.run)

    # All of the first source is gone but the customer that an order of the second one hangs on.
    after = dump(first.target)
    assert undone.error == ""
    assert keys(first, ORDER).keys() <= table(second.source, ORDER).keys()
    assert keys(first, DETAIL).keys() <= table(second.source, DETAIL).keys()
    assert len(keys(first, CUSTOMER).keys() & table(first.source, CUSTOMER).keys()) == 1
    assert len(after[ORDER]) < len(before[ORDER])
    assert after == {s: {i: before[s][i] for i in rows} for s, rows in after.items()}


@pytest.mark.lane
def test_a_connection_that_leads_to_another_org_by_now_is_refused(two: tuple[Migrator, Migrator]) -> None:
    first, second = two
    first.migrate()
    second.migrate()

    with pytest.raises(WrongOrg):
        verify_all(first, first)
