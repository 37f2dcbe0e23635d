"""The work list of a run: one row for each record and step that has to be sent to the org.

States of a row: `coa.codes.RowState`. Tables `work` and `chunk` live in the schema of the run.
"""

from __future__ import annotations

from psycopg import sql

from coa.load_steps import Step
from coa.staging import tables
from coa.staging.database import Row
from coa.staging.runs import Run
from coa.staging.tables import Table


def create_work_tables(run: Run) -> None:
    """Idempotent: a retried task finds what was there."""
    with run.db.transaction() as connection:
        for table in (Table.WORK, Table.CHUNK, Table.CHANGED_SINCE_PLAN):
            tables.ensure(connection, run, table)


def analyze_work(run: Run) -> None:
    """After many rows were added: without statistics the planner takes the table for empty.

    Called for each step of each chunk, so only the columns that conditions name, from a small sample.
    """
    run.db.execute(
        sql.SQL("ANALYZE {} ({})").format(
            run.table(Table.WORK),
            sql.SQL(", ").join(map(sql.Identifier, tables.DECLARED[Table.WORK].sampled)),
        )
    )


def analyze_ledger(run: Run) -> None:
    """Updates statistics after rows were added: a load begins with an almost empty ledger, and plans made
    for that would read all of it for each row.
    """
    run.db.execute("ANALYZE coa.ledger (pair_id, sobject, source_id, target_id, origin)")


def pending(run: Run, step: Step) -> int:
    """Rows of the step that are still to be sent."""
    return int(
        run.db.value(
            sql.SQL(
                """SELECT count(*) FROM {} WHERE step = %s AND sobject = %s AND chunk_no = %s
                   AND state = 'pending'"""
            ).format(run.table(Table.WORK)),
            [step.name, step.sobject, step.chunk_no],
        )
    )


def of_job(job: Row) -> sql.Composed:
    """SQL on the work list (alias `w`): the rows that a job carries; `job`: a row of `coa.job`.

    Found by the job's chunk. An index by job would have to follow every row that is put into one.
    """
    return sql.SQL("w.step = {} AND w.sobject = {} AND w.chunk_no = {} AND w.job_key = {}").format(
        job["step"], job["sobject"], job["chunk_no"], job["job_key"]
    )


def forget_work(run: Run, step: Step) -> None:
    """Deletes the rows of a step; for steps that determine their rows anew at each try (corrections)."""
    run.db.execute(
        sql.SQL("DELETE FROM {} WHERE step = %s AND sobject = %s AND chunk_no = %s").format(
            run.table(Table.WORK)
        ),
        [step.name, step.sobject, step.chunk_no],
    )


def chunk_step_done(run: Run, chunk_no: int, step: str) -> bool:
    """Whether the chunk is through this step."""
    return bool(
        run.db.value(
            sql.SQL("SELECT %s = ANY (steps_done) FROM {} WHERE chunk_no = %s").format(
                run.table(Table.CHUNK)
            ),
            [step, chunk_no],
        )
    )


def mark_chunk_step(run: Run, chunk_no: int, step: str) -> None:
    """Notes that the chunk is through this step; a second time changes nothing."""
    run.db.execute(
        sql.SQL(
            """UPDATE {} SET steps_done = array_append(steps_done, %s)
               WHERE chunk_no = %s AND NOT %s = ANY (steps_done)"""
        ).format(run.table(Table.CHUNK)),
        [step, chunk_no, step],
    )


def rejections(run: Run) -> int:
    """Records that the org refused in this run so far."""
    return int(run.db.value("SELECT count(*) FROM coa.rejection WHERE run_id = %s", [run.run_id]))
