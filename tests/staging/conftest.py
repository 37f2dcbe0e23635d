"""A database without any of our tables, and one as the last program before the migrations left it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from coa.staging.embedded import EmbeddedPostgres

BEFORE = Path(__file__).parent / "before_migrations"


@pytest.fixture
def bare_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    name = f"bare_{uuid4().hex[:12]}"
    with closing(psycopg.connect(postgres_server.admin_url(), autocommit=True)) as admin:
        admin.execute(f"CREATE DATABASE {name} OWNER coa TEMPLATE template0 STRATEGY file_copy")
        yield postgres_server.url(name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def old_url(bare_url: str) -> str:
    """Tables of before the migrations, with a run, its ledger, a finding and a difference."""
    with psycopg.connect(bare_url) as connection:
        for file in ("schema.sql", "rows.sql"):
            connection.execute((BEFORE / file).read_bytes())
    return bare_url
