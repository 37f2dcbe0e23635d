"""Brings the fields and the permission set into the target, and gives it to the user who will write."""

from __future__ import annotations

from pathlib import Path

from coa.errors import ConfigurationError, OrgRefused
from coa.model import LOADED, MIGRATION_FIELDS
from coa.salesforce.metadata import Deployed, deploy
from coa.salesforce.session import Org
from coa.staging.database import Database
from coa.target_fields.package import PERMISSION_SET, setup_archive
from coa.target_fields.state import State, look
from coa.wording import counted

WRONG_TYPE = "migration_field_type"


def steps(state: State) -> list[str]:
    """What there is to do, a sentence each; empty when nothing is. Raises `ConfigurationError` for what no deployment
    puts right."""
    wrong = [one for one in state.findings if one.code == WRONG_TYPE]
    if wrong:
        raise ConfigurationError(
            " ".join(one.message for one in wrong) + " A deployment cannot change a field's type.",
            next_step="delete or rename these fields in Setup > Object Manager, then run the command again.",
        )
    todo = []
    for sobject in LOADED:
        unusable = [
            name
            for name in MIGRATION_FIELDS
            if name not in state.describes[sobject].fields
            or not state.describes[sobject].fields[name].createable
        ]
        not_unique = any(
            f.sobject == sobject and f.code == "migration_key_not_unique" for f in state.findings
        )
        if unusable:
            todo.append(
                f"deploy {', '.join(unusable)} of {sobject}: not there, or not writeable for the user."
            )
        elif not_unique:
            todo.append(f"deploy the key of {sobject} anew: it has to be a unique external id.")
    if not state.permission_set:
        todo.append(
            f"deploy the permission set {PERMISSION_SET}, which grants these fields and nothing else."
        )
    if not state.assigned:
        todo.append(f"assign the permission set {PERMISSION_SET} to the user {state.user_id}.")
    return todo


def require_no_source(db: Database, target_id: str, sources: list[str]) -> None:
    """Raises `ConfigurationError` when the org is one that orders are moved from.

    `sources`: ids of the orgs behind the configured source connections. Staging knows those of earlier runs.
    """
    known = db.rows(
        # An org that a contract or a set-up had for itself is a pair with itself: that says nothing.
        """SELECT 1 FROM coa.org_pair WHERE source_org_id = %(org)s AND target_org_id <> source_org_id
           AND NOT EXISTS (SELECT FROM coa.org_pair
                           WHERE target_org_id = %(org)s AND source_org_id <> target_org_id)""",
        {"org": target_id},
    )
    if target_id in sources or known:
        raise ConfigurationError(
            f"The target connection leads to {target_id}, an org that orders are moved from: "
            "nothing is deployed there.",
            next_step="point the target's connection at the org that the orders shall move to.",
        )


def set_up(org: Org, state: State, folder: Path) -> Deployed | None:
    """Deploys what is missing, assigns, and looks again. None when only the assignment was missing.

    Raises `ConfigurationError` with each component that failed, or with what is still not usable afterwards. The org is
    bound to the one that was looked at.
    """
    org.bind(state.org_id, "this set-up")
    deployed = None
    if state.findings or not state.permission_set:
        deployed = deploy(org, setup_archive(folder))
        state = look(org)
    if not state.assigned:
        _assign(org, state)
    left = steps(look(org))
    if left:
        raise ConfigurationError(
            f"The deployment ended well, and still there is to do: {' '.join(left)}",
            next_step="look at the fields in Setup > Object Manager and at the user's permission sets; a profile or a "
            "restriction rule may stand in the way.",
        )
    return deployed


def _assign(org: Org, state: State) -> None:
    body = {"AssigneeId": state.user_id, "PermissionSetId": state.permission_set}
    try:
        org.send_json("POST", "/sobjects/PermissionSetAssignment", body, kind="rest_write", safe=True)
    except OrgRefused as refused:
        # An earlier call whose answer was lost has done it.
        if refused.code != "DUPLICATE_VALUE":
            refused.next_step = (
                f"have an administrator assign the permission set {PERMISSION_SET} to the user {state.user_id}; the "
                "fields are deployed."
            )
            raise


def told(deployed: Deployed) -> str:
    """One line on what a deployment did."""
    made = sum(one.created for one in deployed.components)
    changed = sum(one.changed and not one.created for one in deployed.components)
    warned = "".join(f" The org warns: {one.kind} {one.name}: {one.problem}." for one in deployed.warnings)
    return f"Deployment {deployed.id}: {counted(made, 'component')} made, {changed} changed.{warned}"
