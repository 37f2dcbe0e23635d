"""One run of what the DAG coa_preflight does, and what it found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coa.errors import CoaError
from coa.model import NS
from tests.engine.harness import Migrator

Findings = dict[tuple[str, str, str], dict[str, Any]]


@dataclass
class Outcome:
    findings: Findings
    expected: dict[tuple[str, str, str], int]
    error: str
    folder: Path
    calls: dict[str, int]


def preflight(migrator: Migrator, **params: Any) -> Outcome:
    """Preflight, extract, transform, reconcile, plan: what the DAG coa_preflight does."""
    run = migrator.start(dry_run=True, **params)
    error = ""
    try:
        migrator.plan(run)
    except CoaError as stopped:
        error = str(stopped)
    run.lease.release()
    rows = run.db.rows("SELECT * FROM coa.finding WHERE run_id = %s", [run.run_id])
    calls = run.db.rows(
        "SELECT org, sum(calls) AS calls FROM coa.api_usage WHERE run_id = %s GROUP BY 1", [run.run_id]
    )
    return Outcome(
        {(r["code"], r["sobject"], r["field"].removeprefix(NS)): r for r in rows},
        {},
        error,
        migrator.artifacts / run.run_id,
        {r["org"]: int(r["calls"]) for r in calls},
    )
