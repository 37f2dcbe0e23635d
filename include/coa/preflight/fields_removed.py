"""A target whose migration fields were removed: its records are ours, but nothing in them shows it any more.

`make remove-target-fields` leaves a mark for each source: a permission set without any right, whose name
contains the id of the source. It stays when the fields are deployed again, and a fresh staging database can see
it.
"""

from __future__ import annotations

from coa.findings.finding import Finding, finding
from coa.preflight.probe import Probe
from coa.staging.runs import Run

MARK = "COA_Moved_From_"


def mark_of(source_org_id: str) -> str:
    """Name of the permission set that marks a target; 18 characters of an id differ without regard to case.

    >>> mark_of("00D000000000001EAA")
    'COA_Moved_From_00D000000000001EAA'
    """
    return MARK + source_org_id


def asked_for_mark(probe: Probe, source_org_id: str) -> bool:
    """Whether the target bears the mark of this source; False when the org does not tell."""
    soql = f"SELECT Id FROM PermissionSet WHERE Name = '{mark_of(source_org_id)}'"
    return bool(probe.rows("mark of removed migration fields", soql))


def check_fields_removed(run: Run, target: Probe) -> list[Finding]:
    """A blocker when records of this source are in the target without their keys, and no ledger knows them."""
    source = run.org_id("source")
    # Most runs know their own records: for those the org is not asked.
    if _known(run) or not asked_for_mark(target, source):
        return []
    return [finding("blocker", "ledger_missing", source=source, target=run.org_id("target"))]


def _known(run: Run) -> bool:
    return bool(
        run.db.value(
            """SELECT EXISTS (SELECT FROM coa.ledger WHERE pair_id = %s AND origin = 'inserted'
                 AND target_id IS NOT NULL)""",
            [run.pair_id],
        )
    )
