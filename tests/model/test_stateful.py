"""The real loader on the real PostgreSQL against a small org in this process, whose every answer hypothesis decides.

What `tests.model.protocol` walks through as pure functions is tried here on the code itself, in random samples.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from psycopg import sql

from coa.errors import AmbiguousWrite, RetryableError
from coa.fields.field_map import FieldMapping
from coa.load.jobs import Loader
from coa.load.work import create_work_tables
from coa.load_steps import INSERT, Step
from coa.mapping.model import FieldRule
from coa.model import ORDER, SOURCE_ID
from coa.salesforce.bulk import JobStatus
from coa.salesforce.describe import Field
from coa.staging import tables
from coa.staging.database import Database
from coa.staging.runs import Run
from coa.staging.tables import Table
from tests.engine.harness import FAST

STEP = Step("orders", ORDER, INSERT, 0)
FIELDS = [
    FieldMapping(
        Field({"name": name, "type": "string", "length": 80, "createable": True}), None, "value", FieldRule()
    )
    for name in (SOURCE_ID, "Text__c")
]
CALLS = ("answered", "answered", "lost", "lost with its effect", "killed", "killed after it")
"""What becomes of a call that writes; an even chance that nothing happens would try too little."""
WORK = ("whole", "whole", "locked", "breaks off", "keeps a result back")
"""What becomes of a job: all its rows, one met a lock, the last are not processed, the last has no result."""


class Killed(BaseException):
    """The process is gone: nothing catches it."""


@dataclass
class OrgJob:
    state: str = "Open"
    rows: list[dict[str, str]] = field(default_factory=list)
    good: list[dict[str, str]] = field(default_factory=list)
    bad: list[dict[str, str]] = field(default_factory=list)


class SmallOrg:
    """Jobs and records of an org, with the methods of `IngestJobs`; a migration key is unique in it."""

    name = "small"
    max_wait: float | None = None

    def __init__(self) -> None:
        self.jobs: dict[str, OrgJob] = {}
        self.records: dict[str, list[str]] = {}
        """Migration key -> ids of the records that bear it."""
        self.calls: deque[str] = deque()
        self.work: deque[str] = deque()

    # ---- calls that write, whose answer may not come --------------------------------------------
    def _call(self, effect: Callable[[], None]) -> None:
        luck = self.calls.popleft() if self.calls else "answered"
        if luck == "killed":
            raise Killed
        if luck != "lost":
            effect()
        if luck == "killed after it":
            raise Killed
        if luck.startswith("lost"):
            raise AmbiguousWrite("no answer came")

    def create(self, sobject: str, operation: str) -> str:
        job_id = f"750{len(self.jobs):015}"
        self._call(lambda: self.jobs.__setitem__(job_id, OrgJob()))
        return job_id

    def upload(self, job_id: str, data: io.BytesIO) -> None:
        data.seek(0)
        rows = list(csv.DictReader(io.TextIOWrapper(data, "utf-8", newline="")))
        self._call(lambda: self.jobs[job_id].rows.extend(rows))

    def close(self, job_id: str) -> None:
        def closed() -> None:
            if self.jobs[job_id].state == "Open":
                self.jobs[job_id].state = "UploadComplete"

        self._call(closed)

    def abort(self, job_id: str) -> None:
        self.jobs[job_id].state = "Aborted"

    # ---- calls that read ------------------------------------------------------------------------
    def status(self, job_id: str) -> JobStatus | None:
        job = self.jobs.get(job_id)
        if job is None:
            return None
        return JobStatus(job_id, job.state, len(job.good) + len(job.bad), len(job.bad), "")

    def wait(self, job_id: str, *_: Any, **__: Any) -> JobStatus:
        job = self.jobs[job_id]
        if job.state == "UploadComplete":
            self._work_off(job)
        found = self.status(job_id)
        assert found is not None
        return found

    def query(self, soql: str) -> Iterator[dict[str, str]]:
        for key in re.findall(r"'([^']+)'", soql):
            for record in self.records.get(key, []):
                yield {"Id": record, SOURCE_ID: key}

    @contextmanager
    def results(self, job_id: str, which: str) -> Iterator[tuple[dict[str, str], Iterator[bytes]]]:
        job = self.jobs[job_id]
        rows = {"successfulResults": job.good, "failedResults": job.bad}[which]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["sf__Id", "sf__Error", SOURCE_ID])
        writer.writeheader()
        writer.writerows(rows)
        yield {}, iter([text.getvalue().encode()])

    # ---- the org's own work ---------------------------------------------------------------------
    def _work_off(self, job: OrgJob) -> None:
        luck = self.work.popleft() if self.work else "whole"
        for n, row in enumerate(job.rows):
            last = n == len(job.rows) - 1
            if last and luck == "breaks off":
                break
            key = row[SOURCE_ID]
            if last and luck == "locked":
                job.bad.append(
                    {SOURCE_ID: key, "sf__Error": "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access:--"}
                )
            elif key in self.records:
                job.bad.append(
                    {SOURCE_ID: key, "sf__Error": f"DUPLICATE_VALUE:duplicate value found:{SOURCE_ID} --"}
                )
            else:
                self.records[key] = [f"a01{len(self.records):012}AAA"]
                if not (last and luck == "keeps a result back"):
                    job.good.append({SOURCE_ID: key, "sf__Id": self.records[key][0]})
        job.state = "JobComplete" if luck in ("whole", "locked") else "Failed"


class LoadMachine(RuleBasedStateMachine):
    """Tries of one step, each with its bad luck; whatever happens, the promises hold, and at last all is there."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.org = SmallOrg()
        self.keys = [f"a02{n:012}AAA" for n in range(5)]
        self.run = self._planned()

    def _planned(self) -> Run:
        db = self.database
        patient = FAST.model_copy(update={"retry_first_seconds": 0.0, "rows_per_job": 2, "row_attempts": 40})
        run = Run.start(
            db, patient, dag_id="coa_migrate", airflow_run_id=uuid4().hex, triggered_by="test", raw_params={}
        )
        pair = db.value(
            # A pair of its own: the run before it holds the lease on its own target.
            "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES (%s, %s) RETURNING pair_id",
            [run.run_id, run.run_id],
        )
        run.update(pair_id=pair)
        run.lease.take()
        create_work_tables(run)
        with db.transaction() as connection:
            tables.create(connection, run, Table.DESIRED, ORDER, fields=[f.name for f in FIELDS])
            for key in self.keys:
                connection.execute(
                    sql.SQL("INSERT INTO {} VALUES (%s, %s, 'x')").format(run.table(Table.DESIRED, ORDER)),
                    [key, key],
                )
                connection.execute(
                    sql.SQL(
                        "INSERT INTO {} (step, sobject, chunk_no, source_id) VALUES (%s, %s, 0, %s)"
                    ).format(run.table(Table.WORK)),
                    [STEP.name, ORDER, key],
                )
        return run

    def send(self) -> None:
        with patch("coa.load.jobs.IngestJobs", lambda org: org):
            Loader(self.run, self.org, FIELDS).send(STEP)  # type: ignore[arg-type]

    @rule(
        calls=st.lists(st.sampled_from(CALLS), max_size=8), work=st.lists(st.sampled_from(WORK), max_size=5)
    )
    def try_the_step(self, calls: list[str], work: list[str]) -> None:
        """One try of the task; it may be killed, or end with an error after which Airflow tries again."""
        self.org.calls, self.org.work = deque(calls), deque(work)
        with suppress(Killed, RetryableError):  # What it left is what the next try finds.
            self.send()
        self.org.calls.clear()
        self.org.work.clear()

    @invariant()
    def nothing_is_twice_and_what_counts_as_accepted_is_there(self) -> None:
        assert all(len(ids) == 1 for ids in self.org.records.values())
        for row in self.rows():
            if row["state"] == "accepted":
                assert [row["target_id"]] == self.org.records[row["source_id"]]
                assert row["known"] == row["target_id"]
            assert row["state"] != "rejected", "the org refused none of them"

    def rows(self) -> list[dict[str, Any]]:
        return self.run.db.rows(
            sql.SQL(
                """SELECT w.*, l.target_id AS known FROM {} w LEFT JOIN coa.ledger l
                     ON l.pair_id = %s AND l.sobject = w.sobject AND l.source_id = w.source_id"""
            ).format(self.run.table(Table.WORK)),
            [self.run.pair_id],
        )

    def teardown(self) -> None:
        """A last try without bad luck brings everything to its end."""
        self.send()
        self.nothing_is_twice_and_what_counts_as_accepted_is_there()
        assert {row["state"] for row in self.rows()} == {"accepted"}
        assert set(self.org.records) == set(self.keys)
        counted = self.run.db.row(
            "SELECT done, rejected FROM coa.progress WHERE run_id = %s AND step = %s",
            [self.run.run_id, STEP.name],
        )
        assert counted == {"done": len(self.keys), "rejected": 0}


@pytest.mark.parametrize("examples", [20, pytest.param(100, marks=pytest.mark.lane)])
def test_whatever_becomes_of_calls_and_jobs_each_record_is_there_once(
    database: Database, examples: int
) -> None:
    machine = type("Machine", (LoadMachine,), {"database": database})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=5, deadline=None, derandomize=True),
    )


def test_the_machine_finds_a_missing_look_up(database: Database) -> None:
    """Without asking for rows that have no outcome, a record is in the org and counts as refused."""

    def not_asked(run: Run, org: Any, step: Step) -> None:
        run.db.execute(
            sql.SQL(
                """UPDATE {} SET state = CASE WHEN error_code IS NULL THEN 'pending' ELSE 'rejected' END
                   WHERE state = 'unknown'"""
            ).format(run.table(Table.WORK))
        )

    machine = type("Machine", (LoadMachine,), {"database": database})
    with patch("coa.load.jobs.look_up_unknown", not_asked), pytest.raises(AssertionError):
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=60,
                stateful_step_count=5,
                deadline=None,
                derandomize=True,
                report_multiple_bugs=False,
                # One counterexample is enough: it need not be a small one.
                phases=[Phase.generate],
            ),
        )


def test_a_row_that_is_looked_up_leaves_the_rest_of_its_job_as_it_is(database: Database) -> None:
    """Orders that are sent with their status are released after their job; a look-up for another one comes later."""
    machine = type("Machine", (LoadMachine,), {"database": database})()
    machine.org.work = deque(["keeps a result back"])
    with patch("coa.load.jobs.look_up_unknown"), suppress(RetryableError):
        machine.send()
    released = database.execute("UPDATE coa.ledger SET step = 'released' WHERE target_id IS NOT NULL")
    machine.teardown()
    assert (released, len(machine.keys)) == (4, 5)
    assert database.value("SELECT count(*) FROM coa.ledger WHERE step = 'released'") == released
