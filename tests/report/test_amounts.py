"""Orders and their value: every currency and status of the source adds up, wherever a person reads of it.

Expected sums are counted from what the source org itself answers, none from our tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.engine.harness import Migration, Migrator

from coa.fields.customers import COMPANY
from coa.model import CUSTOMER, DETAIL, NS, ORDER, SOURCE_ID, STATUS
from coa.plan.amounts import OUTCOMES, amounts_markdown, amounts_shown
from coa.plan.document import plan_markdown
from coa.staging.database import Database
from orgsim.launch import RunningOrg, running_pair

ZERO = Decimal(0)
WORTH = NS + "Order_Detail_Value__c"
CURRENCY = NS + "pct_Currency__c"


def worth(org: RunningOrg, condition: str = "") -> dict[tuple[str, str], Decimal]:
    """(status, currency) -> value of the details, as the org answers."""
    rows = org.control(
        "GET",
        "query",
        q=f"SELECT {WORTH}, {CURRENCY}, {NS}Partner_Order__r.{STATUS} FROM {DETAIL} {condition}",
    )["records"]
    sums: dict[tuple[str, str], Decimal] = {}
    for row in rows:
        key = (row[NS + "Partner_Order__r"][STATUS], row[CURRENCY] or "")
        sums[key] = sums.get(key, ZERO) + Decimal(str(row[WORTH] or 0))
    return sums


def counted(org: RunningOrg) -> dict[str, int]:
    found: dict[str, int] = {}
    for order in org.control("GET", f"table/{ORDER}"):
        found[order[STATUS]] = found.get(order[STATUS], 0) + 1
    return found


@pytest.fixture(scope="module")
def world(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrator]:
    with running_pair(orders=60, seed=13, job_delay=0.01) as (source, target):
        yield Migrator(module_database, source, target, tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def moved(world: Migrator) -> Migration:
    done = world.migrate(draft_orders="hold", in_flight_orders="hold")
    assert done.state == "verified", done.error
    return done


def test_each_outcome_has_its_part_and_they_add_up_to_the_source(world: Migrator, moved: Migration) -> None:
    found = moved.summary["amounts"]
    by_status = worth(world.source)
    by_currency: dict[str, Decimal] = {}
    for (_, currency), value in by_status.items():
        by_currency[currency] = by_currency.get(currency, ZERO) + value
    assert {(r["status"], r["currency"]): Decimal(r["source"]) for r in found["statuses"]} == by_status
    assert {r["currency"]: Decimal(r["source"]) for r in found["currencies"]} == by_currency
    assert {r["status"]: r["source"] for r in found["orders"]} == counted(world.source)
    for row in found["orders"] + found["statuses"] + found["currencies"]:
        assert sum(Decimal(row[name]) for name in OUTCOMES) == Decimal(row["source"]), row
    # There is something of each to add up.
    for name in ("moved", "blocked", "held"):
        assert any(Decimal(row[name]) for row in found["currencies"]), name


def test_what_was_moved_is_what_the_target_holds(world: Migrator, moved: Migration) -> None:
    there = worth(world.target, f"WHERE {SOURCE_ID} != null")
    told = {(r["status"], r["currency"]): Decimal(r["moved"]) for r in moved.summary["amounts"]["statuses"]}
    assert {key: value for key, value in told.items() if value} == {k: v for k, v in there.items() if v}


def test_gate_plan_report_and_case_work_say_the_same(world: Migrator, moved: Migration) -> None:
    found = moved.summary["amounts"]
    (kept,) = world.db.rows(
        "SELECT data FROM coa.event WHERE run_id = %s AND event = 'plan_amounts'", [moved.run.run_id]
    )
    plan = json.loads((moved.folder / "plan.json").read_text())
    assert plan["amounts"] == kept["data"]["amounts"] == found
    gate = "\n".join(amounts_markdown(plan["amounts"]))
    page = re.sub(r"<[^>]+>", " ", (moved.folder / "report.html").read_text())
    case_work = (moved.folder / "casework.md").read_text()
    tab = amounts_shown(found, moved=True)
    for row, shown in zip(found["currencies"], tab["currencies"], strict=True):
        for name in ("source", "moved", "blocked", "held"):
            figure = f"{Decimal(row[name]):,.2f}"
            assert shown[name] == figure
            for where, text in (("gate", gate), ("report", page), ("case work", case_work)):
                line = next(one for one in re.split(r"\n", text) if row["currency"] in one and figure in one)
                assert figure in line, (where, row["currency"], name)


def test_case_work_counts_every_order_of_the_source(world: Migrator, moved: Migration) -> None:
    text = (moved.folder / "casework.md").read_text()
    table = text.split("| Orders by status |")[1].split("\n\n")[0].splitlines()[2:]
    sums = [sum(int(line.split("|")[n].replace(",", "")) for line in table) for n in range(2, 8)]
    assert sums[0] == sum(counted(world.source).values()) == sum(sums[1:])
    assert f"| {sums[0]:,} |" in text.split("| Records |")[1].split("\n\n")[0]


def test_what_is_gone_from_the_source_stands_beside_it(world: Migrator, moved: Migration) -> None:
    detail: dict[str, Any] = next(
        r for r in world.target.control("GET", "query", q=f"SELECT {SOURCE_ID}, {WORTH}, {CURRENCY} FROM {DETAIL} "
                                        f"WHERE {SOURCE_ID} != null")["records"] if r[WORTH]
    )  # fmt: skip
    world.source.control("DELETE", f"records/{DETAIL}/{detail[SOURCE_ID]}")
    again = world.migrate(draft_orders="hold", in_flight_orders="hold")
    gone = {r["currency"]: Decimal(r["deleted"]) for r in again.summary["amounts"]["currencies"]}
    assert gone[detail[CURRENCY]] == Decimal(str(detail[WORTH]))
    for row in again.summary["amounts"]["currencies"]:
        assert sum(Decimal(row[name]) for name in OUTCOMES) == Decimal(row["source"])


def test_the_approver_reads_policies_mapping_order_numbers_and_customers(
    world: Migrator, moved: Migration
) -> None:
    page = plan_markdown(moved.run)
    assert "`draft_orders`" not in page.split("**Policies:**")[0]
    said = page.split("**Policies:**")[1].splitlines()[0]
    assert "`in_flight_orders` hold" in said
    assert "`picklist_policy` block\\_record" in said
    assert "**Mapping file:** none" in said
    rows = world.db.rows(
        f"SELECT sobject, source_id, parent_id FROM {moved.run.schema}.plan WHERE reason_code <> ''"
    )
    ids = {r["source_id"] for r in rows}
    assert not [one for one in ids if one in page]
    orders = {r["Id"]: r for r in world.source.control("GET", f"table/{ORDER}")}
    customers = {
        r["Id"]: " ".join((r.get(COMPANY) or r["Name"]).splitlines())
        for r in world.source.control("GET", f"table/{CUSTOMER}")
    }
    left_out = page.split("**Left out**")[1].split("**Findings**")[0].splitlines()
    of_orders = [line for line in left_out if line.startswith("| Service Order |")]
    assert of_orders
    for line in of_orders:
        named = [o for o in orders.values() if o["Name"] in line]
        assert named, line
        plain = line.replace("\\", "")
        assert all(customers[o[NS + "Customer__c"]] in plain for o in named), line
