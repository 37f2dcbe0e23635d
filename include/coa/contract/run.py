"""`coa_contract` in steps: begin (refusals, leftovers), plan (what will be made, its hash), ask (under the approval).

Each step may be begun again after a kill. What a killed step has left in the org is deleted before anything else.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from coa.approval import record as approval
from coa.codes import RunMode
from coa.contract.ask import Asked, ask_all, askable, count_beforehand
from coa.contract.cassette import make_cassette
from coa.contract.catalogue import FACTS
from coa.contract.cleanup import Removed, clean
from coa.contract.fact import AnswerState
from coa.contract.guard import check_production, check_strange_marks, ways_to_submit
from coa.contract.ledger import MemoryLedger, close_keys, open_key, open_keys
from coa.contract.marks import new_key
from coa.contract.probe_org import ProbeOrg
from coa.contract.probes import Access
from coa.contract.report import differing
from coa.findings.finding import Finding, finding
from coa.model import COA_OBJECTS, NS
from coa.preflight.check import stop_on_blockers
from coa.preflight.checks import check_objects
from coa.preflight.orgs import describe_objects, identify, take_org
from coa.preflight.probe import Probe
from coa.salesforce.session import Org
from coa.staging.database import json_value
from coa.staging.lease import HolderEnded
from coa.staging.runs import TARGET, Run

log = logging.getLogger(__name__)

"""The mode of such a run."""
HAZARDS = frozenset(
    {"submit_jobs", "submit_jobs_not_checked", "submit_triggers", "submit_flows", "connection_live"}
)
"""Codes of findings that keep status probes back until they are confirmed as well."""
CONFIRM_STATUS = "confirm_status_probes"
CONFIRM_HAZARDS = "confirm_submit_risk"
"""Fields of the approval form."""


def begin(run: Run, org: Org, lease_holder_ended: HolderEnded | None = None) -> None:
    """Is this an org that may be asked? Takes it for this run, and deletes what a killed run left in it.

    Raises `RunStopped` (blocked) for a production org that is not allowed, or an org without the app, `PairBusy` when
    another run works on the org.
    """
    run.update(mode=RunMode.CONTRACT)
    identity = identify(org)
    take_org(run, identity, lease_holder_ended)
    if run.params.role == TARGET:
        # Before anything may end the run: what is left is ours, whatever this run may do.
        take_leftovers_away(run, org)
    findings = check_production(identity, allowed=run.params.allow_production)
    described = describe_objects(run, org, run.params.role, list(COA_OBJECTS))
    findings += check_objects(run.params.role, described)
    run.findings.replace("preflight", findings)
    stop_on_blockers(run)
    findings += check_strange_marks(org)
    probe = Probe(org, run.params.role)
    findings += ways_to_submit(probe)
    findings += probe.findings()
    run.findings.replace("preflight", findings)


def take_leftovers_away(run: Run, org: Org) -> None:
    """Deletes what runs that were killed have left in this org. Raises `ConfigurationError` when the org keeps some."""
    written = open_keys(run.db, org.organization_id())
    if not written:
        return
    removed = clean(org, written)
    close_keys(run.db, [one.key for one in written])
    run.events.add("contract_leftovers", deleted=removed.deleted, in_recycle_bin=removed.in_recycle_bin)


# ---- plan ----------------------------------------------------------------------------------------
def planned_access(run: Run) -> Access:
    """What the run would do if all that it asks for is confirmed."""
    if run.params.role != TARGET:
        return Access.READ
    return Access.STATUS if run.params.status_probes else Access.WRITE


def hazards(run: Run) -> list[str]:
    """Codes of findings by which a released order could be sent."""
    rows = run.db.rows(
        "SELECT DISTINCT code FROM coa.finding WHERE run_id = %s AND code = ANY (%s) ORDER BY code",
        [run.run_id, sorted(HAZARDS)],
    )
    return [str(row["code"]) for row in rows]


def plan_hash(run: Run) -> str:
    """SHA-256 over the org, the questions, the records that they make, and what speaks against it."""
    access = planned_access(run)
    said = [
        run.record.target_org["id"],
        run.params.role,
        access.name,
        [fact.id for fact in FACTS if askable(fact, access)],
        count_beforehand(access),
        hazards(run),
    ]
    return sha256(json.dumps(said).encode()).hexdigest()


def plan_document(run: Run) -> dict[str, Any]:
    """What `plan.json` of a contract holds."""
    access = planned_access(run)
    return {
        "run_id": run.run_id,
        "plan_hash": run.record.plan_hash,
        "org": run.record.target_org,
        "params": run.record.params,
        "questions": [fact.id for fact in FACTS if askable(fact, access)],
        "records_at_most": count_beforehand(access),
        "makes_orders_other_than_draft": access == Access.STATUS,
        "against_it": hazards(run),
    }


def plan_markdown(run: Run) -> str:
    """The page of whoever approves: what is made, what is never done, what speaks against it."""
    access = planned_access(run)
    asked = sum(askable(fact, access) for fact in FACTS)
    org = run.record.target_org
    lines = [
        f"Ask **{org['name']}** (`{org['id']}`, {'sandbox' if org['is_sandbox'] else '**no sandbox**'}) "
        f"{asked} questions. Records are made for it, marked, and deleted at the end; a query proves it.",
        "",
        "| sObject | records at most |",
        "|---|---:|",
        *(
            f"| {name.removeprefix(NS).removesuffix('__c').replace('_', ' ')} | {number} |"
            for name, number in count_beforehand(access).items()
        ),
        "",
        "No record that is there is changed. `Send_Order__c` is never set, no order is submitted.",
    ]
    if access == Access.STATUS:
        lines += [
            "",
            f"**Some orders are made Received, Activated and Provisioned** (`status_probes`): tick `{CONFIRM_STATUS}` "
            "to allow it; each is deleted as soon as it was looked at.",
        ]
    found = hazards(run)
    if found:
        lines += [
            "",
            f"An order could be sent in this org ({', '.join(f'`{one}`' for one in found)}): see the findings.",
        ]
        if access == Access.STATUS:
            lines += [f"Orders are made other than Draft only if `{CONFIRM_HAZARDS}` is ticked as well."]
    return "\n".join([*lines, "", f"Plan hash `{run.record.plan_hash}`."])


# ---- ask -----------------------------------------------------------------------------------------
def allowed_access(run: Run) -> Access:
    """What was approved. Raises `RunStopped` (not_approved) for a run that writes and has no approval of this plan.

    Orders other than Draft need their own yes: of the approver in the form, or of whoever waived the approval of a run
    with `status_probes`; and one more where an order could be sent.
    """
    planned = planned_access(run)
    if planned == Access.READ:
        return planned
    approval.require(run, plan_hash(run))
    if planned != Access.STATUS:
        return planned
    answer = approval.last_answer(run) or {}
    form = answer.get("form") or {}
    waived = answer.get("kind") == "waiver"
    confirmed = waived or bool(form.get(CONFIRM_STATUS))
    safe = not hazards(run) or run.params.accept_submit_jobs or bool(form.get(CONFIRM_HAZARDS))
    return Access.STATUS if confirmed and safe else Access.WRITE


def ask(run: Run, org: Org) -> dict[str, int]:
    """Asks all questions, takes every record away again and proves it; counts of answers by state.

    Raises `RunStopped` (not_approved) without approval, `ConfigurationError` when a record could not be deleted.
    """
    access = allowed_access(run)
    if access == Access.READ:
        probes = ProbeOrg(org, MemoryLedger(new_key()))
        return _keep(run, probes, ask_all(probes, access), Removed())
    run.lease.require()
    take_leftovers_away(run, org)
    if run.record.loaded_at is None:
        run.update(loaded_at=datetime.now(UTC))
    probes = ProbeOrg(
        org,
        open_key(run.db, org.organization_id(), run.run_id, new_key()),
        status_allowed=access == Access.STATUS,
    )
    try:
        asked = ask_all(probes, access, on_answer=lambda _one: run.lease.renew())
    except Exception:
        # The key stays open: a write without an answer may still take effect, and the next call looks again.
        clean(org, open_keys(run.db, org.organization_id()))
        raise
    written = open_keys(run.db, org.organization_id())
    removed = clean(org, written)
    close_keys(run.db, [one.key for one in written])
    return _keep(run, probes, asked, removed)


def _keep(run: Run, probes: ProbeOrg, asked: list[Asked], removed: Removed) -> dict[str, int]:
    """Writes the cassette down; nothing of a live record is in it."""
    cassette = make_cassette(
        probes, asked, role=run.params.role, is_sandbox=bool(run.record.target_org["is_sandbox"])
    )
    made = {name: len(ids) for name, ids in probes.made.items()}
    # Probes delete some themselves.
    deleted = max(removed.deleted, sum(made.values()) - removed.left)
    run.db.execute(
        """INSERT INTO coa.contract_cassette (run_id, org_id, role, cassette, made, deleted, in_recycle_bin, remaining)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (run_id) DO UPDATE SET cassette = EXCLUDED.cassette, made = EXCLUDED.made,
             deleted = EXCLUDED.deleted, in_recycle_bin = EXCLUDED.in_recycle_bin, remaining = EXCLUDED.remaining,
             made_at = clock_timestamp()""",
        [
            run.run_id,
            run.org_id(TARGET),
            run.params.role,
            json_value(cassette),
            json_value(made),
            deleted,
            removed.in_recycle_bin,
            removed.left,
        ],
    )
    counts = {state.value: 0 for state in AnswerState}
    for one in asked:
        counts[one.answer.state.value] += 1
    run.findings.replace("load_contract", list(_differing(asked)))
    run.events.add("contract_answered", answers=counts)
    return counts


def _differing(asked: list[Asked]) -> list[Finding]:
    """A finding for each fact that this org does not bear out: a warning where the product has to be told."""
    return [
        finding(
            "note" if fact.harmless(one.answer) else "warning",
            "fact",
            code="fact_" + fact.id.replace(".", "_").replace("-", "_"),
            sentence=fact.sentence,
            answer=one.answer,
            expected=fact.expected,
            rests=fact.rests,
            change=fact.change,
        )
        for fact, one in differing({one.fact.id: one.answer for one in asked})
    ]
