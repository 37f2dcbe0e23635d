"""The plan of kept snapshots under other params: what it says, and that nothing else is touched."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from rich.console import Console

from coa.codes import Action
from coa.errors import ConfigurationError, InvalidParams
from coa.model import LOADED, NS, ORDER
from coa.preflight.orgs import bind
from coa.salesforce.session import Org, OrgConnection, no_orgs
from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import schema_of
from coa.what_if.params import base_of
from coa.what_if.plan_again import Answer, what_if
from coa_airflow.what_if import beside, show
from tests.engine.harness import FAST, Migrator, connection_to
from tests.engine.kept import PLANNED, Pair, restored
from tests.reconcile.pairs import actions


@pytest.fixture(scope="module")
def planned(
    postgres_server: EmbeddedPostgres, shared_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """One scene for all: a what-if changes nothing of it."""
    with restored(PLANNED, postgres_server, shared_folder, tmp_path_factory.mktemp("artifacts")) as scene:
        yield scene


def ask(pair: Migrator, base: Run, **params: Any) -> Answer:
    return what_if(
        pair.db,
        FAST,
        {"run_id": base.run_id, **params},
        asked_by="test",
        folder_of=lambda _, run_id: pair.artifacts / run_id,
    )


def begun(pair: Migrator, base: Run) -> Run:
    """A what-if that has not planned yet."""
    return Run.start(
        pair.db,
        FAST,
        dag_id="what_if",
        airflow_run_id="",
        triggered_by="test",
        raw_params={"run_id": base.run_id},
    )


def calls(pair: Migrator) -> int:
    return sum(sum(org.control("GET", "stats")["calls"].values()) for org in (pair.source, pair.target))


def everything_of(db: Database, base: Run) -> dict[str, list[dict[str, Any]]]:
    """All rows of the run's tables, of the ledger, and the run's rows of the permanent tables."""
    found = {}
    for row in db.rows(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = %s ORDER BY 1",
        [base.schema],
    ):
        table = sql.Identifier(base.schema, row["name"])
        found[row["name"]] = db.rows(sql.SQL("SELECT md5(t::text) AS h FROM {} t ORDER BY 1").format(table))
    found["coa.ledger"] = db.rows("SELECT md5(l::text) AS h FROM coa.ledger l ORDER BY 1")
    for name in ("run", "finding", "explained", "plan_count", "event", "progress", "describe"):
        table = sql.Identifier("coa", name)
        found[name] = db.rows(
            sql.SQL("SELECT md5(t::text) AS h FROM {} t WHERE run_id = %s ORDER BY 1").format(table),
            [base.run_id],
        )
    return found


def counted(base: Run) -> dict[str, dict[str, int]]:
    found = {name: dict.fromkeys(map(str, Action), 0) for name in LOADED}
    for (sobject, _), (action, _) in actions(base).items():
        found[sobject][action] += 1
    return found


def test_the_same_params_give_the_same_plan_of_a_run_that_nobody_has_answered(planned: Pair) -> None:
    pair, base = planned
    answer = ask(pair, base)
    assert answer.document["plan_hash"] == {"was": base.record.plan_hash, "becomes": base.record.plan_hash}
    assert (answer.document["records"], answer.document["values"], answer.document["params"]) == ([], [], {})
    assert answer.document["findings"] == {"gained": [], "lost": [], "changed": []}
    assert Path(str(answer.folder / "what_if.csv")).read_text("utf-8-sig").count("\n") == 1


def test_the_same_params_give_the_plan_of_a_run_that_was_carried_out_since(moved_pair: Pair) -> None:
    """Its snapshot of the target is older than what the ledger knows by now."""
    pair, base = moved_pair
    answer = ask(pair, base)
    assert answer.document["plan_hash"] == {"was": base.record.plan_hash, "becomes": base.record.plan_hash}
    assert answer.document["records"] == []


def test_other_params_are_told_as_a_difference_and_no_org_is_asked(planned: Pair) -> None:
    pair, base = planned
    asked, kept = calls(pair), everything_of(pair.db, base)
    before = counted(base)

    answer = ask(pair, base, draft_orders="hold", incomplete_orders="load", chunk_size=5)

    assert calls(pair) == asked
    assert everything_of(pair.db, base) == kept
    assert answer.document["params"] == {
        "draft_orders": {"was": "load", "becomes": "hold"},
        "incomplete_orders": {"was": "block", "becomes": "load"},
        "chunk_size": {"was": 50, "becomes": 5},
    }
    told = answer.document["objects"]
    assert {s: {a: n["was"] for a, n in counts.items()} for s, counts in told.items()} == before
    drafts = [i for i, r in orders(base).items() if r[NS + "Service_Order_Status__c"] == "Draft"]
    assert told[ORDER]["held"] == {"was": 0, "becomes": len(drafts)}
    # What was blocked for one detail goes now, without it.
    planted = pair.source.control("GET", "planted")["blocked_orders"]
    assert told[ORDER]["blocked"]["becomes"] < told[ORDER]["blocked"]["was"] <= len(planted)
    assert (
        answer.document["estimate"]["api_calls"]["becomes"] > answer.document["estimate"]["api_calls"]["was"]
    )
    # More is written than is held.
    assert written(told, "becomes") > written(told, "was")
    assert answer.document["estimate"]["hours"]["becomes"] > answer.document["estimate"]["hours"]["was"]
    rows = list(csv.DictReader((answer.folder / "what_if.csv").open(encoding="utf-8-sig")))
    held = {r["source_id"] for r in rows if r["sobject"] == ORDER and r["becomes"] == "held"}
    assert held == set(drafts)
    assert len([r for r in rows if r["what"] == "action"]) == sum(
        r["records"] for r in answer.document["records"]
    )
    assert json.loads(Path(str(answer.folder / "what_if.json")).read_text())["of_run"] == base.run_id


def written(told: dict[str, dict[str, dict[str, int]]], which: str) -> int:
    return sum(counts[action][which] for counts in told.values() for action in ("insert", "update"))


def orders(base: Run) -> dict[str, dict[str, Any]]:
    rows = base.db.rows(sql.SQL("SELECT * FROM {}").format(base.table(SOURCE, ORDER)))
    return {r["Id"]: r for r in rows}


def test_a_stricter_policy_says_that_the_run_would_stop_and_by_which_finding(planned: Pair) -> None:
    pair, base = planned
    answer = ask(pair, base, unmatched_product_policy="stop")
    changed = {(f["code"], f["severity"]["becomes"]) for f in answer.document["findings"]["changed"]}
    assert answer.state == "blocked"
    assert ("product_unmatched", "blocker") in changed
    assert not answer.document["stops"]["was"]
    assert "The product is not found" in answer.document["stops"]["becomes"]


def test_another_mapping_file_is_told_value_by_value(planned: Pair, tmp_path: Path) -> None:
    pair, base = planned
    mapping = tmp_path / "other.yaml"
    mapping.write_text(f'fields:\n  {ORDER}:\n    {NS}Error_Comment__c:\n      constant: "=1+1"\n', "utf-8")
    answer = ask(pair, base, mapping=str(mapping))
    written = sum(counted(base)[ORDER][a] for a in (Action.INSERT, Action.UPDATE))
    (told,) = [v for v in answer.document["values"] if v["field"] == NS + "Error_Comment__c"]
    assert (told["records"], answer.document["mapping"]) == (written, {"was": "", "becomes": "other.yaml"})
    rows = list(csv.DictReader((answer.folder / "what_if.csv").open(encoding="utf-8-sig")))
    # A value that a spreadsheet would take for a formula.
    assert {r["becomes"] for r in rows if r["field"] == NS + "Error_Comment__c"} == {"'=1+1"}


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"orders_where": "CreatedDate > 2020-01-01T00:00:00Z"}, "orders_where (other orders were read)"),
        ({"attachments": "carry"}, "attachments (what is attached to the orders was not listed)"),
        ({"history": "archive"}, "history (the field history was not read)"),
        ({"mode": "delta", "source_conn_id": "coa_other"}, "mode (it decides what is read from the orgs)"),
        ({"force": True}, "force (it is no param of a plan)"),
    ],
)
def test_params_that_the_snapshots_cannot_answer_are_refused_by_name(
    planned: Pair, params: dict[str, Any], named: str
) -> None:
    pair, base = planned
    before = pair.db.value("SELECT count(*) FROM coa.run WHERE mode = 'what_if'")
    with pytest.raises(InvalidParams) as refused:
        ask(pair, base, **params)
    assert named in refused.value.message
    assert "make preflight" in refused.value.next_step
    assert pair.db.value("SELECT count(*) FROM coa.run WHERE mode = 'what_if'") == before


def test_a_mapping_file_that_needs_what_was_not_read_is_refused_and_leaves_no_tables(
    planned: Pair, tmp_path: Path
) -> None:
    pair, base = planned
    mapping = tmp_path / "other.yaml"
    mapping.write_text("lookups:\n  Account: [AccountNumber]\n  Campaign: [Name]\n", "utf-8")
    with pytest.raises(InvalidParams, match=r"the object Campaign; Account\.AccountNumber") as refused:
        ask(pair, base, mapping=str(mapping))
    assert "make preflight" in refused.value.next_step
    row = pair.db.row(
        "SELECT run_id, state FROM coa.run WHERE mode = 'what_if' ORDER BY started_at DESC LIMIT 1"
    )
    assert row is not None
    assert row["state"] == "failed"
    assert not pair.db.value("SELECT to_regnamespace(%s) IS NOT NULL", [schema_of(row["run_id"])])


def test_a_run_without_a_plan_is_refused_and_the_newest_with_one_is_meant(planned: Pair) -> None:
    pair, base = planned
    other = pair.start()
    with pytest.raises(ConfigurationError, match="has no plan"):
        ask(pair, other)
    assert base_of(pair.db, FAST, "").run_id == base.run_id


def test_what_a_killed_what_if_left_is_dropped_by_the_next(planned: Pair) -> None:
    pair, base = planned
    killed = begun(pair, base)
    ask(pair, base)
    assert Run.load(pair.db, FAST, killed.run_id).record.state == "failed"
    assert not pair.db.value("SELECT to_regnamespace(%s) IS NOT NULL", [killed.schema])


def test_no_client_of_an_org_can_be_made_for_a_what_if(planned: Pair) -> None:
    pair, base = planned
    asked = begun(pair, base)
    with pytest.raises(ConfigurationError, match="is a what-if"):
        bind(asked, SOURCE, pair.orgs()[0])
    with no_orgs("a test"), pytest.raises(ConfigurationError, match="coa_source is not entered: a test"):
        Org(connection_to(pair.source, "coa_source"))
    assert (
        Org(OrgConnection(name="coa_source", login_url="https://acme.my.salesforce.com")).name == "coa_source"
    )


def test_the_terminal_shows_counts_and_no_value_of_a_record(planned: Pair, tmp_path: Path) -> None:
    pair, base = planned
    mapping = tmp_path / "other.yaml"
    mapping.write_text(
        f"fields:\n  {ORDER}:\n    {NS}Error_Comment__c:\n      constant: Nobody's business\n", "utf-8"
    )
    answer = ask(pair, base, mapping=str(mapping), draft_orders="hold")
    console = Console(record=True, width=500, file=io.StringIO())
    show(answer, console)
    text = console.export_text()
    assert "draft_orders: load -> hold" in text
    assert re.search(r"Service Order: \d+ insert -> held \(held_draft\)", text)
    assert re.search(r"Service Order\.Error_Comment__c: another value in \d+ records", text)
    assert "API calls on the target: about" in text
    assert "Nobody's business" not in text
    assert text.rstrip().endswith(answer.run_id)


def test_its_folder_is_beside_that_of_the_run(planned: Pair) -> None:
    _, base = planned
    with pytest.raises(ConfigurationError, match="is not known"):
        beside(base, "other")
    base.update(artifacts=f"/srv/artifacts/{base.run_id}")
    assert beside(base, "other") == Path("/srv/artifacts/other")
