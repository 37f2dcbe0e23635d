"""What a task finds around it: the orgs, the staging database, the place for artifacts, settings.

Imports of drivers stay inside the functions: this module is read at every parse of the DAG files.
"""

from __future__ import annotations

import os
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coa.config import Settings
from coa.errors import ConfigurationError
from coa.staging.folders import project_folder
from coa_airflow.pair import conn_id

if TYPE_CHECKING:
    from coa.salesforce.pace import Pace
    from coa.salesforce.session import KeptSession, Org
    from coa.staging.database import Database
    from coa.staging.runs import Run

STAGING_CONNECTION = "coa_staging"
HEADLESS = "COA_HEADLESS"
"""Environment variable: the token of a run that `make migrate` started; nobody can be asked there."""


def settings() -> Settings:
    """Settings of this deployment. Raises `InvalidParams` for one that cannot be used."""
    return Settings.from_environment()


def org(run: Run, role: str, *, deferrable: bool = False) -> Org:
    """The org behind the connection that a run uses as `source` or `target`: the one way to it, for tasks and triggers.

    Whatever the connection says by now, the org answers only if it is the one that the run was made for: the first
    use of another raises `WrongOrg` before anything is asked of it.
    `deferrable`: for tasks made by `waiting_task`, whose long waits go on in the triggerer. A headless run
    has no triggerer and one process for all: it waits itself.
    """
    from coa.preflight.orgs import bind
    from coa_airflow.hook import CoaSalesforceHook

    opened = bind(run, role, CoaSalesforceHook(conn_id(run, role), settings()).org)
    opened.pace, opened.kept = _shared(run.run_id, role)
    if deferrable and not os.environ.get(HEADLESS):
        opened.max_wait = settings().hold_worker_seconds
    return opened


@lru_cache(maxsize=16)
def _shared(run_id: str, role: str) -> tuple[Pace, KeptSession]:
    """Tasks of a run that share a process, as in a headless run, learn from one another's jobs, and log in once."""
    from coa.salesforce.pace import Pace
    from coa.salesforce.session import KeptSession

    return Pace(), KeptSession()


def staging() -> Database:
    """The staging database: connection `coa_staging`, else the embedded PostgreSQL of the project."""
    return _database(_staging_url())


@cache
def _database(url: str) -> Database:
    from coa.staging.database import Database

    return Database(url)


def _staging_url() -> str:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowException
    from airflow.sdk.log import mask_secret

    try:
        fields = Connection.get(STAGING_CONNECTION)
    except (AirflowException, ValueError, TypeError) as error:
        variable = f"AIRFLOW_CONN_{STAGING_CONNECTION.upper()}"
        if os.environ.get(variable):
            problem = type(error).__name__
        else:
            return _embedded_url()
    else:
        if fields.password:
            mask_secret(fields.password)
        return staging_url(fields)
    # Outside of the except block: the cause may hold the password.
    raise ConfigurationError(
        f"The connection {STAGING_CONNECTION} cannot be read ({problem}).",
        next_step=f"write {variable} as JSON, or as postgresql://login:password@host:5432/database.",
    )


def _embedded_url() -> str:
    from airflow.sdk.log import mask_secret
    from sqlalchemy import make_url

    from coa.staging.embedded import EmbeddedPostgres

    server = EmbeddedPostgres()
    server.start()
    url = server.url()
    mask_secret(make_url(url).password)
    return url


def staging_url(fields: Any) -> str:
    """libpq URL from an Airflow connection of type postgres; its extras go along as libpq options.

    Raises `ConfigurationError` for a connection of another type, or without host or database.
    """
    from sqlalchemy import URL

    if fields.conn_type not in ("postgres", "postgresql"):
        raise ConfigurationError(
            f"The connection {STAGING_CONNECTION} is of type {fields.conn_type}.",
            next_step="point it at a PostgreSQL 14+ database (type Postgres).",
        )
    if not fields.host or not fields.schema:
        raise ConfigurationError(
            f"The connection {STAGING_CONNECTION} lacks its {'host' if not fields.host else 'database'}.",
            next_step="fill in host, port, database, login and password.",
        )
    options = {k: str(v) for k, v in fields.extra_dejson.items() if isinstance(v, (str, int)) and v != ""}
    url = URL.create(
        "postgresql", fields.login, fields.password, fields.host, fields.port, fields.schema, options
    )
    return url.render_as_string(hide_password=False)


def connection_in(name: str, text: str) -> Any:
    """The Airflow connection that an environment variable holds, as JSON or as a URI.

    What is raised for a text that is neither may repeat it, with its secrets.
    """
    from airflow.sdk import Connection

    return (
        Connection.from_json(text, name)
        if text.lstrip().startswith("{")
        else Connection(conn_id=name, uri=text)
    )


def setting(name: str, variable: str = "") -> str:
    """An Airflow variable, `coa_<name>` unless another is given, else the setting of that name."""
    from airflow.sdk import Variable

    of_airflow = str(Variable.get(variable or f"coa_{name}", default="") or "").strip()
    return of_airflow or str(getattr(Settings.from_environment(name), name))


def artifacts_of(run_id: str) -> Any:
    """Folder of a run's artifacts: a `Path`, or an `ObjectStoragePath` for any other place."""
    return artifacts_root(setting("artifacts_path")) / run_id


def artifacts_root(configured: str) -> Any:
    """The folder of all runs' artifacts: an `ObjectStoragePath` for a URL, else a path; by default `artifacts/` of
    the project.
    """
    if "://" in configured and not configured.startswith("file://"):
        from airflow.sdk import ObjectStoragePath

        return ObjectStoragePath(configured)
    path = configured.removeprefix("file://")
    return Path(path).expanduser().absolute() if path else project_folder() / "artifacts"


def metadata_folder() -> Path:
    """`include/salesforce_metadata` of a checkout; installed as a package it is inside of ours."""
    package = Path(__file__).parent
    installed = package / "salesforce_metadata"
    return installed if installed.is_dir() else package.parent / "salesforce_metadata"
