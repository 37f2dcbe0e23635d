"""Extracts one sObject: a Bulk query whose result pages go from the socket into PostgreSQL by COPY.

No row passes through Python. A page lands in one transaction together with the locator of the next
one, so a break anywhere goes on at the first page that is missing, and a page that was cut off leaves
nothing behind.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.errors import BadCopyFileFormat

from coa.errors import CoaError, ConfigurationError, IncompleteExtract, JobLost, RetryableError
from coa.salesforce.bulk import JobStatus, QueryJobs
from coa.salesforce.session import Org
from coa.staging.database import Row, copy_into
from coa.staging.runs import Run

log = logging.getLogger(__name__)

PAGE_TRIES = 5
JOB_TRIES = 4
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
        # No ORDER BY and no LIMIT: either would switch PK chunking off.
        where = f" WHERE {self.where}" if self.where else ""
        return f"SELECT {', '.join(self.fields)} FROM {self.sobject}{where}"


def ensure_state_table(run: Run) -> None:
    """Where each extract of the run stands; call once before extracts run side by side."""
    # Both orgs are extracted at once, and IF NOT EXISTS alone does not keep two creators apart.
    with run.db.advisory_lock(f"extract state of {run.run_id}"):
        _create_state_table(run)


def _create_state_table(run: Run) -> None:
    run.db.execute(
        sql.SQL(
            """CREATE TABLE IF NOT EXISTS {} (
                 kind text, sobject text, job_id text NOT NULL, locator text NOT NULL DEFAULT '',
                 rows bigint NOT NULL DEFAULT 0, done boolean NOT NULL DEFAULT false,
                 PRIMARY KEY (kind, sobject))"""
        ).format(run.table("extract_state"))
    )


def extract_object(run: Run, org: Org, spec: ExtractSpec) -> int:
    """Extracts into the table `<kind>__<slug>`; the number of rows. Goes on where a broken try stopped.

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
    if state and jobs.status(state["job_id"]) is None:
        state = None
    if state is None:
        state = _begin(run, spec, jobs.create(spec.soql))
    step = f"extract_{spec.kind}"
    run.reset_progress(step, spec.sobject)
    run.progress(step, spec.sobject, done=int(state["rows"]))
    status = jobs.wait(state["job_id"])
    _require_complete(org, spec, status)
    run.progress(step, spec.sobject, total=status.processed)
    locator, rows = str(state["locator"]), int(state["rows"])

    def remember(connection: psycopg.Connection[Row], landed: int, following: str) -> None:
        connection.execute(
            sql.SQL("UPDATE {} SET locator = %s, rows = rows + %s WHERE kind = %s AND sobject = %s").format(
                run.table("extract_state")
            ),
            [following, landed, spec.kind, spec.sobject],
        )

    while locator != "null":
        landed, locator = land_page(
            run, jobs, run.table(spec.kind, spec.sobject), spec, str(state["job_id"]), locator, remember
        )
        rows += landed
        run.progress(step, spec.sobject, done=landed)
    _check_and_finish(run, org, spec, rows, status.processed)
    return rows


def land_page(
    run: Run,
    jobs: QueryJobs,
    into: sql.Identifier,
    spec: ExtractSpec,
    job_id: str,
    locator: str,
    also: Callable[[psycopg.Connection[Row], int, str], None] | None = None,
) -> tuple[int, str]:
    """One page of a finished query into a table, with a few tries; (rows landed, next locator or `null`).

    `also(connection, rows, next_locator)` runs in the transaction that keeps the page.
    """
    for attempt in range(1, PAGE_TRIES + 1):
        try:
            with (
                jobs.page(job_id, locator, run.settings.result_page_rows) as (headers, chunks),
                run.db.transaction() as connection,
            ):
                landed = _copy_page(jobs, connection, into, spec, headers, chunks)
                following = _header(headers, "sforce-locator") or "null"
                if also:
                    also(connection, landed, following)
            return landed, following
        except IncompleteExtract as error:
            if attempt == PAGE_TRIES:
                raise
            log.warning("%s Fetching the page again (try %d).", error.message, attempt + 1)
    raise AssertionError("unreachable")


def _copy_page(
    jobs: QueryJobs,
    connection: psycopg.Connection[Row],
    into: sql.Identifier,
    spec: ExtractSpec,
    headers: dict[str, str],
    chunks: Iterator[bytes],
) -> int:
    columns, body = split_header(chunks)
    landed = 0
    if columns:
        names = sql.SQL(", ").join(map(sql.Identifier, _as_described(columns, spec)))
        copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, FORCE_NULL ({}))").format(into, names, names)
        try:
            landed = copy_into(connection, copy, body)
        except BadCopyFileFormat as error:
            # A body that ended inside a quoted value or a row.
            raise IncompleteExtract(f"{jobs.org.name}: a page of {spec.sobject} is broken CSV.") from error
    announced = _header(headers, "sforce-numberofrecords")
    if announced.isdigit() and int(announced) != landed:
        raise IncompleteExtract(
            f"{jobs.org.name}: a page of {spec.sobject} announced {announced} rows and held {landed}."
        )
    return landed


def _header(headers: dict[str, str], name: str) -> str:
    return next((v for k, v in headers.items() if k.lower() == name), "")


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


def query_into(run: Run, org: Org, spec: ExtractSpec, into: sql.Identifier) -> int:
    """A whole Bulk query into a table that exists, for results of bounded size; rows landed."""
    jobs = QueryJobs(org)
    job_id = jobs.create(spec.soql, all_rows=spec.all_rows)
    status = jobs.wait(job_id)
    _require_complete(org, spec, status)
    locator, rows = "", 0
    while locator != "null":
        landed, locator = land_page(run, jobs, into, spec, job_id, locator)
        rows += landed
    if rows != status.processed:
        raise IncompleteExtract(
            f"{org.name}: {spec.sobject} announced {status.processed} rows and brought {rows}.",
            next_step="retry the task.",
        )
    return rows


def split_header(chunks: Iterator[bytes]) -> tuple[list[str], Iterator[bytes]]:
    """Column names of a CSV and an iterator over what follows the first line.

    Field names hold no line breaks, so the first LF ends the header.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if b"\n" in head:
            break
    line, _, rest = head.partition(b"\n")
    columns = next(csv.reader([line.decode("utf-8-sig").rstrip("\r")]), [])

    def body() -> Iterator[bytes]:
        if rest:
            yield rest
        yield from chunks

    return columns, body()


def _as_described(columns: list[str], spec: ExtractSpec) -> list[str]:
    """The columns of a page in the spelling of the describe."""
    known = {name.lower(): name for name in spec.fields}
    unknown = [c for c in columns if c.lower() not in known]
    if unknown:
        raise CoaError(f"A page of {spec.sobject} has columns that were not asked for: {', '.join(unknown)}.")
    return [known[c.lower()] for c in columns]


def _state(run: Run, spec: ExtractSpec) -> Row | None:
    return run.db.row(
        sql.SQL("SELECT * FROM {} WHERE kind = %s AND sobject = %s").format(run.table("extract_state")),
        [spec.kind, spec.sobject],
    )


def _begin(run: Run, spec: ExtractSpec, job_id: str) -> Row:
    table = run.table(spec.kind, spec.sobject)
    columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(f)) for f in spec.fields)
    with run.db.transaction() as connection:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(table, columns))
        connection.execute(
            sql.SQL(
                """INSERT INTO {} (kind, sobject, job_id) VALUES (%s, %s, %s)
                   ON CONFLICT (kind, sobject) DO UPDATE
                     SET job_id = EXCLUDED.job_id, locator = '', rows = 0, done = false"""
            ).format(run.table("extract_state")),
            [spec.kind, spec.sobject, job_id],
        )
    return {"job_id": job_id, "locator": "", "rows": 0, "done": False}


def _forget(run: Run, spec: ExtractSpec) -> None:
    run.db.execute(
        sql.SQL("DELETE FROM {} WHERE kind = %s AND sobject = %s").format(run.table("extract_state")),
        [spec.kind, spec.sobject],
    )


def _check_and_finish(run: Run, org: Org, spec: ExtractSpec, rows: int, announced: int) -> None:
    """Counts again, indexes the table, and marks the extract as done."""
    table = run.table(spec.kind, spec.sobject)
    distinct = int(run.db.value(sql.SQL('SELECT count(DISTINCT "Id") FROM {}').format(table)))
    if rows != announced or distinct != rows:
        _forget(run, spec)
        raise IncompleteExtract(
            f"{org.name}: {spec.sobject} announced {announced} rows; {rows} arrived, {distinct} of them distinct.",
            next_step="the next try extracts it anew.",
        )
    with run.db.transaction() as connection:
        connection.execute(sql.SQL('ALTER TABLE {} ADD PRIMARY KEY ("Id")').format(table))
        connection.execute(
            sql.SQL("UPDATE {} SET done = true WHERE kind = %s AND sobject = %s").format(
                run.table("extract_state")
            ),
            [spec.kind, spec.sobject],
        )
        connection.execute(sql.SQL("ANALYZE {}").format(table))
    log.info("extracted %s %s: %d rows", spec.kind, spec.sobject, rows)
