"""Looking changes nothing: the page refuses tables of another version, and says what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from coa.staging.database import Database
from coa.staging.schema import newest_version

Get = Callable[..., Any]


@pytest.fixture
def versions(database: Database) -> Any:
    """The records of migrations, put back after the test: the database is that of all tests of the page."""
    kept = database.rows("SELECT * FROM coa.schema_version")
    yield database
    database.execute("DELETE FROM coa.schema_version")
    for row in kept:
        database.execute(
            "INSERT INTO coa.schema_version (version, name, coa_version) VALUES (%s, %s, %s)",
            [row["version"], row["name"], row["coa_version"]],
        )


def test_tables_of_a_newer_program_are_refused_with_the_version_that_can_read_them(
    get: Get, versions: Database
) -> None:
    assert get("/coa/api/runs").status_code == 200
    versions.execute(
        "INSERT INTO coa.schema_version (version, name, coa_version) VALUES (%s, 'of_the_future', '9.4.0')",
        [newest_version() + 1],
    )

    answer = get("/coa/api/runs")

    assert answer.status_code == 503
    assert "use coa-migration 9.4.0 or newer" in answer.json()["detail"]


def test_older_tables_are_left_as_they_are(get: Get, versions: Database) -> None:
    versions.execute("DELETE FROM coa.schema_version")

    answer = get("/coa/api/runs")

    assert answer.status_code == 503
    assert "the next run of one of the DAGs updates them" in answer.json()["detail"]
    assert versions.value("SELECT count(*) FROM coa.schema_version") == 0


def test_the_pages_own_connection_cannot_write(get: Get) -> None:
    from coa_airflow.ui import staging

    assert get("/coa/api/runs").status_code == 200
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        staging.database().execute("DELETE FROM coa.run")
