"""How a run that `make migrate` started is known, and whether its process still lives.

The process holds a PostgreSQL session lock named after its token for as long as it lives: a killed
process loses its connection, and with it the lock, at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from coa_airflow.environment import HEADLESS

if TYPE_CHECKING:
    from psycopg import Connection

    from coa.staging.database import Database

TOKEN_KEY = "headless"
NOTE_KEY = "triggered_for"
"""What COA_TRIGGERED_BY said: a note, no identity."""
ARTIFACTS_KEY = "artifacts"


def versions() -> dict[str, str]:
    """What a run's row keeps of how it was run."""
    known = {
        "coa": _project_version(),
        "airflow": version("apache-airflow-core"),
        "python": ".".join(str(part) for part in sys.version_info[:3]),
    }
    token, note = os.environ.get(HEADLESS), os.environ.get("COA_TRIGGERED_BY", "")
    more = {TOKEN_KEY: token or "", NOTE_KEY: note}
    return known | {key: value for key, value in more.items() if value}


def token_of(run_row: dict[str, Any]) -> str:
    return str((run_row.get("versions") or {}).get(TOKEN_KEY, ""))


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
    with db.transaction() as connection:
        return holds_lock(connection, token)


def holds_lock(connection: Connection[dict[str, Any]], token: str) -> bool:
    """Whether the process of a token lives; the connection is to the staging database, and in a transaction."""
    from coa.staging.database import lock_key

    got = connection.execute(
        "SELECT pg_try_advisory_xact_lock(%s) AS got", [lock_key(_lock_name(token))]
    ).fetchone()
    return not (got and got["got"])


def _project_version() -> str:
    from coa import __version__

    return __version__
