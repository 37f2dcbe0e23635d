"""The staging database: PostgreSQL, its pool, its schema, COPY in and out."""

from __future__ import annotations

import json
import select
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, cast

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import DisconnectionError, OperationalError

from coa.errors import ConfigurationError
from coa.staging.schema import lock_key as lock_key  # of advisory locks, ours and our callers'
from coa.staging.schema import migrate, require_current

Row = dict[str, Any]
Query = sql.Composed | sql.SQL | str
Params = Sequence[Any] | Mapping[str, Any] | None
Use = Literal["migrate", "read", "any"]

MINIMUM_SERVER_VERSION = 140000
IDLE_SECONDS = 5.0
"""A connection that rested longer in the pool is asked whether it lives before somebody works with it."""


def is_locked(connection: psycopg.Connection[Row], name: str) -> bool:
    """Whether anybody holds the lock of this name; the connection has to be in a transaction."""
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s) AS free", [lock_key(name)]).fetchone()
    return not (row and row["free"])


def _note_rest(_connection: psycopg.Connection[Row], record: Any) -> None:
    record.info["resting_since"] = time.monotonic()


def _look_after_rest(connection: psycopg.Connection[Row], record: Any, _proxy: object) -> None:
    """A dead connection is replaced. SQLAlchemy's own ping before each statement doubles the round trips of a run.

    A server that ended or was stopped has said so on the socket, which can be seen without asking it.
    """
    resting_since = record.info.get("resting_since")
    if resting_since is None:
        return
    try:
        if time.monotonic() - resting_since < IDLE_SECONDS and not _has_word(connection):
            return
        connection.autocommit = True
        connection.execute("")
        connection.autocommit = False
    except psycopg.Error as error:
        raise DisconnectionError("the connection was lost while it rested") from error


def _has_word(connection: psycopg.Connection[Row]) -> bool:
    """Whether the server has sent something that nobody asked for, or has closed the connection."""
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


class Database:
    """A pool of connections to one PostgreSQL 14+ database.

    `url` is a SQLAlchemy or libpq URL. Raises `ConfigurationError` when the server cannot be
    reached or is too old. What is done about the permanent tables, `schema` says: `migrate` creates them or
    brings them up to date (raises as `coa.staging.schema.migrate`), `read` refuses any version but ours and
    cannot write at all (`SchemaOutdated`, `SchemaTooNew`), `any` does not look.
    """

    def __init__(self, url: str, *, schema: Use = "migrate") -> None:
        parsed = make_url(url).set(drivername="postgresql+psycopg")
        self.url = parsed.render_as_string(hide_password=False)
        self.display_url = parsed.render_as_string(hide_password=True)
        # jit costs more than it brings on our many short statements.
        self._engine = create_engine(
            parsed,
            pool_size=4,
            max_overflow=12,
            connect_args={
                "connect_timeout": 15,
                # Whoever opens a cursor here reads all its rows: a plan for the first tenth of them is the wrong one.
                "options": "-c jit=off -c client_encoding=UTF8 -c cursor_tuple_fraction=1"
                + (" -c default_transaction_read_only=on" if schema == "read" else ""),
            },
        )
        event.listen(self._engine, "checkin", _note_rest)
        event.listen(self._engine, "checkout", _look_after_rest)
        try:
            self._connect(schema)
        except BaseException:
            self.dispose()
            raise

    def dispose(self) -> None:
        """Closes the idle connections of the pool; the next use opens new ones."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Row]]:
        """A psycopg connection whose work is committed at the end, rolled back on an error."""
        raw = self._engine.raw_connection()
        try:
            connection = cast(psycopg.Connection[Row], raw.driver_connection)
            connection.row_factory = dict_row
            # Begun here: a block of psycopg's own that came first would end, and commit, what is meant to hold it.
            with connection.transaction():
                yield connection
        finally:
            raw.close()

    @contextmanager
    def _one_statement(self, query: Query, params: Params) -> Iterator[psycopg.Cursor[Row]]:
        """The cursor of a statement that PostgreSQL commits by itself: one round trip instead of three."""
        raw = self._engine.raw_connection()
        try:
            connection = cast(psycopg.Connection[Row], raw.driver_connection)
            connection.row_factory = dict_row
            connection.autocommit = True
            try:
                yield connection.execute(as_query(query), params)
            finally:
                if connection.info.transaction_status == TransactionStatus.IDLE:
                    connection.autocommit = False
                else:
                    # Lost, or interrupted in the middle of an answer: nobody can go on with it.
                    raw.invalidate()
        finally:
            raw.close()

    def execute(self, query: Query, params: Params = None) -> int:
        """Runs one statement in a transaction of its own; the number of rows it touched."""
        with self._one_statement(query, params) as cursor:
            return cursor.rowcount

    def rows(self, query: Query, params: Params = None) -> list[Row]:
        """All rows of a query. Raises `psycopg.Error`, as every method here that runs a statement."""
        with self._one_statement(query, params) as cursor:
            return cursor.fetchall()

    def row(self, query: Query, params: Params = None) -> Row | None:
        """The first row of a query; None where there is none."""
        with self._one_statement(query, params) as cursor:
            return cursor.fetchone()

    def value(self, query: Query, params: Params = None) -> Any:
        """First column of the first row, None when there is no row."""
        found = self.row(query, params)
        return next(iter(found.values())) if found else None

    def has_table(self, table: sql.Identifier) -> bool:
        """Whether a table or view of this name is there."""
        return bool(self.value("SELECT to_regclass(%s) IS NOT NULL", [table.as_string()]))

    def stream(self, query: Query, params: Params = None, batch: int = 2000) -> Iterator[Row]:
        """Rows through a server-side cursor: memory does not grow with the result."""
        with self.transaction() as connection, connection.cursor(name="coa_stream") as cursor:
            cursor.itersize = batch
            cursor.execute(as_query(query), params)
            yield from cursor

    def copy_out(self, query: Query) -> Iterator[bytes]:
        """Chunks of bytes of a `COPY (...) TO STDOUT` statement."""
        with self.transaction() as connection, connection.cursor() as cursor:
            with cursor.copy(as_query(query)) as copy:
                for data in copy:
                    yield bytes(data)

    def copy_rows(self, query: Query) -> Iterator[tuple[str | None, ...]]:
        """Rows of a query as texts, by COPY: memory does not grow with the result.

        Against `stream`: the server goes on while we work on a row, and may use several processes.
        """
        copy = sql.SQL("COPY ({}) TO STDOUT").format(as_query(query))
        with self.transaction() as connection, connection.cursor() as cursor, cursor.copy(copy) as rows:
            yield from rows.rows()

    @contextmanager
    def advisory_lock(self, name: str) -> Iterator[None]:
        """Holds a transaction-scoped advisory lock named `name`; waits for it."""
        with self.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key(name)])
            yield

    @contextmanager
    def session_lock(self, name: str) -> Iterator[None]:
        """Holds a lock named `name` beside others who do, on a connection of its own: it ends with this process.

        `is_locked` is true of it while anybody does.
        """
        raw = self._engine.raw_connection()
        try:
            connection = cast(psycopg.Connection[Row], raw.driver_connection)
            connection.execute("SELECT pg_advisory_lock_shared(%s)", [lock_key(name)])
            connection.commit()
            yield
        finally:
            # Closed, not given back: a lock of its session must not go on living in the pool.
            raw.invalidate()

    def _connect(self, schema: Use) -> None:
        try:
            with self.transaction() as connection:
                if connection.info.server_version < MINIMUM_SERVER_VERSION:
                    raise ConfigurationError(
                        f"The staging database {self.display_url} is PostgreSQL "
                        f"{connection.info.server_version // 10000}; 14 or newer is needed.",
                        next_step="point the connection coa_staging at a newer server.",
                    )
                if schema == "read":
                    require_current(connection, self.display_url)
            if schema == "migrate":
                migrate(self.transaction, self.display_url)
        except (psycopg.OperationalError, OperationalError) as error:
            raise ConfigurationError(
                f"The staging database {self.display_url} cannot be used: {first_line(error)}.",
                next_step="check the connection coa_staging (host, port, database, login, password).",
            ) from error


def copy_into(connection: psycopg.Connection[Row], query: Query, chunks: Iterable[bytes]) -> int:
    """`COPY ... FROM STDIN` inside a caller's transaction; rows landed."""
    with connection.cursor() as cursor:
        with cursor.copy(as_query(query)) as copy:
            for data in chunks:
                copy.write(data)
        return cursor.rowcount


def as_query(query: Query) -> sql.Composed | sql.SQL:
    """Text as a query; a composed one as it is."""
    return sql.SQL(query) if isinstance(query, str) else query


def json_value(value: Any) -> Jsonb:
    """A value for a `jsonb` column; dates and decimals as text."""
    return Jsonb(value, dumps=lambda data: json.dumps(data, default=str))


def as_kept(value: Any) -> Any:
    """A value as it comes back from a `jsonb` column."""
    return json.loads(json.dumps(value, default=str))


def first_line(error: BaseException) -> str:
    """What PostgreSQL said, without the lines that show where in the statement."""
    text = str(getattr(error, "orig", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__
