"""The page's app inside a real Airflow API server, in this process, over a staging database of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.airflow_home import make_tables
from tests.databases import fresh

from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres

# `samples` and `live` beside this file: a folder of tests is no package.
sys.path.insert(0, str(Path(__file__).parent))

os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = "admin:admin,viewer:viewer,clerk:viewer,guest:"

Get = Callable[..., Any]


@pytest.fixture(scope="session")
def airflow_app(shared_folder: Path) -> Any:
    """Airflow's whole API server with the plugin."""
    from airflow.api_fastapi.app import create_app

    make_tables(shared_folder)
    return create_app(apps="all")


@pytest.fixture(scope="session")
def one_database(postgres_server: EmbeddedPostgres) -> Iterator[Database]:
    with fresh(postgres_server) as url:
        staging = Database(url)
        yield staging
        staging.dispose()


@pytest.fixture
def database(one_database: Database) -> Database:
    """One database for all tests of the page, emptied before each: making one takes longer than a test."""
    for schema in one_database.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'run\\_%'"):
        one_database.execute(f'DROP SCHEMA "{schema["nspname"]}" CASCADE')
    one_database.execute("DELETE FROM coa.run")
    return one_database


@pytest.fixture
def page_client(airflow_app: Any, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client without credentials; the API server finds this test's staging database by its connection."""
    from fastapi.testclient import TestClient

    from coa_airflow.ui import staging

    parts = psycopg.conninfo.conninfo_to_dict(database.url.replace("+psycopg", ""))
    connection = {
        "conn_type": "postgres",
        "host": parts["host"],
        "port": int(parts["port"] or 5432),
        "login": parts["user"],
        "password": parts["password"],
        "schema": parts["dbname"],
    }
    monkeypatch.setenv("AIRFLOW_CONN_COA_STAGING", json.dumps(connection))
    staging._staging.forget_address()
    yield TestClient(airflow_app, raise_server_exceptions=True)
    staging._staging.forget_address()


@pytest.fixture
def get(page_client: Any, monkeypatch: pytest.MonkeyPatch) -> Get:
    """`get(path, user="viewer", **query)`: a call as one of the users; `user=None` has no token.

    `clerk` may read the runs of the DAG `other` and of no other; `guest` has no role.
    """
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    roles = {"admin": "admin", "viewer": "viewer", "clerk": "viewer", "guest": None}
    original = SimpleAuthManager.is_authorized_dag

    def by_dag(self: Any, *, method: Any, user: Any, access_entity: Any = None, details: Any = None) -> bool:
        if user.get_name() == "clerk" and (details is None or details.id != "other"):
            return False
        return bool(original(self, method=method, user=user, access_entity=access_entity, details=details))

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", by_dag)

    def call(
        path: str,
        user: str | None = "viewer",
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: dict[str, str] | None = None,
        **query: str,
    ) -> Any:
        headers = dict(headers or {})
        if user:
            token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=user, role=roles[user]))
            headers["Authorization"] = f"Bearer {token}"
        return page_client.request(method, path, params=query, headers=headers, json=body)

    return call
