"""Preflight's findings of a what-if: made anew where they follow from what a run keeps, else those of the run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from coa.attachments import planned
from coa.fields.saved import fitting_or_not, saved_describes
from coa.findings.finding import Finding, finding_of
from coa.mapping.model import Mapping
from coa.preflight.jobs import SUBMIT_JOBS, submit_jobs_severity
from coa.preflight.look import Look
from coa.preflight.masked_fields import check_masked_fields
from coa.preflight.package import version_of
from coa.preflight.register import CHECKS
from coa.staging.runs import SOURCE, TARGET, Run

ROLES = (SOURCE, TARGET)
READING = ("extract_source", "extract_target")
PLAN_STAGES = ("preflight", *READING, "transform", "reconcile", planned.STAGE)
"""Stages whose findings stand when a plan is ready; what the load and the proof find later is not compared."""
MASKED = tuple(f"field_masked_{role}" for role in ROLES)
Rows = list[dict[str, Any]]


@dataclass
class KeptLook(Look):
    """What the checks look at, from what a run kept: there is no org to ask."""

    @property
    def versions(self) -> dict[str, tuple[int, int, int] | None]:
        """Version of the app in each org, as the earlier run found it; None where it is unknown."""
        return {role: version_of(self.run.record.package(role)) for role in ROLES}


def check_again(run: Run, base: Run, whole: Mapping) -> None:
    """Records preflight's findings and those of reading; `whole`: the mapping with the sections of all sources."""
    describes = {role: saved_describes(run, role) for role in ROLES}
    look = KeptLook(
        run.params,
        identities={role: run.record.org(role) for role in ROLES},
        describes=describes,
        run=run,
        orgs={},
        whole_mapping=whole,
    )
    look.carried = fitting_or_not(
        describes[SOURCE], describes[TARGET], look.mapping, run.params.created_dates
    )
    kept = [check for check in CHECKS if check.kept]
    anew = {code for check in kept for code in check.codes} | set(MASKED)
    findings = [_as_accepted(one, run) for one in _findings_of(base, "preflight") if one.code not in anew]
    for check in kept:
        findings += check.find(look)
    findings += check_masked_fields(_masked(run, look), run.params.masked_values)
    run.findings.replace("preflight", findings)
    for stage in READING:
        run.findings.replace(stage, _findings_of(base, stage))


def _masked(run: Run, look: Look) -> dict[str, dict[str, list[str]]]:
    """Role -> sObject -> the fields that the org was seen to show masked, as far as they are carried now."""
    carried = {sobject: {one.name for one in fields} for sobject, fields in look.carried.items()}
    return {
        role: {
            sobject: [name for name in names if name in carried[sobject]]
            for sobject, names in (run.record.org(role).get("masked_fields") or {}).items()
        }
        for role in ROLES
    }


def _as_accepted(one: Finding, run: Run) -> Finding:
    if one.code != SUBMIT_JOBS:
        return one
    return replace(one, severity=submit_jobs_severity(run.params.accept_submit_jobs))


def _findings_of(run: Run, stage: str) -> list[Finding]:
    rows = run.db.rows(
        "SELECT * FROM coa.finding WHERE run_id = %s AND stage = %s ORDER BY code, sobject, field",
        [run.run_id, stage],
    )
    return [finding_of(row) for row in rows]


def compared(base: Run, run: Run) -> dict[str, Rows]:
    """`gained`, `lost` (severity, code, sobject, field, count, message, next_step) and `changed` (severity and count as
    `was` and `becomes`): findings up to the plan."""
    before, after = _by_key(base), _by_key(run)
    shown = ("severity", "code", "sobject", "field", "count", "message", "next_step")
    changed = []
    for key in sorted(before.keys() & after.keys()):
        was, becomes = before[key], after[key]
        if (was["severity"], was["count"]) != (becomes["severity"], becomes["count"]):
            changed.append(
                {
                    **dict(zip(("code", "sobject", "field"), key, strict=True)),
                    "severity": {"was": was["severity"], "becomes": becomes["severity"]},
                    "count": {"was": was["count"], "becomes": becomes["count"]},
                }
            )
    return {
        "gained": [
            {name: after[key][name] for name in shown} for key in sorted(after.keys() - before.keys())
        ],
        "lost": [{name: before[key][name] for name in shown} for key in sorted(before.keys() - after.keys())],
        "changed": changed,
    }


def _by_key(run: Run) -> dict[tuple[str, str, str], dict[str, Any]]:
    rows = run.db.rows(
        """SELECT severity, code, sobject, field, count, message, next_step FROM coa.finding
           WHERE run_id = %s AND stage = ANY (%s)""",
        [run.run_id, list(PLAN_STAGES)],
    )
    return {(r["code"], r["sobject"], r["field"]): r for r in rows}
