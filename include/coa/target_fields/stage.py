"""`coa_setup_target` in steps: begin (may it be done here?), plan (what is to be deployed, its hash), deploy (under the
approval). It does what `make setup-target` does; nothing is deployed where nothing is missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from coa.decide import Facts
from coa.findings.finding import Finding, finding
from coa.model import COA_OBJECTS
from coa.preflight.check import stop_on_blockers
from coa.preflight.orgs import describe_objects, take_org
from coa.preflight.probe import Probe
from coa.preflight.rights import has_permission
from coa.salesforce.session import Org
from coa.staging.lease import HolderEnded
from coa.staging.runs import TARGET, Run
from coa.states import RunState
from coa.target_fields.package import PERMISSION_SET
from coa.target_fields.setup import WRONG_TYPE, require_no_source, set_up, steps, told
from coa.target_fields.state import State, look
from coa.wording import escape_markdown

TO_DO = "setup_steps"
"""Event of a run: what is to be done; data: steps, not_compared."""
DONE = "target_set_up"
"""Event of a run: all is in place; data: said."""
DEPLOYS, CHANGES_ALL, ASSIGNS = "ModifyMetadata", "ModifyAllData", "AssignPermissionSets"


def begin(
    run: Run,
    target: Org,
    sources: Sequence[str],
    not_compared: str,
    lease_holder_ended: HolderEnded | None = None,
) -> None:
    """Looks at the target, and takes it for this run. `sources`: ids of the orgs that orders are moved from, as far as
    connections lead there; `not_compared`: why there is none.

    Raises `ConfigurationError` for an org without the app or that orders are moved from, `RunStopped` (blocked) where
    the user may not deploy, `PairBusy` while another run works on the org.
    """
    state = look(target)
    require_no_source(run.db, state.org_id, list(sources))
    take_org(run, state.identity, lease_holder_ended)
    describe_objects(run, target, TARGET, list(COA_OBJECTS))
    findings = [one for one in state.findings if one.code == WRONG_TYPE]
    todo = [] if findings else steps(state)
    if todo:
        findings += _rights(Probe(target, TARGET), state)
    run.findings.replace("preflight", findings)
    stop_on_blockers(run)
    run.events.add(TO_DO, steps=todo, not_compared=not_compared)


def _rights(probe: Probe, state: State) -> list[Finding]:
    """What an org does not tell of its user is no finding: the deployment would say so."""

    def lacks(*permissions: str) -> bool:
        return all(has_permission(probe, state.user_id, one) is False for one in permissions)

    found = []
    if (state.findings or not state.permission_set) and lacks(DEPLOYS, CHANGES_ALL):
        found.append(finding("blocker", "no_right_to_deploy"))
    if not state.assigned and lacks(ASSIGNS):
        found.append(finding("blocker", "no_right_to_assign", permission_set=PERMISSION_SET))
    return found


# ---- plan ----------------------------------------------------------------------------------------
def todo_of(run: Run) -> list[str]:
    """The steps as `begin` found them; empty when there is nothing to do."""
    return list(_event(run, TO_DO).get("steps") or [])


def plan_hash(run: Run, todo: Sequence[str]) -> str:
    """SHA-256 over the org and what is to be done in it."""
    return sha256(json.dumps([run.record.target_org["id"], list(todo)]).encode()).hexdigest()


def plan_document(run: Run) -> dict[str, Any]:
    """What `plan.json` of a set-up holds."""
    return {
        "run_id": run.run_id,
        "plan_hash": run.record.plan_hash,
        "org": run.record.target_org,
        "params": run.record.params,
        "steps": todo_of(run),
    }


def plan_markdown(run: Run) -> str:
    """The page of whoever approves."""
    org = run.record.target_org
    kind = "sandbox" if org["is_sandbox"] else "**no sandbox**"
    lines = [
        f"Set up **{escape_markdown(org['name'])}** (`{org['id']}`, {kind}) as the target of migrations.",
        "",
    ]
    todo = todo_of(run)
    lines += [f"- {escape_markdown(one)}" for one in todo] or [
        "Nothing to do: fields and permission set are there, and the user has it."
    ]
    why = _event(run, TO_DO).get("not_compared")
    if why:
        lines += ["", f"Not compared with a source: {escape_markdown(why)}"]
    lines += ["", f"Plan hash `{run.record.plan_hash}`. No record is touched."]
    return "\n".join(lines)


# ---- deploy --------------------------------------------------------------------------------------
def current_hash(run: Run, target: Org) -> str:
    """The plan's hash as the org is now: somebody may have deployed since."""
    return plan_hash(run, steps(look(target)))


def carry_out(run: Run, target: Org, folder: Path) -> str:
    """Deploys and assigns what is missing (`folder`: the metadata); what was done, in a sentence.

    To be called under the approval. Raises what `set_up` does.
    """
    state = look(target)
    if not steps(state):
        said = "Nothing to do."
    else:
        deployed = set_up(target, state, folder)
        said = told(deployed) if deployed else "Assigned."
    run.events.add(DONE, said=said)
    return said


# ---- its end -------------------------------------------------------------------------------------
def facts_of_setup(run: Run, *, crashed: bool, stopped_as: str | None) -> Facts:
    """What is known of a set-up that is over: it is proved when fields and rights were looked at again."""
    return Facts(
        crashed=crashed,
        stopped_as=RunState(stopped_as) if stopped_as else None,
        proved=bool(_event(run, DONE)),
    )


def summarize_setup(run: Run, state: str) -> dict[str, Any]:
    """`summary.json` of a set-up: what was to be done and what was."""
    return {
        "run_id": run.run_id,
        "mode": run.record.mode,
        "state": state,
        "plan_hash": run.record.plan_hash,
        "objects": {},
        "steps": todo_of(run),
        "done": _event(run, DONE).get("said", ""),
        "message": run.record.message,
    }


def _event(run: Run, name: str) -> dict[str, Any]:
    found = run.db.value(
        "SELECT data FROM coa.event WHERE run_id = %s AND event = %s ORDER BY event_id DESC LIMIT 1",
        [run.run_id, name],
    )
    return dict(found or {})
