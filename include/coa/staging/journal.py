"""What a run tells of itself while it goes on: events, findings, progress and the time of its stages."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coa.codes import EventLevel, Severity
from coa.findings.finding import Finding
from coa.staging.database import Database, json_value

log = logging.getLogger(__name__)

LOG_LEVELS = {
    Severity.BLOCKER: logging.ERROR,
    Severity.WARNING: logging.WARNING,
    Severity.NOTE: logging.INFO,
}


@dataclass(frozen=True)
class EventLog:
    """The run's audit trail, in the database and in the task's log."""

    db: Database
    run_id: str

    def add(self, event: str, level: EventLevel | str = EventLevel.INFO, **data: Any) -> None:
        """One line of the trail."""
        self.db.execute(
            "INSERT INTO coa.event (run_id, level, event, data) VALUES (%s, %s, %s, %s)",
            [self.run_id, level, event, json_value(data)],
        )
        text = " ".join(f"{k}={v}" for k, v in data.items())
        log.log(logging.getLevelNamesMapping()[level.upper()], "%s %s", event, text)


@dataclass(frozen=True)
class Findings:
    """What the stages of the run found; each stage replaces its own."""

    db: Database
    run_id: str

    def replace(self, stage: str, findings: Iterable[Finding]) -> list[Finding]:
        """The findings of a stage in place of those it had, so that a retried task does not double them;
        returns them."""
        kept = list(findings)
        with self.db.transaction() as connection:
            connection.execute(
                "DELETE FROM coa.finding WHERE run_id = %s AND stage = %s", [self.run_id, stage]
            )
            for f in kept:
                connection.execute(
                    """INSERT INTO coa.finding
                         (run_id, code, sobject, field, severity, stage, count, examples, message, next_step)
                       VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                       ON CONFLICT (run_id, code, sobject, field) DO UPDATE
                         SET severity = EXCLUDED.severity, count = EXCLUDED.count, examples = EXCLUDED.examples,
                             message = EXCLUDED.message, next_step = EXCLUDED.next_step, stage = EXCLUDED.stage""",
                    [
                        self.run_id,
                        f.code,
                        f.sobject,
                        f.field,
                        f.severity,
                        stage,
                        f.count,
                        f.examples[:10],
                        f.message,
                        f.next_step,
                    ],
                )
        for f in kept:
            level = LOG_LEVELS[Severity(f.severity)]
            log.log(level, "%s %s: %s Next step: %s", f.severity, f.code, f.message, f.next_step)
        return kept


@dataclass(frozen=True)
class Progress:
    """How far each step of the run is, and how long its stages took."""

    db: Database
    run_id: str

    def add(
        self,
        step: str,
        sobject: str,
        *,
        total: int | None = None,
        done: int = 0,
        rejected: int = 0,
        bytes_moved: int = 0,
    ) -> None:
        """Adds rows and bytes of CSV to a step; sets `total` when given."""
        self.db.execute(
            """INSERT INTO coa.progress (run_id, step, sobject, total, done, rejected, bytes)
               VALUES (%(run)s, %(step)s, %(sobject)s, COALESCE(%(total)s::bigint, 0), %(done)s, %(rejected)s,
                       %(bytes)s)
               ON CONFLICT (run_id, step, sobject) DO UPDATE
                 SET total = COALESCE(%(total)s::bigint, coa.progress.total),
                     done = coa.progress.done + %(done)s, bytes = coa.progress.bytes + %(bytes)s,
                     rejected = coa.progress.rejected + %(rejected)s, updated_at = clock_timestamp()""",
            {
                "run": self.run_id,
                "step": step,
                "sobject": sobject,
                "total": total,
                "done": done,
                "rejected": rejected,
                "bytes": bytes_moved,
            },
        )

    def reset(self, step: str, sobject: str, total: int = 0) -> None:
        """Starts a step over: a retried task counts from zero."""
        self.db.execute(
            "DELETE FROM coa.progress WHERE run_id = %s AND step = %s AND sobject = %s",
            [self.run_id, step, sobject],
        )
        self.add(step, sobject, total=total)

    def stage_took(self, stage: str, started_at: datetime, seconds: float) -> None:
        """Notes how long a stage took; one that is tried again has several times."""
        self.db.execute(
            """INSERT INTO coa.stage_time (run_id, stage, started_at, seconds) VALUES (%s, %s, %s, %s)
               ON CONFLICT DO NOTHING""",
            [self.run_id, stage, started_at, seconds],
        )
