"""Two orgs move into one: one proof over both, and a roll-back of one leaves the other's records as they were."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.attachments.orgs import CARRY, around
from tests.engine.harness import Migration, Migrator
from tests.engine.undo import roll_back
from tests.reconcile.pairs import create, delete, dump, edit, table

from coa import pipeline
from coa.attachments.copies import OURS
from coa.config import ALL_SOURCES
from coa.errors import WrongOrg
from coa.model import CUSTOMER, CUSTOMER_ORG_ID, DETAIL, NS, ORDER, ORDER_CUSTOMER, SOURCE_ID
from coa.salesforce.session import Org
from coa.staging.database import Database
from coa.staging.runs import Run
from orgsim.launch import RunningOrg, running_org, running_pair

COMPANY, COUNTRY = NS + "Customer_Company_Name__c", NS + "Customer_Country__c"
COMMENT = NS + "Error_Comment__c"


@pytest.fixture
def two(database: Database, tmp_path: Path) -> Iterator[tuple[Migrator, Migrator]]:
    """Two sources that have a customer in common, and one target."""
    with (
        running_pair(orders=12, seed=7, job_delay=0.0, planted=False, attachments=True) as (source, target),
        running_org(
            role="source", orders=12, seed=8, job_delay=0.0, planted=False, attachments=True
        ) as other,
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


def body_of_a_file(target: RunningOrg, source: RunningOrg) -> dict[str, Any]:
    """The bytes of a file in the target that came from this source, as the target stores them."""
    path = f"{OURS}/{source.org_id}/"
    [version, *_] = [
        r for r in target.control("GET", "table/ContentVersion") if path in str(r["PathOnClient"])
    ]
    bodies: list[dict[str, Any]] = target.control("GET", "table/ContentBody")
    return next(body for body in bodies if body["RecordId"] == version["Id"])


def damage(org: RunningOrg, body: str, data: str) -> None:
    """Puts other bytes (base64) in the place of a file's."""
    org.control("PATCH", f"records/ContentBody/{body}?raw=true", {"Base64": data})


def unexplained(migration: Migration) -> dict[str, int]:
    return {r["sobject"]: r["unexplained"] for r in migration.summary["all_sources"]["records"]}


@pytest.mark.lane
def test_both_sources_are_proved_together_and_undone_apart(two: tuple[Migrator, Migrator]) -> None:
    first, second = two
    of_first, of_second = first.migrate(**CARRY), second.migrate(**CARRY)
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

    # Each file was read again, and its hash is in the evidence of its source's verification.
    for one in proof["sources"]:
        folder = first.artifacts / one["run_id"]
        attached = json.loads((folder / "summary.json").read_text())["attached"]
        assert attached["ContentVersion"]["verified"] == attached["ContentVersion"]["carried"] > 0
        sealed = (folder / "evidence" / "attached.tsv").read_text()
        assert sealed.count("\tequal\n") == sum(counts["carried"] for counts in attached.values())
    held = {row[-1] for rows in around(second.source).versions.values() for row in rows}
    assert {line.split("\t")[4] for line in sealed.splitlines() if line.startswith("ContentVersion")} <= held
    assert "read again" in (together.folder / "report.html").read_text()

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
    body = body_of_a_file(first.target, second.source)
    damage(first.target, body["Id"], b64encode(b"another offer").decode())
    off = verify_all(first, second)
    assert off.state == "differences"
    listed = (
        first.artifacts / off.summary["all_sources"]["sources"][1]["run_id"] / "differences.csv"
    ).read_text()
    assert "SHA-256 of VersionData" in listed
    assert unexplained(off) == {CUSTOMER: -1, ORDER: 0, DETAIL: 0}
    assert off.summary["all_sources"]["sources"][1]["state"] == "differences"
    delete(first.target, CUSTOMER, nobody)
    edit(first.target, ORDER, order["Id"], **{COMMENT: order[COMMENT]})
    damage(first.target, body["Id"], body["Base64"])

    before, files = dump(first.target), around(first.target)
    undone = roll_back(first, of_first.run)

    # All of the first source is gone but the customer that an order of the second one hangs on.
    after = dump(first.target)
    assert undone.error == ""
    assert keys(first, ORDER).keys() <= table(second.source, ORDER).keys()
    assert keys(first, DETAIL).keys() <= table(second.source, DETAIL).keys()
    assert len(keys(first, CUSTOMER).keys() & table(first.source, CUSTOMER).keys()) == 1
    assert len(after[ORDER]) < len(before[ORDER])
    assert after == {s: {i: before[s][i] for i in rows} for s, rows in after.items()}
    # And around what is left everything hangs as before, byte for byte.
    left = around(first.target)
    for record in after[ORDER]:
        assert left.of(record) == files.of(record)
    assert len(left.versions) < len(files.versions)


@pytest.mark.lane
def test_a_connection_that_leads_to_another_org_by_now_is_refused(two: tuple[Migrator, Migrator]) -> None:
    first, second = two
    first.migrate()
    second.migrate()

    with pytest.raises(WrongOrg):
        verify_all(first, first)
