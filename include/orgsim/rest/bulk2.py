"""The Bulk API 2.0 resources: /jobs/ingest and /jobs/query (contract B1, C1)."""

from __future__ import annotations

import re
from typing import Any, cast

from orgsim.bulk.csvtext import DELIMITERS, LINE_ENDINGS
from orgsim.bulk.ingest import OPERATIONS, Ingest, IngestJob, result_file
from orgsim.bulk.jobs import TERMINAL, Job, base_json
from orgsim.bulk.query import BulkQuery, QueryJob, compile_bulk, locator_of, page, record_of
from orgsim.errors import ApiError, not_found
from orgsim.rest.http import Request, Response, Router, json_response, no_content

_MULTIPART_LIMIT = 100_000
_UPLOAD_LIMIT = 150_000_000
_LISTED = 1000


def register(router: Router) -> None:
    for kind in ("ingest", "query"):
        router.data("GET", f"/jobs/{kind}", list_jobs)
        router.data("DELETE", f"/jobs/{kind}/{{job_id}}", delete)
        router.data("PATCH", f"/jobs/{kind}/{{job_id}}", patch)
        router.data("GET", f"/jobs/{kind}/{{job_id}}", status)
    router.data("POST", "/jobs/ingest", create_ingest)
    router.data("PUT", "/jobs/ingest/{job_id}/batches", upload)
    router.data("GET", "/jobs/ingest/{job_id}/successfulResults", lambda request: results(request, "success"))
    router.data("GET", "/jobs/ingest/{job_id}/failedResults", lambda request: results(request, "failed"))
    router.data(
        "GET", "/jobs/ingest/{job_id}/unprocessedRecords", lambda request: results(request, "unprocessed")
    )
    router.data("POST", "/jobs/query", create_query)
    router.data("GET", "/jobs/query/{job_id}/results", query_results)
    router.data("GET", "/jobs/query/{job_id}/resultPages", result_pages)


# creation ---------------------------------------------------------------------------------------------------


def _choice(body: dict[str, Any], name: str, allowed: Any, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or value not in allowed:
        raise ApiError(
            "API_ERROR",
            f"Invalid value: '{value if value is not None else ''}' supplied for property: '{name}'",
        )
    return value


def create_ingest(request: Request) -> Response:
    content_type = request.headers.get("content-type", "")
    if content_type.lower().startswith("multipart/"):
        body, content = _multipart(content_type, request.body)
        request.body = body
    else:
        content = None
    job = _new_ingest(request, request.json_object())
    if content is not None:
        job.upload = content
        return json_response(_submit(request, job, full=True))
    return json_response(ingest_json(job, full=True))


def _multipart(content_type: str, body: bytes) -> tuple[bytes, bytes]:
    """The parts ``job`` and ``content`` (contract B4)."""
    import email.parser
    import email.policy

    if len(body) > _MULTIPART_LIMIT * 4:
        raise ApiError("INVALID_MULTIPART_REQUEST", "multipart data is limited to 100,000 characters")
    match = re.search(r'boundary="?([^";,]+)"?', content_type)
    if match is None:
        raise ApiError("INVALID_MULTIPART_REQUEST", "the boundary is missing")
    parts: dict[str, bytes] = {}
    for piece in body.split(b"--" + match[1].encode())[1:]:
        if piece.startswith(b"--"):
            break
        head, _, content = piece.lstrip(b"\r\n").replace(b"\n\n", b"\r\n\r\n", 1).partition(b"\r\n\r\n")
        headers = email.parser.BytesHeaderParser(policy=email.policy.default).parsebytes(head + b"\r\n\r\n")
        name = headers.get_param("name", header="content-disposition")
        parts[str(name)] = content.removesuffix(b"\n").removesuffix(b"\r")
    if "job" not in parts or "content" not in parts:
        raise ApiError("INVALID_MULTIPART_REQUEST", "the parts job and content are expected")
    if len(parts["content"].decode("utf-8", "replace")) > _MULTIPART_LIMIT:
        raise ApiError("INVALID_MULTIPART_REQUEST", "multipart data is limited to 100,000 characters")
    return parts["job"], parts["content"]


def _new_ingest(request: Request, body: dict[str, Any]) -> IngestJob:
    org = request.org
    operation = _choice(body, "operation", OPERATIONS)
    name = body.get("object")
    sobject = org.schema.get(name) if isinstance(name, str) else None
    if sobject is None or sobject.tooling:
        raise ApiError("INVALIDJOB", f"InvalidJob : Unable to find object: {name}")
    if not sobject.bulk:
        raise ApiError("INVALIDENTITY", f"Entity '{sobject.name}' is not supported by the Bulk API.")
    if operation == "hardDelete" and not org.settings.hard_delete:
        raise ApiError("FEATURENOTENABLED", "FeatureNotEnabled : hardDelete is not enabled for this user")
    external = ""
    if operation == "upsert":
        external = str(body.get("externalIdFieldName") or "")
        field = org.schema.visible(sobject, external)
        if field is None or not (field.external_id or field.id_lookup):
            raise ApiError(
                "INVALIDJOB",
                f"InvalidJob : Field name provided, {external} does not match an External ID, Salesforce Id, or indexed"
                f" field for {sobject.name}",
            )
        external = field.name
    _choice(body, "contentType", ("CSV",), "CSV")
    job = IngestJob(
        org.jobs.new_id(),
        "V2Ingest",
        sobject.name,
        operation,
        request.version,
        request.user_id,
        org.clock.time(),
        delimiter=_choice(body, "columnDelimiter", DELIMITERS, "COMMA"),
        line_ending=_choice(body, "lineEnding", LINE_ENDINGS, "LF"),
        external_id=external,
        assignment_rule=str(body.get("assignmentRuleId") or ""),
    )
    org.jobs.add(job)
    return job


def create_query(request: Request) -> Response:
    org, body = request.org, request.json_object()
    operation = _choice(body, "operation", ("query", "queryAll"))
    _choice(body, "contentType", ("CSV",), "CSV")
    text = body.get("query")
    if not isinstance(text, str):
        raise ApiError("API_ERROR", "Invalid value: '' supplied for property: 'query'")
    plan = compile_bulk(org, text, operation)
    if org.calls["bulk_query_jobs"] >= org.settings.bulk_query_limit:
        message = f"Max bulk v2 query jobs ({org.settings.bulk_query_limit}) per 24 hrs has been reached"
        raise ApiError("LIMIT_EXCEEDED", message)
    org.calls["bulk_query_jobs"] += 1
    job = QueryJob(
        org.jobs.new_id(),
        "V2Query",
        plan.sobject.name,
        operation,
        request.version,
        request.user_id,
        org.clock.time(),
        state="UploadComplete",
        delimiter=_choice(body, "columnDelimiter", DELIMITERS, "COMMA"),
        line_ending=_choice(body, "lineEnding", LINE_ENDINGS, "LF"),
        query=text,
        plan=plan,
    )
    org.jobs.add(job)
    # The answer shows the job as created, however fast a worker takes it up.
    answer = query_json(job, full=False)
    org.jobs.start(job, BulkQuery(org, org.jobs, job).run)
    return json_response(answer)


# answers ----------------------------------------------------------------------------------------------------


def ingest_json(job: IngestJob, *, full: bool, detail: bool = False) -> dict[str, Any]:
    """``full`` has the upload's settings, ``detail`` the counts of a status answer (contract B2)."""
    answer = base_json(job)
    if job.external_id:
        answer["externalIdFieldName"] = job.external_id
    answer |= {"concurrencyMode": "Parallel", "contentType": "CSV", "apiVersion": job.version}
    if job.assignment_rule:
        answer["assignmentRuleId"] = job.assignment_rule
    if full:
        if job.state == "Open":
            answer["contentUrl"] = f"services/data/v{job.version:.1f}/jobs/ingest/{job.id}/batches"
        answer |= {"lineEnding": job.line_ending, "columnDelimiter": job.delimiter}
    if detail:
        answer |= {"jobType": "V2Ingest", "retries": job.retries, "totalProcessingTime": job.processing_ms}
        answer |= {"apiActiveProcessingTime": job.processing_ms, "apexProcessingTime": 0}
        if job.state != "Open":
            answer |= {"numberRecordsProcessed": job.processed, "numberRecordsFailed": job.failed}
        if job.error:
            answer["errorMessage"] = job.error
    return answer


def query_json(job: QueryJob, *, full: bool) -> dict[str, Any]:
    answer = base_json(job) | {
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": job.version,
        "lineEnding": job.line_ending,
        "columnDelimiter": job.delimiter,
    }
    if full:
        answer |= {
            "jobType": "V2Query",
            "numberRecordsProcessed": job.processed,
            "retries": job.retries,
            "totalProcessingTime": job.processing_ms,
            "isPkChunkingSupported": True,
        }
        if job.error:
            answer["errorMessage"] = job.error
    return answer


def _kind(request: Request) -> str:
    return "V2Ingest" if "/jobs/ingest" in request.path.lower() else "V2Query"


def _job(request: Request) -> Job:
    return request.org.jobs.get(request.parameters["job_id"], _kind(request))


def _ingest(request: Request) -> IngestJob:
    return cast(IngestJob, _job(request))


def _json(job: Job, *, detail: bool) -> dict[str, Any]:
    if isinstance(job, IngestJob):
        return ingest_json(job, full=detail, detail=detail)
    return query_json(cast(QueryJob, job), full=detail)


def status(request: Request) -> Response:
    return json_response(_json(_job(request), detail=True))


def list_jobs(request: Request) -> Response:
    """At most 1000 a page, in no particular order, org-wide."""
    wanted = request.query.get("jobType", "")
    if wanted and wanted not in ("Classic", "V2Ingest", "V2Query", "BigObjectIngest"):
        raise ApiError("API_ERROR", f"Invalid value: '{wanted}' supplied for property: 'jobType'")
    start_text = request.query.get("queryLocator", "").rpartition("-")[2]
    start = int(start_text) if start_text.isdigit() else 0
    jobs = request.org.jobs.all(wanted)
    listed = [_json(one, detail=False) | {"jobType": one.kind} for one in jobs[start : start + _LISTED]]
    done = start + _LISTED >= len(jobs)
    # The next page of query jobs too is given under /jobs/ingest (contract C1).
    following = (
        None if done else f"{request.data_path}/jobs/ingest?queryLocator=01g000000000001AAA-{start + _LISTED}"
    )
    return json_response({"done": done, "records": listed, "nextRecordsUrl": following})


# life -------------------------------------------------------------------------------------------------------


def upload(request: Request) -> Response:
    job = _ingest(request)
    if job.state != "Open":
        raise ApiError("INVALIDJOBSTATE", f"InvalidJobState : the job is not open but {job.state}")
    if job.upload is not None:
        raise ApiError(
            "BULK_API_ERROR",
            f"Found multipe contents for job: <{job.id[:15]}>, please 'Close' / 'Abort' / 'Delete' the current Job then"
            " create a new Job and make sure you only do 'PUT' once on a given Job.",
        )
    if "csv" not in request.headers.get("content-type", "").lower():
        raise ApiError("UNSUPPORTED_MEDIA_TYPE", "Content-Type must be text/csv", 415)
    if len(request.body) > _UPLOAD_LIMIT:
        raise ApiError("CLIENTINPUTERROR", "ClientInputError : the upload is larger than 150 MB")
    job.upload = request.body
    return Response(201, b"", content_type="")


def patch(request: Request) -> Response:
    job, body = _job(request), request.json_object()
    allowed = ("UploadComplete", "Aborted") if isinstance(job, IngestJob) else ("Aborted",)
    state = _choice(body, "state", allowed)
    if state == "Aborted":
        if not job.move("Aborted", request.org.clock.time()):
            raise ApiError("INVALIDJOBSTATE", "Aborting already Completed Job not allowed")
        job.stop.set()
    else:
        if job.state != "Open":
            raise ApiError(
                "INVALIDJOBSTATE", f"InvalidJobState : Closing already {job.state} Job not allowed"
            )
        return json_response(_submit(request, cast(IngestJob, job), full=False))
    return json_response(_json(job, detail=False))


def _submit(request: Request, job: IngestJob, *, full: bool) -> dict[str, Any]:
    """Hand the job to the workers; the answer shows it as it was then, however fast one takes it up."""
    org = request.org
    job.move("UploadComplete", org.clock.time())
    answer = ingest_json(job, full=full)
    org.jobs.start(job, Ingest(org, org.jobs, job).run)
    return answer


def delete(request: Request) -> Response:
    job = _job(request)
    allowed = (*TERMINAL, "UploadComplete") if isinstance(job, IngestJob) else TERMINAL
    if job.state not in allowed:
        raise ApiError(
            "API_ERROR", "Error encountered when deleting the job because the job is not terminated"
        )
    job.stop.set()
    request.org.jobs.remove(job)
    return no_content()


# results ----------------------------------------------------------------------------------------------------


def _csv(request: Request, body: Any, headers: dict[str, str] | None = None) -> Response:
    charset = "; charset=UTF-8" if request.org.settings.csv_charset else ""
    return Response(200, body, f"text/csv{charset}", headers or {})


def results(request: Request, which: str) -> Response:
    job = _ingest(request)
    if job.state not in TERMINAL:
        raise ApiError("INVALIDJOBSTATE", "InvalidJobState : results are there when the job is done")
    body = result_file(job, which, sort_columns=request.org.facts.says("bulk.results.columns", "other_order"))
    rows = {"success": job.success, "failed": job.failures, "unprocessed": job.unprocessed}[which]
    if request.org.settings.empty_as_204 and not any(rows):
        return no_content()
    return _csv(request, body)


def _finished_query(request: Request) -> QueryJob:
    job = cast(QueryJob, _job(request))
    if job.version != request.version:
        raise ApiError("VERSION_CONFLICT", f"the job was created with API version {job.version:.1f}", 409)
    if job.state != "JobComplete":
        raise ApiError(
            "INVALIDJOBSTATE",
            f"InvalidJobState : results are there in state JobComplete, this job is {job.state}",
        )
    return job


def _page_size(request: Request) -> int:
    text = request.query.get("maxRecords", "")
    if not text:
        return request.org.settings.page_size
    if not text.isdigit() or int(text) == 0:
        raise ApiError("API_ERROR", f"Invalid value: '{text}' supplied for property: 'maxRecords'")
    return int(text)


def query_results(request: Request) -> Response:
    job = _finished_query(request)
    locator = request.query.get("locator", "")
    start = record_of(locator, job) if locator and locator != "null" else 0
    count = min(_page_size(request), job.processed - start)
    following = locator_of(start + count) if start + count < job.processed else "null"
    return _csv(
        request,
        page(job, start, count),
        {"Sforce-Locator": following, "Sforce-NumberOfRecords": str(count)},
    )


def result_pages(request: Request) -> Response:
    """URLs of up to five result pages (contract C2)."""
    if request.version < 58.0:
        raise not_found()
    job = _finished_query(request)
    locator = request.query.get("locator", "")
    start = record_of(locator, job) if locator else 0
    size = request.org.settings.page_size
    starts = list(range(start, max(job.processed, 1), size))
    base = f"{request.data_path}/jobs/query/{job.id}"
    pages = [{"resultUrl": f"{base}/results?locator={locator_of(one)}"} for one in starts[:5]]
    answer: dict[str, Any] = {"resultPages": pages}
    if len(starts) > 5:
        answer["nextRecordsUrl"] = f"{base}/resultpages?locator={locator_of(starts[5])}"
    answer["done"] = len(starts) <= 5
    return json_response(answer)
