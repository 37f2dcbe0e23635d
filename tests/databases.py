"""A fresh staging database in some 50 ms: a copy of one that has its permanent tables already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy import make_url

from coa.staging.database import Database, lock_key
from coa.staging.embedded import EmbeddedPostgres

TEMPLATE = "coa_template"
# What a power cut would lose, nobody misses here.
CARELESS = {
    **{"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"},
    # The thousands of rounds that make a stolen password hash useless cost more than the connection.
    "scram_iterations": "1",
}


@contextmanager
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """The server of this folder with its template; the workers of one session share it, the last to leave ends it."""
    with EmbeddedPostgres(folder, CARELESS).in_use() as running:
        with closing(psycopg.connect(running.admin_url(), autocommit=True)) as admin:
            admin.execute("SELECT pg_advisory_lock(%s)", [lock_key(TEMPLATE)])
            if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone():
                # Made by initdb, with as many rounds as by default.
                password = running.admin_url().partition("//coa_admin:")[2].partition("@")[0]
                admin.execute(f"ALTER ROLE coa_admin PASSWORD '{password}'")
                admin.execute("CREATE DATABASE coa_unfinished OWNER coa STRATEGY file_copy")
                Database(running.url("coa_unfinished")).dispose()
                admin.execute(f"ALTER DATABASE coa_unfinished RENAME TO {TEMPLATE}")
        yield running


@contextmanager
def fresh(running: EmbeddedPostgres, template: str = TEMPLATE) -> Iterator[str]:
    """URL of a copy of a kept database that ends with the block; by default the permanent tables, empty."""
    name = f"test_{uuid4().hex[:12]}"
    with closing(psycopg.connect(running.admin_url(), autocommit=True)) as admin:
        admin.execute(f"CREATE DATABASE {name} OWNER coa TEMPLATE {template} STRATEGY file_copy")
        yield running.url(name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def keep(running: EmbeddedPostgres, url: str, name: str) -> None:
    """Keeps the database of this URL, which nobody uses any more, for `fresh`."""
    with closing(psycopg.connect(running.admin_url(), autocommit=True)) as admin:
        admin.execute(
            f"CREATE DATABASE {name} OWNER coa TEMPLATE {make_url(url).database} STRATEGY file_copy"
        )
