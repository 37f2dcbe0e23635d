"""What both orgs tell of the case work: installed packages, packages of the LMA, and how much hangs on each topic.

Asked once in preflight, with the other small questions. A count is None where the user does not see the sObject or the
org lacks it: the texts say so. No part of the migration.
"""

from __future__ import annotations

from typing import Any

from coa.preflight.package import installed_packages
from coa.preflight.probe import Probe
from coa.staging.runs import Run

COUNTED = {
    # Of the platform's own sObjects (Object Reference); that each stands for the topic is *inferred*.
    "users": ("User", "IsActive = true AND UserType = 'Standard'"),
    "hub_members": ("EnvironmentHubMember", ""),
    "scratch_orgs": ("ActiveScratchOrg", ""),
    "namespaces": ("NamespaceRegistry", ""),
    "signups": ("SignupRequest", ""),
    "licenses": ("sfLma__License__c", ""),
}
"""Name of a count -> sObject and condition."""
PACKAGES = "SELECT Id, Name, sfLma__Package_ID__c FROM sfLma__Package__c ORDER BY Name"


def read_case_facts(probe: Probe) -> dict[str, Any]:
    """`counts` (name -> number or None), `installed` and `packages` (lists, None where they could not be read)."""
    quiet = probe.quiet()
    counts = {name: quiet.count(name, sobject, where) for name, (sobject, where) in COUNTED.items()}
    packages = quiet.rows("packages of the LMA", PACKAGES)
    return {
        "counts": counts,
        "installed": installed_packages(quiet),
        "packages": None
        if packages is None
        else [
            {
                "id": str(row.get("Id") or ""),
                "name": str(row.get("Name") or ""),
                "package_id": str(row.get("sfLma__Package_ID__c") or ""),
            }
            for row in packages
        ],
    }


def keep_case_facts(run: Run, *probes: Probe) -> None:
    """Keeps them with what is known of the orgs."""
    for probe in probes:
        run.learn(probe.role, casework=read_case_facts(probe))
