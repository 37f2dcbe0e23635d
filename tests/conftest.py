"""What every test may use: one real PostgreSQL for the session, a fresh database for a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of this test session, with its data in a temporary folder."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")).in_use() as server:
        yield server


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """URL of an empty database that ends with the test."""
    name = f"test_{uuid4().hex[:12]}"
    with closing(psycopg.connect(postgres_server.url("postgres"), autocommit=True)) as admin:
        admin.execute(f"CREATE DATABASE {name} STRATEGY file_copy")  # type: ignore[arg-type]
        yield postgres_server.url(name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A staging database with its permanent tables, empty."""
    staging = Database(database_url)
    yield staging
    staging.dispose()


@pytest.fixture(scope="session")
def project() -> Path:
    return Path(__file__).resolve().parent.parent


# Airflow and the embedded server must never touch the folders of the person who runs the tests.
os.environ.pop("COA_LOCAL_FOLDER", None)
