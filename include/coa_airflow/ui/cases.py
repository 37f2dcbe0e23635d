"""The cases of each pair of orgs: who may read them, and who may change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from coa.casework.topics import SCENARIOS
from coa.codes import MIGRATING, CaseState
from coa.staging.fragments import list_of
from coa_airflow.ui.run_data import cases_shown
from coa_airflow.ui.standing import may_answer

if TYPE_CHECKING:
    from coa_airflow.ui.staging import Connection


def pairs_with_cases(connection: Connection, dag_ids: list[str], user: Any) -> list[dict[str, Any]]:
    """Pairs of orgs that runs of these DAGs moved records between, newest first, each with its checklist.

    `may_edit`: the user may answer the plans of one of these DAGs.
    """
    rows = connection.execute(
        sql.SQL(
            """SELECT DISTINCT ON (pair_id) pair_id, source_org ->> 'name' AS source, target_org ->> 'name' AS target,
                      started_at, array_agg(dag_id) OVER (PARTITION BY pair_id) AS dag_ids
               FROM coa.run WHERE pair_id IS NOT NULL AND dag_id = ANY (%s) AND mode IN {migrating}
               ORDER BY pair_id, started_at DESC"""
        ).format(migrating=list_of(MIGRATING)),
        [dag_ids],
    ).fetchall()
    return [
        {
            "pair": row["pair_id"],
            "source": row["source"] or "",
            "target": row["target"] or "",
            "may_edit": any(may_answer(user, dag_id) for dag_id in sorted(set(row["dag_ids"]))),
            "states": list(CaseState),
            "scenarios": SCENARIOS,
            "cases": cases_shown(connection, row["pair_id"]),
        }
        for row in sorted(rows, key=lambda row: row["started_at"], reverse=True)
    ]
