"""Who may read what: Airflow's own permission for the DAG's runs, and a run only under its own DAG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dag import DagModel
from airflow.models.variable import Variable
from fastapi import Depends, HTTPException, Path, Query

from coa.kinds import KINDS
from coa_airflow.deployment import VARIABLE
from coa_airflow.ui.staging import reading

if TYPE_CHECKING:
    from coa_airflow.ui.staging import Connection

# `~` would mean "all DAGs" to Airflow's check: it is no DAG of ours.
DagId = Annotated[str, Path(min_length=1, max_length=250, pattern=r"^[\w.\-]+$")]
_RUN_ID: dict[str, Any] = {"min_length": 1, "max_length": 250, "pattern": r"^[^\x00-\x1f\x7f]+$"}
RunId = Annotated[str, Query(**_RUN_ID)]
RunIdInPath = Annotated[str, Path(**_RUN_ID)]

MAY_READ_RUN = Depends(requires_access_dag("GET", DagAccessEntity.RUN))

OUR_DAGS = frozenset(f"coa_{kind}" for kind in KINDS)


def readable_dags(dag_ids: set[str], user: Any) -> list[str]:
    """Those of the DAGs whose runs the user may read."""
    manager = get_auth_manager()
    return sorted(
        dag_id
        for dag_id in dag_ids
        if manager.is_authorized_dag(
            method="GET",
            access_entity=DagAccessEntity.RUN,
            details=DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id)),
            user=user,
        )
    )


def is_ours(connection: Connection, dag_id: str) -> bool:
    """A DAG of the project, or one of a user's own that is made of our tasks."""
    if dag_id in OUR_DAGS:
        return True
    return (
        connection.execute("SELECT 1 FROM coa.run WHERE dag_id = %s LIMIT 1", [dag_id]).fetchone() is not None
    )


def find_run(connection: Connection, dag_id: str, airflow_run_id: str) -> dict[str, Any] | None:
    """The migration run of exactly this DAG and Airflow run; of several Airflows that have it, this one's."""
    return connection.execute(
        """SELECT * FROM coa.run WHERE dag_id = %s AND airflow_run_id = %s
           ORDER BY deployment = %s DESC, started_at DESC LIMIT 1""",
        [dag_id, airflow_run_id, own_deployment()],
    ).fetchone()


def own_deployment() -> str:
    """The id of this Airflow in the staging database; empty before its first run."""
    return str(Variable.get(VARIABLE, default_var="") or "")


def run_or_404(dag_id: str, airflow_run_id: str) -> dict[str, Any]:
    """The row of `coa.run` for an Airflow run. Raises `HTTPException` (404) where there is none."""
    with reading() as connection:
        row = find_run(connection, dag_id, airflow_run_id)
    if row is None:
        raise HTTPException(404, "This Airflow run has no migration run.")
    return row
