"""The lease: no two runs write to one target, or work on one pair of orgs, at the same time.

It has two rows, in `coa.target_lease` and `coa.lease`, which are always written together, in this order. A run
that has lost one of them has lost both, so that a run of an earlier version, which knows only the pair, stops
as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from coa.errors import PairBusy
from coa.staging.database import Database, Row, is_locked
from coa.staging.record import RunRecord
from coa.staging.sql_files import sql_file

Connection = psycopg.Connection[Row]

HolderEnded = Callable[[dict[str, Any]], bool]
"""Of the run that holds a lease (its row of `coa.run`) and that no process works on, whether none ever will again."""


def work_lock(run_id: str) -> str:
    """Name of the lock that every process holds, shared with others, while it works on a run."""
    return f"coa work {run_id}"


def _lives(connection: Connection, holder: Row, holder_ended: HolderEnded | None) -> bool:
    """Whether a run whose lease has not expired may still do something, by what staging and `holder_ended`
    say.

    A process that works on the run counts, whatever Airflow says of its task. A process that was paused
    until the lease expired notices that before its next call. Between two tasks, and while a run waits for
    a person, there is no process; then `holder_ended` may know that no task will follow.
    """
    if is_locked(connection, work_lock(holder["run_id"])):
        return True
    return not (holder_ended and holder_ended(holder))


def hold_org(connection: Connection, org_id: str) -> None:
    """Until the end of the transaction no run can take a lease on this org."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('coa org ' || %s, 0))", [org_id])


@dataclass(frozen=True)
class _Place:
    """Statements on one of the two tables."""

    take: str
    renew: str


_PLACES = (
    _Place(
        take="""INSERT INTO coa.target_lease (target_org_id, run_id, expires_at)
                SELECT target_org_id, %(run)s, clock_timestamp() + make_interval(secs => %(seconds)s)
                FROM coa.org_pair WHERE pair_id = %(pair)s
                ON CONFLICT (target_org_id) DO UPDATE
                  SET run_id = EXCLUDED.run_id, expires_at = EXCLUDED.expires_at""",
        renew="""UPDATE coa.target_lease SET expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
                 WHERE run_id = %(run)s""",
    ),
    _Place(
        take="""INSERT INTO coa.lease (pair_id, run_id, expires_at)
                VALUES (%(pair)s, %(run)s, clock_timestamp() + make_interval(secs => %(seconds)s))
                ON CONFLICT (pair_id) DO UPDATE
                  SET run_id = EXCLUDED.run_id, expires_at = EXCLUDED.expires_at""",
        renew="""UPDATE coa.lease SET expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
                 WHERE run_id = %(run)s""",
    ),
)
"""The target first: whoever holds that keeps every other source out."""

# By jobs as well: a run that had begun before this one may have gone on since.
_WRITTEN_SINCE = """
SELECT EXISTS (
  SELECT FROM coa.run me JOIN coa.org_pair mine ON mine.pair_id = %(pair)s
  JOIN coa.org_pair p ON p.pair_id = mine.pair_id OR p.target_org_id = mine.target_org_id
  JOIN coa.run r ON r.pair_id = p.pair_id AND r.run_id <> me.run_id
  WHERE me.run_id = %(run)s AND (r.loaded_at > me.started_at OR EXISTS (
    SELECT FROM coa.job j WHERE j.run_id = r.run_id AND j.created_at > me.started_at)))"""


def _where(held: Row) -> str:
    if held["same_pair"]:
        return "the same pair of orgs"
    return "the same target" if held["same_target"] else "one of the same orgs"


def release(connection: Connection, run_id: str) -> None:
    """Deletes both rows of a run's lease, in the caller's transaction."""
    connection.execute("DELETE FROM coa.target_lease WHERE run_id = %s", [run_id])
    connection.execute("DELETE FROM coa.lease WHERE run_id = %s", [run_id])


def writer_of(db: Database, target_org_id: str) -> str | None:
    """The run that is writing to this org now, from whichever source."""
    found = db.value(
        """SELECT l.run_id FROM coa.target_lease l JOIN coa.run r USING (run_id)
           WHERE l.target_org_id = %s AND r.state IS NULL AND l.expires_at > clock_timestamp()""",
        [target_org_id],
    )
    return str(found) if found else None


@dataclass(frozen=True)
class Lease:
    """A run's claim on its target and its pair of orgs; `seconds`: how long it lasts after the run last
    renewed it.
    """

    db: Database
    record: RunRecord
    seconds: float

    def take(self, holder_ended: HolderEnded | None = None) -> None:
        """Makes this run the only one that writes to its target; raises `PairBusy` while another one is
        alive.

        Several pairs may read the same source. A pair of an org with itself means the whole org, and
        conflicts with every pair that the org belongs to. Without `holder_ended` only an expired lease
        is taken over.
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
            holders = sql_file(__package__, "lease_holders")
            for held in connection.execute(holders, {"pair": pair_id, "run": run_id}).fetchall():
                if not _lives(connection, held, holder_ended):
                    continue
                raise PairBusy(
                    f"Run {held['run_id']} ({held['dag_id']}) works on {_where(held)}.",
                    next_step=f"wait until it ends, or until its lease expires at {held['expires_at']:%H:%M:%S}.",
                )
            for place in _PLACES:
                connection.execute(place.take, {"pair": pair_id, "run": run_id, "seconds": self.seconds})

    def renew(self) -> None:
        """Prolongs the lease if this run still holds both of its places."""
        with self.db.transaction() as connection:
            held = [
                connection.execute(place.renew, {"run": self.record.run_id, "seconds": self.seconds}).rowcount
                for place in _PLACES
            ]
            if not all(held):
                release(connection, self.record.run_id)

    def is_held(self) -> bool:
        """Whether this run holds both of its places."""
        return bool(
            self.db.value(
                """SELECT EXISTS (SELECT FROM coa.target_lease WHERE run_id = %(run)s)
                      AND EXISTS (SELECT FROM coa.lease WHERE run_id = %(run)s)""",
                {"run": self.record.run_id},
            )
        )

    def require(self) -> None:
        """Raises `PairBusy` when another run has taken the target over: a process that was paused must
        not go on.

        A run that had ended and is cleared gets its target back if no other run has written to it
        since.
        """
        if self.is_held():
            return
        run_id = self.record.run_id
        if self.db.value(_WRITTEN_SINCE, {"pair": self.record.require_pair(), "run": run_id}):
            raise PairBusy(
                f"Run {run_id} no longer holds its target: another run took it over and has written to it.",
                next_step="trigger a new run; this plan is out of date.",
            )
        self.take()

    def release(self) -> None:
        """Releases the target, if this run holds it."""
        with self.db.transaction() as connection:
            release(connection, self.record.run_id)
