"""What probes have written, remembered before it is written: whoever comes after a kill finds it and takes it away.

Tables `coa.contract_key`, `coa.contract_record`, `coa.contract_job`. A key is open until a query has proved that no
record of it is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from coa.staging.database import Database


class Ledger(Protocol):
    """Where the records and jobs of one key are written down."""

    key: str

    def about_to_write(self, sobject: str, marks: Sequence[str]) -> None:
        """Called before the request that makes these records."""

    def written(self, sobject: str, ids: dict[str, str]) -> None:
        """Mark -> id of the records that the org has made."""

    def job(self, job_id: str) -> None:
        """Called before a Bulk job is given its data."""


@dataclass
class MemoryLedger:
    """For an org of our own that ends with the process."""

    key: str
    marks: list[tuple[str, str]] = field(default_factory=list)
    ids: dict[str, list[str]] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)

    def about_to_write(self, sobject: str, marks: Sequence[str]) -> None:
        """As `Ledger.about_to_write`."""
        self.marks += [(sobject, one) for one in marks]

    def written(self, sobject: str, ids: dict[str, str]) -> None:
        """As `Ledger.written`."""
        self.ids.setdefault(sobject, []).extend(ids.values())

    def job(self, job_id: str) -> None:
        """As `Ledger.job`."""
        self.jobs.append(job_id)


@dataclass
class StagingLedger:
    """For every other org. Made before the first write of a run: see `open_key`."""

    db: Database
    key: str

    def about_to_write(self, sobject: str, marks: Sequence[str]) -> None:
        """As `Ledger.about_to_write`: the marks are committed before the call returns."""
        with self.db.transaction() as connection:
            for one in marks:
                connection.execute(
                    """INSERT INTO coa.contract_record (key, sobject, mark) VALUES (%s, %s, %s)
                       ON CONFLICT DO NOTHING""",
                    [self.key, sobject, one],
                )

    def written(self, sobject: str, ids: dict[str, str]) -> None:
        """As `Ledger.written`: the ids are committed before the call returns."""
        with self.db.transaction() as connection:
            for one, record_id in ids.items():
                connection.execute(
                    "UPDATE coa.contract_record SET record_id = %s WHERE key = %s AND sobject = %s AND mark = %s",
                    [record_id, self.key, sobject, one],
                )

    def job(self, job_id: str) -> None:
        """As `Ledger.job`: the id is committed before the call returns."""
        self.db.execute(
            "INSERT INTO coa.contract_job (key, job_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [self.key, job_id],
        )


@dataclass(frozen=True)
class Written:
    """What is known of one key: its jobs, and the ids that the org told."""

    key: str
    jobs: tuple[str, ...]
    ids: dict[str, tuple[str, ...]]
    """sObject -> ids."""


def open_key(db: Database, org_id: str, run_id: str, key: str) -> StagingLedger:
    """Writes the key down, before the first record of it."""
    db.execute(
        "INSERT INTO coa.contract_key (key, org_id, run_id) VALUES (%s, %s, %s)", [key, org_id, run_id]
    )
    return StagingLedger(db, key)


def open_keys(db: Database, org_id: str) -> list[Written]:
    """Keys of this org whose records may still be there, oldest first."""
    return [
        _written(db, str(row["key"]))
        for row in db.rows(
            "SELECT key FROM coa.contract_key WHERE org_id = %s AND cleaned_at IS NULL ORDER BY made_at",
            [org_id],
        )
    ]


def _written(db: Database, key: str) -> Written:
    ids: dict[str, list[str]] = {}
    for row in db.rows(
        "SELECT sobject, record_id FROM coa.contract_record WHERE key = %s AND record_id IS NOT NULL", [key]
    ):
        ids.setdefault(str(row["sobject"]), []).append(str(row["record_id"]))
    jobs = db.rows("SELECT job_id FROM coa.contract_job WHERE key = %s ORDER BY job_id", [key])
    return Written(key, tuple(str(r["job_id"]) for r in jobs), {k: tuple(v) for k, v in ids.items()})


def close_keys(db: Database, keys: Iterable[str]) -> None:
    """A query has proved that nothing of these keys is left."""
    db.execute(
        "UPDATE coa.contract_key SET cleaned_at = clock_timestamp() WHERE key = ANY (%s)", [list(keys)]
    )
