"""How a run that `make migrate` started is identified, and whether its process still lives.

The process holds a PostgreSQL session lock named after its token. A killed process loses its connection, and
with it the lock, at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection

    from coa.staging.database import Database


def _lock_name(token: str) -> str:
    return f"coa headless {token}"


@contextmanager
def alive(db: Database, token: str) -> Iterator[None]:
    """Holds the lock of a token, on a connection of its own."""
    import psycopg
    from sqlalchemy import make_url

    from coa.staging.database import lock_key

    url = make_url(db.url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [lock_key(_lock_name(token))])
        yield


def process_lives(db: Database, token: str) -> bool:
    """Whether the process that made the token still runs: it holds an advisory lock of that name."""
    with db.transaction() as connection:
        return holds_lock(connection, token)


def holds_lock(connection: Connection[dict[str, Any]], token: str) -> bool:
    """Whether the process of a token lives; the connection is to the staging database, and in a transaction."""
    from coa.staging.database import is_locked

    return is_locked(connection, _lock_name(token))
