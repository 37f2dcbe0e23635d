"""A dress rehearsal with masked values (`masking` in the mapping file): where it may go, and what it may not meet."""

from __future__ import annotations

from typing import Any

from coa.config import RunParams
from coa.findings.finding import Finding, finding
from coa.staging.runs import Run


def check_masking(target: dict[str, Any], params: RunParams) -> list[Finding]:
    """Blockers of a run with masking. `target`: as `coa.preflight.orgs.identify` gives it."""
    found = []
    if not target["is_sandbox"]:
        found.append(finding("blocker", "masking_needs_sandbox", org_id=target["id"], name=target["name"]))
    asked = [
        name
        for name, masked in (("attachments", "report"), ("activities", "report"), ("history", "off"))
        if getattr(params, name, masked) != masked
    ]
    if asked:
        found.append(finding("blocker", "masking_not_of_files", params=", ".join(asked)))
    return found


def check_other_kind(run: Run) -> list[Finding]:
    """A blocker when this target holds records of this source that a run of the other kind, masked or real,
    has moved."""
    other = run.db.row(
        """SELECT o.masked, count(*) AS n, max(l.inserted_run) AS run_id
           FROM coa.org_pair mine
           JOIN coa.org_pair o ON o.source_org_id = mine.source_org_id AND o.target_org_id = mine.target_org_id
                              AND o.masked <> mine.masked
           JOIN coa.ledger l ON l.pair_id = o.pair_id AND l.origin = 'inserted' AND l.target_id IS NOT NULL
           WHERE mine.pair_id = %s GROUP BY 1""",
        [run.pair_id],
    )
    if other is None:
        return []
    count, run_id = int(other["n"]), other["run_id"] or "(unknown)"
    if other["masked"]:
        return [finding("blocker", "rehearsal_in_target", count=count, run=run_id)]
    return [finding("blocker", "rehearsal_in_target:real", count=count, run=run_id)]
