"""Extracts one sObject: the result pages of a Bulk query go from the socket into PostgreSQL by COPY.

A page and the note that it arrived are committed in one transaction. After an interruption only the missing
pages are read, and a page that was cut off leaves nothing.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.errors import UniqueViolation

from coa.errors import ConfigurationError, IncompleteExtract, JobLost, RetryableError
from coa.extract.pages import Into, land_page
from coa.load_steps import extract_step
from coa.masking.of_run import masks_of
from coa.salesforce.bulk import JobStatus, QueryJobs
from coa.salesforce.pace import JobSize
from coa.salesforce.session import Org
from coa.salesforce.usage import count_calls
from coa.staging import tables
from coa.staging.database import Row
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table

log = logging.getLogger(__name__)

LONGEST_SOQL = 100_000
"""Characters that Salesforce takes of a query (SOQL and SOSL limits)."""
JOB_TRIES = 4
QUERY = "query"
# Causes of a failed query that asking again cannot cure.
BROKEN_QUERY = (
    "MALFORMED_QUERY",
    "INVALID_FIELD",
    "INVALID_TYPE",
    "InvalidBatch",
    "FUNCTIONALITY_NOT_ENABLED",
)


class JobFailed(RetryableError):
    """A query job ended as Failed or Aborted for a reason that may pass."""


@dataclass(frozen=True)
class ExtractSpec:
    """What to extract: `kind` names the table (source, target, verify), `where` is SOQL or empty.

    `all_rows`: deleted records as well (queryAll).
    """

    kind: str
    sobject: str
    fields: list[str]
    where: str = ""
    all_rows: bool = False

    @property
    def soql(self) -> str:
        """The query. Raises `ConfigurationError` when it is longer than Salesforce takes."""
        # No ORDER BY and no LIMIT: either would switch PK chunking off.
        where = f" WHERE {self.where}" if self.where else ""
        query = f"SELECT {', '.join(self.fields)} FROM {self.sobject}{where}"
        if len(query) > LONGEST_SOQL:
            raise ConfigurationError(
                f"The query on {self.sobject} has {len(query):,} characters, {len(self.where):,} of them the "
                f"condition; Salesforce takes {LONGEST_SOQL:,}.",
                next_step="shorten orders_where.",
            )
        return query


def ensure_state_table(run: Run) -> None:
    """Makes the table with the state of each extract; call it once before extracts run in parallel."""
    # Both orgs are extracted at once, and IF NOT EXISTS alone does not keep two creators apart.
    with run.db.advisory_lock(f"extract state of {run.run_id}"):
        with run.db.transaction() as connection:
            tables.ensure(connection, run, Table.EXTRACT_STATE)
            tables.ensure(connection, run, Table.EXTRACT_PAGE)


def forget_outdated(run: Run, kind: str) -> None:
    """Makes the next extract of this kind start anew, unless an interrupted or deferred try of the same
    stage left it.

    Read again is what an earlier pass has used, what is older than a day (Salesforce keeps results for
    seven), and what began before the run's last write to the target.
    """
    run.db.execute(
        sql.SQL(
            """DELETE FROM {} WHERE kind = %s AND (used OR begun_at < now() - interval '1 day'
                 OR begun_at < (SELECT max(updated_at) FROM coa.job WHERE run_id = %s)
                 OR begun_at < (SELECT max(updated_at) FROM coa.ledger WHERE pair_id = %s AND last_run = %s))"""
        ).format(run.table(Table.EXTRACT_STATE)),
        [kind, run.run_id, run.pair_id, run.run_id],
    )


def mark_used(run: Run, kind: str) -> None:
    """Marks extracts of this kind as used: `forget_outdated` then reads them anew."""
    run.db.execute(
        sql.SQL("UPDATE {} SET used = true WHERE kind = %s").format(run.table(Table.EXTRACT_STATE)), [kind]
    )


def extract_object(run: Run, org: Org, spec: ExtractSpec) -> int:
    """Extracts into the table `<kind>__<slug>`; gives the number of rows. Continues where an interrupted
    try stopped.

    Raises `IncompleteExtract` when the org announced more rows than arrived.
    """
    jobs = QueryJobs(org)
    for attempt in range(1, JOB_TRIES + 1):
        try:
            return _extract_once(run, org, jobs, spec)
        except (JobFailed, JobLost) as error:
            _forget(run, spec)
            if attempt == JOB_TRIES:
                raise
            log.warning("%s Starting another job (try %d).", error.message, attempt + 1)
    raise AssertionError("unreachable")


def _extract_once(run: Run, org: Org, jobs: QueryJobs, spec: ExtractSpec) -> int:
    state = _state(run, spec)
    if state and state["done"]:
        return int(state["rows"])
    known = jobs.status(state["job_id"]) if state else None
    size = None
    if state is None or known is None:
        state = _begin(run, spec, jobs.create(spec.soql))
        known = JobStatus.begun(state["job_id"])
        size = JobSize(spec.sobject, QUERY)
    job_id = str(state["job_id"])
    step = extract_step(spec.kind).name
    run.progress.reset(step, spec.sobject)
    status = jobs.wait(job_id, size=size, known=known, max_wait=org.max_wait)
    _require_complete(org, spec, status)
    run.progress.add(step, spec.sobject, done=landed_rows(run, spec), total=status.processed)
    if status.processed > run.settings.result_page_rows and not state["locator"]:
        locators = jobs.page_locators(job_id)
    else:
        locators = None
    if locators is None:
        _land_one_after_another(run, jobs, spec, job_id, str(state["locator"]))
    else:
        _land_side_by_side(run, jobs, spec, job_id, locators)
    rows = landed_rows(run, spec)
    _check_and_finish(run, org, spec, rows, status.processed)
    count_calls(run, SOURCE if spec.kind == SOURCE else TARGET, org)
    return rows


def landed_rows(run: Run, spec: ExtractSpec) -> int:
    """Rows of the pages that are in staging so far."""
    return int(
        run.db.value(
            sql.SQL("SELECT COALESCE(sum(rows), 0) FROM {} WHERE kind = %s AND sobject = %s").format(
                run.table(Table.EXTRACT_PAGE)
            ),
            [spec.kind, spec.sobject],
        )
    )


def _land_one_after_another(run: Run, jobs: QueryJobs, spec: ExtractSpec, job_id: str, locator: str) -> None:
    """Pages of our own size; each says where the next one begins."""
    while locator != "null":
        locator = _land(run, jobs, spec, job_id, locator, chained=True)


def _land_side_by_side(
    run: Run, jobs: QueryJobs, spec: ExtractSpec, job_id: str, locators: list[str]
) -> None:
    """Pages of the org's size, several at a time; those that an earlier try landed are left out."""
    landed = {
        row["locator"]
        for row in run.db.rows(
            sql.SQL("SELECT locator FROM {} WHERE kind = %s AND sobject = %s").format(
                run.table(Table.EXTRACT_PAGE)
            ),
            [spec.kind, spec.sobject],
        )
    }
    with ThreadPoolExecutor(run.settings.page_threads) as pool:
        waiting = [
            pool.submit(_land, run, jobs, spec, job_id, locator, chained=False)
            for locator in locators
            if locator not in landed
        ]
        for future in waiting:
            future.result()


def _land(run: Run, jobs: QueryJobs, spec: ExtractSpec, job_id: str, locator: str, *, chained: bool) -> str:
    """One page and the note that it landed, in one transaction; the locator of the next page."""

    def remember(connection: psycopg.Connection[Row], rows: int, following: str) -> None:
        connection.execute(
            sql.SQL("INSERT INTO {} (kind, sobject, locator, rows) VALUES (%s, %s, %s, %s)").format(
                run.table(Table.EXTRACT_PAGE)
            ),
            [spec.kind, spec.sobject, locator, rows],
        )
        if chained:
            connection.execute(
                sql.SQL("UPDATE {} SET locator = %s WHERE kind = %s AND sobject = %s").format(
                    run.table(Table.EXTRACT_STATE)
                ),
                [following, spec.kind, spec.sobject],
            )

    # A page that the org cut for us is fetched whole: a limit of ours would end it early.
    limit = run.settings.result_page_rows if chained else None
    into = Into(run.table(spec.kind, spec.sobject), masks_of(run, spec.kind, spec.sobject))
    page = land_page(jobs, run.db, into, spec, job_id, locator, limit, remember)
    run.progress.add(extract_step(spec.kind).name, spec.sobject, done=page.rows, bytes_moved=page.bytes)
    return page.following


def _require_complete(org: Org, spec: ExtractSpec, status: JobStatus) -> None:
    """Raises `ConfigurationError` when the same query would fail again, else `JobFailed`."""
    if status.state == "JobComplete":
        return
    said = f"{org.name}: the Bulk query on {spec.sobject} ended as {status.state}: {status.message}."
    if any(code in status.message for code in BROKEN_QUERY):
        raise ConfigurationError(
            said, next_step="check orders_where and the field-level rights of the connection's user."
        )
    raise JobFailed(said, next_step="retry the task.")


def query_into(
    run: Run, org: Org, spec: ExtractSpec, into: sql.Identifier, at_most: int | None = None
) -> int:
    """A whole Bulk query into a table that exists, for results of bounded size; rows landed.

    `at_most`: how many rows the caller expects, if it knows.
    Raises `IncompleteExtract` when fewer or more rows come than the org announced.
    """
    jobs = QueryJobs(org)
    job_id = jobs.create(spec.soql, all_rows=spec.all_rows)
    status = jobs.wait(job_id, size=JobSize(spec.sobject, QUERY, at_most), known=JobStatus.begun(job_id))
    _require_complete(org, spec, status)
    locator, rows = "", 0
    place = Into(into, masks_of(run, spec.kind, spec.sobject))
    while locator != "null":
        page = land_page(jobs, run.db, place, spec, job_id, locator, run.settings.result_page_rows)
        rows, locator = rows + page.rows, page.following
    if rows != status.processed:
        raise IncompleteExtract(
            f"{org.name}: {spec.sobject} announced {status.processed} rows but delivered {rows}.",
            next_step="retry the task.",
        )
    return rows


def _state(run: Run, spec: ExtractSpec) -> Row | None:
    return run.db.row(
        sql.SQL("SELECT * FROM {} WHERE kind = %s AND sobject = %s").format(run.table(Table.EXTRACT_STATE)),
        [spec.kind, spec.sobject],
    )


def _begin(run: Run, spec: ExtractSpec, job_id: str) -> Row:
    with run.db.transaction() as connection:
        tables.create(connection, run, Table(spec.kind), spec.sobject, fields=spec.fields, keyed=False)
        _forget_pages(run, connection, spec)
        connection.execute(
            sql.SQL(
                """INSERT INTO {} (kind, sobject, job_id) VALUES (%s, %s, %s)
                   ON CONFLICT (kind, sobject) DO UPDATE
                     SET job_id = EXCLUDED.job_id, locator = '', rows = 0, done = false,
                         used = false, begun_at = clock_timestamp()"""
            ).format(run.table(Table.EXTRACT_STATE)),
            [spec.kind, spec.sobject, job_id],
        )
    return {"job_id": job_id, "locator": "", "rows": 0, "done": False}


def _forget(run: Run, spec: ExtractSpec) -> None:
    run.db.execute(
        sql.SQL("DELETE FROM {} WHERE kind = %s AND sobject = %s").format(run.table(Table.EXTRACT_STATE)),
        [spec.kind, spec.sobject],
    )


def _forget_pages(run: Run, connection: psycopg.Connection[Row], spec: ExtractSpec) -> None:
    connection.execute(
        sql.SQL("DELETE FROM {} WHERE kind = %s AND sobject = %s").format(run.table(Table.EXTRACT_PAGE)),
        [spec.kind, spec.sobject],
    )


def _check_and_finish(run: Run, org: Org, spec: ExtractSpec, rows: int, announced: int) -> None:
    """Checks that every announced row arrived, and none twice (by the primary key); marks the extract as done."""
    try:
        if rows != announced:
            raise IncompleteExtract(
                f"{org.name}: {spec.sobject} announced {announced} rows; {rows} arrived.",
                next_step="the next try extracts it again.",
            )
        with run.db.transaction() as connection:
            tables.add_key(connection, run, Table(spec.kind), spec.sobject)
            connection.execute(
                sql.SQL("UPDATE {} SET rows = %s, done = true WHERE kind = %s AND sobject = %s").format(
                    run.table(Table.EXTRACT_STATE)
                ),
                [rows, spec.kind, spec.sobject],
            )
            tables.analyze(connection, run, Table(spec.kind), spec.sobject)
    except UniqueViolation as twice:
        _forget(run, spec)
        raise IncompleteExtract(
            f"{org.name}: among the {rows} rows of {spec.sobject} some arrived twice.",
            next_step="the next try extracts it again.",
        ) from twice
    except IncompleteExtract:
        _forget(run, spec)
        raise
    log.info("extracted %s %s: %d rows", spec.kind, spec.sobject, rows)
