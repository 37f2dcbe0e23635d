"""A run: its record, its tables, and what belongs to it: lease, events, findings, progress."""

from __future__ import annotations

import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime
from functools import cached_property
from time import monotonic
from typing import Any

from psycopg import sql

import coa
from coa.codes import MIGRATING, RunMode
from coa.config import RunParams, Settings, verification_params
from coa.errors import ConfigurationError
from coa.kinds import kind_of
from coa.staging.database import Database, as_kept, json_value
from coa.staging.journal import EventLog, Findings, Progress
from coa.staging.lease import Lease, release, work_lock
from coa.staging.origin import NO_AIRFLOW, Origin, foreign
from coa.staging.record import RunRecord
from coa.staging.schema import newest_version
from coa.staging.tables import Table, identifier, schema_of

WHAT_IF = RunMode.WHAT_IF
"""Mode of a run that plans kept snapshots anew, under other params; it enters no org. No DAG makes it."""
SOURCE = "source"
TARGET = "target"


def new_run_id(now: datetime | None = None) -> str:
    """`YYYYMMDDTHHMMSSZ-<6 hex>`: sorts by time, unique without a database."""
    return f"{(now or datetime.now(UTC)):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def run_named(db: Database, name: str) -> str:
    """Our id of the run that is meant by it, or by the id of its Airflow run.

    Raises `ConfigurationError` when there is none, or when Airflow runs of several DAGs have that id.
    """
    found = db.rows(
        "SELECT run_id, dag_id FROM coa.run "
        "WHERE run_id = %s OR (airflow_run_id = %s AND airflow_run_id <> '') ORDER BY 1",
        [name, name],
    )
    if not found:
        raise ConfigurationError(
            f"There is no run {name} in the staging database {db.display_url}.",
            next_step="take a run_id from the artifacts folder or from the table coa.run, "
            "or the id of its Airflow run.",
        )
    if len(found) > 1:
        raise ConfigurationError(
            f"Airflow runs of several DAGs have the id {name}.",
            next_step="name one by its own id: "
            + ", ".join(f"{r['run_id']} ({r['dag_id']})" for r in found)
            + ".",
        )
    return str(found[0]["run_id"])


@dataclass
class Run:
    """One run and what its tasks need: database, params, settings, and what belongs to the run."""

    record: RunRecord
    db: Database
    params: RunParams
    settings: Settings
    kept: dict[str, Any] = dataclass_field(default_factory=dict, repr=False, compare=False)
    """What was read of it once and does not change while a task works; whoever writes it anew forgets it here."""

    @property
    def run_id(self) -> str:
        """Our id of the run, `YYYYMMDDTHHMMSSZ-<6 hex>`."""
        return self.record.run_id

    @property
    def lease(self) -> Lease:
        """The lease on target and pair."""
        return Lease(self.db, self.record, self.settings.lease_seconds)

    @property
    def events(self) -> EventLog:
        """The log of what happened."""
        return EventLog(self.db, self.run_id)

    @property
    def findings(self) -> Findings:
        """Findings of the run."""
        return Findings(self.db, self.run_id)

    @property
    def progress(self) -> Progress:
        """How far each stage is."""
        return Progress(self.db, self.run_id)

    # ---- life ---------------------------------------------------------------------------------
    @classmethod
    def start(
        cls,
        db: Database,
        settings: Settings,
        *,
        dag_id: str,
        airflow_run_id: str,
        triggered_by: str,
        raw_params: dict[str, Any],
        origin: Origin = NO_AIRFLOW,
    ) -> Run:
        """The run of this Airflow run, created on the first call: a retried task gets the same one.

        If an Airflow run id is used again after that run was deleted, or with other params, the old run
        does not come back with its params and its approval: raises `ConfigurationError`. Raises
        `InvalidParams`; the run's row then exists, so that its end can be recorded (`load` with
        `ending`).
        """
        with db.advisory_lock(f"coa run {dag_id} {airflow_run_id}"):
            run_id = find_run_id(db, origin.deployment, dag_id, airflow_run_id)
            if run_id is not None:
                record = RunRecord.read(db, run_id)
                require_same(record, origin, triggered_by, raw_params)
                if record.state is not None:
                    cls.load(db, settings, run_id, ending=True).require_data()
                    _reopen(db, run_id, from_the_start=True)
                # A run that was cleared began anew; what it is now is what its later tasks are compared with.
                db.execute(
                    "UPDATE coa.run SET airflow_started_at = %s, airflow_clears = %s WHERE run_id = %s",
                    [origin.airflow_started_at, origin.airflow_clears, run_id],
                )
            else:
                run_id = _insert(
                    db,
                    {
                        "dag_id": dag_id,
                        "airflow_run_id": airflow_run_id,
                        "triggered_by": triggered_by,
                        "mode": _mode_of(dag_id, raw_params),
                        "given_params": json_value(raw_params),
                        "params": json_value(raw_params),
                        **asdict(origin),
                    },
                )
        return cls.load(db, settings, run_id)

    @classmethod
    def load(cls, db: Database, settings: Settings, run_id: str, *, ending: bool = False) -> Run:
        """Raises `ConfigurationError` for an unknown run, `InvalidParams` for params that cannot be
        used.

        `ending`: only to record the end of the run and write its artifacts; params that cannot be used
        then count as not given.
        """
        record = RunRecord.read(db, run_id)
        params = record.params
        if record.policies is not None:
            params = verification_params(params, record.policies)
        read = RunParams.usable if ending else RunParams.parse
        return cls(record, db, read(params), settings)

    def reopen(self) -> None:
        """Continues a run that had ended, with the tables that it has: one of its tasks was cleared.
        Raises `ConfigurationError` when data of it was deleted since.
        """
        self.require_data()
        if self.record.state is not None or self.record.stopped_state is not None:
            _reopen(self.db, self.run_id, from_the_start=False)
            self.refresh()

    def require_data(self) -> None:
        """Raises `ConfigurationError` when the run was purged, or one person's data was deleted from it.

        What is left would be loaded or proved as if it were all; and its evidence is to stay as it was sealed.
        """
        if self.record.purged_at is not None or self.record.erased_at is not None:
            raise ConfigurationError(
                f"Personal data of run {self.run_id} was deleted: it cannot continue, "
                "and its artifacts stay unchanged.",
                next_step="trigger a new run; what this one created is in the ledger.",
            )

    def name_other(self) -> None:
        """Replaces an Airflow run id in the param `run_id` by our id of the run. Raises
        `ConfigurationError` as `run_named` does.
        """
        meant = run_named(self.db, self.params.run_id)
        if meant != self.params.run_id:
            self.update(params={**self.record.params, "run_id": meant})
            self.params = self.params.model_copy(update={"run_id": meant})

    def refresh(self) -> None:
        """Reads the run's record again: other tasks may have written it."""
        self.record = RunRecord.read(self.db, self.run_id)

    def update(self, **columns: Any) -> None:
        """Sets columns of the run's row; dicts go in as JSON."""
        assignments = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in columns
        )
        values = [json_value(v) if isinstance(v, dict) else v for v in columns.values()]
        self.db.execute(
            sql.SQL("UPDATE coa.run SET {} WHERE run_id = %s").format(assignments), [*values, self.run_id]
        )
        self.refresh()

    def learn(self, role: str, **facts: Any) -> None:
        """Adds facts about the `source` or `target` org; facts of the same names are replaced."""
        column = sql.Identifier(f"{role}_org")
        self.db.execute(
            sql.SQL("UPDATE coa.run SET {0} = {0} || %s WHERE run_id = %s").format(column),
            [json_value(facts), self.run_id],
        )
        self.refresh()

    # ---- names --------------------------------------------------------------------------------
    @property
    def pair_id(self) -> int:
        """Raises `ConfigurationError` before preflight."""
        return self.record.require_pair()

    def org_id(self, role: str) -> str:
        """The organization that this run was made for, as `source` or `target`; empty until it has joined a pair."""
        return str(self.record.org(role)["id"]) if self.record.pair_id is not None else ""

    @cached_property
    def schema(self) -> str:
        """Name of the schema that holds the run's tables."""
        return schema_of(self.run_id)

    def table(self, kind: str, sobject: str = "", part: str = "") -> sql.Identifier:
        """A table of this run: `kind` is one of `coa.staging.tables.Table`; raises `ValueError` for another."""
        return identifier(self.run_id, kind, sobject, part)

    @property
    def ledger(self) -> sql.Identifier:
        """The ledger that a plan of this run is made with: that of all runs, or of a what-if its own copy."""
        if self.record.mode == WHAT_IF:
            return self.table(Table.LEDGER)
        return sql.Identifier("coa", "ledger")

    def has_table(self, kind: str, sobject: str = "") -> bool:
        """Whether the run has made this table."""
        return self.db.has_table(self.table(kind, sobject))

    def columns(self, kind: str, sobject: str = "") -> list[str]:
        """Column names of a table of this run, in order; empty when the table does not exist."""
        # Asked for often; information_schema would take ten times as long.
        found = self.db.rows(
            """SELECT attname FROM pg_attribute
               WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
            [self.table(kind, sobject).as_string()],
        )
        return [str(r["attname"]) for r in found]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Marks that a process works on the run: while it lives, no other run can take the pair of orgs."""
        with self.db.session_lock(work_lock(self.run_id)):
            yield

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Marks the run's stage, times it, and keeps the lease alive at both ends."""
        started, clock = datetime.now(UTC), monotonic()
        self.db.execute("UPDATE coa.run SET stage = %s WHERE run_id = %s", [name, self.run_id])
        self.lease.renew()
        try:
            yield
        finally:
            self.progress.stage_took(name, started, monotonic() - clock)
            self.lease.renew()


def find_run_id(db: Database, deployment: str, dag_id: str, airflow_run_id: str) -> str | None:
    """The run of an Airflow run; None where it has none. Runs of an earlier version are of no deployment yet."""
    found = db.value(
        """SELECT run_id FROM coa.run
           WHERE dag_id = %s AND airflow_run_id = %s AND airflow_run_id <> '' AND deployment IN ('', %s)
           ORDER BY deployment DESC LIMIT 1""",
        [dag_id, airflow_run_id, deployment],
    )
    return None if found is None else str(found)


def require_same(
    record: RunRecord, origin: Origin, triggered_by: str, raw_params: dict[str, Any] | None = None
) -> None:
    """Raises `ConfigurationError` when an Airflow run has the id of another one, which this run was made for.

    `raw_params`: for the task that starts the run and knows them all.
    """
    found = foreign(record, origin, triggered_by)
    kept = record.given_params
    asked = kept if raw_params is None else as_kept(raw_params)
    if asked != kept:
        other = [name for name in sorted({*asked, *kept}) if asked.get(name) != kept.get(name)]
        found.append(f"its params are others ({', '.join(other)})")
    if found:
        raise ConfigurationError(
            f"The Airflow run id {record.airflow_run_id} was used before, by run {record.run_id}, and this is another "
            f"Airflow run: {'; '.join(found)}. Nothing of the old run is reused, neither its params nor its approval.",
            next_step="trigger the DAG with a new run id; Airflow creates one if none is given.",
        )


def _insert(db: Database, columns: dict[str, Any]) -> str:
    run_id = new_run_id()
    row = {
        "run_id": run_id,
        "schema_version": newest_version(),
        "coa_version": coa.__version__,
        "python_version": platform.python_version(),
        **columns,
    }
    db.execute(
        sql.SQL("INSERT INTO coa.run ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(map(sql.Placeholder, row))
        ),
        row,
    )
    db.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema_of(run_id))))
    return run_id


def _mode_of(dag_id: str, params: dict[str, Any]) -> str:
    """`verify`, `rollback`, `relink`, `contract`, `setup_target` and `what_if` by the DAG,
    `full` and `delta` by the param."""
    kind = WHAT_IF if dag_id == WHAT_IF else kind_of(dag_id)
    return kind if kind in set(RunMode) - MIGRATING else str(params.get("mode", "full"))


def _reopen(db: Database, run_id: str, *, from_the_start: bool) -> None:
    """A run that was over goes on: with the tables that it has, or from scratch if it had not begun to load."""
    with db.transaction() as connection:
        row = connection.execute(
            """UPDATE coa.run SET state = NULL, summary = NULL, finished_at = NULL, message = '', stage = 'created',
                      stopped_state = NULL WHERE run_id = %s RETURNING loaded_at""",
            [run_id],
        ).fetchone()
        if from_the_start and row and row["loaded_at"] is None:
            # Its next preflight asks the connections anew which orgs they lead to; an answer to the old plan does
            # not fit the new one, whose hash covers the orgs.
            release(connection, run_id)
            connection.execute(
                "UPDATE coa.run SET pair_id = NULL, plan_hash = NULL, source_org = '{}', target_org = '{}', "
                "params = given_params, policies_of = NULL WHERE run_id = %s",
                [run_id],
            )
            schema = sql.Identifier(schema_of(run_id))
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
            for table in ("finding", "progress", "explained", "difference"):
                connection.execute(
                    sql.SQL("DELETE FROM {} WHERE run_id = %s").format(sql.Identifier("coa", table)), [run_id]
                )
