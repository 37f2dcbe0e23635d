"""The preflight stage: all findings that can be had without data, then the lease on the pair.

Only what makes the rest meaningless ends the run here. Every other blocker is written down and the data
is looked at as well, so that all that stands in the way is known at once; the plan stage then stops.
"""

from __future__ import annotations

import logging
from typing import Any

from coa.errors import ConfigurationError, OrgRefused, RunStopped
from coa.fields.field_map import FieldMapping, lookup_objects
from coa.fields.saved import fitting_or_not
from coa.findings.finding import Finding, finding
from coa.mapping.model import Mapping
from coa.model import COA_OBJECTS, LOADED, ORDER
from coa.preflight import checks
from coa.preflight.automation import check_automation, entries_of
from coa.preflight.capacity import check_capacity, moved_before, volume_of
from coa.preflight.hidden_fields import check_hidden_fields, is_structural
from coa.preflight.jobs import check_submit_jobs
from coa.preflight.mapping_check import check_mapping, check_sections, objects_named
from coa.preflight.masked_fields import check_masked_fields, masked_fields
from coa.preflight.not_migrated import check_elsewhere
from coa.preflight.orgs import describe_objects, identify
from coa.preflight.package import (
    check_validation_rules,
    check_versions,
    check_workflow_rules,
    inactive_validation_rules,
    package_version,
    version_text,
    workflow_rules,
)
from coa.preflight.probe import Probe
from coa.preflight.rights import INACTIVE_OWNERS, check_user, has_permission, permission_sets
from coa.salesforce.describe import Describe
from coa.salesforce.session import Org
from coa.staging.lease import HolderEnded
from coa.staging.runs import SOURCE, TARGET, Run

log = logging.getLogger(__name__)


def run_preflight(
    run: Run,
    source: Org,
    target: Org,
    mapping: Mapping,
    lease_holder_ended: HolderEnded | None = None,
) -> None:
    """Records all findings; raises `RunStopped` (blocked) if one of them is a blocker.

    Raises `AuthenticationFailed`, `OrgUnavailable` when an org cannot be entered at all, `PairBusy`
    when another run works on the same pair.
    """
    identities = _identify_both(run, source, target)
    _stop_on(run, checks.check_same_org(identities[SOURCE], identities[TARGET]))
    _join_pair(run, identities)
    findings = check_sections(mapping, identities[SOURCE]["id"], run.params.source_conn_id)
    mapping = mapping.of_source(identities[SOURCE]["id"], run.params.source_conn_id)
    run.lease.take(lease_holder_ended)
    describes = {
        role: describe_objects(run, org, role, list(COA_OBJECTS))
        for role, org in ((SOURCE, source), (TARGET, target))
    }
    _stop_on(run, checks.check_swapped(describes[SOURCE], describes[TARGET]))
    missing = [f for role in (SOURCE, TARGET) for f in checks.check_objects(role, describes[role])]
    findings += missing + [
        f
        for role, org in ((SOURCE, source), (TARGET, target))
        for f in checks.check_extras(role, org.connection)
    ]
    findings += checks.check_migration_fields(describes[TARGET])
    findings += checks.check_structure_writeable(describes[TARGET])
    findings += checks.check_rights(describes[TARGET], run.params)
    if not missing:
        probes = Probe(source, SOURCE), Probe(target, TARGET)
        findings += _check_both(run, *probes, mapping, describes)
        findings += [f for probe in probes for f in probe.findings()]
    run.findings.replace("preflight", findings)
    if any(_is_fatal(f) for f in findings):
        stop_on_blockers(run)


FATAL = (
    "field_not_writeable",
    "migration_field_type",
    "connection_",
    "coa_missing_",
    "mapping_wrong",
    "orders_where_refused",
    "api_allowance_",
)
"""Blockers after which there is nothing to look at, or nothing to look at it with."""


def _stop_on(run: Run, causes: list[Finding]) -> None:
    """Ends the run by what makes everything else that could be found a mere consequence of it."""
    if causes:
        run.findings.replace("preflight", causes)
        stop_on_blockers(run)


def _is_fatal(finding: Finding) -> bool:
    return finding.severity == "blocker" and (finding.code.startswith(FATAL) or is_structural(finding))


def _check_both(
    run: Run, source: Probe, target: Probe, mapping: Mapping, describes: dict[str, dict[str, Describe]]
) -> list[Finding]:
    """Everything that needs the app in both orgs."""
    carried = fitting_or_not(describes[SOURCE], describes[TARGET], mapping, run.params.created_dates)
    others = sorted(
        (set().union(*(lookup_objects(f) for f in carried.values())) | objects_named(mapping))
        - set(COA_OBJECTS)
    )
    for probe in (source, target):
        describes[probe.role] |= describe_objects(run, probe.org, probe.role, others)
    findings = checks.check_fields(carried, describes[SOURCE], describes[TARGET])
    findings += check_mapping(mapping, describes[SOURCE], describes[TARGET])
    _prefetch(run, source, target, describes)
    refused = _check_filter(run, source)
    findings += refused
    if not refused:
        volume = volume_of(source, target, describes[TARGET], run.params.orders_where)
        findings += [f for probe in (source, target) for f in check_capacity(run, probe, volume)]
    versions = {probe.role: package_version(probe) for probe in (source, target)}
    run.update(source_package=version_text(versions[SOURCE]), target_package=version_text(versions[TARGET]))
    findings += check_versions(versions[SOURCE], versions[TARGET])
    findings += check_hidden_fields(describes, versions, mapping, run.params.hidden_fields)
    inactive = inactive_validation_rules(target)
    if inactive is not None:
        run.learn(TARGET, inactive_validation_rules=inactive)
    findings += check_validation_rules(inactive)
    rules = workflow_rules(target)
    off = sorted(name for name, active in (rules or {}).items() if active is False)
    if rules is not None:
        run.learn(TARGET, workflow_rules=rules, inactive_workflow_rules=off)
    findings += check_workflow_rules(off, _loaded_with_rules_off(run, off))
    automation = check_automation(target)
    run.learn(TARGET, automation=entries_of(automation))
    findings += automation
    findings += check_submit_jobs(target, run.params.accept_submit_jobs)
    findings += check_user(source, str(run.record.source_org.get("user_id", "")))
    user_id = str(run.record.target_org.get("user_id", ""))
    findings += check_user(target, user_id)
    if user_id and has_permission(target, user_id, INACTIVE_OWNERS):
        run.learn(TARGET, keeps_inactive_owners=True)
    findings += check_elsewhere(source, describes[SOURCE])
    # Under what a canary is loaded: another run may rest on it as long as all of this is the same.
    run.learn(TARGET, permission_sets=permission_sets(target, user_id), not_told=sorted(target.refused))
    return findings + _note_masked(run, (source, target), carried)


def _loaded_with_rules_off(run: Run, off: list[str]) -> bool:
    """Whether an earlier run on this pair has written while one of these rules was off."""
    return bool(
        run.db.value(
            """SELECT EXISTS (SELECT FROM coa.run WHERE pair_id = %s AND run_id <> %s AND loaded_at IS NOT NULL
                 AND jsonb_exists_any(target_org -> 'inactive_workflow_rules', %s::text[]))""",
            [run.record.pair_id, run.run_id, off],
        )
    )


def _note_masked(
    run: Run, probes: tuple[Probe, Probe], carried: dict[str, list[FieldMapping]]
) -> list[Finding]:
    """Kept with the run: the rules of the transform block the records by it."""
    masked = {}
    for probe in probes:
        found = masked_fields(probe, str(run.record.org(probe.role).get("user_id", "")), carried)
        if found:
            masked[probe.role] = found
            run.learn(probe.role, masked_fields=found)
    return check_masked_fields(masked, run.params.masked_values)


def _prefetch(run: Run, source: Probe, target: Probe, describes: dict[str, dict[str, Describe]]) -> None:
    """What the checks below will ask, in a few calls instead of one a question."""
    source.prefetch(
        package_version,
        lambda probe: [probe.count("", name) for name in LOADED],
        lambda probe: check_user(probe, str(run.record.source_org.get("user_id", ""))),
        lambda probe: check_elsewhere(probe, describes[SOURCE]),
    )
    target.prefetch(
        package_version,
        inactive_validation_rules,
        workflow_rules,
        check_automation,
        lambda probe: check_submit_jobs(probe, run.params.accept_submit_jobs),
        lambda probe: check_user(probe, str(run.record.target_org.get("user_id", ""))),
        lambda probe: permission_sets(probe, str(run.record.target_org.get("user_id", ""))),
        lambda probe: moved_before(probe, describes[TARGET]),
    )


def _check_filter(run: Run, source: Probe) -> list[Finding]:
    """Whether the source takes `orders_where`, and whether it leaves any order."""
    if not run.params.orders_where:
        return []
    try:
        chosen = source.org.count(ORDER, run.params.orders_where)
    except OrgRefused as refused:
        said = f"{refused.status} {refused.code} {refused.said}".strip()
        return [finding("blocker", "orders_where_refused", sobject=ORDER, said=said)]
    if chosen:
        return []
    return [finding("warning", "orders_where_empty", sobject=ORDER)]


def stop_on_blockers(run: Run) -> None:
    """Raises `RunStopped` (blocked) that names every blocker of the run so far."""
    blockers = run.db.rows(
        "SELECT message, next_step FROM coa.finding WHERE run_id = %s AND severity = 'blocker' ORDER BY code, sobject",
        [run.run_id],
    )
    if blockers:
        # One remedy may serve several blockers: it is told once.
        steps: dict[str, list[str]] = {}
        for n, blocker in enumerate(blockers, 1):
            steps.setdefault(blocker["next_step"], []).append(str(n))
        raise RunStopped(
            " ".join(f"({n}) {b['message']}" for n, b in enumerate(blockers, 1)),
            state="blocked",
            next_step=" ".join(f"({', '.join(numbers)}) {step}" for step, numbers in steps.items()),
        )


def _identify_both(run: Run, source: Org, target: Org) -> dict[str, dict[str, Any]]:
    """Both identities; what stands in the way of either is reported together."""
    identities: dict[str, dict[str, Any]] = {}
    faults: list[Finding] = []
    for role, org in ((SOURCE, source), (TARGET, target)):
        try:
            identities[role] = identify(org)
            faults += checks.check_api_version(role, org.api_version)
        except ConfigurationError as error:
            faults.append(
                finding("blocker", f"connection_{role}", said=error.message, remedy=error.next_step)
            )
    if faults:
        run.findings.replace("preflight", faults)
        stop_on_blockers(run)
    run.update(source_org=identities[SOURCE], target_org=identities[TARGET])
    return identities


def _join_pair(run: Run, identities: dict[str, dict[str, Any]]) -> None:
    pair_id = run.db.value(
        """INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES (%s, %s)
           ON CONFLICT (source_org_id, target_org_id) DO UPDATE SET source_org_id = EXCLUDED.source_org_id
           RETURNING pair_id""",
        [identities[SOURCE]["id"], identities[TARGET]["id"]],
    )
    run.update(pair_id=pair_id)
