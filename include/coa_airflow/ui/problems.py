"""What was not moved, grouped by reason, and what is not equal: counts, a few ids and what to do.

Ids only: the values of records are in the CSV files, for those who may download them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from coa.codes import LEFT_OUT, Relink, RunMode
from coa.reasons import reason
from coa.report.reasons import plain_words
from coa.staging.fragments import list_of
from coa.staging.tables import Table, identifier
from coa_airflow.ui.run_data import org_url
from coa_airflow.ui.steps import short

if TYPE_CHECKING:
    from coa_airflow.ui.staging import Connection

GROUPS = 100
EXAMPLES = 3


def problems(connection: Connection, run: dict[str, Any]) -> dict[str, Any]:
    """What was not moved, by reason, and what differs, by field; groups of records with examples, at most `GROUPS`
    of each.
    """
    # The records of a re-linking are those of the target.
    org = run["target_org"] if run["mode"] == RunMode.RELINK else run["source_org"]
    groups = [
        *_refused(connection, run),
        *_left_out(connection, run),
        *_lookups_left(connection, run),
        *_changed_since(connection, run),
    ]
    differences = _differences(connection, run)
    return {
        "source_url": org_url(str(org.get("instance_url", ""))),
        "not_moved": groups[:GROUPS],
        "differences": differences,
    }


def _group(row: dict[str, Any], kind: str, steps: str) -> dict[str, Any]:
    """As the page shows it. `row`: sobject, reason_code, records, reason, next_step, examples."""
    return {
        "kind": kind,
        "name": short(row["sobject"]),
        "code": row["reason_code"],
        "records": row["records"],
        "reason": row["reason"],
        "next_step": row["next_step"],
        "examples": row["examples"],
        "steps": steps,
    }


def _refused(connection: Connection, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows that the org refused, by error code and sObject."""
    found = connection.execute(
        """SELECT sobject, error_code, count(*) AS records, min(error) AS error,
                  (array_agg(source_id ORDER BY source_id))[1:%s] AS examples,
                  string_agg(DISTINCT step, ', ') AS steps
           FROM coa.rejection WHERE run_id = %s GROUP BY 1, 2 ORDER BY 3 DESC LIMIT %s""",
        [EXAMPLES, run["run_id"], GROUPS],
    ).fetchall()
    groups = []
    for r in found:
        reason, next_step = plain_words(r["error_code"], r["error"])
        told = {"reason_code": r["error_code"], "reason": reason, "next_step": next_step}
        groups.append(_group(r | told, "refused", r["steps"]))
    return groups


def _left_out(connection: Connection, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Records that the plan blocks or holds, from its counts."""
    found = connection.execute(
        sql.SQL(
            """SELECT sobject, action, reason_code, records, reason, next_step, examples FROM coa.plan_count
               WHERE run_id = %s AND action IN {left_out} ORDER BY action, records DESC LIMIT %s"""
        ).format(left_out=list_of(LEFT_OUT)),
        [run["run_id"], GROUPS],
    ).fetchall()
    return [_group(r, r["action"], "plan") for r in found]


def _lookups_left(connection: Connection, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Lookups that the plan of a re-linking leaves, by the reason; the id of a target record stands for each."""
    table = identifier(run["run_id"], Table.RELINK)
    if not _is_there(connection, table):
        return []
    found = connection.execute(
        sql.SQL(
            """SELECT sobject, reason_code, count(*) AS records, min(reason) AS reason, min(next_step) AS next_step,
                      (array_agg(record_id ORDER BY record_id))[1:%s] AS examples
               FROM {} WHERE action = %s GROUP BY 1, 2 ORDER BY 1, 2"""
        ).format(table),
        [EXAMPLES, Relink.LEFT.value],
    ).fetchall()
    return [_group(r, "left", "plan") for r in found]


def _is_there(connection: Connection, table: sql.Identifier) -> bool:
    found = connection.execute("SELECT to_regclass(%s) IS NOT NULL AS there", [table.as_string()]).fetchone()
    return bool(found and found["there"])


def _changed_since(connection: Connection, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Records that changed since the plan: held back; those of the source are left to the next delta."""
    table = identifier(run["run_id"], Table.CHANGED_SINCE_PLAN)
    if not _is_there(connection, table):
        return []
    relinked = run["mode"] in (RunMode.RELINK, RunMode.ROLLBACK)
    told = {
        "reason_code": "changed_since_plan",
        "next_step": reason(f"changed_since_plan:{'relinked' if relinked else 'changed'}").next_step,
    }
    found = connection.execute(
        sql.SQL(
            """SELECT sobject, reason, count(*) AS records,
                      (array_agg(source_id ORDER BY source_id))[1:%s] AS examples
               FROM {} GROUP BY 1, 2 ORDER BY 1, 2"""
        ).format(table),
        [EXAMPLES],
    ).fetchall()
    return [_group(r | told, "held", "load") for r in found]


def _differences(connection: Connection, run: dict[str, Any]) -> list[dict[str, Any]]:
    found = connection.execute(
        """SELECT kind, sobject, field, count(*) AS differences, min(reason) AS reason,
                  (array_agg(source_id ORDER BY source_id))[1:%s] AS examples
           FROM coa.difference WHERE run_id = %s GROUP BY 1, 2, 3
           ORDER BY kind = 'explained', 4 DESC, 1, 2, 3 LIMIT %s""",
        [EXAMPLES, run["run_id"], GROUPS],
    ).fetchall()
    return [
        {
            "kind": r["kind"],
            "name": short(r["sobject"]),
            "field": r["field"],
            "records": r["differences"],
            "reason": r["reason"],
            "examples": [e for e in r["examples"] if e],
        }
        for r in found
    ]
