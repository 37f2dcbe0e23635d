"""The Channel Order App as it is installed: version, and which of its rules are switched off.

A subscriber can switch managed rules off: retrieved metadata of some orgs shows it. A rule that is off
in the target refuses nothing, so it blocks no record here either.
"""

from __future__ import annotations

from typing import Any

from coa.findings.finding import Finding, finding
from coa.model import NAMESPACE
from coa.preflight.probe import Probe, related

ENFORCED_RULES = frozenset(
    {
        "Contract_is_Required",
        "OrderTypeRequired",
        "Order_must_belong_to_contract_terms",
        "Product_must_belong_to_contract_terms",
        "Quantity_is_required",
        "CancellationTerms_is_required",
        "ContractLength_is_required",
        "RenewalTerms_is_required",
    }
)
"""Validation rules of orders and details that `coa.transform.rules` foresees."""


def package_version(probe: Probe) -> tuple[int, int, int] | None:
    """Version of the app, None when the org does not tell."""
    for row in _installed(probe) or []:
        if related(row, "SubscriberPackage.NamespacePrefix") == NAMESPACE:
            return _version(row)
    return None


def installed_packages(probe: Probe) -> list[dict[str, str]] | None:
    """`name`, `namespace` and `version` of every installed package, by name; None when the org does not tell."""
    rows = _installed(probe)
    if rows is None:
        return None
    return sorted(
        (
            {
                "name": str(related(row, "SubscriberPackage.Name") or ""),
                "namespace": str(related(row, "SubscriberPackage.NamespacePrefix") or ""),
                "version": version_text(_version(row)),
            }
            for row in rows
        ),
        key=lambda one: (one["name"], one["namespace"]),
    )


def _installed(probe: Probe) -> list[dict[str, Any]] | None:
    return probe.rows(
        "the version of the Channel Order App",
        "SELECT SubscriberPackage.NamespacePrefix, SubscriberPackage.Name, SubscriberPackageVersion.MajorVersion, "
        "SubscriberPackageVersion.MinorVersion, SubscriberPackageVersion.PatchVersion "
        "FROM InstalledSubscriberPackage",
        tooling=True,
    )


def _version(row: dict[str, Any]) -> tuple[int, int, int]:
    major, minor, patch = (
        int(related(row, f"SubscriberPackageVersion.{part}Version") or 0)
        for part in ("Major", "Minor", "Patch")
    )
    return major, minor, patch


def check_versions(source: tuple[int, int, int] | None, target: tuple[int, int, int] | None) -> list[Finding]:
    """A warning when the target's app is older than the source's; versions are (major, minor, patch),
    None if unknown."""
    if source is None or target is None or target >= source:
        return []
    here, there = (".".join(map(str, v[:2])) for v in (source, target))
    return [finding("warning", "package_older", count=1, examples=[there], target=there, source=here)]


def inactive_validation_rules(probe: Probe) -> list[str] | None:
    """Rules of the package that the target does not enforce: switched off, or unknown to its version.

    None when the org does not tell: then all of them are taken as active.
    """
    rows = probe.rows(
        "validation rules",
        "SELECT ValidationName, Active, NamespacePrefix FROM ValidationRule "
        f"WHERE NamespacePrefix = '{NAMESPACE}'",
        tooling=True,
    )
    if not rows:
        return None
    active = {short_name(str(r.get("ValidationName") or "")) for r in rows if r.get("Active")}
    listed = {short_name(str(r.get("ValidationName") or "")) for r in rows}
    return sorted((listed | ENFORCED_RULES) - active)


def check_validation_rules(inactive: list[str] | None) -> list[Finding]:
    """A note on validation rules of the package that the target does not enforce."""
    off = sorted(set(inactive or []) & ENFORCED_RULES)
    if not off:
        return []
    return [finding("note", "validation_rules_off", count=len(off), examples=off, rules=off)]


def workflow_rules(probe: Probe) -> dict[str, bool | None] | None:
    """The managed workflow rules that stamp and reset values -> whether each is active; None where the org lists none.

    A rule whose state the org does not tell is None, and counts as active. Only Metadata tells whether a rule is
    active, and it can be asked for one rule at a time (Tooling API).
    """
    rows = probe.rows(
        "workflow rules of the package",
        f"SELECT Id, Name FROM WorkflowRule WHERE NamespacePrefix = '{NAMESPACE}'",
        tooling=True,
    )
    if not rows:
        return None
    # Not noted when refused: nothing in the load depends on it.
    quiet = probe.quiet()

    def metadata(asking: Probe) -> list[Any]:
        asked = (
            asking.rows("", f"SELECT Metadata FROM WorkflowRule WHERE Id = '{row['Id']}'", tooling=True)
            for row in rows[:10]
        )
        return [related(found[0], "Metadata") if found else None for found in asked]

    quiet.prefetch(metadata)
    known = zip(rows, metadata(quiet), strict=False)
    return {
        str(row.get("Name")): one.get("active") if isinstance(one, dict) and "active" in one else None
        for row, one in known
    }


def check_workflow_rules(off: list[str], off_in_a_load: bool) -> list[Finding]:
    """On workflow rules of the package that are off in the target: a warning once a load has made use of it."""
    if not off:
        return []
    return [
        finding(
            "warning" if off_in_a_load else "note",
            "workflow_rules_off:in_a_load" if off_in_a_load else "workflow_rules_off",
            count=len(off),
            examples=off,
            rules=off,
            clicks=clicks(off, "Activate"),
        )
    ]


def clicks(rules: list[str], button: str) -> str:
    """Where an admin switches rules on or off; the package's are listed with those of the org."""
    return f"Setup > Process Automation > Workflow Rules > {', '.join(rules)} > {button}"


def short_name(name: str) -> str:
    """A name of the package without its namespace."""
    return name.removeprefix(NAMESPACE + "__")


def version_of(text: str) -> tuple[int, int, int] | None:
    """The version that `version_text` wrote; None for an empty text.

    >>> version_of("3.66.0"), version_of("")
    ((3, 66, 0), None)
    """
    if not text:
        return None
    major, minor, patch = map(int, text.split("."))
    return major, minor, patch


def version_text(version: tuple[int, int, int] | None) -> str:
    """`3.66.0`; empty for an unknown version."""
    return ".".join(map(str, version)) if version else ""
