"""A run may stop anywhere: its artifacts are written all the same, and its numbers add up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.engine.harness import UP_TO_PROOF, Migrator

from coa import pipeline
from coa.decide import decide
from coa.errors import RowsRejected, RunStopped
from coa.model import ORDER
from coa.report.facts import facts_of
from coa.staging.database import Database
from coa.staging.runs import Run
from coa_airflow.running import failures, record_failure
from orgsim.launch import running_pair

FILES = ("report.html", "summary.json", "casework.md", "audit.json", "id_map.csv", "rejected_rows.csv",
         "differences.csv", "relink.csv", "license_coverage.csv")  # fmt: skip
PARTS = ("to_insert", "to_update", "unchanged", "matched", "blocked", "held")


def check(run: Run, folder: Path) -> dict[str, Any]:
    """Everything is written, JSON is JSON, and extracted is the sum of its parts."""
    run.refresh()
    for name in FILES:
        assert (folder / name).stat().st_size > 0
    json.loads((folder / "audit.json").read_text())
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    for counts in summary["objects"].values():
        assert counts["extracted"] == sum(counts[p] for p in PARTS)
    assert (folder / "report.html").read_text().rstrip().endswith("</html>")
    return summary


@pytest.mark.lane
def test_a_run_can_be_reported_after_each_of_its_stages(database: Database, tmp_path: Path) -> None:
    with running_pair(orders=30, seed=4, job_delay=0.01) as (source_org, target_org):
        migrator = Migrator(database, source_org, target_org, tmp_path)
        run = migrator.start()
        folder = tmp_path / run.run_id
        walk = migrator.walk(run)
        for name in UP_TO_PROOF:
            pipeline.report(run, folder)
            assert check(run, folder)["state"] == "running"
            walk.do(name)
            pipeline.report(run, folder)
            assert check(run, folder)["state"] == "running"
            assert decide(facts_of(run, crashed=True, stopped_as=None)) == "failed"
        assert pipeline.finish(run, folder, None) == "verified"
        check(run, folder)

        dry = migrator.migrate(dry_run=True)
        assert dry.state == "dry_run"
        check(dry.run, dry.folder)

        blocked = migrator.migrate(max_blocked=0)
        assert blocked.state == "blocked"
        check(blocked.run, blocked.folder)

        unanswered = migrator.migrate(require_approval=True)
        assert unanswered.state == "not_approved"
        check(unanswered.run, unanswered.folder)

        again = migrator.migrate()
        assert again.state == "verified"
        summary = check(again.run, again.folder)
        assert all(c["to_insert"] == c["to_update"] == 0 for c in summary["objects"].values())


def test_a_run_that_never_reached_an_org_is_reported(database: Database, tmp_path: Path) -> None:
    run = Run.start(
        database,
        Migrator.settings,
        dag_id="coa_migrate",
        airflow_run_id="never",
        triggered_by="",
        raw_params={},
    )
    assert pipeline.finish(run, tmp_path, "coa_source cannot be reached") == "failed"
    summary = check(run, tmp_path)
    assert summary["message"] == "coa_source cannot be reached"
    assert summary["plan_hash"] is None


def test_a_run_on_one_and_the_same_org_is_reported(database: Database, tmp_path: Path) -> None:
    with running_pair(orders=0, seed=4) as (source_org, _):
        migrator = Migrator(database, source_org, source_org, tmp_path)
        run = migrator.start()
        with pytest.raises(RunStopped):
            migrator.plan(run)
        assert pipeline.finish(run, tmp_path / run.run_id, None) == "blocked"
        check(run, tmp_path / run.run_id)


def test_the_tables_are_written_once_unless_something_was_done_since(
    database: Database, tmp_path: Path
) -> None:
    with running_pair(orders=0, seed=4) as (source_org, target_org):
        migrator = Migrator(database, source_org, target_org, tmp_path)
        run = migrator.start()
        migrator.plan(run)
    folder = tmp_path / run.run_id
    table = folder / "id_map.csv"

    def reported_and_marked() -> None:
        pipeline.report(run, folder)
        table.write_text("as the stage has left it")

    def ended() -> str:
        pipeline.finish(run, folder, "stopped here")
        return table.read_text("utf-8-sig")

    reported_and_marked()
    listed = {entry["name"]: entry for entry in json.loads((folder / "audit.json").read_text())["artifacts"]}
    assert ended() == "as the stage has left it"
    kept = {entry["name"]: entry for entry in json.loads((folder / "audit.json").read_text())["artifacts"]}
    assert kept["id_map.csv"] == listed["id_map.csv"]
    assert ended().startswith("sobject"), "a list is used once"

    reported_and_marked()
    pipeline.transform(run)
    assert ended().startswith("sobject"), "a stage has run since"

    reported_and_marked()
    (folder / "rejected_rows.csv").unlink()
    assert ended().startswith("sobject"), "a file is gone"


@pytest.mark.parametrize("policy", ["stop", "continue"])
def test_a_crash_outranks_refused_rows(database: Database, tmp_path: Path, policy: str) -> None:
    run = Run.start(
        database,
        Migrator.settings,
        dag_id="coa_migrate",
        airflow_run_id=f"refused-{policy}",
        triggered_by="",
        raw_params={"on_row_failure": policy},
    )
    database.execute(
        """INSERT INTO coa.rejection (run_id, sobject, source_id, step, error_code, error)
           VALUES (%s, %s, '001000000000001AAA', 'orders', 'INVALID', 'no')""",
        [run.run_id, ORDER],
    )

    record_failure(run, "load.lane_0", RowsRejected("The target refused 1 records."))
    message, crashed = failures(run, ["load.lane_0"])
    assert (message, crashed) == ("load.lane_0: The target refused 1 records.", False)
    if policy == "stop":
        assert pipeline.finish(run, tmp_path, message, crashed=crashed) == "rows_rejected"

    message, crashed = failures(run, ["load.lane_0", "load.lane_1"])
    assert crashed
    assert pipeline.finish(run, tmp_path, message, crashed=crashed) == "failed"
    run.refresh()
    assert "load.lane_1: it ended without a message (killed?)." in run.record.message
    assert "refused 1 records" in run.record.message
