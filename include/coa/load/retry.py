"""When a row that the org did not take is sent again, and when it is given up: one policy for Bulk jobs and REST calls.

A row waits as `retry` until the round is over, is sent again after a pause that doubles, and is rejected, with the
org's own words, when it has been sent `row_attempts` times.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from coa.codes import ROW_DECIDED
from coa.errors import OrgUnavailable
from coa.load_steps import Step
from coa.staging.database import Row
from coa.staging.fragments import list_of
from coa.staging.runs import Run
from coa.staging.tables import Table

if TYPE_CHECKING:
    from coa.salesforce.session import Org

TRANSIENT_CODES = (
    "UNABLE_TO_LOCK_ROW",
    "API_TEMPORARILY_UNAVAILABLE",
    "TooManyLockFailure",
    "SERVER_UNAVAILABLE",
    "REQUEST_RUNNING_TOO_LONG",
    "QUERY_TIMEOUT",
    "UNKNOWN_EXCEPTION",
    "TXN_LOCK_TIMEOUT",
)
"""Codes of an error that may be gone when the same row is sent again
(SOAP API guide, "Core data types: StatusCode")."""

WRAPPERS = (
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
    "CANNOT_EXECUTE_FLOW_TRIGGER",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION",
)
"""Codes under which a trigger or flow passes on the error of its own DML; the cause's code stands in the message:
`...caused by: System.DmlException: Update failed. First exception on row 0; first error: UNABLE_TO_LOCK_ROW, ...`.
Of any other code the message may repeat the record's data, in which such a word means nothing."""

_INNER = re.compile(rf"\b({'|'.join(TRANSIENT_CODES)})\b")


def is_transient(code: str, message: str) -> bool:
    """Whether the same row may be taken later.

    >>> is_transient("STRING_TOO_LONG", "data value too large: UNABLE_TO_LOCK_ROW")
    False
    >>> is_transient("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "T: caused by: first error: UNABLE_TO_LOCK_ROW, unable")
    True
    """
    return code in TRANSIENT_CODES or (code in WRAPPERS and _INNER.search(message) is not None)


def transient(code: sql.Composable, message: sql.Composable) -> sql.Composed:
    """`is_transient` as SQL."""
    return sql.SQL("({code} = ANY ({codes}) OR ({code} = ANY ({wrappers}) AND {message} ~ {inner}))").format(
        code=code,
        codes=sql.Literal(list(TRANSIENT_CODES)),
        wrappers=sql.Literal(list(WRAPPERS)),
        message=message,
        inner=sql.Literal(rf"\y({'|'.join(TRANSIENT_CODES)})\y"),
    )


def release_deferred(run: Run, step: Step) -> int:
    """Rows that met a transient error may be sent again from here on; how many."""
    return run.db.execute(
        sql.SQL(
            """UPDATE {} SET state = 'pending' WHERE step = %s AND sobject = %s AND chunk_no = %s
               AND state = 'retry'"""
        ).format(run.table(Table.WORK)),
        [step.name, step.sobject, step.chunk_no],
    )


def reject_worn_out(connection: psycopg.Connection[Row], run: Run, condition: sql.Composed) -> int:
    """Rejects the rows under `condition` (on the work list, alias `w`) that met transient errors too often;
    how many."""
    return connection.execute(
        sql.SQL(
            "UPDATE {} w SET state = 'rejected' WHERE w.state = 'retry' AND w.attempts >= {} AND {}"
        ).format(run.table(Table.WORK), sql.Literal(run.settings.row_attempts), condition)
    ).rowcount


def pause(run: Run, org: Org, rounds: int) -> None:
    """Waits before another round; `rounds`: how many there were.

    Raises `OrgUnavailable` when rows are left after more rounds than any row can need.
    """
    settings = run.settings
    if rounds > settings.row_attempts + settings.request_retries:
        raise OrgUnavailable(
            f"{org.name}: rows still have no outcome after {rounds} rounds.",
            next_step="check Setup > Bulk Data Load Jobs of the target, then retry the task.",
        )
    time.sleep(min(settings.retry_first_seconds * 2 ** (rounds - 1), settings.retry_max_seconds))


def require_outcomes(run: Run, step: Step) -> None:
    """Every row of a step that is over was accepted or rejected. Raises `OrgUnavailable` otherwise."""
    open_rows = run.db.rows(
        sql.SQL(
            """SELECT state, count(*) AS n, min(source_id) AS example FROM {} WHERE step = %s AND sobject = %s
               AND chunk_no = %s AND state NOT IN {row_decided} GROUP BY state ORDER BY state"""
        ).format(run.table(Table.WORK), row_decided=list_of(ROW_DECIDED)),
        [step.name, step.sobject, step.chunk_no],
    )
    if open_rows:
        what = ", ".join(f"{r['n']} {r['state']} (such as {r['example']})" for r in open_rows)
        raise OrgUnavailable(
            f"Rows of {step.sobject} have no outcome after step {step.name}: {what}.",
            next_step="retry the task; it continues with these rows.",
        )
