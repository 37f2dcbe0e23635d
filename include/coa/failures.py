"""What an error of a library means: may the same call succeed later, or must a person change something?

Our own errors say this by their class (`coa.errors`). Errors of PostgreSQL, the file system and decoding are
classified here, and turned into ours, with what was being done and the next step.
"""

from __future__ import annotations

import errno

import psycopg
from sqlalchemy.exc import DBAPIError

from coa.errors import CoaError, ConfigurationError, StagingUnavailable

# PostgreSQL, Appendix A "Error Codes". By class (two characters) or code.
PASSING = {
    "08": "the connection broke",
    "40": "another transaction was in the way",
    "53200": "the server ran out of memory",
    "53300": "the server has no connection left",
    "55P03": "a lock was held for too long",
    "57P": "the server was shut down or is starting",
}
LASTING = {
    "53100": ("its disk is full", "free space on the server of the staging database, then run again."),
    "28": ("it refuses the login", "check the connection coa_staging (login, password)."),
    "3D000": ("the database is gone", "check the connection coa_staging (database)."),
    "42501": ("a permission is missing", "let the role of coa_staging own its database, then run again."),
    "25006": ("it is read-only", "point coa_staging at the primary server."),
    "22021": (
        "the data contain bytes that are not UTF-8",
        "find the record in the org, correct its text, then run again.",
    ),
}
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def classified(error: BaseException, doing: str) -> CoaError | None:
    """The error of ours for a library's error that was raised while `doing`; None for an error of unknown
    kind.

    `StagingUnavailable` may pass; `ConfigurationError` needs a person.
    """
    if isinstance(error, DBAPIError) and isinstance(error.orig, psycopg.Error):
        error = error.orig
    if isinstance(error, psycopg.Error):
        return _of_postgresql(error, doing)
    if isinstance(error, OSError) and error.errno in FULL:
        where = f" ({error.filename})" if error.filename else ""
        return ConfigurationError(
            f"{doing}: the disk is full{where}.",
            next_step="free space on the worker (temporary folder, artifacts), then run again: it continues from here.",
        )
    if isinstance(error, UnicodeError):
        return ConfigurationError(
            f"{doing}: a text cannot be read as UTF-8 (byte {getattr(error, 'start', '?')}).",
            next_step="find the record in the org, correct its text, then run again.",
        )
    return None


def _of_postgresql(error: psycopg.Error, doing: str) -> CoaError:
    code = error.sqlstate or ""
    said = first_line(error)
    for known, what in PASSING.items():
        if code.startswith(known):
            return StagingUnavailable(
                f"{doing}: staging database: {what} ({said}).", next_step="nothing: the task is retried."
            )
    if not code and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return StagingUnavailable(
            f"{doing}: staging database: the connection broke ({said}).",
            next_step="nothing: the task is retried.",
        )
    for known, (what, next_step) in LASTING.items():
        if code.startswith(known):
            return ConfigurationError(f"{doing}: staging database: {what} ({said}).", next_step=next_step)
    return ConfigurationError(
        f"{doing}: the staging database refuses a statement ({code or type(error).__name__}: {said}).",
        next_step="this is an error of the program: report it with the task's log. Nothing written is lost.",
    )


def first_line(error: BaseException) -> str:
    """At most 300 characters; PostgreSQL tells the values of a row in the lines behind it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
