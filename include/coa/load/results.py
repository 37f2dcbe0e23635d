"""The outcome of each row of a job: every row that was sent is found in a result file, or looked up in the org.

JobComplete is no proof, and Failed does not mean that nothing was written: all results are read in either case.
Rows in no file are `unknown` until they were looked up by their migration key.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import structlog
from psycopg import sql

from coa.errors import ConfigurationError, IncompleteExtract
from coa.extract.pages import PAGE_TRIES, split_header
from coa.fields.other_sources import inserted_by_others
from coa.load.retry import reject_worn_out, transient
from coa.load.work import of_job
from coa.load_steps import BACK_TO_DRAFT, DELETE, INSERT, STATUSES, Step
from coa.model import SOURCE_ID
from coa.salesforce.bulk import IngestJobs, JobStatus
from coa.salesforce.session import Org, id18
from coa.salesforce.soql import text_list
from coa.staging.database import Row, copy_into
from coa.staging.fragments import ledger_of
from coa.staging.runs import Run
from coa.staging.tables import Table
from coa.staging.wide import WIDEST

log = logging.getLogger(__name__)
# Keeps its fields in Airflow's task logs; those of `logging` are dropped there.
structured = structlog.get_logger(__name__)

# A record that is gone already is what a delete wanted: the answer to an earlier try was lost.
GONE_CODES = ("ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY")
LOOKUP_IDS = 300
"""Ids in one query: the URL stays below Salesforce's 16,384 bytes."""


def apply_results(run: Run, jobs: IngestJobs, job: Row, step: Step, status: JobStatus) -> None:
    """Reads the result files of a job that is over and applies them with the job's end in one transaction."""
    with run.db.transaction() as connection:
        accepted = _read(connection, jobs, job, "successfulResults")
        # Statistics are older than the job, so the planner takes its rows for one: it would read all results for each.
        connection.execute("SET LOCAL enable_nestloop = off")
        _apply_accepted(connection, run, job, step, accepted)
        if accepted.rows < job["rows_planned"]:
            _apply_failed(connection, run, job, step, _read(connection, jobs, job, "failedResults"))
        connection.execute("SET LOCAL enable_nestloop TO DEFAULT")
        note_accepted(connection, run, step, of_job(job))
        # In neither file: unprocessed, or lost by the org. Updates can simply be sent again.
        connection.execute(
            sql.SQL("UPDATE {} w SET state = %s WHERE {} AND w.state = 'sent'").format(
                run.table(Table.WORK), of_job(job)
            ),
            ["unknown" if step.operation == INSERT else "retry"],
        )
        _reject_worn_out(connection, run, job)
        counts = _count(connection, run, job)
        connection.execute(
            """UPDATE coa.job SET state = 'settled', org_state = %s, message = %s, accepted = %s, rejected = %s,
                      updated_at = clock_timestamp() WHERE job_key = %s""",
            [status.state, status.message[:1000], counts["accepted"], counts["rejected"], job["job_key"]],
        )
    run.progress.add(
        step.name,
        step.sobject,
        done=counts["accepted"],
        rejected=counts["rejected"],
        bytes_moved=job["bytes"],
    )
    structured.info(
        "job over",
        step=step.name,
        sobject=step.sobject,
        chunk=step.chunk_no,
        job=job["job_id"],
        state=status.state,
        rows=job["rows_planned"],
        bytes=job["bytes"],
        accepted=counts["accepted"],
        refused=counts["rejected"],
        open=job["rows_planned"] - counts["accepted"] - counts["rejected"],
    )


@dataclass(frozen=True)
class Landed:
    """A result file: how many rows it had, and a query on them (key, sf_id, error), valid within the transaction."""

    rows: int
    query: sql.Composed


def _read(connection: psycopg.Connection[Row], jobs: IngestJobs, job: Row, which: str) -> Landed:
    """Streams a result file into a temporary table."""
    for attempt in range(1, PAGE_TRIES + 1):
        try:
            with connection.transaction(), jobs.results(job["job_id"], which) as (_, chunks):
                return _land(connection, chunks)
        except (IncompleteExtract, psycopg.errors.BadCopyFileFormat) as error:
            if attempt == PAGE_TRIES:
                raise IncompleteExtract(
                    f"{which} of job {job['job_id']} could not be read completely.",
                    next_step="retry the task.",
                ) from error
            log.warning("%s of job %s: %s Reading it again.", which, job["job_id"], error)
        except psycopg.errors.CharacterNotInRepertoire as error:
            raise ConfigurationError(
                f"{jobs.org.name}: {which} of job {job['job_id']} on {job['sobject']} contain bytes that are not "
                "UTF-8.",
                next_step="nothing is lost: report it, and run again; the rows are looked up by their keys.",
            ) from error
    raise AssertionError("unreachable")


def _land(connection: psycopg.Connection[Row], chunks: Iterator[bytes]) -> Landed:
    """COPY of all columns into a temporary table; the query names the three that matter."""
    columns, body = split_header(chunks)
    if not columns:
        return Landed(
            0,
            sql.SQL(
                "SELECT NULL::text AS key, NULL::text AS sf_id, NULL::text AS error WHERE false"
            ).format(),
        )
    names = [f"c{n}" for n in range(len(columns))]
    lower = [c.lower() for c in columns]
    connection.execute("DROP TABLE IF EXISTS coa_result")
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE coa_result ({}) ON COMMIT DROP").format(
            sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(n)) for n in names)
        )
    )
    wanted = {c.lower() for c in (SOURCE_ID, "Id", "sf__Id", "sf__Error")}
    if len(columns) > WIDEST:
        _keep_only(connection, [n for n, c in zip(names, lower, strict=True) if c in wanted], names)
    landed = copy_into(connection, sql.SQL("COPY coa_result FROM STDIN (FORMAT csv)"), body)

    def column(name: str) -> sql.Composable:
        if name.lower() in lower:
            return sql.SQL("NULLIF({}, '')").format(sql.Identifier(names[lower.index(name.lower())]))
        return sql.SQL("NULL::text")

    return Landed(
        landed,
        sql.SQL("SELECT {} AS key, coa.id18(COALESCE({}, {})) AS sf_id, {} AS error FROM coa_result").format(
            column(SOURCE_ID), column("sf__Id"), column("Id"), column("sf__Error")
        ),
    )


def _keep_only(connection: psycopg.Connection[Row], kept: list[str], names: list[str]) -> None:
    """Empties all other columns of a row as it lands: all of them may be more than a row can hold (`staging.wide`)."""
    emptied = "".join(f"NEW.{name} := NULL; " for name in names if name not in kept)
    connection.execute(
        sql.SQL(
            """CREATE OR REPLACE FUNCTION pg_temp.coa_result_kept() RETURNS trigger LANGUAGE plpgsql AS {};
               CREATE TRIGGER kept BEFORE INSERT ON coa_result
               FOR EACH ROW EXECUTE FUNCTION pg_temp.coa_result_kept()"""
        ).format(sql.Literal(f"BEGIN {emptied}RETURN NEW; END"))
    )


def _correlation(step: Step) -> sql.SQL:
    """Text keys only: numbers come back printed in another way, and rows in another order."""
    return sql.SQL("r.key = w.source_id") if step.operation == INSERT else sql.SQL("r.sf_id = w.target_id")


def _apply_accepted(
    connection: psycopg.Connection[Row], run: Run, job: Row, step: Step, accepted: Landed
) -> None:
    connection.execute(
        sql.SQL(
            """UPDATE {work} w SET state = 'accepted', target_id = r.sf_id, error_code = NULL, error = NULL
               FROM ({accepted}) r WHERE {of_job} AND w.state = 'sent' AND {match}"""
        ).format(
            work=run.table(Table.WORK), accepted=accepted.query, of_job=of_job(job), match=_correlation(step)
        )
    )


def note_accepted(connection: psycopg.Connection[Row], run: Run, step: Step, among: sql.Composed) -> None:
    """Brings the ledger up to the accepted rows of work under the condition `among` (alias `w`)."""
    ledger = ledger_of(run.pair_id, "w")
    if step.operation == INSERT:
        connection.execute(
            sql.SQL(
                """INSERT INTO coa.ledger (pair_id, sobject, source_id, target_id, origin, inserted_run, last_run, step,
                                           job_key, attempts)
                   SELECT %(pair)s, w.sobject, w.source_id, w.target_id, 'inserted', %(run)s, %(run)s, 'created',
                          w.job_key, w.attempts
                   FROM {} w WHERE {} AND w.state = 'accepted'
                   ON CONFLICT (pair_id, sobject, source_id) DO UPDATE
                     SET target_id = EXCLUDED.target_id, origin = EXCLUDED.origin,
                         inserted_run = EXCLUDED.inserted_run, last_run = EXCLUDED.last_run, step = EXCLUDED.step,
                         job_key = EXCLUDED.job_key, attempts = EXCLUDED.attempts, error_code = NULL, error = NULL,
                         updated_at = clock_timestamp()"""
            ).format(run.table(Table.WORK), among),
            {"run": run.run_id, "pair": run.pair_id},
        )
    elif step.operation == DELETE:
        connection.execute(
            sql.SQL(
                """UPDATE coa.ledger l SET target_id = NULL, origin = 'none', step = 'none', verified_hash = NULL,
                          last_run = %(run)s, draft_since = NULL, draft_until = NULL,
                          updated_at = clock_timestamp()
                   FROM {} w WHERE {} AND w.state = 'accepted' AND {} AND l.target_id = w.target_id"""
            ).format(run.table(Table.WORK), among, ledger),
            {"run": run.run_id},
        )
    elif step.name == BACK_TO_DRAFT.name:
        connection.execute(
            sql.SQL(
                """UPDATE coa.ledger l SET step = 'created', last_run = %(run)s, updated_at = clock_timestamp()
                   FROM {} w WHERE {} AND w.state = 'accepted' AND {}"""
            ).format(run.table(Table.WORK), among, ledger),
            {"run": run.run_id},
        )
    elif step.name == STATUSES.name:
        connection.execute(
            sql.SQL(
                """UPDATE coa.ledger l SET step = 'released', last_run = %(run)s,
                          draft_until = COALESCE(l.draft_until, clock_timestamp()), updated_at = clock_timestamp()
                   FROM {} w WHERE {} AND w.state = 'accepted' AND {}"""
            ).format(run.table(Table.WORK), among, ledger),
            {"run": run.run_id},
        )


def _apply_failed(
    connection: psycopg.Connection[Row], run: Run, job: Row, step: Step, failed: Landed
) -> None:
    """`sf__Error` reads `CODE:message:fields --`. Transient ones are sent again; a duplicate key may be us."""
    connection.execute(
        sql.SQL(
            """UPDATE {work} w SET error_code = split_part(r.error, ':', 1),
                 error = substr(r.error, length(split_part(r.error, ':', 1)) + 2),
                 state = CASE
                   WHEN %(delete)s AND split_part(r.error, ':', 1) = ANY (%(gone)s) THEN 'accepted'
                   WHEN {transient} THEN 'retry'
                   WHEN %(insert)s AND split_part(r.error, ':', 1) IN ('DUPLICATE_VALUE', 'DUPLICATE_EXTERNAL_ID')
                     THEN 'unknown'
                   ELSE 'rejected' END
               FROM ({failed}) r WHERE {of_job} AND w.state = 'sent' AND {match}"""
        ).format(
            work=run.table(Table.WORK),
            failed=failed.query,
            of_job=of_job(job),
            match=_correlation(step),
            transient=transient(sql.SQL("split_part(r.error, ':', 1)"), sql.SQL("r.error")),
        ),
        {
            "gone": list(GONE_CODES),
            "insert": step.operation == INSERT,
            "delete": step.operation == DELETE,
        },
    )


def _reject_worn_out(connection: psycopg.Connection[Row], run: Run, job: Row) -> None:
    """Rejects rows that met transient errors too often; lists all rejections of the job."""
    reject_worn_out(connection, run, of_job(job))
    record_rejections(connection, run, of_job(job))


def record_rejections(connection: psycopg.Connection[Row], run: Run, condition: sql.Composed) -> None:
    """Lists the rejected rows of work under the condition (alias `w`) in `coa.rejection`,
    with the fields that the org named.

    Salesforce's text of a row's error ends with `:Field__c Other__c --` (Bulk API 2.0, column `sf__Error`).
    """
    connection.execute(
        sql.SQL(
            """INSERT INTO coa.rejection (run_id, sobject, source_id, step, error_code, error, fields)
               SELECT {run}, sobject, source_id, step, COALESCE(error_code, 'NO_RESULT'),
                      COALESCE(regexp_replace(error, ':[^:]*--\\s*$', ''), 'the org gave no result for the row'),
                      COALESCE(substring(error from ':([^:]*?)\\s*--\\s*$'), '')
               FROM {work} w WHERE w.state = 'rejected' AND {condition}
               ON CONFLICT (run_id, sobject, source_id, step) DO UPDATE
                 SET error_code = EXCLUDED.error_code, error = EXCLUDED.error, fields = EXCLUDED.fields"""
        ).format(run=sql.Literal(run.run_id), work=run.table(Table.WORK), condition=condition)
    )


def _count(connection: psycopg.Connection[Row], run: Run, job: Row) -> dict[str, int]:
    found = connection.execute(
        sql.SQL(
            """SELECT count(*) FILTER (WHERE state = 'accepted') AS accepted,
                      count(*) FILTER (WHERE state = 'rejected') AS rejected FROM {} w WHERE {}"""
        ).format(run.table(Table.WORK), of_job(job))
    ).fetchone()
    assert found is not None
    return {"accepted": int(found["accepted"]), "rejected": int(found["rejected"])}


def look_up_unknown(run: Run, org: Org, step: Step) -> None:
    """Asks the org for inserted rows without an outcome, by migration key; found ones are ours.

    Those not found are sent again, unless the org had refused them as duplicates of something else.
    """
    rows = run.db.rows(
        sql.SQL(
            """SELECT source_id FROM {} WHERE step = %s AND sobject = %s AND chunk_no = %s
               AND state = 'unknown' ORDER BY source_id"""
        ).format(run.table(Table.WORK)),
        [step.name, step.sobject, step.chunk_no],
    )
    ids = [str(r["source_id"]) for r in rows]
    for start in range(0, len(ids), LOOKUP_IDS):
        batch = ids[start : start + LOOKUP_IDS]
        found = _not_of_others(run, step.sobject, find_by_key(org, step.sobject, batch))
        with run.db.transaction() as connection:
            _apply_lookup(connection, run, step, batch, found)


def _rows_of(step: Step, source_ids: list[str]) -> sql.Composed:
    """SQL on the work list (alias `w`): the rows of a step that belong to these records."""
    return sql.SQL("w.step = {} AND w.sobject = {} AND w.source_id = ANY ({})").format(
        step.name, step.sobject, source_ids
    )


def find_by_key(org: Org, sobject: str, source_ids: list[str]) -> dict[str, str]:
    """Source id -> target id of the records that bear our key in the target."""
    records = org.query(
        f"SELECT Id, {SOURCE_ID} FROM {sobject} WHERE {SOURCE_ID} IN ({text_list(source_ids)})"
    )
    return {str(r[SOURCE_ID]): str(r["Id"]) for r in records}


def _not_of_others(run: Run, sobject: str, found: dict[str, str]) -> dict[str, str]:
    """Leaves out records that came from another source, whose ids can be equal to ours."""
    theirs = inserted_by_others(run, sobject, [id18(target_id) for target_id in found.values()])
    return {key: target_id for key, target_id in found.items() if id18(target_id) not in theirs}


def _apply_lookup(
    connection: psycopg.Connection[Row], run: Run, step: Step, batch: list[str], found: dict[str, str]
) -> None:
    work = run.table(Table.WORK)
    keys = [step.name, step.sobject]
    accepted = connection.execute(
        sql.SQL(
            """UPDATE {} w SET state = 'accepted', target_id = coa.id18(f.target_id), error_code = NULL, error = NULL
               FROM unnest(%s::text[], %s::text[]) AS f (source_id, target_id)
               WHERE w.step = %s AND w.sobject = %s AND w.source_id = f.source_id"""
        ).format(work),
        [list(found), list(found.values()), *keys],
    ).rowcount
    note_accepted(connection, run, step, _rows_of(step, list(found)))
    missing = [i for i in batch if i not in found]
    rejected = connection.execute(
        sql.SQL(
            """UPDATE {} SET state = 'rejected' WHERE step = %s AND sobject = %s AND source_id = ANY (%s)
               AND (error_code IS NOT NULL OR attempts >= %s)"""
        ).format(work),
        [*keys, missing, run.settings.row_attempts],
    ).rowcount
    record_rejections(connection, run, _rows_of(step, missing))
    connection.execute(
        sql.SQL(
            """UPDATE {} SET state = 'pending' WHERE step = %s AND sobject = %s AND source_id = ANY (%s)
               AND state = 'unknown'"""
        ).format(work),
        [*keys, missing],
    )
    # Within the caller's transaction the counters are a row of their own.
    connection.execute(
        """UPDATE coa.progress SET done = done + %s, rejected = rejected + %s, updated_at = clock_timestamp()
           WHERE run_id = %s AND step = %s AND sobject = %s""",
        [accepted, rejected, run.run_id, step.name, step.sobject],
    )
