"""`report.html`: the run on one self-contained page, for finance, audit and whoever runs it."""

from __future__ import annotations

import base64
import platform
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from itertools import islice
from typing import Any

from markupsafe import Markup

from coa.approval.record import approvals
from coa.casework.checklist import checklist_of
from coa.codes import LEFT_OUT
from coa.explanations import told
from coa.load.mended import mended
from coa.load.observed import observed
from coa.model import ORDER, RECEIVED_AT
from coa.plan.amounts import OUTCOMES, titles
from coa.plan.one_pass import WAYS
from coa.plan.rules_off import saving_words
from coa.policies import Policies
from coa.readiness.assess import readiness_counts, snapshot_day
from coa.readiness.rules import shipped_rules
from coa.report import audit, charts
from coa.report.casework import org_facts
from coa.report.corrections import effects
from coa.report.csv_files import difference_rows, rejected_rows
from coa.report.page import environment, label
from coa.report.reasons import plain_words
from coa.report.summary import COUNTS, left_draft
from coa.report.totals import DIMENSIONS, totals_of
from coa.report.unproved import unproved_facts
from coa.staging.fragments import list_of
from coa.staging.runs import Run
from coa.staging.tables import Table
from coa.verify.freeze_check import TOPICS, left_for_people

MOST_ROWS = 1000
"""Rows of one list on the page; the CSV beside it has all."""
MOST_IN_SUMMARY = 8
"""Rows of each list of the summary, which has to fit on two printed pages."""
BESIDE_THE_PLAN = frozenset({"in_flight", "moved_draft", "deleted_in_source"})
"""What is left for people beside the records that were blocked, held or refused, which the summary lists by reason."""
MOST_EVENTS = 500
MOST_TEXT = 300
"""Characters of one value on the page."""
LIBRARIES = ("apache-airflow", "apache-airflow-providers-salesforce", "psycopg", "sqlalchemy", "requests")

ORIGINS = {
    "migration": "of the migration",
    "source": "by later changes in the source",
    "target": "by later changes in the target",
    "both": "by later changes on both sides",
    "unknown": "of unknown origin",
}
VERDICTS = {
    "verified": ("good", "Everything in the plan was written and proved equal."),
    "dry_run": ("good", "The plan is ready; nothing was written."),
    "canary_verified": ("good", "Only the canary was written, and it proved equal."),
    "differences": ("bad", "The proof found unexplained differences."),
    "rows_rejected": ("bad", "The target refused some of the planned records."),
    "not_approved": ("warn", "The plan was not approved; nothing was written."),
    "blocked": ("warn", "Findings stopped the run before the first write."),
    "failed": (
        "bad",
        "The run could not continue. What was written is in the ledger, and the next run continues from there.",
    ),
    "running": ("warn", "The run is still in progress."),
}


def report_html(run: Run, summary: dict[str, Any], artifacts: list[dict[str, Any]]) -> str:
    """The page; every text that comes from an org is escaped by the template."""
    template = environment().get_template("report.html.j2")
    script = _asset("report.js")
    differences, left = _difference_counts(run), left_for_people(run)
    grade, words = VERDICTS.get(summary["state"], ("warn", ""))
    return template.render(
        run=run.record,
        summary=summary,
        counts=COUNTS,
        grade=grade,
        words=words,
        on_purpose=told(summary["explained"]),
        origins=ORIGINS,
        source=org_facts(run, "source"),
        target=org_facts(run, "target"),
        style=Markup(_asset("report.css")),
        script=Markup(script),
        script_hash=base64.b64encode(sha256(script.encode()).digest()).decode(),
        charts=_charts(run),
        totals={name: totals_of(run, name) for name in DIMENSIONS},
        dimensions=DIMENSIONS,
        amounts=summary["amounts"],
        outcomes=("source", *OUTCOMES),
        titles=titles(run),
        dates=_dates(run, summary),
        drafts=list(islice(left_draft(run), MOST_ROWS)),
        difference_counts=differences,
        differences=[_cut(r) for r in difference_rows(run, MOST_ROWS)],
        rejected_counts=_rejected_counts(run),
        rejected=[_cut(r) for r in islice(rejected_rows(run), MOST_ROWS)] if run.record.pair_id else [],
        most_rows=MOST_ROWS,
        most_summary=MOST_IN_SUMMARY,
        besides=[one for one in left if one["topic"] in BESIDE_THE_PLAN],
        explained=sum(one["n"] for one in differences if one["kind"] == "explained"),
        left=left,
        effects=effects(run),
        observed=observed(run),
        mended=mended(run),
        ways=WAYS,
        rules_off=saving_words(run),
        topics=TOPICS,
        cases=checklist_of(run),
        readiness=readiness_counts(run),
        readiness_day=snapshot_day(run),
        gtm=shipped_rules(),
        unproved=unproved_facts(run),
        approvals=approvals(run),
        findings=[_cut(f) for f in audit.findings(run)[:MOST_ROWS]],
        stages=audit.stages(run)[-MOST_EVENTS:],
        jobs=audit.jobs(run),
        api_calls=audit.api_calls(run),
        versions={**_libraries(), **run.record.versions()},
        params=run.record.params,
        artifacts=artifacts,
        events=_events(run),
        most_events=MOST_EVENTS,
    )


def _asset(name: str) -> str:
    return files("coa.report").joinpath("templates", name).read_text("utf-8")


def _charts(run: Run) -> dict[str, Markup]:
    def orders(dimension: str) -> list[tuple[str, float, float]]:
        return [
            (t["label"], float(t["source_orders"]), float(t["target_orders"]))
            for t in totals_of(run, dimension)
            if not t["currency"]
        ]

    start = run.record.started_at
    spans = [
        (s["stage"].replace("_", " "), (s["started_at"] - start).total_seconds(), float(s["seconds"]))
        for s in audit.stages(run)
    ]
    steps = [(f"{j['step']}: {label(j['sobject'])}", float(j["seconds"] or 0)) for j in audit.jobs(run)]
    return {
        "status": charts.side_by_side("status", "Orders by status", orders("status")),
        "year": charts.side_by_side("year", "Orders by year", orders("year")),
        "timeline": charts.timeline("timeline", "Stages of the run", spans),
        "steps": charts.lengths("steps", "Seconds in Bulk jobs, by step of the load", steps),
    }


def _dates(run: Run, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Received and created dates: how many, how many equal, and the kind under which the others are listed."""
    reset = not Policies(run.params).restores_received_dates
    uncarried = not Policies(run.params).carries_created_dates
    return [
        {
            "name": "Received dates",
            "about": f"{label(RECEIVED_AT)} of {label(ORDER)}s that have one in the source",
            "kind": "received_date",
            "note": "Differences were accepted (received_dates is accept_reset)." if reset else "",
            **summary["received_dates"],
        },
        {
            "name": "Created dates",
            "about": "CreatedDate of all moved records",
            "kind": "created_date",
            "note": "Created dates were not carried (created_dates is off)." if uncarried else "",
            **summary["created_dates"],
        },
    ]


def _difference_counts(run: Run) -> list[dict[str, Any]]:
    return run.db.rows(
        """SELECT sobject, kind, cause AS origin, field, CASE WHEN kind = 'explained' THEN reason ELSE '' END AS reason,
                  count(*) AS n FROM coa.difference WHERE run_id = %s
           GROUP BY 1, 2, 3, 4, 5 ORDER BY kind = 'explained', n DESC, 1, 2, 4 LIMIT 500""",
        [run.run_id],
    )


def _rejected_counts(run: Run) -> list[dict[str, Any]]:
    """Left out by plan and refused by the org, by reason."""
    counts = []
    if run.has_table(Table.PLAN):
        from psycopg import sql

        counts = run.db.rows(
            sql.SQL(
                """SELECT sobject, action, reason_code, min(reason) AS reason, count(*) AS n FROM {}
                   WHERE action IN {left_out} GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 3"""
            ).format(run.table(Table.PLAN), left_out=list_of(LEFT_OUT))
        )
    refused = run.db.rows(
        """SELECT sobject, 'rejected' AS action, error_code AS reason_code, count(*) AS n FROM coa.rejection
           WHERE run_id = %s GROUP BY 1, 3 ORDER BY 4 DESC, 1, 3""",
        [run.run_id],
    )
    return counts + [{**one, "reason": plain_words(one["reason_code"], "")[0]} for one in refused]


def _events(run: Run) -> list[dict[str, Any]]:
    """The newest events; the plan's page is not repeated."""
    rows = run.db.rows(
        "SELECT at, level, event, data FROM coa.event WHERE run_id = %s ORDER BY event_id DESC LIMIT %s",
        [run.run_id, MOST_EVENTS],
    )
    for row in rows:
        row["data"] = ", ".join(
            f"{k}: {_short(v)}" for k, v in row["data"].items() if k != "markdown" and v not in ("", None)
        )
    return rows[::-1]


def _cut(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _short(value) if isinstance(value, str) else value for name, value in row.items()}


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"


def _libraries() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
