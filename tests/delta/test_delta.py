"""A delta writes exactly what changed since the last run, and costs little when nothing did."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg import sql

from coa.model import CUSTOMER, DETAIL, DETAIL_ORDER, LOADED, NS, ORDER, ORDER_CUSTOMER
from coa.staging.database import Database
from coa.staging.runs import Run
from tests.delta.at_scale import change_one_percent, written
from tests.engine.checker import check
from tests.engine.harness import FAST, Migrator
from tests.engine.kept import Pair
from tests.reconcile.pairs import (
    actions,
    create,
    delete,
    dump,
    edit,
    like,
    plan_rows,
    table,
    two_orgs,
    writes,
)

COMMENT = NS + "Error_Comment__c"
LINE = NS + "Product_Line_Description__c"


def extracted(run: Run, kind: str, sobject: str) -> dict[str, dict[str, str]]:
    rows = run.db.rows(sql.SQL("SELECT * FROM {}").format(run.table(kind, sobject)))
    return {r["Id"]: r for r in rows}


def delta_event(run: Run, kind: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = run.db.value(
        "SELECT data FROM coa.event WHERE run_id = %s AND event = 'delta_extracted' AND data ->> 'kind' = %s",
        [run.run_id, kind],
    )
    return found


@pytest.mark.lane
def test_a_delta_without_changes_writes_nothing_and_costs_a_handful_of_calls(moved_pair: Pair) -> None:
    pair, _ = moved_pair
    pair.migrate(mode="delta")
    before = dump(pair.target)
    ledger = "SELECT xmin::text, * FROM coa.ledger ORDER BY sobject, source_id"
    known = pair.db.rows(ledger)
    result = pair.migrate(mode="delta")
    assert result.state == "verified", result.error
    assert writes(result.summary) == 0
    assert pair.db.rows(ledger) == known, "the ledger is written where it has something new to say"
    assert dump(pair.target) == before
    assert delta_event(result.run, "source")["whole"] == []
    assert delta_event(result.run, "target")["whole"] == []
    kinds = {
        r["org"] + " " + r["kind"]: r["calls"]
        for r in result.run.db.rows(
            "SELECT org, kind, calls FROM coa.api_usage WHERE run_id = %s", [result.run.run_id]
        )
    }
    assert not any(kind.endswith(("bulk_query", "bulk_ingest", "rest_write")) for kind in kinds), kinds
    # docs/sync.md says how many.
    assert result.summary["api_calls"] == {"source": 17, "target": 19}, kinds


@pytest.mark.lane
def test_a_delta_right_after_a_load_reads_nothing_of_what_the_load_wrote(
    database: Database, tmp_path: Path
) -> None:
    with two_orgs(
        database, tmp_path, orders=120, settings=FAST.model_copy(update={"delta_rest_rows": 100})
    ) as pair:
        assert pair.migrate().state == "verified"
        quiet = pair.migrate(mode="delta")
        kinds = {
            r["kind"]
            for r in quiet.run.db.rows(
                "SELECT kind FROM coa.api_usage WHERE run_id = %s AND org = 'target'", [quiet.run.run_id]
            )
        }
        assert "bulk_query" not in kinds
        # What a person changes in the same quarter of an hour, and what bears the watermark's own second, is seen.
        ours = list(table(pair.target, ORDER))[-3:]
        newest = max(r["SystemModstamp"] for r in table(pair.target, ORDER).values())
        edit(pair.target, ORDER, ours[0], **{COMMENT: "by hand"})
        pair.target.control(
            "PATCH", f"records/{ORDER}/{ours[1]}?raw=true", {COMMENT: "that second", "SystemModstamp": newest}
        )
        late = {COMMENT: "committed late", "LastModifiedById": "005000000000099AAA"}
        pair.target.control("PATCH", f"records/{ORDER}/{ours[2]}?raw=true", late)
        run = pair.start(mode="delta")
        pair.plan(run)
        seen = extracted(run, "target", ORDER)
        assert {seen[i][COMMENT] for i in ours} == {"by hand", "that second", "committed late"}


def test_exactly_the_changed_added_and_deleted_records_are_written(moved_pair: Pair) -> None:
    pair, first = moved_pair
    blocked = {i for (_, i), (a, _) in actions(first).items() if a == "blocked"}
    moved = [i for (s, i), (a, _) in actions(first).items() if s == ORDER and a == "insert"]
    orders, details = table(pair.source, ORDER), table(pair.source, DETAIL)
    line = next(d for d, r in details.items() if r[DETAIL_ORDER] == moved[1])
    edit(pair.source, ORDER, moved[0], **{COMMENT: "changed"})
    edit(pair.source, DETAIL, line, **{LINE: "changed"})
    added = create(pair.source, ORDER, **like(orders[moved[2]]))
    twin = next(r for r in details.values() if r[DETAIL_ORDER] == moved[2])
    added_line = create(pair.source, DETAIL, **like(twin, **{DETAIL_ORDER: added}))
    gone = moved[3]
    gone_lines = {d for d, r in details.items() if r[DETAIL_ORDER] == gone}
    delete(pair.source, ORDER, gone)

    result = pair.migrate(mode="delta", deletions="carry")
    assert result.state == "verified", result.error
    found = {key: a for key, (a, _) in actions(result.run).items() if a in ("insert", "update")}
    assert found == {
        (ORDER, moved[0]): "update",
        (DETAIL, line): "update",
        (ORDER, added): "insert",
        (DETAIL, added_line): "insert",
    }
    deleted = {
        (r["sobject"], r["source_id"])
        for r in result.run.db.rows(
            sql.SQL("SELECT * FROM {} WHERE action = 'delete'").format(result.run.table("deletion"))
        )
    }
    assert deleted == {(ORDER, gone)} | {(DETAIL, d) for d in gone_lines}
    verdict = check(pair.source, pair.target, blocked)
    assert verdict.clean, str(verdict)
    for sobject in LOADED:
        assert set(extracted(result.run, "source", sobject)) == set(table(pair.source, sobject))


@pytest.mark.lane
def test_one_percent_changed_added_deleted_and_two_at_the_watermark_are_what_is_written(
    database: Database, tmp_path: Path
) -> None:
    with two_orgs(database, tmp_path, orders=400) as pair:
        first = pair.migrate()
        assert first.state == "verified", first.error
        expected = change_one_percent(pair, first)
        result = pair.migrate(mode="delta", deletions="carry")
        assert result.state == "verified", result.error
        assert written(result) == expected
        nothing = pair.migrate(mode="delta", deletions="carry")
        assert writes(nothing.summary) == 0
        assert not written(nothing).updated


def test_records_with_the_timestamp_of_the_watermark_are_not_missed(moved_pair: Pair) -> None:
    pair, first = moved_pair
    newest = max(r["SystemModstamp"] for r in table(pair.source, ORDER).values())
    moved = [i for (s, i), (a, _) in actions(first).items() if s == ORDER and a == "insert"]
    for i in moved[:2]:
        # Behind the rules' back: the stamp is the watermark's, as of a save in the same second.
        pair.source.control(
            "PATCH", f"records/{ORDER}/{i}?raw=true", {COMMENT: "same second", "SystemModstamp": newest}
        )
    result = pair.migrate(mode="delta")
    assert result.state == "verified", result.error
    assert {i for (s, i), r in plan_rows(result.run).items() if r["action"] == "update"} == set(moved[:2])


@pytest.mark.lane
def test_a_delta_holds_the_same_snapshot_as_a_full_extract(moved_pair: Pair) -> None:
    pair, _ = moved_pair
    for i in list(table(pair.source, ORDER))[:5]:
        edit(pair.source, ORDER, i, **{COMMENT: 'line\r\nbreak, "quote"'})
    delta = pair.start(mode="delta")
    pair.plan(delta)
    delta.lease.release()
    full = pair.start(mode="full")
    pair.plan(full)
    assert delta.record.plan_hash == full.record.plan_hash
    for sobject in LOADED:
        ours, theirs = extracted(delta, "source", sobject), extracted(full, "source", sobject)
        assert ours.keys() == theirs.keys()


@pytest.mark.lane
def test_a_record_that_vanished_without_a_trace_leads_to_a_full_extract(moved_pair: Pair) -> None:
    pair, first = moved_pair
    gone = next(i for (s, i), (a, _) in actions(first).items() if s == ORDER and a == "insert")
    lines = {d for d, r in table(pair.source, DETAIL).items() if r[DETAIL_ORDER] == gone}
    delete(pair.source, ORDER, gone)
    for sobject, ids in ((ORDER, [gone]), (DETAIL, sorted(lines))):
        for i in ids:
            # As if the recycle bin had been emptied: out of every window that a delta reads.
            pair.source.control(
                "PATCH", f"records/{sobject}/{i}?raw=true", {"SystemModstamp": "2000-01-01T00:00:00.000Z"}
            )
    result = pair.migrate(mode="delta")
    assert gone not in extracted(result.run, "source", ORDER)
    assert not lines & extracted(result.run, "source", DETAIL).keys()


@pytest.mark.lane
def test_links_to_a_deleted_customer_are_empty_in_the_snapshot(moved_pair: Pair) -> None:
    pair, _ = moved_pair
    customer = next(r[ORDER_CUSTOMER] for r in table(pair.source, ORDER).values())
    delete(pair.source, CUSTOMER, customer)
    run = pair.start(mode="delta")
    pair.plan(run)
    assert customer not in {r[ORDER_CUSTOMER] for r in extracted(run, "source", ORDER).values()}


@pytest.mark.lane
def test_without_a_base_a_delta_is_a_full_run(pair: Migrator) -> None:
    result = pair.migrate(mode="delta")
    assert result.state == "verified", result.error
    assert delta_event(result.run, "source")["from_base"] == []
    assert result.summary["objects"][ORDER]["inserted"] > 0
