"""The preflight stage: all findings that can be had without data, then the lease on the pair."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from coa.errors import ConfigurationError, OrgRefused, RunStopped
from coa.fieldmap import CarriedField, carried_fields, lookup_objects
from coa.mapping import Mapping
from coa.model import COA_OBJECTS, DETAIL, LOADED, ORDER
from coa.preflight import checks
from coa.preflight.orgs import describe_objects, identify, saved_describes
from coa.salesforce.describe import Describe
from coa.salesforce.session import Org
from coa.staging.runs import SOURCE, TARGET, Finding, Run

log = logging.getLogger(__name__)


def run_preflight(
    run: Run,
    source: Org,
    target: Org,
    mapping: Mapping,
    holder_is_over: Callable[[dict[str, Any]], bool] | None = None,
) -> None:
    """Records all findings; raises `RunStopped` (blocked) if one of them is a blocker.

    Raises `AuthenticationFailed`, `OrgUnavailable` when an org cannot be entered at all, `PairBusy`
    when another run works on the same pair.
    """
    identities = _identify_both(run, source, target)
    findings = checks.check_same_org(identities[SOURCE], identities[TARGET])
    if not findings:
        _join_pair(run, identities)
        run.take_lease(holder_is_over)
    describes = {
        role: describe_objects(run, org, role, list(COA_OBJECTS))
        for role, org in ((SOURCE, source), (TARGET, target))
    }
    missing = [f for role in (SOURCE, TARGET) for f in checks.check_objects(role, describes[role])]
    findings += missing
    findings += checks.check_migration_fields(describes[TARGET])
    findings += checks.check_rights(describes[TARGET], run.params)
    if not missing:
        carried = carried_by_object(describes[SOURCE], describes[TARGET], mapping, run.params.created_dates)
        findings += checks.check_fields(carried, describes[SOURCE], describes[TARGET])
        others = sorted(set().union(*(lookup_objects(f) for f in carried.values())) - set(COA_OBJECTS))
        for role, org in ((SOURCE, source), (TARGET, target)):
            describe_objects(run, org, role, others)
        findings += _check_allowances(run, source, target)
    run.set_findings("preflight", findings)
    stop_on_blockers(run)


def stop_on_blockers(run: Run) -> None:
    """Raises `RunStopped` (blocked) that names every blocker of the run so far."""
    blockers = run.db.rows(
        "SELECT message, next_step FROM coa.finding WHERE run_id = %s AND grade = 'blocker' ORDER BY code, sobject",
        [run.run_id],
    )
    if blockers:
        raise RunStopped(
            " ".join(f"({n}) {b['message']}" for n, b in enumerate(blockers, 1)),
            state="blocked",
            next_step=" ".join(f"({n}) {b['next_step']}" for n, b in enumerate(blockers, 1)),
        )


def carried_by_object(
    source: dict[str, Describe], target: dict[str, Describe], mapping: Mapping, created_dates: str
) -> dict[str, list[CarriedField]]:
    return {
        sobject: carried_fields(sobject, source[sobject], target[sobject], mapping, created_dates)
        for sobject in LOADED
    }


def saved_carried(run: Run, mapping: Mapping) -> dict[str, list[CarriedField]]:
    """The field map of the run, from the describes that preflight kept."""
    return carried_by_object(
        saved_describes(run, SOURCE), saved_describes(run, TARGET), mapping, run.params.created_dates
    )


def _identify_both(run: Run, source: Org, target: Org) -> dict[str, dict[str, Any]]:
    """Both identities; what stands in the way of either is reported together."""
    identities: dict[str, dict[str, Any]] = {}
    faults: list[Finding] = []
    for role, org in ((SOURCE, source), (TARGET, target)):
        try:
            identities[role] = identify(org)
        except ConfigurationError as error:
            faults.append(Finding("blocker", f"connection_{role}", error.message, error.next_step))
    if faults:
        run.set_findings("preflight", faults)
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


def expected_calls(orders: int, details: int, chunk_size: int, rows_per_job: int) -> int:
    """API calls on the target that a migration of so many records needs, without faults.

    A chunk costs three jobs (orders, details, statuses) and two re-reads with up to three correcting
    jobs; a job about eight calls, a query about five; forty more for describes, extracts and proof.
    """
    chunks = max(1, math.ceil(orders / chunk_size))
    detail_jobs = max(chunks, math.ceil(details / rows_per_job))
    return 100 + chunks * (5 * 8 + 2 * 5) + detail_jobs * 8


def _check_allowances(run: Run, source: Org, target: Org) -> list[Finding]:
    orders, details = source.count(ORDER), source.count(DETAIL)
    needed = {
        SOURCE: 100,
        TARGET: expected_calls(orders, details, run.params.chunk_size, run.settings.rows_per_job),
    }
    findings = []
    for role, org in ((SOURCE, source), (TARGET, target)):
        try:
            limits = org.data_json("/limits", kind="limits")
        except OrgRefused as refused:
            log.info("limits of %s cannot be read: %s", org.name, refused.message)
            continue
        daily = limits.get("DailyApiRequests") or {}
        run.event("api_allowance", org=role, remaining=daily.get("Remaining"), allowed=daily.get("Max"))
        findings += checks.check_allowance(role, limits, needed[role], run.settings.api_reserve)
    return findings
