"""The staging database as the API server reaches it: read only but for one statement, and never for long.

A task asks the Task SDK for the connection; this process has no supervisor to ask, so it goes through
Airflow's own secrets backends (environment, secrets backend, metadata database).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy.exc import OperationalError

from coa.errors import ConfigurationError, SchemaOutdated, SchemaTooNew
from coa.staging.database import Database, Row
from coa.staging.schema import require_current
from coa_airflow.environment import STAGING_CONNECTION, staging_url

if TYPE_CHECKING:
    Connection = psycopg.Connection[Row]

ADDRESS_SECONDS = 30.0
"""How long a found address is used: a changed connection takes effect within that time."""
STATEMENT_SECONDS = 10
"""A page that takes longer is of no use, and must not hold up the load."""


class StagingUnavailable(Exception):
    """The staging database cannot be read now; the message is for whoever looks at the page."""


class _Staging:
    """The database of this process, kept until its address changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database: Database | None = None
        self._url = ""
        self._looked = 0.0

    def database(self) -> Database:
        with self._lock:
            if self._database is None or time.monotonic() - self._looked > ADDRESS_SECONDS:
                url = find_url()
                if self._database is None or url != self._url:
                    self.close()
                    self._database = Database(url, schema="read")
                    self._url = url
                self._looked = time.monotonic()
            return self._database

    def forget_address(self) -> None:
        self._looked = -ADDRESS_SECONDS

    def close(self) -> None:
        if self._database is not None:
            self._database.dispose()
        self._database = None


_staging = _Staging()


def find_url() -> str:
    """Address from the connection `coa_staging`, else of the embedded PostgreSQL if it runs.

    The page never starts a server: looking must not change anything.
    """
    from airflow.exceptions import AirflowNotFoundException
    from airflow.models.connection import Connection as AirflowConnection

    try:
        fields = AirflowConnection.get_connection_from_secrets(STAGING_CONNECTION)
    except AirflowNotFoundException:
        from coa.staging.embedded import EmbeddedPostgres

        return EmbeddedPostgres().url()
    return staging_url(fields)


def database() -> Database:
    """Raises `StagingUnavailable`."""
    try:
        return _staging.database()
    except (SchemaOutdated, SchemaTooNew) as error:
        raise _other_version(error) from error
    except ConfigurationError as error:
        import structlog

        # The address is for the log of the server, not for everybody who may look at a run.
        structlog.get_logger(__name__).warning("staging database unavailable", why=error.message)
        raise StagingUnavailable(
            "The staging database cannot be reached. Check the connection coa_staging of the API server."
        ) from error


def _other_version(error: ConfigurationError) -> StagingUnavailable:
    """What a person at the page can do; the address stays in the server's log."""
    import structlog

    structlog.get_logger(__name__).warning("staging schema of another version", why=error.message)
    if isinstance(error, SchemaTooNew):
        return StagingUnavailable(
            "The staging database was updated by a newer program than this API server runs: "
            + error.next_step
        )
    return StagingUnavailable(
        "The tables of the staging database do not exist yet, or are older than this page can read. The page changes "
        "nothing: the next run of one of the DAGs updates them."
    )


@contextmanager
def reading() -> Iterator[Connection]:
    """One read-only snapshot: all numbers of an answer belong together. Raises `StagingUnavailable`."""
    with _transaction("ISOLATION LEVEL REPEATABLE READ, READ ONLY") as connection:
        yield connection


@contextmanager
def writing() -> Iterator[Connection]:
    """A transaction that may write: for the one thing that the page changes. Raises `StagingUnavailable`."""
    with _transaction("READ WRITE") as connection:
        yield connection


@contextmanager
def _transaction(mode: str) -> Iterator[Connection]:
    try:
        staging = database()
        with staging.transaction() as connection:
            connection.execute(
                f"SET TRANSACTION {mode}; SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'"
            )
            # Every time: a program may have brought it up to date since this process connected.
            require_current(connection, staging.display_url)
            yield connection
    except (SchemaOutdated, SchemaTooNew) as error:
        raise _other_version(error) from error
    except psycopg.errors.QueryCanceled as error:
        raise StagingUnavailable("The staging database is too busy to answer now.") from error
    except (psycopg.OperationalError, OperationalError) as error:
        _staging.forget_address()
        raise StagingUnavailable("The connection to the staging database was interrupted.") from error
