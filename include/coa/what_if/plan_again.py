"""A what-if from its params to its artifacts: `what_if.json`, `what_if.csv` and the `plan.json` that it would be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from coa.artifacts import Artifacts, Folder
from coa.attachments import planned
from coa.config import Settings
from coa.errors import CoaError, RunStopped
from coa.fields.saved import saved_carried
from coa.mapping.place import NamedBy
from coa.mapping.store import adopt, freeze, mapping_of, whole_mapping_of
from coa.plan import document as plan_stage
from coa.plan.counts import count_plan
from coa.plan.deletions import deletion_counts
from coa.plan.expected_corrections import expect_corrections
from coa.plan.reconcile import check_plan, run_reconcile
from coa.report.csv_files import write_csv
from coa.salesforce.session import no_orgs
from coa.staging.database import Database
from coa.staging.runs import WHAT_IF, Run
from coa.states import RunState
from coa.transform.transform import run_transform
from coa.what_if import difference
from coa.what_if.attached import as_planned_then
from coa.what_if.estimate import estimate, speed_of
from coa.what_if.findings import check_again, compared
from coa.what_if.params import base_of, merged, require_kept_plan, require_same_orders
from coa.what_if.tables import (
    copy_ledger,
    drop_left_over,
    drop_tables,
    require_kept_fields,
    show_snapshots,
    take_over,
)

DOCUMENT, TABLE = "what_if.json", "what_if.csv"


@dataclass(frozen=True)
class Answer:
    """What a what-if found; `document` is that of `what_if.json`."""

    run_id: str
    state: RunState
    document: dict[str, Any]
    folder: Folder


def what_if(
    db: Database,
    settings: Settings,
    given: dict[str, Any],
    *,
    asked_by: str,
    folder_of: Callable[[Run, str], Folder],
    mapping_named_by: NamedBy = NamedBy.DEPLOYMENT,
) -> Answer:
    """Plans the snapshots of the run `given["run_id"]` (default: the newest with a plan) again, with its params and
    over them the others of `given`.

    `folder_of`: from that run and the id of the what-if to its artifacts folder. The state is `dry_run`, or `blocked`
    where the plan would stop the run. Raises `ConfigurationError` for a run without snapshots, `InvalidParams` for
    params and mapping files that these cannot answer. Nothing but the what-if's own row, tables and folder is written.
    """
    with no_orgs("a what-if plans what another run has read"):
        base = base_of(db, settings, str(given.get("run_id") or ""))
        require_kept_plan(base)
        raw = merged(base, given)
        drop_left_over(db)
        run = Run.start(
            db, settings, dag_id=WHAT_IF, airflow_run_id="", triggered_by=asked_by, raw_params=raw
        )
        with run.at_work():
            try:
                return _answer(run, base, folder_of(base, run.run_id), given, mapping_named_by)
            except BaseException as error:
                _end(
                    run, RunState.FAILED, str(error) if isinstance(error, CoaError) else type(error).__name__
                )
                raise
            finally:
                drop_tables(db, run.run_id)


def _answer(run: Run, base: Run, folder: Folder, given: dict[str, Any], mapping_named_by: NamedBy) -> Answer:
    run.update(artifacts=str(folder))
    _plan(run, base, other_mapping=bool(given.get("mapping")), named_by=mapping_named_by)
    stops = {"was": _stopped(base), "becomes": _stopped(run)}
    state = RunState.BLOCKED if stops["becomes"] else RunState.DRY_RUN
    document = _document(run, base, stops, state)
    folder.mkdir(parents=True, exist_ok=True)
    artifacts = Artifacts(folder)
    artifacts.write_json(DOCUMENT, document)
    artifacts.write_json("plan.json", plan_stage.plan_document(run))
    with artifacts.text(TABLE, "utf-8-sig") as file:
        write_csv(file, difference.COLUMNS, difference.rows(base, run))
    _end(run, state, stops["becomes"])
    return Answer(run.run_id, state, document, folder)


def _plan(run: Run, base: Run, *, other_mapping: bool, named_by: NamedBy) -> None:
    """The stages of a run from the snapshots to the plan, as `coa.pipeline` has them."""
    if other_mapping:
        freeze(run, named_by)
        require_same_orders(run, base)
    else:
        adopt(run, base.run_id)
    take_over(run, base)
    mapping = mapping_of(run)
    require_kept_fields(run, base, mapping, mapping_of(base))
    show_snapshots(run, base)
    copy_ledger(run, base)
    check_again(run, base, whole_mapping_of(run))
    run_transform(run, mapping)
    run_reconcile(run, mapping)
    expect_corrections(run, saved_carried(run, mapping))
    planned.decide(run)
    as_planned_then(run, base)
    run.update(plan_hash=plan_stage.plan_hash(run))
    count_plan(run)


def _stopped(run: Run) -> str:
    """Why the plan stops its run; empty where it does not."""
    try:
        check_plan(run)
    except RunStopped as stopped:
        return str(stopped)
    return ""


def _document(run: Run, base: Run, stops: dict[str, str], state: RunState) -> dict[str, Any]:
    speed, measured = speed_of(run)
    before, after = estimate(base, speed), estimate(run, speed)
    return {
        "run_id": run.run_id,
        "of_run": base.run_id,
        "state": state.value,
        "params": _changed_params(run, base),
        "mapping": {"was": base.record.mapping_name, "becomes": run.record.mapping_name},
        "plan_hash": {"was": base.record.plan_hash, "becomes": run.record.plan_hash},
        "stops": stops,
        "objects": difference.actions(base, run),
        "records": difference.moves(base, run),
        "values": difference.values(base, run),
        "deletions": {"was": deletion_counts(base), "becomes": deletion_counts(run)},
        "attached": {"was": planned.counts(base), "becomes": planned.counts(run)},
        "findings": compared(base, run),
        "estimate": {
            "api_calls": {"was": before.calls, "becomes": after.calls},
            "hours": {"was": round(before.hours, 6), "becomes": round(after.hours, 6)},
            "rows_a_second": round(speed, 1),
            "measured": measured,
        },
    }


def _changed_params(run: Run, base: Run) -> dict[str, dict[str, Any]]:
    before, after = base.params.model_dump(), run.params.model_dump()
    return {
        name: {"was": before[name], "becomes": after[name]}
        for name in after
        if name != "run_id" and before[name] != after[name]
    }


def _end(run: Run, state: RunState, message: str) -> None:
    run.update(state=state.value, message=message, stage="finished", finished_at=datetime.now(UTC))
