"""`casework.md`: ready texts and figures for the cases that Salesforce wants beside the data."""

from __future__ import annotations

from itertools import islice
from typing import Any

from psycopg import sql

from coa.casework.checklist import checklist_of
from coa.casework.topics import SCENARIOS
from coa.model import CONTRACT, IN_FLIGHT, ORDER, STATUS
from coa.plan.amounts import OUTCOMES, titles
from coa.preflight.case_facts import COUNTED
from coa.report.licenses import coverage_rows, gap_counts
from coa.report.page import environment
from coa.report.totals import totals_of
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table
from coa.verify.freeze_check import TOPICS, left_for_people
from coa.verify.licenses import coverage

LISTED = 100
"""Customers named in the text itself; license_coverage.csv has all."""


def casework(run: Run, summary: dict[str, Any]) -> str:
    """The Markdown; every text that comes from an org is escaped."""
    template = environment().get_template("casework.md.j2")
    return (
        template.render(
            run=run.record,
            source=org_facts(run, "source"),
            target=org_facts(run, "target"),
            objects=summary["objects"],
            summary=summary,
            amounts=summary["amounts"],
            outcomes=("source", *OUTCOMES),
            titles=titles(run),
            totals=[t for t in totals_of(run, "all") if t["currency"]],
            years=totals_of(run, "year"),
            contracts=_contracts(run),
            in_flight=_in_flight(run),
            cases=checklist_of(run),
            scenarios=SCENARIOS,
            gaps=gap_counts(run),
            coverage=coverage(run),
            unlicensed=list(islice((r for r in coverage_rows(run) if r["licensed"] == "no"), LISTED)),
            listed=LISTED,
            pointing=_pointing(run),
            left=left_for_people(run),
            topics=TOPICS,
            verified=bool(run.db.value("SELECT count(*) FROM coa.total WHERE run_id = %s", [run.run_id])),
        ).strip()
        + "\n"
    )


def org_facts(run: Run, role: str) -> dict[str, Any]:
    """What is known of an org; empty texts where the run did not get so far."""
    known = run.record.org(role) or {}
    return {
        "id": known.get("id", ""),
        "name": known.get("name", ""),
        "url": known.get("instance_url", ""),
        "instance": known.get("instance", ""),
        "is_sandbox": known.get("is_sandbox"),
        "api_version": known.get("api_version", ""),
        "edition": known.get("type", ""),
        "package_version": run.record.package(role),
        "casework": known.get("casework")
        or {"counts": dict.fromkeys(COUNTED), "installed": None, "packages": None},
    }


def _contracts(run: Run) -> list[dict[str, Any]]:
    """Contract terms of the source with their counterpart in the target and the orders that use them."""
    if not (run.has_table(Table.MAP, CONTRACT) and run.has_table(SOURCE, CONTRACT)):
        return []
    return run.db.rows(
        sql.SQL(
            """SELECT s."Name" AS source_name, t."Name" AS target_name, m.rule
               FROM {source} s LEFT JOIN {map} m ON m.source_id = s."Id"
               LEFT JOIN {target} t ON t."Id" = m.target_id ORDER BY m.rule IS NOT NULL, 1 LIMIT 200"""
        ).format(
            source=run.table(SOURCE, CONTRACT),
            map=run.table(Table.MAP, CONTRACT),
            target=run.table(TARGET, CONTRACT),
        )
    )


def _in_flight(run: Run) -> int:
    if not run.has_table(SOURCE, ORDER):
        return 0
    return int(
        run.db.value(
            sql.SQL("SELECT count(*) FROM {} WHERE {} = ANY (%s)").format(
                run.table(SOURCE, ORDER), sql.Identifier(STATUS)
            ),
            [list(IN_FLIGHT)],
        )
    )


def _pointing(run: Run) -> list[dict[str, Any]]:
    if not run.has_table(Table.POINTING):
        return []
    return run.db.rows(
        sql.SQL(
            "SELECT sobject, field, parent, count(*) AS records FROM {} GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2"
        ).format(run.table(Table.POINTING))
    )
