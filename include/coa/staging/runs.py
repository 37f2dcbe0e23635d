"""A run: its row, its tables, its log, and the lease that keeps two runs off one pair of orgs."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime
from functools import cached_property
from time import monotonic
from typing import Any

from psycopg import sql

from coa.config import RunParams, Settings, verification_params
from coa.errors import ConfigurationError, PairBusy
from coa.kinds import kind_of
from coa.staging.database import Database, Row, json_value
from coa.staging.schema import newest_version
from coa.staging.tables import identifier, schema_of, table_name

log = logging.getLogger(__name__)

SOURCE = "source"
TARGET = "target"

ROW = """SELECT r.*, p.params AS policies FROM coa.run r LEFT JOIN coa.run p ON p.run_id = r.policies_of
         WHERE r.run_id = %s"""
"""A run's row; `policies`: the params of the migration that it verifies, null for any other run."""


def new_run_id(now: datetime | None = None) -> str:
    """`YYYYMMDDTHHMMSSZ-<6 hex>`: sorts by time, unique without a database."""
    return f"{(now or datetime.now(UTC)):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class Finding:
    """Something a person should know before the first write.

    `severity`: `blocker` stops the run, `warning` wants a look, `note` is for the record.
    `examples`: at most ten record ids.
    """

    severity: str
    code: str
    message: str
    next_step: str = ""
    sobject: str = ""
    field: str = ""
    count: int = 0
    examples: list[str] = dataclass_field(default_factory=list)


@dataclass
class Run:
    """One run and what its tasks need: database, params, settings."""

    run_id: str
    db: Database
    params: RunParams
    settings: Settings
    row: Row
    kept: dict[str, Any] = dataclass_field(default_factory=dict, repr=False, compare=False)
    """What was read of it once and does not change while a task works; whoever writes it anew forgets it here."""

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
        versions: dict[str, str] | None = None,
        born: str = "",
    ) -> Run:
        """The run of this Airflow run, created on the first call: a retried task gets the same one.

        `born`: when Airflow made its run. An id that is used again, after that run was deleted, does not bring the old
        run back with its params and its approval: raises `ConfigurationError`, as for other params under an old id.

        Raises `InvalidParams`; the run's row then exists, for whoever gives it its end (`load` with `ending`).
        """
        with db.advisory_lock(f"coa run {dag_id} {airflow_run_id}"):
            known = db.row(
                """SELECT run_id, COALESCE(versions ->> 'born', %s) = %s AND given_params = %s AS same FROM coa.run
                   WHERE dag_id = %s AND airflow_run_id = %s AND airflow_run_id <> ''""",
                [born, born, json_value(raw_params), dag_id, airflow_run_id],
            )
            run_id = str(known["run_id"]) if known else new_run_id()
            if known and not known["same"]:
                raise ConfigurationError(
                    f"The Airflow run id {airflow_run_id} was used before, by run {run_id}, for another run or with "
                    "other params.",
                    next_step="trigger the DAG with a run id of its own; Airflow makes one if none is given.",
                )
            if not known:
                db.execute(
                    """INSERT INTO coa.run (run_id, dag_id, airflow_run_id, triggered_by, mode, given_params, params,
                                            versions, schema_version)
                       VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                    [
                        run_id,
                        dag_id,
                        airflow_run_id,
                        triggered_by,
                        _mode_of(dag_id, raw_params),
                        json_value(raw_params),
                        json_value(raw_params),
                        json_value({**(versions or {}), "born": born}),
                        newest_version(),
                    ],
                )
                db.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema_of(run_id))))
            elif db.value("SELECT state FROM coa.run WHERE run_id = %s", [run_id]) is not None:
                _reopen(db, run_id, from_the_start=True)
        return cls.load(db, settings, run_id)

    @classmethod
    def load(cls, db: Database, settings: Settings, run_id: str, *, ending: bool = False) -> Run:
        """Raises `ConfigurationError` for an unknown run, `InvalidParams` for params we cannot use.

        `ending`: only to give the run its end and its artifacts; params that nobody can use count as not given.
        """
        row = db.row(ROW, [run_id])
        if row is None:
            raise ConfigurationError(
                f"There is no run {run_id} in the staging database {db.display_url}.",
                next_step="take a run_id from the artifacts folder or from the table coa.run.",
            )
        read = RunParams.usable if ending else RunParams.parse
        params = row["params"]
        if row["policies"] is not None:
            params = verification_params(params, row["policies"])
        return cls(run_id, db, read(params), settings, row)

    def reopen(self) -> None:
        """A task that is cleared takes up a run that was over, with the tables that it has."""
        if self.row["state"] is not None or "stopped_state" in self.row["versions"]:
            _reopen(self.db, self.run_id, from_the_start=False)
            self.refresh()

    def refresh(self) -> None:
        fresh = self.db.row(ROW, [self.run_id])
        self.row = fresh or self.row

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

    # ---- names --------------------------------------------------------------------------------
    @property
    def pair_id(self) -> int:
        pair = self.row["pair_id"]
        if pair is None:
            raise ConfigurationError(
                f"Run {self.run_id} has not passed preflight: it does not know its orgs yet.",
                next_step="run its preflight task first.",
            )
        return int(pair)

    def org_id(self, role: str) -> str:
        """The organization that this run was made for, as `source` or `target`; empty until it has joined a pair."""
        return str(self.row[f"{role}_org"]["id"]) if self.row["pair_id"] is not None else ""

    @cached_property
    def schema(self) -> str:
        return schema_of(self.run_id)

    def table(self, kind: str, sobject: str = "", part: str = "") -> sql.Identifier:
        """A table of this run: `kind` is one of `coa.staging.tables.Table`; raises `ValueError` for another."""
        return identifier(self.run_id, kind, sobject, part)

    def has_table(self, kind: str, sobject: str = "") -> bool:
        return self.db.has_table(self.table(kind, sobject))

    def columns(self, kind: str, sobject: str = "") -> list[str]:
        """Column names of a table of this run, in order; empty when the table does not exist."""
        found = self.db.rows(
            """SELECT column_name FROM information_schema.columns
               WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position""",
            [self.schema, table_name(kind, sobject)],
        )
        return [str(r["column_name"]) for r in found]

    # ---- log ----------------------------------------------------------------------------------
    def event(self, event: str, level: str = "info", **data: Any) -> None:
        """One line of the run's audit trail, in the database and in the task log."""
        self.db.execute(
            "INSERT INTO coa.event (run_id, level, event, data) VALUES (%s, %s, %s, %s)",
            [self.run_id, level, event, json_value(data)],
        )
        text = " ".join(f"{k}={v}" for k, v in data.items())
        log.log(logging.getLevelNamesMapping()[level.upper()], "%s %s", event, text)

    def set_findings(self, stage: str, findings: Iterable[Finding]) -> list[Finding]:
        """Replaces the findings of a stage, so that a retried task does not double them."""
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
            level = {"blocker": logging.ERROR, "warning": logging.WARNING}.get(f.severity, logging.INFO)
            log.log(level, "%s %s: %s Next step: %s", f.severity, f.code, f.message, f.next_step)
        return kept

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Marks the run's stage, times it, and keeps the lease alive at both ends."""
        started, clock = datetime.now(UTC), monotonic()
        self.db.execute("UPDATE coa.run SET stage = %s WHERE run_id = %s", [name, self.run_id])
        self.renew_lease()
        try:
            yield
        finally:
            self.db.execute(
                """INSERT INTO coa.stage_time (run_id, stage, started_at, seconds) VALUES (%s, %s, %s, %s)
                   ON CONFLICT DO NOTHING""",
                [self.run_id, name, started, monotonic() - clock],
            )
            self.renew_lease()

    def progress(
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

    def reset_progress(self, step: str, sobject: str, total: int = 0) -> None:
        """Starts a step over: a retried task counts from zero."""
        self.db.execute(
            "DELETE FROM coa.progress WHERE run_id = %s AND step = %s AND sobject = %s",
            [self.run_id, step, sobject],
        )
        self.progress(step, sobject, total=total)

    # ---- lease --------------------------------------------------------------------------------
    def take_lease(self, lease_holder_ended: Any = None) -> None:
        """Makes this run the only one on its pair of orgs; raises `PairBusy` when another one lives.

        `lease_holder_ended(run_row) -> bool` tells of the holding run whether it can do nothing any more
        (its Airflow run ended, its process is dead); without it only an expired lease is taken over.
        """
        for_seconds = self.settings.lease_seconds
        with self.db.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [self.pair_id])
            held = connection.execute(
                """SELECT r.*, l.expires_at, l.expires_at < clock_timestamp() AS expired
                   FROM coa.lease l JOIN coa.run r USING (run_id) WHERE l.pair_id = %s""",
                [self.pair_id],
            ).fetchone()
            lives = held and held["run_id"] != self.run_id and not held["expired"] and held["state"] is None
            if held and lives and not (lease_holder_ended and lease_holder_ended(held)):
                raise PairBusy(
                    f"Run {held['run_id']} ({held['dag_id']}) works on the same pair of orgs.",
                    next_step=f"wait until it ends, or until its lease expires at {held['expires_at']:%H:%M:%S}.",
                )
            connection.execute(
                """INSERT INTO coa.lease (pair_id, run_id, expires_at)
                   VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s))
                   ON CONFLICT (pair_id) DO UPDATE
                     SET run_id = EXCLUDED.run_id, expires_at = EXCLUDED.expires_at""",
                [self.pair_id, self.run_id, for_seconds],
            )

    def renew_lease(self) -> None:
        """Prolongs the lease if this run still holds it."""
        self.db.execute(
            "UPDATE coa.lease SET expires_at = clock_timestamp() + make_interval(secs => %s) WHERE run_id = %s",
            [self.settings.lease_seconds, self.run_id],
        )

    def holds_lease(self) -> bool:
        return bool(self.db.value("SELECT count(*) FROM coa.lease WHERE run_id = %s", [self.run_id]))

    def require_lease(self) -> None:
        """Raises `PairBusy` when another run has taken the pair over: whoever stood still must not go on.

        A run that had ended and is cleared gets its pair back if no other run has written since.
        """
        if self.holds_lease():
            return
        if self.db.value(
            """SELECT EXISTS (SELECT FROM coa.run WHERE pair_id = %s AND run_id <> %s
                 AND loaded_at > (SELECT started_at FROM coa.run WHERE run_id = %s))""",
            [self.pair_id, self.run_id, self.run_id],
        ):
            raise PairBusy(
                f"Run {self.run_id} no longer holds its pair of orgs: a newer run took it over.",
                next_step="trigger a new run; this plan is out of date.",
            )
        self.take_lease()

    def release_lease(self) -> None:
        self.db.execute("DELETE FROM coa.lease WHERE run_id = %s", [self.run_id])


def _mode_of(dag_id: str, params: dict[str, Any]) -> str:
    """`verify` and `rollback` by the DAG, `full` and `delta` by the param."""
    kind = kind_of(dag_id)
    return kind if kind in ("verify", "rollback") else str(params.get("mode", "full"))


def _reopen(db: Database, run_id: str, *, from_the_start: bool) -> None:
    """A run that was over goes on: with the tables that it has, or from scratch if it had not begun to load."""
    with db.transaction() as connection:
        row = connection.execute(
            """UPDATE coa.run SET state = NULL, summary = NULL, finished_at = NULL, message = '', stage = 'created',
                      versions = versions - 'stopped_state' WHERE run_id = %s RETURNING loaded_at""",
            [run_id],
        ).fetchone()
        if from_the_start and row and row["loaded_at"] is None:
            # Its next preflight asks the connections anew which orgs they lead to; an answer to the old plan does
            # not fit the new one, whose hash covers the orgs.
            connection.execute("DELETE FROM coa.lease WHERE run_id = %s", [run_id])
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
