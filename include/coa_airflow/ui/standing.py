"""Standing approvals: what each allows, whether it counts, and who may withdraw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.models.dag import DagModel

from coa.config import RunParams
from coa.errors import ConfigurationError
from coa_airflow.approvers import VARIABLE, approvers

if TYPE_CHECKING:
    from coa_airflow.ui.staging import Connection

SHOWN = 50


def grants(connection: Connection, dag_ids: list[str], user: Any) -> list[dict[str, Any]]:
    """The newest standing approvals that runs of these DAGs granted, newest first.

    `state`: `in_force`, `expired`, `withdrawn` (a newer grant withdraws the older ones as well), or `invalid` (from
    before grants bound params, mapping and orgs).
    """
    rows = connection.execute(
        """SELECT s.*, r.dag_id, r.airflow_run_id, r.source_org ->> 'name' AS source, r.target_org ->> 'name' AS target,
                  s.expires_at <= clock_timestamp() AS expired
           FROM coa.standing_approval s JOIN coa.run r ON r.run_id = s.granted_in
           WHERE r.dag_id = ANY (%s) ORDER BY s.standing_id DESC LIMIT %s""",
        [dag_ids, SHOWN],
    ).fetchall()
    return [_grant(row, may_answer(user, row["dag_id"])) for row in rows]


def _grant(row: dict[str, Any], may: bool) -> dict[str, Any]:
    state = _state(row)
    terms = row["terms"] or {}
    return {
        "id": row["standing_id"],
        "state": state,
        "source": row["source"] or "",
        "target": row["target"] or "",
        "granted_by": row["granted_by"],
        "granted_at": row["granted_at"].timestamp(),
        "granted_in": row["granted_in"],
        "expires_at": row["expires_at"].timestamp(),
        "withdrawn_at": row["revoked_at"].timestamp() if row["revoked_at"] else None,
        "max_records": row["max_records"],
        "actions": row["actions"],
        "policies": chosen_policies(terms.get("params") or {}),
        "mapping": (terms.get("mapping_sha256") or "")[:12],
        "may_withdraw": may and state in ("in_force", "invalid"),
    }


def _state(row: dict[str, Any]) -> str:
    if row["revoked_at"] is not None:
        return "withdrawn"
    if row["expired"]:
        return "expired"
    return "in_force" if row["terms"] is not None else "invalid"


def chosen_policies(params: dict[str, Any]) -> list[str]:
    """Params that are not as by default, each as `name value`."""
    defaults = RunParams()
    return [
        f"{name} {value}"
        for name, value in sorted(params.items())
        if hasattr(defaults, name)
        and value not in (getattr(defaults, name), None, "")
        and name not in ("mode", "mapping", "dry_run", "run_id")
    ]


def may_answer(user: Any, dag_id: str) -> bool:
    """Whoever may answer the plans of a DAG, if the deployment names approvers only they.

    They may withdraw a standing approval and keep the checklist of the cases, too.
    """
    by_airflow = get_auth_manager().is_authorized_dag(
        method="PUT",
        access_entity=DagAccessEntity.HITL_DETAIL,
        details=DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id)),
        user=user,
    )
    try:
        entitled = approvers(_narrowed)
    except ConfigurationError:
        # The variable leaves nobody: then nobody may.
        return False
    return bool(by_airflow and (not entitled or {str(user.get_id()), str(user.get_name())} & entitled))


def _narrowed() -> str:
    """The Airflow variable that narrows the list, as this process can read it: it has no supervisor to ask."""
    from airflow.models.variable import Variable

    return str(Variable.get(VARIABLE, default_var="") or "")
