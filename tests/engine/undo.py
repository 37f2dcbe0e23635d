"""Undoes a run in this process, as the tasks of `coa_rollback` do one after another."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from coa import pipeline
from coa.approval import record as approval
from coa.errors import CoaError
from coa.staging.runs import Run
from tests.engine.harness import Migration, Migrator


def begin(pair: Migrator, undone: Run, **params: Any) -> Run:
    run = pipeline.start(
        pair.db,
        pair.settings,
        dag_id="coa_rollback",
        airflow_run_id=f"test-{uuid4().hex}",
        triggered_by="test",
        raw_params={"run_id": undone.run_id, "require_approval": False, **params},
    )
    target = pair.orgs()[1]
    pipeline.rollback_begin(run, target)
    pipeline.rollback_extract(run, target)
    pipeline.rollback_plan(run, pair.artifacts / run.run_id)
    return run


def approve(run: Run) -> None:
    approval.record(
        run, kind="waiver", approved=True, answered_by="test", plan_hash=str(run.record.plan_hash)
    )


def finish(pair: Migrator, run: Run) -> Migration:
    return pair.finish(run)


def roll_back(pair: Migrator, undone: Run, **params: Any) -> Migration:
    error: CoaError | None = None
    run = begin(pair, undone, **params)
    try:
        if not run.params.dry_run:
            approve(run)
            target = pair.orgs()[1]
            pipeline.rollback_load(run, target)
            pipeline.rollback_verify(run, target)
    except CoaError as failure:
        error = failure
    return pair.finish(run, error)
