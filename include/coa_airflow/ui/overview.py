"""All migrations: the runs of every pair of orgs, and runs beside one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import select, tuple_

from coa.kinds import kind_of
from coa.report.summary import PLANNED, objects_of
from coa_airflow.headless_token import holds_lock
from coa_airflow.ui.access import find_run, own_deployment
from coa_airflow.ui.run_data import AIRFLOW_OVER
from coa_airflow.ui.steps import short

if TYPE_CHECKING:
    from coa_airflow.ui.staging import Connection

RUNS = 200
DELTAS = 5
# A summary counts only under the state that it was made for: a cleared run keeps its old one for a while.
SHOWN = """run_id, pair_id, dag_id, airflow_run_id, mode, stage, state, message, triggered_by, plan_hash,
           COALESCE(params ->> 'dry_run', 'false') = 'true' AS dry_run, source_org ->> 'name' AS source,
           target_org ->> 'name' AS target, started_at, finished_at, headless_token, deployment,
           CASE WHEN summary ->> 'state' = state THEN summary END AS summary"""


def dags_with_runs(connection: Connection) -> set[str]:
    """Ids of the DAGs that have a migration run."""
    return {str(r["dag_id"]) for r in connection.execute("SELECT DISTINCT dag_id FROM coa.run").fetchall()}


def all_runs(connection: Connection, dag_ids: list[str]) -> list[dict[str, Any]]:
    """The newest runs of these DAGs, newest first."""
    found = connection.execute(
        f"SELECT {SHOWN} FROM coa.run WHERE dag_id = ANY (%s) ORDER BY started_at DESC LIMIT {RUNS}",
        [dag_ids],
    ).fetchall()
    ours = ("", own_deployment())
    known = _states_in_airflow([r for r in found if r["deployment"] in ours])
    lines = []
    for r in found:
        state = known.get((r["dag_id"], r["airflow_run_id"])) if r["deployment"] in ours else None
        over = r["state"] is not None or (state or _state_of_process(connection, r)) in AIRFLOW_OVER
        lines.append(
            {
                **_line(r),
                "in_airflow": state is not None,
                "over": over,
                "totals": _totals(objects_of(r["summary"])),
            }
        )
    return lines


def _states_in_airflow(runs: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """States of runs in this Airflow by DAG and id; runs of another Airflow may have the same."""
    keys = [(r["dag_id"], r["airflow_run_id"]) for r in runs]
    with create_session() as session:
        found = session.execute(
            select(DagRun.dag_id, DagRun.run_id, DagRun.state).where(
                tuple_(DagRun.dag_id, DagRun.run_id).in_(keys)
            )
        )
        return {(dag_id, run_id): _plain(state) for dag_id, run_id, state in found}


def _plain(state: Any) -> str:
    return str(getattr(state, "value", state))


def airflow_state(dag_id: str, airflow_run_id: str) -> str | None:
    """State of a run in this Airflow; None when it has none of that name."""
    with create_session() as session:
        state = session.scalar(
            select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == airflow_run_id)
        )
        return _plain(state) if state is not None else None


def state_of_headless_run(connection: Connection, dag_id: str, airflow_run_id: str) -> str | None:
    """As `airflow_state`, for a run that a terminal started, from its process; None for any other."""
    row = find_run(connection, dag_id, airflow_run_id)
    return _state_of_process(connection, row) if row else None


def _state_of_process(connection: Connection, run: dict[str, Any]) -> str | None:
    token = run["headless_token"]
    if not token:
        return None
    return "running" if holds_lock(connection, token) else "failed"


def _line(r: dict[str, Any]) -> dict[str, Any]:
    ended = r["finished_at"]
    return {
        "run_id": r["run_id"],
        "dag_id": r["dag_id"],
        "kind": kind_of(r["dag_id"]),
        "airflow_run_id": r["airflow_run_id"],
        "pair": r["pair_id"],
        "source": r["source"] or "",
        "target": r["target"] or "",
        "mode": r["mode"],
        "dry_run": r["dry_run"],
        "headless": bool(r["headless_token"]),
        "stage": r["stage"],
        "state": r["state"],
        "message": r["message"],
        "triggered_by": r["triggered_by"],
        "started": r["started_at"].timestamp(),
        "seconds": (ended - r["started_at"]).total_seconds() if ended else None,
    }


def _totals(objects: dict[str, dict[str, int]]) -> dict[str, int] | None:
    """Sums over all sObjects, of every kind of run alike; None without a summary."""
    if not objects:
        return None

    def total(*names: str) -> int:
        return sum(counts[name] for counts in objects.values() for name in names)

    return {
        "planned": total("to_insert", "to_update", "to_delete", "to_restore", "to_set"),
        "written": total("inserted", "updated", "deleted", "restored", "set"),
        "rejected": total("rejected"),
        "left_out": total("blocked", "held", "left"),
        "verified": total("verified"),
        "different": total("different", "missing", "duplicated"),
    }


def beside(connection: Connection, run: dict[str, Any], dag_ids: list[str]) -> list[dict[str, Any]]:
    """The last dry run before this run, this run, and the deltas since, of the same pair of orgs."""
    if run["pair_id"] is None:
        return []
    key = {"pair": run["pair_id"], "at": run["started_at"], "dags": dag_ids, "run": run["run_id"]}
    dry = connection.execute(
        f"""SELECT {SHOWN} FROM coa.run
            WHERE pair_id = %(pair)s AND started_at < %(at)s AND dag_id = ANY (%(dags)s)
              AND params ->> 'dry_run' = 'true' AND summary ->> 'state' = state
            ORDER BY started_at DESC LIMIT 1""",
        key,
    ).fetchall()
    this = connection.execute(f"SELECT {SHOWN} FROM coa.run WHERE run_id = %(run)s", key).fetchall()
    since = connection.execute(
        f"""SELECT {SHOWN} FROM coa.run
            WHERE pair_id = %(pair)s AND started_at > %(at)s AND dag_id = ANY (%(dags)s)
              AND mode = 'delta' AND summary ->> 'state' = state
            ORDER BY started_at LIMIT {DELTAS}""",
        key,
    ).fetchall()
    columns = [("dry", r) for r in dry] + [("this", r) for r in this] + [("delta", r) for r in since]
    return [{"role": role, **_line(r), "objects": _compared(connection, r)} for role, r in columns]


def _compared(connection: Connection, run: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Counts by short name. A run under way has no summary yet; its plan can be compared all the same."""
    objects = objects_of(run["summary"]) or _planned(connection, run["run_id"])
    return {short(name): counts for name, counts in objects.items()}


def _planned(connection: Connection, run_id: str) -> dict[str, dict[str, int]]:
    """Counts of a plan by sObject, under the names of a summary; empty before there is a plan."""
    objects: dict[str, dict[str, int]] = {}
    for r in connection.execute(
        """SELECT sobject, action, sum(records)::bigint AS records FROM coa.plan_count
           WHERE run_id = %s GROUP BY 1, 2""",
        [run_id],
    ).fetchall():
        counts = objects.setdefault(r["sobject"], dict.fromkeys(["extracted", *PLANNED.values()], 0))
        counts[PLANNED[r["action"]]] += r["records"]
        counts["extracted"] += r["records"]
    return objects
