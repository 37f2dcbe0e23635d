"""A staging database for a whole module: one run of preflight serves many tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest

from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres


@pytest.fixture(scope="module")
def module_database(postgres_server: EmbeddedPostgres) -> Iterator[Database]:
    name = f"test_{uuid4().hex[:12]}"
    with closing(psycopg.connect(postgres_server.url("postgres"), autocommit=True)) as admin:
        admin.execute(f"CREATE DATABASE {name} STRATEGY file_copy")  # type: ignore[arg-type]
        staging = Database(postgres_server.url(name))
        yield staging
        staging.dispose()
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]
