"""What a run did, held against the table of load steps."""

from __future__ import annotations

from psycopg import sql

from coa.load_steps import BY_NAME
from coa.staging.runs import Run
from coa.staging.tables import Table


def require_known_steps(run: Run) -> set[str]:
    """Every step in `work`, `coa.job` and `coa.progress` is in the table, as it stands there, in its order.

    Returns the names that were seen in `work` or `coa.progress`.
    """
    work = run.db.rows(
        sql.SQL("SELECT DISTINCT step, sobject, chunk_no FROM {}").format(run.table(Table.WORK))
    )
    jobs = run.db.rows("SELECT * FROM coa.job WHERE run_id = %s ORDER BY job_key", [run.run_id])
    progress = run.db.rows("SELECT DISTINCT step FROM coa.progress WHERE run_id = %s", [run.run_id])
    assert work
    assert jobs
    for row in [*work, *jobs]:
        made = BY_NAME[row["step"]].on(row["sobject"], row["chunk_no"])
        assert row.get("operation", made.operation) == made.operation
    for n, job in enumerate(jobs):
        for later in jobs[n + 1 :]:
            # Steps of one sObject wait for its own; for those of another only where it has none of its own.
            own = job["sobject"] not in BY_NAME[later["step"]].sobjects or later["sobject"] == job["sobject"]
            if own and later["chunk_no"] == job["chunk_no"]:
                assert later["step"] not in BY_NAME[job["step"]].after, (job, later)
    seen = {row["step"] for row in [*work, *progress]}
    assert seen <= set(BY_NAME)
    return seen
