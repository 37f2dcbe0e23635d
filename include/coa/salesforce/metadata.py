"""Deployments of the Metadata API over REST: send a ZIP, wait for its end, tell what became of each component.

Source: Metadata API Developer Guide, "Deploy Metadata with Apex Testing Using REST" and "Check the Status of Your
Deployment Using REST Resources"; what of it is inferred is marked in docs/setup-target.md.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from coa.errors import ConfigurationError, OrgRefused, OrgUnavailable
from coa.salesforce.session import Org

DEPLOY_REQUEST = "/metadata/deployRequest"
MOST_SECONDS = 900.0
"""So long we wait for a deployment; it goes on in the org without us (an org works on one at a time)."""
FIRST_LOOK, LONGEST_GAP = 0.5, 10.0
OPTIONS = {
    "singlePackage": True,
    # All or nothing; production orgs allow nothing else (the guide, "deployOptions").
    "rollbackOnError": True,
    # Of a deletion of what is not there: it is told, and stops nothing.
    "ignoreWarnings": True,
}


@dataclass(frozen=True)
class Component:
    """What the org said of one component (`DeployMessage`); `problem` is empty where all went well."""

    kind: str
    name: str
    created: bool = False
    changed: bool = False
    deleted: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Deployed:
    """A deployment that succeeded: what it did, and what the org warned of."""

    id: str
    components: list[Component] = field(default_factory=list)

    @property
    def warnings(self) -> list[Component]:
        """Components that were deployed, and about which the org warned."""
        return [one for one in self.components if one.problem]


def deploy(org: Org, archive: bytes, *, most_seconds: float = MOST_SECONDS) -> Deployed:
    """Deploys a ZIP with its `package.xml` at the root, all or nothing, and waits for the end.

    Raises `ConfigurationError` that names each component which failed and why, `OrgRefused` when the user may not
    deploy, `OrgUnavailable` when it has not ended in time: then it goes on in the org.
    """
    deploy_id = _send(org, archive)
    return _outcome(org, deploy_id, _wait(org, deploy_id, most_seconds))


def _send(org: Org, archive: bytes) -> str:
    boundary = uuid4().hex
    try:
        response = org.request(
            "POST",
            org.data_path + DEPLOY_REQUEST,
            kind="metadata",
            data=form_body(boundary, archive),
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
            # The same package a second time finds all of it there.
            safe=True,
        )
    except OrgRefused as refused:
        if refused.status in (401, 403) or refused.code.startswith("INSUFFICIENT_ACCESS"):
            refused.next_step = (
                f"give the user behind {org.name} the permission 'Modify Metadata Through Metadata API Functions' "
                "(or Modify All Data), or deploy include/salesforce_metadata by hand: docs/setup-target.md."
            )
        raise
    return str(response.json()["id"])


def form_body(boundary: str, archive: bytes) -> bytes:
    """The form of the request: the part `json` with the options, the part `file` with the ZIP."""
    options = json.dumps({"deployOptions": OPTIONS}).encode()
    mark = b"--" + boundary.encode()
    return b"\r\n".join(
        [
            mark,
            b'Content-Disposition: form-data; name="json"',
            b"Content-Type: application/json",
            b"",
            options,
            mark,
            b'Content-Disposition: form-data; name="file"; filename="deploy.zip"',
            b"Content-Type: application/zip",
            b"",
            archive,
            mark + b"--",
            b"",
        ]
    )


def _wait(org: Org, deploy_id: str, most_seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + most_seconds
    gap = FIRST_LOOK
    while True:
        answer = org.data_json(
            f"{DEPLOY_REQUEST}/{deploy_id}", kind="metadata", params={"includeDetails": "true"}
        )
        result: dict[str, Any] = answer["deployResult"]
        if is_true(result.get("done")):
            return result
        if time.monotonic() + gap > deadline:
            raise OrgUnavailable(
                f"{org.name}: the deployment {deploy_id} has not ended within {most_seconds:g} seconds; the org says "
                f"{result.get('status')}.",
                next_step="look at Setup > Deployment Status in the org, then run the same command again: it goes on "
                "from what is there.",
            )
        time.sleep(gap)
        gap = min(gap * 1.5, LONGEST_GAP)


def _outcome(org: Org, deploy_id: str, result: dict[str, Any]) -> Deployed:
    details = result.get("details") or {}
    failed = [component(one) for one in as_list(details.get("componentFailures"))]
    # SucceededPartial is success: true; with rollbackOnError it should not be, and it is none to us.
    if not is_true(result.get("success")) or result.get("status") != "Succeeded" or failed:
        said = [f"{one.kind} {one.name}: {one.problem}".strip() for one in failed]
        said = said or [str(result.get("errorMessage") or f"it ended as {result.get('status')}")]
        raise ConfigurationError(
            f"{org.name}: the deployment {deploy_id} failed and nothing of it was applied. " + " ".join(said),
            next_step="put right what the org names (Setup > Deployment Status has the same list), then run the "
            "command again.",
        )
    return Deployed(deploy_id, [component(one) for one in as_list(details.get("componentSuccesses"))])


def component(told: dict[str, Any]) -> Component:
    """A `DeployMessage`."""
    return Component(
        str(told.get("componentType") or ""),
        str(told.get("fullName") or ""),
        is_true(told.get("created")),
        is_true(told.get("changed")),
        is_true(told.get("deleted")),
        str(told.get("problem") or ""),
    )


def is_true(value: Any) -> bool:
    """The guide's sample prints booleans as texts, orgs print them as booleans.

    >>> is_true("true"), is_true(True), is_true("false"), is_true(None)
    (True, True, False, False)
    """
    return value is True or value == "true"


def as_list(value: Any) -> list[dict[str, Any]]:
    """A list of one may come without its brackets (forcedotcom/cli#1274).

    >>> as_list({"fullName": "a"}), as_list([]), as_list(None)
    ([{'fullName': 'a'}], [], [])
    """
    if isinstance(value, dict):
        return [value]
    return list(value or [])
