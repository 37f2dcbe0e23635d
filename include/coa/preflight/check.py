"""The preflight stage: all findings that need no data, and the lease on the pair.

Only blockers that make everything else meaningless end the run here. Every other blocker is recorded and the
data is examined as well, so that all obstacles are known at once; the plan stage then stops.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from coa.errors import RunStopped
from coa.fields.field_map import lookup_objects
from coa.fields.saved import fitting_or_not
from coa.findings.finding import Finding
from coa.mapping.model import Mapping
from coa.model import COA_OBJECTS
from coa.policies import Policies
from coa.preflight.look import Look
from coa.preflight.mapping_check import objects_named
from coa.preflight.orgs import describe_objects
from coa.preflight.probe import Probe
from coa.preflight.register import CHECKS, Need, Scope, reaches
from coa.salesforce.session import Org
from coa.staging.lease import HolderEnded
from coa.staging.runs import SOURCE, TARGET, Run


def run_preflight(
    run: Run,
    source: Org,
    target: Org,
    mapping: Mapping,
    lease_holder_ended: HolderEnded | None = None,
) -> None:
    """Makes every check of `coa.preflight.register` whose need can be met, and records what they find.

    Raises `RunStopped` (blocked) if a blocker leaves nothing to look at, `AuthenticationFailed`, `OrgUnavailable` when
    an org cannot be entered at all, `PairBusy` when another run works on the same pair.
    """
    look = Look(run.params, run=run, orgs={SOURCE: source, TARGET: target}, whole_mapping=mapping)
    findings: list[Finding] = []
    scopes: set[Scope | None] = set()
    for check in CHECKS:
        if Scope.ALONE in scopes or not _obtain(look, check.needs, lease_holder_ended):
            continue
        found = check.find(look)
        findings += found
        scopes |= {reaches(check, one) for one in found}
    run.findings.replace("preflight", findings)
    if scopes & {Scope.ALONE, Scope.ORGS}:
        stop_on_blockers(run)


def _obtain(look: Look, need: Need, lease_holder_ended: HolderEnded | None) -> bool:
    """Gets what a check needs, once; false where it cannot be had."""
    if need in (Need.DESCRIBES, Need.APP, Need.FILTER) and not look.describes:
        _join_pair(look.run, look.identities, masked=look.whole_mapping.masking is not None)
        look.run.lease.take(lease_holder_ended)
        look.describes = {
            role: describe_objects(look.run, org, role, list(COA_OBJECTS)) for role, org in look.orgs.items()
        }
    if need in (Need.APP, Need.FILTER):
        if any(name not in found for found in look.describes.values() for name in COA_OBJECTS):
            return False
        if not look.probes:
            _prefetch(look)
    return not (need is Need.FILTER and look.filter_refused)


def _prefetch(look: Look) -> None:
    """Describes of all other objects concerned, and what the checks will ask,
    in a few calls instead of one a question."""
    look.carried = fitting_or_not(
        look.describes[SOURCE], look.describes[TARGET], look.mapping, look.params.created_dates
    )
    pointed_at = set().union(*(lookup_objects(fields) for fields in look.carried.values()))
    hanging = {kind.sobject for kind in Policies(look.params).hanging}
    others = sorted((pointed_at | objects_named(look.mapping) | hanging) - set(COA_OBJECTS))
    look.probes = {role: Probe(org, role) for role, org in look.orgs.items()}
    for role, probe in look.probes.items():
        look.describes[role] |= describe_objects(look.run, probe.org, role, others)
    for role, probe in look.probes.items():
        probe.prefetch(
            *(partial(check.asks[role], look) for check in CHECKS if check.asks and role in check.asks)
        )


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


def _join_pair(run: Run, identities: dict[str, dict[str, Any]], *, masked: bool) -> None:
    """`masked`: the run is a rehearsal with masked values, which has a pair and so a ledger of its own."""
    run.update(source_org=identities[SOURCE], target_org=identities[TARGET])
    pair_id = run.db.value(
        """INSERT INTO coa.org_pair (source_org_id, target_org_id, masked) VALUES (%s, %s, %s)
           ON CONFLICT (source_org_id, target_org_id, masked) DO UPDATE SET source_org_id = EXCLUDED.source_org_id
           RETURNING pair_id""",
        [identities[SOURCE]["id"], identities[TARGET]["id"], masked],
    )
    run.update(pair_id=pair_id)
