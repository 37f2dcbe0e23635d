"""`/metadata/deployRequest`: deployments of the Metadata API over REST (docs/setup-target.md has the sources)."""

from __future__ import annotations

import json
from typing import Any

from orgsim.bulk.jobs import timestamp
from orgsim.errors import ApiError, not_found
from orgsim.ids import IdSpace
from orgsim.metadata import Deployment, deploy
from orgsim.org import Org
from orgsim.rest.http import Request, Response, Router, json_response
from orgsim.rest.multipart import parts_of


def register(router: Router) -> None:
    router.data("POST", "/metadata/deployRequest", create)
    router.data("GET", "/metadata/deployRequest/{deploy_id}", status)
    router.data("PATCH", "/metadata/deployRequest/{deploy_id}", cancel)


def create(request: Request) -> Response:
    """The parts `json` (deployOptions) and `file` (the ZIP) of a form."""
    org = request.org
    if not org.settings.metadata_api:
        raise ApiError(
            "INSUFFICIENT_ACCESS",
            "To deploy, you need the Modify Metadata Through Metadata API Functions or Modify All Data permission",
            403,
        )
    kind = request.headers.get("content-type", "")
    parts = {name: data for name, _, data in parts_of(request.body, kind)}
    if "json" not in parts or "file" not in parts:
        raise ApiError("INVALID_MULTIPART_REQUEST", "the parts json and file are expected")
    try:
        options = json.loads(parts["json"])["deployOptions"]
    except (ValueError, KeyError, TypeError):
        raise ApiError("JSON_PARSER_ERROR", "deployOptions are expected in the part json") from None
    deployment = Deployment(
        IdSpace("0Af", org.pod).make(len(org.deployments) + 1), options, request.user_id, org.clock.time()
    )
    deploy(org, parts["file"], deployment)
    org.deployments[deployment.id] = deployment
    return json_response(_answer(request, deployment) | {"deployOptions": options}, 201)


def status(request: Request) -> Response:
    return json_response(_answer(request, _found(request)))


def cancel(request: Request) -> Response:
    """`{"deployResult": {"status": "Canceling"}}`; what is done already stays done."""
    deployment = _found(request)
    wanted = request.json_object().get("deployResult")
    if not isinstance(wanted, dict) or wanted.get("status") != "Canceling":
        raise ApiError("INVALID_FIELD", "the status of a deployment can only be set to Canceling")
    return json_response(_answer(request, deployment), 202)


def _found(request: Request) -> Deployment:
    found = request.org.deployments.get(request.parameters["deploy_id"])
    if found is None:
        raise not_found()
    return found


def _answer(request: Request, deployment: Deployment) -> dict[str, Any]:
    result = _result(request.org, deployment, details=request.query.get("includeDetails") == "true")
    url = f"{request.base_url}{request.data_path}/metadata/deployRequest/{deployment.id}?includeDetails=true"
    return {"id": deployment.id, "url": url, "deployResult": result}


def _result(org: Org, deployment: Deployment, *, details: bool) -> dict[str, Any]:
    state = _state(org, deployment)
    done = state in ("Succeeded", "Failed")
    failed = [one for one in deployment.components if one.failed]
    good = [one for one in deployment.components if not one.failed]
    result: dict[str, Any] = {
        "id": deployment.id,
        "status": state,
        "done": done,
        "success": state == "Succeeded",
        "checkOnly": bool(deployment.options.get("checkOnly")),
        "ignoreWarnings": bool(deployment.options.get("ignoreWarnings")),
        "rollbackOnError": bool(deployment.options.get("rollbackOnError", True)),
        "runTestsEnabled": False,
        "createdBy": deployment.user_id,
        "createdDate": timestamp(deployment.started),
        "numberComponentsTotal": len(deployment.components),
        "numberComponentsDeployed": len(good) if done else 0,
        "numberComponentErrors": len(failed) if done else 0,
        "numberTestsTotal": 0,
        "numberTestsCompleted": 0,
        "numberTestErrors": 0,
    }
    if details:
        result["details"] = {
            "componentSuccesses": [one.as_json() for one in good] if done else [],
            "componentFailures": [one.as_json() for one in failed] if done else [],
            "retrieveResult": None,
            "runTestResult": {"numTestsRun": 0, "numFailures": 0, "totalTime": 0.0},
        }
    return result


def _state(org: Org, deployment: Deployment) -> str:
    """Pending for `job_delay` seconds, InProgress for as long again, then the outcome."""
    waited = org.clock.time() - deployment.started
    if waited < org.settings.job_delay:
        return "Pending"
    if waited < 2 * org.settings.job_delay or org.settings.hold_jobs:
        return "InProgress"
    return "Succeeded" if deployment.succeeded else "Failed"
