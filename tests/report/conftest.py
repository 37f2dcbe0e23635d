"""A migration with something to report: hostile texts, left-out records, a damaged target, licenses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.databases import fresh
from tests.engine.harness import Migration, Migrator

from coa.model import CUSTOMER, CUSTOMER_ORG_ID, NS, ORDER, SOURCE_ID, STATUS
from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres
from orgsim.launch import running_pair

HOSTILE = (
    "</td></script><script>document.title=\"owned\"</script><img src=x onerror=alert(1)> =cmd|' /C calc'!A0"
)
LICENSE = "sfLma__License__c"


@pytest.fixture(scope="session")
def reported_world(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Migrator]:
    with (
        fresh(postgres_server) as url,
        running_pair(orders=60, seed=13, job_delay=0.01, partner_fields=True) as (source, target),
    ):
        database = Database(url)
        yield Migrator(database, source, target, tmp_path_factory.mktemp("artifacts"))
        database.dispose()


@pytest.fixture(scope="session")
def reported(reported_world: Migrator) -> Migration:
    """Ends as `differences`: one status fell back to Draft, one text was made hostile in the target."""
    world = reported_world
    customers = world.source.control("GET", f"table/{CUSTOMER}")
    for org in (world.source, world.target):
        org.control(
            "POST",
            f"records/{LICENSE}",
            {"sfLma__Subscriber_Org_ID__c": customers[0][CUSTOMER_ORG_ID][:15], "sfLma__Status__c": "Active"}
            | ({"COA_Customer__c": customers[0]["Id"]} if org is world.source else {}),
        )
    world.source.control(
        "POST",
        f"records/{LICENSE}",
        {"sfLma__Subscriber_Org_ID__c": "00DNOWHERE00001", "sfLma__Status__c": "Trial"},
    )
    (world.artifacts / "first_customer").write_text(customers[0]["Id"])
    # Nothing is read between load and proof, so that the proof sees the damage.
    run = world.start(learned_passes="ignore")
    world.plan(run)
    world.waive(run)
    world.load(run)
    orders = [o for o in world.target.control("GET", f"table/{ORDER}") if o[SOURCE_ID]]
    moved = [o for o in orders if o[STATUS] == "Activated"]
    edit = world.target.control
    edit("PATCH", f"records/{ORDER}/{moved[0]['Id']}", {STATUS: "Draft"}, raw="true")
    edit("PATCH", f"records/{ORDER}/{moved[1]['Id']}", {NS + "Invoice_Description__c": HOSTILE}, raw="true")
    edit("PATCH", f"records/{ORDER}/{moved[2]['Id']}", {NS + "Invoice_Description__c": "=1+1"}, raw="true")
    world.verify(run)
    return world.finish(run)
