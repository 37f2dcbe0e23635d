"""Result pages of a finished Bulk query, from the socket into PostgreSQL by COPY.

No row passes through Python, but for those of a rehearsal (`coa.masking`). A page lands whole or not at all.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import psycopg
from psycopg import sql
from psycopg.errors import BadCopyFileFormat, CharacterNotInRepertoire

from coa.errors import CoaError, ConfigurationError, IncompleteExtract
from coa.failures import first_line
from coa.masking.of_run import Masks, masked_csv
from coa.salesforce.bulk import QueryJobs
from coa.staging.database import Database, Row, copy_into

log = logging.getLogger(__name__)

PAGE_TRIES = 5


class Page(NamedTuple):
    """A page that landed: its rows, its size as CSV, and the locator of the next one or `null`."""

    rows: int
    bytes: int
    following: str


class Into(NamedTuple):
    """Where rows are put, and the masks of the fields that a rehearsal masks on the way."""

    table: sql.Identifier
    masks: Masks


class Columns(Protocol):
    """What was asked for: the sObject and its fields."""

    @property
    def sobject(self) -> str:
        """API name of the sObject."""

    @property
    def fields(self) -> list[str]:
        """API names of the fields, in the order of the columns."""


class CountedBytes:
    """Chunks as they come, and how many bytes have come."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.total = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self.chunks)
        self.total += len(chunk)
        return chunk


def land_page(
    jobs: QueryJobs,
    db: Database,
    into: Into,
    spec: Columns,
    job_id: str,
    locator: str,
    max_records: int | None,
    also: Callable[[psycopg.Connection[Row], int, str], None] | None = None,
) -> Page:
    """One page of a finished query into a table, with a few tries.

    `max_records` None takes the page as the org cuts it.
    `also(connection, rows, next_locator)` runs in the transaction that keeps the page.
    """
    for attempt in range(1, PAGE_TRIES + 1):
        try:
            with (
                jobs.page(job_id, locator, max_records) as (headers, chunks),
                db.transaction() as connection,
            ):
                counted = CountedBytes(chunks)
                landed = _copy_page(jobs, connection, into, spec, headers, counted)
                following = _header(headers, "sforce-locator") or "null"
                if also:
                    also(connection, landed, following)
            return Page(landed, counted.total, following)
        except IncompleteExtract as error:
            if attempt == PAGE_TRIES:
                raise
            log.warning("%s Fetching the page again (try %d).", error.message, attempt + 1)
    raise AssertionError("unreachable")


def _copy_page(
    jobs: QueryJobs,
    connection: psycopg.Connection[Row],
    into: Into,
    spec: Columns,
    headers: dict[str, str],
    chunks: Iterator[bytes],
) -> int:
    columns, body = split_header(chunks)
    landed = 0
    if columns:
        columns = _as_described(columns, spec)
        if into.masks:
            body = masked_csv(jobs.org.name, spec.sobject, columns, body, into.masks)
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, FORCE_NULL ({}))").format(
            into.table, names, names
        )
        try:
            landed = copy_into(connection, copy, body)
        except BadCopyFileFormat as error:
            # A body that ended inside a quoted value or a row.
            raise IncompleteExtract(f"{jobs.org.name}: a page of {spec.sobject} is broken CSV.") from error
        except CharacterNotInRepertoire as error:
            raise ConfigurationError(
                f"{jobs.org.name}: the records of {spec.sobject} contain bytes that are not UTF-8 "
                f"({first_line(error)}).",
                next_step="find the record in the org, correct its text, then run again.",
            ) from error
    announced = _header(headers, "sforce-numberofrecords")
    if announced.isdigit() and int(announced) != landed:
        raise IncompleteExtract(
            f"{jobs.org.name}: a page of {spec.sobject} announced {announced} rows and held {landed}."
        )
    return landed


def _header(headers: dict[str, str], name: str) -> str:
    return next((v for k, v in headers.items() if k.lower() == name), "")


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


def _as_described(columns: list[str], spec: Columns) -> list[str]:
    """The columns of a page in the spelling of the describe."""
    known = {name.lower(): name for name in spec.fields}
    unknown = [c for c in columns if c.lower() not in known]
    if unknown:
        raise CoaError(f"A page of {spec.sobject} has columns that were not asked for: {', '.join(unknown)}.")
    return [known[c.lower()] for c in columns]
