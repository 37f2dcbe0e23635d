"""The Bulk API 1.0 resources under /services/async, in XML or JSON as the request is (contract D1)."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any, cast
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from orgsim.bulk.jobs import timestamp
from orgsim.bulk.v1 import MAX_CHARACTERS, XMLNS, Batch, Classic, ClassicJob, result_rows
from orgsim.errors import ApiError
from orgsim.rest.http import Handler, Request, Response, Router
from orgsim.schema.model import SObject

OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete", "query", "queryAll")
_BASE = "/services/async/{version}/job"


def register(router: Router) -> None:
    def add(method: str, path: str, handler: Handler) -> None:
        router.add(method, _BASE + path, _with_errors(handler))

    add("POST", "", create)
    add("POST", "/{job_id}", change)
    add("GET", "/{job_id}", status)
    add("POST", "/{job_id}/batch", add_batch)
    add("GET", "/{job_id}/batch", batches)
    add("GET", "/{job_id}/batch/{batch_id}", batch_status)
    add("GET", "/{job_id}/batch/{batch_id}/request", batch_request)
    add("GET", "/{job_id}/batch/{batch_id}/result", batch_result)
    add("GET", "/{job_id}/batch/{batch_id}/result/{result_id}", query_result)


# forms of an answer -----------------------------------------------------------------------------------------


def _wants_json(request: Request, job: ClassicJob | None = None) -> bool:
    """JSON for who speaks JSON; XML is the default."""
    given = request.headers.get("content-type", "").lower()
    if "json" in given:
        return True
    accept = request.headers.get("accept", "").lower()
    if "json" in accept and "xml" not in accept:
        return True
    return not given and job is not None and job.content_type == "JSON"


def _answer(
    request: Request, root: str, value: dict[str, Any], status_code: int = 200, job: ClassicJob | None = None
) -> Response:
    if _wants_json(request, job):
        return Response(status_code, json.dumps(value).encode(), "application/json;charset=UTF-8")
    parts = "".join(_element(name, one) for name, one in value.items())
    text = f'<?xml version="1.0" encoding="UTF-8"?><{root}\n   xmlns="{XMLNS}">{parts}</{root}>'
    return Response(status_code, text.encode(), "application/xml")


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, one) for one in value)
    if isinstance(value, dict):
        return f"<{name}>{''.join(_element(key, one) for key, one in value.items())}</{name}>"
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(text)}</{name}>"


#: Bulk 1.0 has names of its own for the errors that requests share.
_CODES = {
    "NOT_FOUND": "InvalidJob",
    "JSON_PARSER_ERROR": "InvalidJob",
    "INVALID_SESSION_ID": "InvalidSessionId",
}


def _with_errors(handler: Handler) -> Handler:
    def handled(request: Request) -> Response:
        try:
            return handler(request)
        except ApiError as refusal:
            value = {
                "exceptionCode": _CODES.get(refusal.code, refusal.code),
                "exceptionMessage": refusal.message,
            }
            return _answer(request, "error", value, 400 if refusal.status == 404 else refusal.status)

    return handled


def refuse(request: Request, error: ApiError) -> Response:
    """An error that came before the handler: a dead session, a retired version."""
    code = {410: "InvalidVersion", 401: "InvalidSessionId"}.get(error.status, error.code)
    status_code = 400 if error.status == 410 else error.status
    return _answer(request, "error", {"exceptionCode": code, "exceptionMessage": error.message}, status_code)


# jobs -------------------------------------------------------------------------------------------------------


def _body(request: Request) -> dict[str, Any]:
    """jobInfo as a flat dictionary."""
    if "json" in request.headers.get("content-type", "").lower():
        return request.json_object()
    try:
        root = ElementTree.fromstring(request.body)
    except ElementTree.ParseError as problem:
        raise ApiError("InvalidXML", f"Failed to parse XML: {problem}") from None
    return {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in root}


def create(request: Request) -> Response:
    org, body = request.org, _body(request)
    operation = str(body.get("operation", ""))
    if operation.lower() not in [one.lower() for one in OPERATIONS]:
        raise ApiError("InvalidJob", f"InvalidJob : Unknown operation: {operation}")
    operation = next(one for one in OPERATIONS if one.lower() == operation.lower())
    sobject = _object(request, body.get("object"))
    if operation == "hardDelete" and not org.settings.hard_delete:
        raise ApiError("FeatureNotEnabled", "hardDelete is not enabled for this user")
    content_type = str(body.get("contentType") or "XML").upper()
    if content_type not in ("CSV", "JSON", "XML"):
        raise ApiError("InvalidJob", f"InvalidJob : content type {content_type} is not supported")
    external = str(body.get("externalIdFieldName") or "")
    if operation == "upsert":
        field = org.schema.visible(sobject, external)
        if field is None or not (field.external_id or field.id_lookup):
            raise ApiError(
                "InvalidJob",
                f"InvalidJob : Field name provided, {external} does not match an External ID, Salesforce Id, or indexed"
                f" field for {sobject.name}",
            )
        external = field.name
    # simple-salesforce sends 1 or 0 here instead of the two words.
    serial = str(body.get("concurrencyMode", "")) == "Serial"
    job = ClassicJob(
        org.jobs.new_id(),
        "Classic",
        sobject.name,
        operation,
        request.version,
        request.user_id,
        org.clock.time(),
        content_type=content_type,
        external_id=external,
        concurrency="Serial" if serial else "Parallel",
    )
    org.jobs.add(job)
    return _answer(request, "jobInfo", _job_json(job), 201)


def _object(request: Request, name: object) -> SObject:
    sobject = request.org.schema.get(str(name or ""))
    if sobject is None or sobject.tooling:
        raise ApiError("InvalidJob", f"InvalidJob : Unable to find object: {name}")
    if not sobject.bulk:
        raise ApiError("InvalidEntity", f"Entity '{sobject.name}' is not supported by the Bulk API.")
    return sobject


def _job_json(job: ClassicJob) -> dict[str, Any]:
    states = [one.state for one in job.batches]
    spent = sum(one.milliseconds for one in job.batches)
    answer: dict[str, Any] = {
        "id": job.id,
        "operation": job.operation,
        "object": job.object,
        "createdById": job.user_id,
        "createdDate": timestamp(job.created),
        "systemModstamp": timestamp(job.touched),
        "state": job.state,
    }
    if job.external_id:
        answer["externalIdFieldName"] = job.external_id
    return answer | {
        "concurrencyMode": job.concurrency,
        "contentType": job.content_type,
        "numberBatchesQueued": states.count("Queued"),
        "numberBatchesInProgress": states.count("InProgress"),
        "numberBatchesCompleted": states.count("Completed"),
        "numberBatchesFailed": states.count("Failed"),
        "numberBatchesTotal": len(states),
        "numberRecordsProcessed": job.processed,
        "numberRetries": job.retries,
        "apiVersion": job.version,
        "numberRecordsFailed": job.failed,
        "totalProcessingTime": spent,
        "apiActiveProcessingTime": spent,
        "apexProcessingTime": 0,
    }


def _job(request: Request) -> ClassicJob:
    return cast(ClassicJob, request.org.jobs.get(request.parameters["job_id"], "Classic"))


def change(request: Request) -> Response:
    """``{"state": "Closed"}`` or ``Aborted``."""
    job, state = _job(request), str(_body(request).get("state", ""))
    if state not in ("Closed", "Aborted"):
        raise ApiError("InvalidJob", f"InvalidJob : unknown state: {state}")
    if job.state == "Aborted" or (job.state == "Closed" and state == "Aborted"):
        raise ApiError("InvalidJobState", f"Closing already {job.state} Job not allowed")
    job.state, job.touched = state, request.org.clock.time()
    if state == "Aborted":
        job.stop.set()
    return _answer(request, "jobInfo", _job_json(job), job=job)


def status(request: Request) -> Response:
    job = _job(request)
    return _answer(request, "jobInfo", _job_json(job), job=job)


# batches ----------------------------------------------------------------------------------------------------


def add_batch(request: Request) -> Response:
    org, job = request.org, _job(request)
    if job.state != "Open":
        raise ApiError("InvalidJobState", f"InvalidJobState : job is {job.state}, not open")
    if len(request.body) > MAX_CHARACTERS:
        raise ApiError("ExceededQuota", "Batch size exceeded: 10 MB or 10,000,000 characters")
    org.calls["bulk_batches"] += 1
    batch = Batch(
        job.id.replace("750", "751", 1)[:12] + f"{len(job.batches) + 1:03d}AAA",
        request.body,
        org.clock.time(),
    )
    job.batches.append(batch)
    org.jobs.start(job, Classic(org, org.jobs, job, batch).run)
    return _answer(request, "batchInfo", _batch_json(job, batch), 201, job)


def _batch_json(job: ClassicJob, batch: Batch) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": batch.id, "jobId": job.id, "state": batch.state}
    if batch.message:
        answer["stateMessage"] = batch.message
    return answer | {
        "createdDate": timestamp(batch.created),
        "systemModstamp": timestamp(batch.created),
        "numberRecordsProcessed": batch.processed,
        "numberRecordsFailed": batch.failed,
        "totalProcessingTime": batch.milliseconds,
        "apiActiveProcessingTime": batch.milliseconds,
        "apexProcessingTime": 0,
    }


def _batch(request: Request) -> tuple[ClassicJob, Batch]:
    job, wanted = _job(request), request.parameters["batch_id"]
    for batch in job.batches:
        if batch.id == wanted or batch.id[:15] == wanted:
            return job, batch
    raise ApiError("InvalidBatch", "InvalidBatch : Unable to find batch")


def batches(request: Request) -> Response:
    job = _job(request)
    value = {"batchInfo": [_batch_json(job, one) for one in job.batches]}
    return _answer(request, "batchInfoList", value, job=job)


def batch_status(request: Request) -> Response:
    job, batch = _batch(request)
    return _answer(request, "batchInfo", _batch_json(job, batch), job=job)


_TYPES = {"CSV": "text/csv", "JSON": "application/json;charset=UTF-8", "XML": "application/xml"}


def batch_request(request: Request) -> Response:
    job, batch = _batch(request)
    return Response(200, batch.content, _TYPES[job.content_type])


def batch_result(request: Request) -> Response:
    job, batch = _batch(request)
    if batch.state == "Failed":
        raise ApiError("InvalidBatch", "Records not processed")
    if batch.state != "Completed":
        raise ApiError("InvalidBatch", "Batch not completed")
    if job.is_query:
        if job.content_type == "JSON" or _wants_json(request, job):
            return Response(200, json.dumps([batch.result_id]).encode())
        return _answer(request, "result-list", {"result": [batch.result_id]}, job=job)
    results = list(result_rows(batch))
    if job.content_type == "JSON":
        return Response(200, json.dumps(results).encode())
    if job.content_type == "XML":
        xml = {
            "result": [one | {"errors": [_xml_error(error) for error in one["errors"]]} for one in results]
        }
        return _answer_xml("results", xml)
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["Id", "Success", "Created", "Error"])
    for row, one in zip(batch.rows, results, strict=True):
        error = row.error.as_bulk() if row.error is not None else ""
        writer.writerow([one["id"] or "", str(one["success"]).lower(), str(one["created"]).lower(), error])
    return Response(200, text.getvalue().encode(), "text/csv")


def _xml_error(error: dict[str, Any]) -> dict[str, Any]:
    return {"fields": error["fields"], "message": error["message"], "statusCode": error["statusCode"]}


def _answer_xml(root: str, value: dict[str, Any]) -> Response:
    parts = "".join(_element(name, one) for name, one in value.items())
    text = f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="{XMLNS}">{parts}</{root}>'
    return Response(200, text.encode(), "application/xml")


def query_result(request: Request) -> Response:
    job, batch = _batch(request)
    if not batch.result_id or not re.match(re.escape(batch.result_id[:15]), request.parameters["result_id"]):
        raise ApiError("InvalidBatch", "InvalidBatch : Unable to find result")
    return Response(200, batch.result, _TYPES[job.content_type])
