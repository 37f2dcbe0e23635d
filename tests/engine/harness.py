"""Runs a whole migration in this process, as the tasks of the DAG do one after another."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from coa import pipeline
from coa.approval import record as approval
from coa.config import Settings
from coa.errors import BY_RULE, CoaError, RetryableError
from coa.salesforce.session import Org, OrgConnection
from coa.stages import LOAD, members
from coa.staging.database import Database
from coa.staging.runs import Run
from orgsim.launch import RunningOrg

# The simulated orgs answer in milliseconds: waiting a second for them would only slow the tests down.
FAST = Settings(
    poll_first_seconds=0.05,
    poll_max_seconds=0.5,
    retry_first_seconds=0.05,
    retry_max_seconds=0.5,
    read_timeout=20.0,
    # The orgs of tests are small: their extracts shall go the way of large ones.
    extract_rest_rows=0,
)
LENIENT: dict[str, Any] = {
    "require_approval": False,
    "max_blocked": "100%",
    "draft_orders": "load",
    "unmatched_contract_policy": "block_record",
    "picklist_policy": "block_record",
    "too_long_policy": "block_record",
    "chunk_size": 50,
    "lanes": 2,
}
# The tests that want the freeze check ask for it.
UP_TO_PROOF = [stage.name for stage in pipeline.STAGES if stage.name != "freeze_check"]
BEFORE_PLAN = UP_TO_PROOF[: UP_TO_PROOF.index("plan")]
AFTER_PLAN = UP_TO_PROOF[UP_TO_PROOF.index("plan") + 1 :]


def connection_to(org: RunningOrg, name: str) -> OrgConnection:
    return OrgConnection(
        name=name, login_url=org.url, consumer_key=org.consumer_key, consumer_secret=org.consumer_secret
    )


@dataclass
class Migration:
    """A run that is over."""

    run: Run
    state: str
    folder: Path
    error: str = ""
    summary: dict[str, Any] = field(default_factory=dict)


def _retried(stage: Callable[[], Any], tries: int) -> None:
    for left in range(tries - 1, -1, -1):
        try:
            stage()
            return
        except RetryableError:
            if not left:
                raise


@dataclass
class Migrator:
    """Two orgs and a staging database."""

    db: Database
    source: RunningOrg
    target: RunningOrg
    artifacts: Path
    settings: Settings = FAST

    def orgs(self) -> tuple[Org, Org]:
        return (
            Org(connection_to(self.source, "coa_source"), self.settings),
            Org(connection_to(self.target, "coa_target"), self.settings),
        )

    def start(self, dag_id: str = "coa_migrate", /, **params: Any) -> Run:
        return pipeline.start(
            self.db,
            self.settings,
            dag_id=dag_id,
            airflow_run_id=f"test-{uuid4().hex}",
            triggered_by="test",
            raw_params={**LENIENT, **params},
        )

    def walk(self, run: Run) -> pipeline.Walk:
        return pipeline.Walk(run, *self.orgs(), self.artifacts / run.run_id, approve=lambda: self.waive(run))

    def plan(self, run: Run) -> str:
        walk = self.walk(run)
        for name in BEFORE_PLAN:
            walk.do(name)
        return pipeline.plan(run, walk.artifacts)

    def waive(self, run: Run) -> None:
        approval.record(
            run, kind="waiver", approved=True, answered_by="test", plan_hash=str(run.record.plan_hash)
        )

    def load(self, run: Run, walk: pipeline.Walk | None = None) -> None:
        walk = walk or self.walk(run)
        for stage in members(LOAD):
            walk.do(stage.name)

    def _canary_failed(self, run: Run) -> bool:
        return bool(run.db.value("SELECT proved IS FALSE FROM coa.canary WHERE run_id = %s", [run.run_id]))

    def verify(self, run: Run) -> None:
        source, target = self.orgs()
        pipeline.verify(run, target, source)

    def finish(self, run: Run, error: CoaError | str | None = None) -> Migration:
        """Ends the run; `error`: what ended its stages, a text where that was no error of ours."""
        message = None if error is None else str(error)
        crashed = error is not None and not isinstance(error, BY_RULE)
        folder = self.artifacts / run.run_id
        state = pipeline.finish(run, folder, message, crashed=crashed)
        summary = json.loads((folder / "summary.json").read_text())
        return Migration(run, state, folder, message or "", summary)

    def migrate_with_retries(self, tries: int = 6, **params: Any) -> Migration:
        """A run whose stages are retried as Airflow retries tasks: after a `RetryableError`, and only then."""
        return self.go_on(self.start(**params), tries)

    def go_on(self, run: Run, tries: int = 6, stages: Sequence[str] = UP_TO_PROOF) -> Migration:
        """Takes a run from wherever it stands to its end; each stage is a task with retries."""
        walk = self.walk(run)
        error: CoaError | None = None
        try:
            for name in stages:
                _retried(partial(walk.do, name), tries)
        except CoaError as failure:
            error = failure
        return self.finish(run, error)

    def migrate(self, **params: Any) -> Migration:
        """A whole run; an error of a stage ends it, as it does in Airflow."""
        run = self.start(**params)
        error: CoaError | None = None
        try:
            self.plan(run)
            if not run.params.dry_run:
                if not run.params.require_approval:
                    self.waive(run)
                walk = self.walk(run)
                try:
                    self.load(run, walk)
                except BY_RULE:
                    # A refused row, or a canary that failed: what was written otherwise is read all the same.
                    walk.ends_with_canary |= self._canary_failed(run)
                    raise
                finally:
                    if run.record.loaded_at and not walk.ends_with_canary:
                        self.verify(run)
        except CoaError as failure:
            error = failure
        return self.finish(run, error)
