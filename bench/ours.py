"""What our own run says of itself in the staging database: stages, jobs, API calls, and how few could do.

The smallest number of API calls is counted from the Bulk jobs that the run needed:

    ingest job   create, upload, close, read the state once, successful results,      5
                 failed results too where rows were refused                           + 1
    query job    create, read the state once, and its pages                           2 + pages
    waiting      one call more for each whole gap between two looks that fits into
                 the time that the org took for the job                               + floor(seconds / gap)
    fixed        logins, versions, describes, counts, checks: as measured; their
                 number does not depend on the number of records
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

JOB_KINDS = ("bulk_ingest", "bulk_query")
INGEST_CALLS, QUERY_CALLS = 5, 2


@dataclass
class Minimum:
    """API calls that had to be, beside those that were."""

    ingest_jobs: int
    query_jobs: int
    pages: int
    failed_results: int
    waiting: int
    fixed: int
    measured: int

    @property
    def calls(self) -> int:
        jobs = INGEST_CALLS * self.ingest_jobs + self.failed_results
        return jobs + QUERY_CALLS * self.query_jobs + self.pages + self.waiting + self.fixed

    @property
    def excess(self) -> float:
        """How far above the minimum, as a fraction."""
        return self.measured / self.calls - 1


def minimum(
    org_jobs: list[dict[str, Any]],
    usage: dict[str, int],
    page_rows: int,
    gap: float,
    job_delay: float,
) -> Minimum:
    """`org_jobs` as the orgs list them (`/control/stats`), `usage` API calls by kind as the run counted them."""
    ingest = [one for one in org_jobs if one["kind"] == "V2Ingest"]
    query = [one for one in org_jobs if one["kind"] == "V2Query"]
    # An empty result still is a page.
    pages = sum(max(1, math.ceil(one["processed"] / page_rows)) for one in query)
    took = [one["milliseconds"] / 1000 + 2 * job_delay for one in org_jobs]
    return Minimum(
        ingest_jobs=len(ingest),
        query_jobs=len(query),
        pages=pages,
        failed_results=sum(one["failed"] > 0 for one in ingest),
        waiting=sum(math.floor(seconds / gap) for seconds in took),
        fixed=sum(calls for kind, calls in usage.items() if kind not in JOB_KINDS),
        measured=sum(usage.values()),
    )


def facts(staging_url: str) -> dict[str, Any]:
    """State, seconds of each stage and API calls by kind of the newest migration in this database."""
    with psycopg.connect(staging_url, row_factory=dict_row) as db:
        run = db.execute(
            "SELECT * FROM coa.run WHERE dag_id = 'coa_migrate' ORDER BY started_at DESC LIMIT 1"
        ).fetchone()
        if run is None:
            return {"state": "no run"}
        run_id = [run["run_id"]]
        stages = db.execute(
            "SELECT stage, sum(seconds) AS seconds FROM coa.stage_time WHERE run_id = %s GROUP BY 1", run_id
        ).fetchall()
        usage = db.execute(
            "SELECT kind, sum(calls)::int AS calls FROM coa.api_usage WHERE run_id = %s GROUP BY 1", run_id
        ).fetchall()
        jobs = db.execute(
            """SELECT step, sobject, count(*) AS jobs, sum(rows_planned)::bigint AS rows FROM coa.job
               WHERE run_id = %s GROUP BY 1, 2 ORDER BY 1, 2""",
            run_id,
        ).fetchall()
        size = db.execute("SELECT pg_database_size(current_database()) AS bytes").fetchone()
    return {
        "state": run["state"],
        "message": run["message"],
        "stages": {one["stage"]: round(float(one["seconds"]), 2) for one in stages},
        "api": {one["kind"]: one["calls"] for one in usage},
        "jobs": [dict(one, rows=int(one["rows"])) for one in jobs],
        "staging_bytes": size["bytes"] if size else 0,
    }


def phases(stages: dict[str, float]) -> dict[str, float]:
    """Seconds of reading the source and of loading, from the seconds of the stages."""
    named = {"read": ("extract_source",), "load": ("load_customers", "load_lanes", "load_links")}
    return {
        name: round(sum(stages.get(one, 0.0) for one in of), 2)
        for name, of in named.items()
        if any(one in stages for one in of)
    }
