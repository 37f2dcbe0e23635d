"""Which params a what-if may change: those that decide what is planned, not those that decided what was read."""

from __future__ import annotations

from typing import Any

from coa.codes import MIGRATING
from coa.config import RunParams, Settings
from coa.config.params import SHOWN
from coa.config.shown import MIGRATION
from coa.errors import ConfigurationError, InvalidParams
from coa.policies import Policies
from coa.staging.database import Database
from coa.staging.runs import Run, run_named
from coa.staging.tables import Table

DECIDED_READING = {
    "mode": "it decides what is read from the orgs",
    "source_conn_id": "the snapshot is of another source",
    "target_conn_id": "the snapshot is of another target",
}
RUNS_LOOKED_AT = 50
NEW_RUN = "make a dry run with these params (make preflight); without them, start make what-if again."


def base_of(db: Database, settings: Settings, named: str) -> Run:
    """The run that is meant, or the newest whose plan is kept. Raises `ConfigurationError` when there is none."""
    if named:
        return Run.load(db, settings, run_named(db, named), ending=True)
    for row in db.rows(
        """SELECT run_id FROM coa.run WHERE mode = ANY (%s) AND plan_hash IS NOT NULL AND purged_at IS NULL
           ORDER BY started_at DESC LIMIT %s""",
        [sorted(MIGRATING), RUNS_LOOKED_AT],
    ):
        run = Run.load(db, settings, str(row["run_id"]), ending=True)
        if run.has_table(Table.PLAN):
            return run
    raise ConfigurationError(
        f"No run of the staging database {db.display_url} has a plan with its snapshots.",
        next_step="make one with make preflight.",
    )


def require_kept_plan(base: Run) -> None:
    """Raises `ConfigurationError` for a run that did not plan a migration, or whose snapshots are not kept any more."""
    if base.record.mode not in MIGRATING:
        raise ConfigurationError(
            f"Run {base.run_id} ({base.record.dag_id}) did not plan a migration.",
            next_step="name a run of coa_preflight, coa_migrate or coa_sync.",
        )
    base.require_data()
    if base.record.plan_hash is None or not base.has_table(Table.PLAN):
        raise ConfigurationError(
            f"Run {base.run_id} has no plan, or its tables were deleted since: its snapshots cannot be planned again.",
            next_step="name a run that came to its plan, or make one with make preflight.",
        )


def merged(base: Run, given: dict[str, Any]) -> dict[str, Any]:
    """The params of the what-if, as they are given to `Run.start`: those of the run, and over them what is asked.

    Raises `InvalidParams`, which names every param that the kept snapshots cannot answer.
    """
    asked = {name: value for name, value in given.items() if name != "run_id"}
    raw = {**base.record.params, **asked, "run_id": base.run_id}
    if asked.get("mapping"):
        # The filter of the run's own mapping file is in its params; the other file brings its own.
        raw["orders_where"] = asked.get("orders_where", base.record.given_params.get("orders_where") or "")
    params = RunParams.parse(raw)
    faults = [f"{name} ({why})" for name in sorted(asked) if (why := _unanswerable(base, params, name))]
    if faults:
        raise InvalidParams(
            f"The snapshots of run {base.run_id} do not tell what a plan would be with other values of: "
            f"{', '.join(faults)}.",
            next_step=NEW_RUN,
        )
    return raw


def require_same_orders(run: Run, base: Run) -> None:
    """Raises `InvalidParams` when another mapping file asks for other orders than were read."""
    if run.params.orders_where != base.params.orders_where:
        raise InvalidParams(
            f"The mapping file {run.record.mapping_name} has orders_where {run.params.orders_where!r}, and the "
            f"snapshots of run {base.run_id} were read with {base.params.orders_where!r}.",
            next_step=NEW_RUN,
        )


def _unanswerable(base: Run, params: RunParams, name: str) -> str:
    """Why the kept snapshots cannot answer for this param; empty where they can."""
    if not set(SHOWN[name].kinds) & set(MIGRATION):
        return "it is no param of a plan"
    if getattr(params, name) == getattr(base.params, name):
        return ""
    if name == "orders_where":
        return "" if params.mapping != base.params.mapping else "other orders were read"
    if name in ("attachments", "activities") and getattr(params, name) == "carry":
        return "what is attached to the orders was not listed"
    if name == "history" and Policies(params).archives_history:
        return "the field history was not read"
    if name == "conflict_policy" and base.record.loaded_at is not None:
        return "the run has written since, and what its records were compared with is gone"
    return DECIDED_READING.get(name, "")
