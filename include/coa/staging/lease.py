"""The lease that keeps two runs off one pair of orgs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from coa.errors import PairBusy
from coa.staging.database import Database, Row, is_locked
from coa.staging.record import RunRecord

Connection = psycopg.Connection[Row]

HolderEnded = Callable[[dict[str, Any]], bool]
"""Of the run that holds a lease (its row of `coa.run`) and that no process works on, whether none ever will again."""


def work_lock(run_id: str) -> str:
    """Name of the lock that every process holds, shared with others, while it works on a run."""
    return f"coa work {run_id}"


def _lives(connection: Connection, holder: Row, holder_ended: HolderEnded | None) -> bool:
    """Whether a run whose lease has not expired may still do something; staging alone is asked, but for `holder_ended`.

    A process that works on the run counts, whatever Airflow says of its task; one that stands still until the lease has
    expired finds out before its next call. Between two tasks, and while a run waits for a person, there is none: then
    `holder_ended` may know that no task will follow.
    """
    if is_locked(connection, work_lock(holder["run_id"])):
        return True
    return not (holder_ended and holder_ended(holder))


@dataclass(frozen=True)
class Lease:
    """A run's claim on its pair of orgs; `seconds`: how long a run that shows no life keeps it."""

    db: Database
    record: RunRecord
    seconds: float

    def take(self, holder_ended: HolderEnded | None = None) -> None:
        """Makes this run the only one on its pair of orgs; raises `PairBusy` when another one lives.

        A pair of one org with itself is the whole org: it is in the way of every pair that the org belongs to. Without
        `holder_ended` only an expired lease is taken over.
        """
        pair_id, run_id = self.record.require_pair(), self.record.run_id
        with self.db.transaction() as connection:
            # By org, in one order: two pairs may have an org in common.
            connection.execute(
                """SELECT pg_advisory_xact_lock(hashtextextended('coa org ' || o, 0)) FROM (
                     SELECT DISTINCT unnest(ARRAY[source_org_id, target_org_id]) AS o FROM coa.org_pair
                     WHERE pair_id = %s ORDER BY 1) x""",
                [pair_id],
            )
            holders = connection.execute(
                """SELECT r.*, l.expires_at, l.pair_id AS held_pair FROM coa.org_pair mine
                   JOIN coa.org_pair p ON p.pair_id = mine.pair_id
                     OR (p.source_org_id = p.target_org_id
                         AND p.target_org_id IN (mine.source_org_id, mine.target_org_id))
                     OR (mine.source_org_id = mine.target_org_id
                         AND mine.target_org_id IN (p.source_org_id, p.target_org_id))
                   JOIN coa.lease l ON l.pair_id = p.pair_id JOIN coa.run r ON r.run_id = l.run_id
                   WHERE mine.pair_id = %s AND l.run_id <> %s AND l.expires_at >= clock_timestamp()
                     AND r.state IS NULL ORDER BY l.expires_at""",
                [pair_id, run_id],
            ).fetchall()
            for held in holders:
                if not _lives(connection, held, holder_ended):
                    continue
                where = "the same pair of orgs" if held["held_pair"] == pair_id else "one of the same orgs"
                raise PairBusy(
                    f"Run {held['run_id']} ({held['dag_id']}) works on {where}.",
                    next_step=f"wait until it ends, or until its lease expires at {held['expires_at']:%H:%M:%S}.",
                )
            connection.execute(
                """INSERT INTO coa.lease (pair_id, run_id, expires_at)
                   VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s))
                   ON CONFLICT (pair_id) DO UPDATE
                     SET run_id = EXCLUDED.run_id, expires_at = EXCLUDED.expires_at""",
                [pair_id, run_id, self.seconds],
            )

    def renew(self) -> None:
        """Prolongs the lease if this run still holds it."""
        self.db.execute(
            "UPDATE coa.lease SET expires_at = clock_timestamp() + make_interval(secs => %s) WHERE run_id = %s",
            [self.seconds, self.record.run_id],
        )

    def is_held(self) -> bool:
        """Whether this run holds it."""
        return bool(self.db.value("SELECT count(*) FROM coa.lease WHERE run_id = %s", [self.record.run_id]))

    def require(self) -> None:
        """Raises `PairBusy` when another run has taken the pair over: whoever stood still must not go on.

        A run that had ended and is cleared gets its pair back if no other run has written since.
        """
        if self.is_held():
            return
        run_id = self.record.run_id
        if self.db.value(
            """SELECT EXISTS (SELECT FROM coa.run WHERE pair_id = %s AND run_id <> %s
                 AND loaded_at > (SELECT started_at FROM coa.run WHERE run_id = %s))""",
            [self.record.require_pair(), run_id, run_id],
        ):
            raise PairBusy(
                f"Run {run_id} no longer holds its pair of orgs: a newer run took it over.",
                next_step="trigger a new run; this plan is out of date.",
            )
        self.take()

    def release(self) -> None:
        """Gives the pair free, if this run holds it."""
        self.db.execute("DELETE FROM coa.lease WHERE run_id = %s", [self.record.run_id])
