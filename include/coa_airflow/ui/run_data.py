"""All that the page of one run polls: a dozen reads by key, none of which counts records."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from psycopg import sql

from coa.casework.checklist import checklist
from coa.codes import MIGRATING
from coa.explanations import told
from coa.plan.amounts import amounts_shown
from coa.salesforce.auth import is_loopback
from coa.staging.fragments import most_severe_first
from coa_airflow.ui.access import find_run, is_ours
from coa_airflow.ui.stages import approval_state, stage_row
from coa_airflow.ui.standing import chosen_policies
from coa_airflow.ui.steps import object_rows, overall, short, step_rows

if TYPE_CHECKING:
    from coa_airflow.ui.staging import Connection

JOBS_SHOWN = 50
ORG_HOSTS = (".salesforce.com", ".force.com", ".salesforce.mil", ".cloudforce.com")
OVER = ("settled", "abandoned")


AIRFLOW_OVER = ("success", "failed")


def run_page(
    connection: Connection, dag_id: str, airflow_run_id: str, airflow_state: str | None
) -> dict[str, Any]:
    """`page`: `run` with all its data, `waiting` (our DAG, nothing there yet) or `foreign`.

    `airflow_state`: state of the Airflow run, None where this Airflow does not know it. When it is over
    and left no verdict, nothing works on the migration any more.
    """
    run = find_run(connection, dag_id, airflow_run_id)
    over = airflow_state in AIRFLOW_OVER
    if run is None:
        return {"page": "waiting" if is_ours(connection, dag_id) else "foreign", "over": over}
    return _page_of(connection, run, over or run["state"] is not None)


def _page_of(connection: Connection, run: dict[str, Any], over: bool) -> dict[str, Any]:
    key = [run["run_id"]]

    def rows(query: str) -> list[dict[str, Any]]:
        return connection.execute(query, key).fetchall()

    events = rows(
        """SELECT event, at, data ->> 'stage' AS stage, data FROM coa.event
           WHERE run_id = %s AND event IN
             ('stage_started', 'stage_ended', 'run_finished', 'approval_asked', 'api_allowance')
           ORDER BY event_id"""
    )
    progress = rows("SELECT * FROM coa.progress WHERE run_id = %s")
    sent = rows(
        """SELECT step, sobject,
                  COALESCE(sum(rows_planned) FILTER (WHERE state <> 'abandoned'), 0)::bigint AS rows_sent,
                  count(*) AS jobs, min(created_at) AS first_at
           FROM coa.job WHERE run_id = %s GROUP BY 1, 2"""
    )
    plan = rows(
        "SELECT sobject, action, reason_code, records FROM coa.plan_count WHERE run_id = %s ORDER BY 1, 2, 3"
    )
    answers = rows(
        """SELECT kind, approved, answered_by, answered_at, reason, plan_hash FROM coa.approval
           WHERE run_id = %s AND kind <> 'canary' ORDER BY approval_id"""
    )
    now: datetime = rows("SELECT clock_timestamp() AS now, %s::text")[0]["now"]
    asked = any(e["event"] == "approval_asked" for e in events)
    state = approval_state(asked, answers, over)
    stage_events = [e for e in events if e["event"] in ("stage_started", "stage_ended")]
    stages = stage_row(run, stage_events, state, now, over)
    # Not by the box: runs of earlier versions had no second reading, and theirs is never done.
    proved = any(e["event"] == "stage_ended" and e["stage"] == "verify" for e in stage_events)
    summary = valid_summary(run, events)
    steps = step_rows(progress, sent)
    return {
        "page": "run",
        "now": now.timestamp(),
        "over": over,
        # The state stands in the row while the summary is still being counted.
        "settled": over and (summary is not None or run["state"] is None),
        "run": _head(run, now),
        "stages": stages,
        "objects": object_rows(plan, progress, summary, proved),
        "steps": steps,
        "overall": None if over else overall(steps, now.timestamp()),
        "jobs": _jobs(connection, run, sum(j["jobs"] for j in sent)),
        "api": _api_calls(connection, run, events),
        "approval": _approval(state, answers),
        "findings": _findings(connection, run),
        "proof": _proof(summary) if proved else None,
        "amounts": _amounts(run, summary, rows),
        "cases": cases_shown(connection, run["pair_id"]) if run["mode"] in MIGRATING else [],
    }


SHOWN_OF_A_CASE = ("topic", "title", "late", "state", "owner", "case_number", "scenario", "changed_by")


def cases_shown(connection: Connection, pair_id: int | None) -> list[dict[str, Any]]:
    """The checklist of a pair of orgs as pages show it; nothing before the orgs are known."""
    if pair_id is None:
        return []
    return [
        {name: row[name] for name in SHOWN_OF_A_CASE}
        | {"changed_at": row["changed_at"].timestamp() if row["changed_at"] else None}
        for row in checklist(connection, pair_id)
    ]


def _head(run: dict[str, Any], now: datetime) -> dict[str, Any]:
    ended = run["finished_at"]
    return {
        "run_id": run["run_id"],
        "dag_id": run["dag_id"],
        "airflow_run_id": run["airflow_run_id"],
        "mode": run["mode"],
        "dry_run": bool(run["params"].get("dry_run")),
        "stage": run["stage"],
        "state": run["state"],
        "message": run["message"],
        "triggered_by": run["triggered_by"],
        "plan_hash": run["plan_hash"],
        "policies": chosen_policies(run["params"]),
        "mapping": run["mapping_name"],
        "source": _org(run["source_org"]),
        "target": _org(run["target_org"]),
        "started": run["started_at"].timestamp(),
        "ended": ended.timestamp() if ended else None,
        "seconds": ((ended or now) - run["started_at"]).total_seconds(),
        "has_report": run["state"] is not None,
    }


def _org(org: dict[str, Any]) -> dict[str, Any] | None:
    if not org:
        return None
    return {
        "id": org.get("id", ""),
        "name": org.get("name", ""),
        "sandbox": bool(org.get("is_sandbox")),
        "url": org_url(str(org.get("instance_url", ""))),
    }


def org_url(address: str) -> str:
    """An org's address if a page may link to it: Salesforce over https, or a local org; else nothing.

    >>> org_url("https://acme.my.salesforce.com/")
    'https://acme.my.salesforce.com'
    >>> org_url("javascript:alert(1)//.salesforce.com"), org_url("https://salesforce.com.evil.example")
    ('', '')
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not re.fullmatch(r"[A-Za-z0-9.\-]+", host):
        return ""
    salesforce = parts.scheme == "https" and host.endswith(ORG_HOSTS)
    local = parts.scheme in ("http", "https") and is_loopback(host)
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}" if salesforce or local else ""


def job_url(base: str, job_id: str | None) -> str:
    """Setup's page of a Bulk job; nothing while the id is unknown."""
    if not base or not re.fullmatch(r"[A-Za-z0-9]{15,18}", job_id or ""):
        return ""
    return f"{base}/lightning/setup/AsyncApiJobStatus/page?address=%2F{job_id}"


def _jobs(connection: Connection, run: dict[str, Any], total: int) -> dict[str, Any]:
    found = connection.execute(
        """SELECT job_key, job_id, step, sobject, operation, chunk_no, rows_planned, state, created_at, updated_at
           FROM coa.job WHERE run_id = %s AND state <> ALL (%s) ORDER BY job_key LIMIT %s""",
        [run["run_id"], list(OVER), JOBS_SHOWN],
    ).fetchall()
    base = org_url(str(run["target_org"].get("instance_url", "")))
    return {
        "total": total,
        "open": [
            {
                "key": j["job_key"],
                "id": j["job_id"] or "",
                "url": job_url(base, j["job_id"]),
                "step": j["step"],
                "name": short(j["sobject"]),
                "operation": j["operation"],
                "rows": j["rows_planned"],
                "state": j["state"],
                "since": j["created_at"].timestamp(),
            }
            for j in found
        ],
    }


def _api_calls(
    connection: Connection, run: dict[str, Any], events: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Calls that the run has made on each org, beside the day's allowance as preflight read it."""
    used = {
        r["org"]: int(r["calls"])
        for r in connection.execute(
            "SELECT org, sum(calls) AS calls FROM coa.api_usage WHERE run_id = %s GROUP BY 1", [run["run_id"]]
        ).fetchall()
    }
    known = {e["data"].get("org"): e["data"] for e in events if e["event"] == "api_allowance"}
    return [
        {
            "org": role,
            "used": used.get(role, 0),
            "allowed": known.get(role, {}).get("allowed"),
            "remaining": known.get(role, {}).get("remaining"),
        }
        for role in ("source", "target")
        if role in used or role in known
    ]


def _approval(state: str, answers: list[dict[str, Any]]) -> dict[str, Any]:
    last = answers[-1] if answers else None
    return {
        "state": state,
        "by": last["answered_by"] if last else "",
        "at": last["answered_at"].timestamp() if last else None,
        "kind": last["kind"] if last else "",
        "reason": last["reason"] if last else "",
        "plan_hash": last["plan_hash"] if last else "",
    }


def _findings(connection: Connection, run: dict[str, Any]) -> list[dict[str, Any]]:
    found = connection.execute(
        sql.SQL(
            """SELECT severity, code, sobject, field, count, examples, message, next_step FROM coa.finding
               WHERE run_id = %s
               ORDER BY {order}, code, sobject, field LIMIT 200"""
        ).format(order=most_severe_first()),
        [run["run_id"]],
    ).fetchall()
    return [{**f, "name": short(f["sobject"])} for f in found]


def valid_summary(run: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The run's summary, unless it is of an earlier end: a cleared run keeps that one until it ends again.

    `events`: rows (event), in the order in which they happened.
    """
    summary: dict[str, Any] | None = run["summary"]
    if not summary or run["state"] is None or summary.get("state") != run["state"]:
        return None
    ends = [n for n, e in enumerate(events) if e["event"] == "run_finished"]
    starts = [n for n, e in enumerate(events) if e["event"] == "stage_started"]
    return summary if ends and ends[-1] > max(starts, default=-1) else None


def _amounts(
    run: dict[str, Any], summary: dict[str, Any] | None, rows: Callable[[str], list[dict[str, Any]]]
) -> dict[str, Any] | None:
    """What the orders are worth, as `coa.plan.amounts` counted it: at the run's end, else for its plan."""
    if summary and summary.get("amounts"):
        return amounts_shown(summary["amounts"], moved=run["loaded_at"] is not None)
    kept = rows(
        """SELECT data FROM coa.event WHERE run_id = %s AND event = 'plan_amounts'
           ORDER BY event_id DESC LIMIT 1"""
    )
    if not kept or kept[0]["data"].get("plan_hash") != run["plan_hash"]:
        return None
    return amounts_shown(kept[0]["data"]["amounts"], moved=False)


def _proof(summary: dict[str, Any] | None) -> dict[str, Any] | None:
    if not summary:
        return None
    names = ("received_dates", "created_dates", "draft_exposure")
    # Runs of earlier versions did not count them.
    on_purpose = summary.get("explained") or {}
    return {
        **{name: summary.get(name) for name in names},
        "on_purpose": {"values": sum(on_purpose.values()), "reasons": told(on_purpose)},
    }
