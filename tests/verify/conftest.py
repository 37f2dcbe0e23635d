"""A good migration between two small orgs, once for the module that damages its target."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest
from tests.engine.harness import Migrator

from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres
from orgsim.launch import running_pair

ORDERS = 260


@pytest.fixture(scope="module")
def module_database(postgres_server: EmbeddedPostgres) -> Iterator[Database]:
    name = f"module_{uuid4().hex[:12]}"
    with closing(psycopg.connect(postgres_server.url("postgres"), autocommit=True)) as admin:
        admin.execute(f"CREATE DATABASE {name} STRATEGY file_copy")  # type: ignore[arg-type]
        staging = Database(postgres_server.url(name))
        yield staging
        staging.dispose()
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def world(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrator]:
    """Two orgs with a partner's own fields; nothing moved yet."""
    with running_pair(orders=ORDERS, seed=5, job_delay=0.01, partner_fields=True) as (source, target):
        yield Migrator(module_database, source, target, tmp_path_factory.mktemp("artifacts"))
