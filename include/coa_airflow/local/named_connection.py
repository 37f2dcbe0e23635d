"""A connection of the environment, else of the local Airflow's own tables, for commands that run no DAG."""

from __future__ import annotations

import os
from typing import Any

from coa.errors import CoaError, ConfigurationError
from coa.salesforce.auth import OrgConnection
from coa_airflow.connections import org_connection
from coa_airflow.environment import connection_in


def named_connection(name: str) -> OrgConnection:
    """Raises `ConfigurationError` that names the connection and says what to change; never with a secret in it.

    The environment has to be that of the local Airflow (`home.common_environment`).
    """
    try:
        return org_connection(name, _fields(name))
    except CoaError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever Airflow's parsers raise; it may hold secrets
        from coa_airflow.hook import reading_problem

        problem, advice = reading_problem(name, error)
    raise ConfigurationError(problem, next_step=advice)


def _fields(name: str) -> Any:
    text = os.environ.get(f"AIRFLOW_CONN_{name.upper()}")
    if text:
        return connection_in(name, text)
    # Two seconds of imports, only for connections that were made in the browser.
    from airflow.models.connection import Connection

    return Connection.get_connection_from_secrets(name)
