"""Bulk ingest jobs that survive anything: written down before they are created, settled by reading back.

A job's row in `coa.job` goes planned -> open -> uploaded -> submitted -> settled, each advance committed
before the next call. Whoever finds an unfinished job (the same task after a lost answer, its retry, the
next run) brings it to an end from that row and from what the org says of the job:

  planned    created without our knowing its id: empty, so harmless; its rows are sent in another job
  open       data may be half there: aborted before anything is processed
  uploaded   closed again if the org still has it open
  submitted  waited for, then its results are applied
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from os import SEEK_END

from psycopg import sql

from coa.codes import JOB_OVER, JobState, RowState
from coa.errors import AmbiguousWrite, ConfigurationError, OrgRefused
from coa.fields.field_map import FieldMapping
from coa.load.observation import observe
from coa.load.payload import payload_query, row_bytes, spool
from coa.load.results import apply_results, look_up_unknown
from coa.load.retry import pause, release_deferred, require_outcomes
from coa.load.work import analyze_ledger, analyze_work, of_job, pending
from coa.load_steps import BACK_TO_DRAFT, INSERT, ORDERS, Step
from coa.salesforce.bulk import IngestJobs, JobStatus
from coa.salesforce.pace import JobSize
from coa.salesforce.session import Org
from coa.salesforce.usage import count_calls
from coa.staging.database import Row
from coa.staging.fragments import list_of
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table

log = logging.getLogger(__name__)

SMALLEST_JOB = 200
MAKES_DRAFTS = (ORDERS.name, BACK_TO_DRAFT.name)
"""Steps after which an order is a Draft."""
# Causes of a failed job that sending the same rows again cannot cure.
BROKEN_JOB = ("InvalidBatch", "ClientInputError", "InvalidJob", "InvalidEntity", "FeatureNotEnabled")


@dataclass
class Loader:
    """Sends the pending rows of a step and brings each of its jobs to an end."""

    run: Run
    org: Org
    fields: list[FieldMapping]

    def __post_init__(self) -> None:
        self.jobs = IngestJobs(self.org)

    def send(self, step: Step, between_jobs: Callable[[], None] | None = None) -> None:
        """Works until no row of the step is pending: each one is then accepted or rejected.

        `between_jobs`: called before each job is planned; it may take pending rows out of the step.
        Raises `OrgUnavailable` when the org cannot be reached; a retry continues from there.
        """
        self.settle_open_jobs(step)
        look_up_unknown(self.run, self.org, step)
        # A try that was killed between two rounds left them.
        release_deferred(self.run, step)
        if pending(self.run, step):
            # Many steps of a chunk have nothing to send.
            analyze_work(self.run)
        rows_per_job = self.run.settings.rows_per_job
        tries = 0
        while pending(self.run, step):
            if tries:
                # Locks and half-failed jobs: smaller jobs, later.
                rows_per_job = max(SMALLEST_JOB, rows_per_job // 2)
                pause(self.run, self.org, tries)
            while True:
                if between_jobs is not None:
                    between_jobs()
                job = self._plan_job(step, rows_per_job)
                if job is None:
                    break
                self._carry_out(job, step)
            look_up_unknown(self.run, self.org, step)
            release_deferred(self.run, step)
            tries += 1
        if tries and step.operation == INSERT:
            analyze_ledger(self.run)
        require_outcomes(self.run, step)
        observe(self.run, self.org, step)

    def settle_open_jobs(self, step: Step) -> None:
        """Jobs that an earlier try of this step left unfinished."""
        for job in self.run.db.rows(
            sql.SQL(
                """SELECT * FROM coa.job WHERE run_id = %s AND step = %s AND sobject = %s AND chunk_no = %s
                 AND state NOT IN {job_over} ORDER BY job_key"""
            ).format(job_over=list_of(JOB_OVER)),
            [self.run.run_id, step.name, step.sobject, step.chunk_no],
        ):
            self._bring_to_end(job, step)

    # ---- one job ------------------------------------------------------------------------------
    def _plan_job(self, step: Step, rows_per_job: int) -> Row | None:
        """Puts the next rows into a new job, never cutting a parent's children in two; None when none is left.

        The job's row and its rows' state are one transaction: one statement.
        """
        run = self.run
        return run.db.row(
            sql.SQL(
                """WITH chosen AS MATERIALIZED (
                     SELECT row_id FROM (
                         SELECT s.row_id,
                           dense_rank() OVER parents AS n,
                           -- Up to the end of the row's parent: rows of one parent are peers.
                           count(*) OVER parents AS rows_so_far,
                           sum(s.bytes) OVER parents AS bytes_so_far
                         -- OFFSET 0: sized first, so that rows are sorted without all their values.
                         FROM (SELECT w.ctid AS row_id, COALESCE(w.parent_id, w.source_id) AS parent, {size} AS bytes
                               -- A record that is deleted because it is gone from the source has no desired row.
                               FROM {work} w LEFT JOIN {desired} d ON d.source_id = w.source_id
                               WHERE w.step = %(step)s AND w.sobject = %(sobject)s AND w.chunk_no = %(chunk)s
                                 AND w.state = 'pending' OFFSET 0) s
                         WINDOW parents AS (ORDER BY s.parent)) r
                       WHERE n = 1 OR (rows_so_far <= %(rows)s AND bytes_so_far <= %(bytes)s)),
                   job AS (
                     INSERT INTO coa.job (pair_id, run_id, step, sobject, operation, chunk_no, rows_planned)
                     SELECT %(pair)s, %(run)s, %(step)s, %(sobject)s, %(operation)s, %(chunk)s, count(*)
                     FROM chosen HAVING count(*) > 0 RETURNING *),
                   sent AS (
                     UPDATE {work} w SET state = 'sent', job_key = job.job_key, attempts = w.attempts + 1,
                            error_code = NULL, error = NULL
                     -- A row that another process has taken meanwhile stands elsewhere, and stays in its job.
                     FROM chosen, job WHERE w.ctid = chosen.row_id)
                   SELECT * FROM job"""
            ).format(
                size=row_bytes(self.fields),
                work=run.table(Table.WORK),
                desired=run.table(Table.DESIRED, step.sobject),
            ),
            {
                "pair": run.pair_id,
                "run": run.run_id,
                "step": step.name,
                "sobject": step.sobject,
                "operation": step.operation,
                "chunk": step.chunk_no,
                "rows": rows_per_job,
                "bytes": run.settings.bytes_per_job,
            },
        )

    def _carry_out(self, job: Row, step: Step) -> None:
        """Creates, uploads and closes a job; a lost answer anywhere leads to `_bring_to_end`.

        Raises `PairBusy` before a call that would make the org write, if another run has taken the pair
        over. This happens when a process was paused (a suspended machine, a stopped container) and
        continues in the middle of a chunk.
        """
        self.run.lease.require()
        try:
            job_id = self.jobs.create(step.sobject, step.operation)
            job = self._advance(job, JobState.OPEN, job_id=job_id)
            with spool(self.run, payload_query(self.run, step, job, self.fields)) as csv:
                size = csv.seek(0, SEEK_END)
                self.jobs.upload(job_id, csv)
            job = self._advance(job, JobState.UPLOADED, size=size)
            self.run.lease.require()
            self.jobs.close(job_id)
            job = self._advance(job, JobState.SUBMITTED)
        except AmbiguousWrite as lost:
            log.warning("%s The job is read back.", lost.message)
            self._bring_to_end(job, step)
        else:
            self._bring_to_end(job, step, JobStatus.begun(job_id))

    def _bring_to_end(self, job: Row, step: Step, known: JobStatus | None = None) -> None:
        """Continues from whatever state a job is in; `known` saves a call when its status was just read."""
        if not job["job_id"]:
            self._abandon(job, step, "the answer to its creation was lost")
            return
        status = known or self.jobs.status(job["job_id"])
        if status is None:
            self._abandon(job, step, "the org does not know it any more")
            return
        if status.state == "Open" and job["state"] == JobState.OPEN:
            # Whether the upload arrived whole cannot be read back; nothing was processed yet.
            self.jobs.abort(job["job_id"])
            self._abandon(job, step, "upload without an answer")
            return
        while status.state == "Open":
            self.run.lease.require()
            try:
                self.jobs.close(job["job_id"])
            except (AmbiguousWrite, OrgRefused) as error:
                log.warning("closing job %s: %s", job["job_id"], error.message)
            status = self.jobs.status(job["job_id"]) or status
        if job["state"] != JobState.SUBMITTED:
            job = self._advance(job, JobState.SUBMITTED)
        if not status.over:
            just_begun = known is not None
            status = self.jobs.wait(
                job["job_id"],
                lambda s: self._show(step, s),
                size=JobSize(step.sobject, step.operation, job["rows_planned"]) if just_begun else None,
                known=status,
                max_wait=self.org.max_wait,
            )
        apply_results(self.run, self.jobs, job, step, status)
        self._refuse_broken_job(job, status)

    def _refuse_broken_job(self, job: Row, status: JobStatus) -> None:
        """A job that the org could not read at all fails the same way next time."""
        if (
            status.state == "Failed"
            and status.message.split(":")[0].strip() in BROKEN_JOB
            and not status.processed
        ):
            raise ConfigurationError(
                f"{self.org.name}: Bulk job {job['job_id']} on {job['sobject']} was refused as a whole: "
                f"{status.message}.",
                next_step="check the field-level rights of the user behind coa_target; then run again, "
                "the ledger knows what is done.",
            )

    def _abandon(self, job: Row, step: Step, why: str) -> None:
        """Gives up a job that processed nothing. Inserts are still looked up before they are sent again."""
        sent = step.operation == INSERT and job["state"] != JobState.PLANNED
        state = RowState.UNKNOWN if sent else RowState.PENDING
        with self.run.db.transaction() as connection:
            connection.execute(
                sql.SQL("UPDATE {} w SET state = %s WHERE {} AND w.state = 'sent'").format(
                    self.run.table(Table.WORK), of_job(job)
                ),
                [state],
            )
            connection.execute(
                """UPDATE coa.job SET state = 'abandoned', message = %s, updated_at = clock_timestamp()
                   WHERE job_key = %s""",
                [why, job["job_key"]],
            )
        log.warning("gave up job %s of %s: %s", job["job_id"] or job["job_key"], job["sobject"], why)

    def _advance(self, job: Row, state: JobState, job_id: str = "", size: int = 0) -> Row:
        """Commits a job's new state before the next call; an order is a Draft from `submitted` on.

        One that is sent with its status is none, until the look that follows its job says so (`load.one_pass`).
        """
        with self.run.db.transaction() as connection:
            advanced = connection.execute(
                """UPDATE coa.job SET state = %s, job_id = COALESCE(NULLIF(%s, ''), job_id),
                          bytes = GREATEST(bytes, %s), updated_at = clock_timestamp()
                   WHERE job_key = %s RETURNING *""",
                [state, job_id, size, job["job_key"]],
            ).fetchone()
            if state is JobState.SUBMITTED and job["step"] in MAKES_DRAFTS:
                connection.execute(
                    sql.SQL(
                        """INSERT INTO coa.ledger (pair_id, sobject, source_id, draft_since)
                           SELECT %s, w.sobject, w.source_id, clock_timestamp() FROM {} w WHERE {}
                           ON CONFLICT (pair_id, sobject, source_id) DO UPDATE
                             SET draft_since = EXCLUDED.draft_since, draft_until = NULL"""
                    ).format(self.run.table(Table.WORK), of_job(job)),
                    [job["pair_id"]],
                )
        self.run.lease.renew()
        assert advanced is not None
        return advanced

    def _show(self, step: Step, status: JobStatus) -> None:
        self.run.lease.renew()
        # Lanes work for hours: who watches the run sees its calls, and a kill loses the count of few.
        count_calls(self.run, TARGET, self.org)
        log.info(
            "%s %s chunk %d: job %s %s, %d rows processed",
            step.name,
            step.sobject,
            step.chunk_no,
            status.job_id,
            status.state,
            status.processed,
        )


def settle_jobs_of_other_runs(run: Run, org: Org) -> int:
    """Brings jobs that earlier runs on this target left unfinished to an end, whatever their source; gives
    their number.

    Call it before the target is extracted. What these jobs wrote is then in the snapshot, which counts more
    than the ledger, so their results need not be applied. Jobs that the ledger does not know are never
    touched. Raises `PairBusy` when another run has taken the pair over: the jobs may then belong to that
    run.
    """
    jobs = IngestJobs(org)
    left = run.db.rows(
        sql.SQL(
            """SELECT j.* FROM coa.job j JOIN coa.org_pair p USING (pair_id)
               JOIN coa.org_pair mine ON mine.target_org_id = p.target_org_id
               WHERE mine.pair_id = %s AND j.run_id <> %s
                 AND j.state NOT IN {job_over} ORDER BY j.job_key"""
        ).format(job_over=list_of(JOB_OVER)),
        [run.pair_id, run.run_id],
    )
    for job in left:
        run.lease.require()
        status = jobs.status(job["job_id"]) if job["job_id"] else None
        if status is not None and status.state == "Open":
            jobs.abort(job["job_id"])
        elif status is not None and not status.over:
            jobs.wait(job["job_id"], known=status, max_wait=org.max_wait)
        run.db.execute(
            """UPDATE coa.job SET state = 'abandoned', org_state = %s, message = 'ended by a later run',
                      updated_at = clock_timestamp() WHERE job_key = %s""",
            [status.state if status else "", job["job_key"]],
        )
        run.events.add(
            "job_of_earlier_run_ended", job_id=job["job_id"] or "", sobject=job["sobject"], run=job["run_id"]
        )
    return len(left)
