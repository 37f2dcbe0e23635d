"""`audit.json`: the audit trail of the run, as it is kept in the staging database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from coa.approval.record import approvals
from coa.staging.fragments import most_severe_first
from coa.staging.runs import Run

RUN_FACTS = (
    "run_id",
    "dag_id",
    "airflow_run_id",
    "triggered_by",
    "mode",
    "params",
    "stage",
    "state",
    "message",
    "plan_hash",
    "source_org",
    "target_org",
    "artifacts",
    "triggered_for",
    "started_at",
    "loaded_at",
    "finished_at",
)


def audit_document(run: Run, artifacts: list[dict[str, Any]]) -> dict[str, Any]:
    """Who, what, when: the run, its answers, findings, stages, jobs, API calls and the hashes of the artifacts.

    The events are written after it, one by one (`write_audit`): a long run has many.
    """
    return {
        "run": {name: getattr(run.record, name) for name in RUN_FACTS} | {"versions": run.record.versions()},
        "approvals": approvals(run),
        "findings": findings(run),
        "stages": stages(run),
        "jobs": jobs(run),
        "api_calls": api_calls(run),
        "artifacts": artifacts,
    }


def findings(run: Run) -> list[dict[str, Any]]:
    """Findings of the run, blockers first."""
    return run.db.rows(
        sql.SQL(
            """SELECT severity AS grade, code, stage, sobject, field, count, examples, message, next_step
               FROM coa.finding
               WHERE run_id = %s ORDER BY {order}, code, sobject, field"""
        ).format(order=most_severe_first()),
        [run.run_id],
    )


def stages(run: Run) -> list[dict[str, Any]]:
    """When each stage began and how many seconds it took; a stage that was tried again has several rows."""
    return run.db.rows(
        "SELECT stage, started_at, seconds FROM coa.stage_time WHERE run_id = %s ORDER BY started_at, stage",
        [run.run_id],
    )


def jobs(run: Run) -> list[dict[str, Any]]:
    """Bulk ingest jobs, a step and sObject at a time."""
    return run.db.rows(
        """SELECT step, sobject, operation, count(*) AS jobs, sum(rows_planned)::bigint AS rows,
                  sum(accepted)::bigint AS accepted, sum(rejected)::bigint AS rejected,
                  min(created_at) AS first, max(updated_at) AS last,
                  sum(extract(epoch FROM updated_at - created_at))::float AS seconds
           FROM coa.job WHERE run_id = %s GROUP BY 1, 2, 3 ORDER BY min(job_key)""",
        [run.run_id],
    )


def api_calls(run: Run) -> list[dict[str, Any]]:
    """API calls by org and kind, most first."""
    return run.db.rows(
        "SELECT org, kind, calls FROM coa.api_usage WHERE run_id = %s ORDER BY org, calls DESC, kind",
        [run.run_id],
    )


def events(run: Run) -> Iterator[dict[str, Any]]:
    """The run's events, streamed: they may be many."""
    return run.db.stream(
        "SELECT at, level, event, data FROM coa.event WHERE run_id = %s ORDER BY event_id", [run.run_id]
    )
