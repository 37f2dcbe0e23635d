"""Versions, describe, limits, record counts (contract H, E1)."""

from __future__ import annotations

from typing import Any

from orgsim.errors import not_found
from orgsim.org import Org
from orgsim.rest.http import Request, Response, Router, json_response
from orgsim.schema import describe
from orgsim.schema.model import SObject
from orgsim.store import quote

_SEASONS = ("Winter", "Spring", "Summer")
_MASTER = "012000000000000AAA"


def register(router: Router) -> None:
    router.add("GET", "/services/data", versions, open=True)
    router.data("GET", "", resources)
    router.data("GET", "/sobjects", global_describe)
    router.data("GET", "/sobjects/{sobject}", basic)
    router.data("GET", "/sobjects/{sobject}/describe", full_describe)
    router.data("GET", "/limits", limits)
    router.data("GET", "/limits/recordCount", record_count)


def find(request: Request) -> SObject:
    """The object of the path, NOT_FOUND otherwise."""
    sobject = request.org.schema.get(request.parameters["sobject"])
    if sobject is None or (sobject.tooling and "tooling" not in request.path.lower()):
        raise not_found()
    return sobject


def label(version: float) -> str:
    """``Summer '26`` of 67.0: three releases a year, Winter of the year before."""
    years, season = divmod(int(version) - 65, 3)
    return f"{_SEASONS[season]} '{26 + years:02d}"


def versions(request: Request) -> Response:
    settings = request.org.settings
    offered = [float(number) for number in range(int(settings.min_version), int(settings.max_version) + 1)]
    return json_response(
        [
            {"label": label(one), "url": f"/services/data/v{one:.1f}", "version": f"{one:.1f}"}
            for one in offered
        ]
    )


def resources(request: Request) -> Response:
    base = request.data_path
    names = ("sobjects", "query", "queryAll", "limits", "jobs", "composite", "tooling", "search", "recent")
    return json_response(
        {name: f"{base}/{name}" for name in names}
        | {"identity": f"{request.base_url}/id/{request.org.id}/{request.user_id}"}
    )


def global_describe(request: Request) -> Response:
    visible = [one for one in request.org.schema if not one.tooling]
    listed = sorted(
        (describe.summary(one, request.data_path) for one in visible), key=lambda one: str(one["name"])
    )
    return json_response({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed})


def basic(request: Request) -> Response:
    sobject = find(request)
    return json_response({"objectDescribe": describe.summary(sobject, request.data_path), "recentItems": []})


def full_describe(request: Request) -> Response:
    sobject = find(request)
    return json_response(
        describe.full(request.org.schema, sobject, request.data_path, _record_types(request, sobject))
    )


def _record_types(request: Request, sobject: SObject) -> list[dict[str, Any]]:
    base = f"{request.data_path}/sobjects/{sobject.name}/describe/layouts/"

    def info(name: str, developer_name: str, record_type_id: str, master: bool) -> dict[str, Any]:
        return {
            "active": True,
            "available": True,
            "defaultRecordTypeMapping": master,
            "developerName": developer_name,
            "master": master,
            "name": name,
            "recordTypeId": record_type_id,
            "urls": {"layout": base + record_type_id},
        }

    sql = 'SELECT "Name", "DeveloperName", "Id" FROM "RecordType" WHERE "SobjectType" = ?'
    own = [info(name, key, one, False) for name, key, one in request.org.store.all(sql, [sobject.name])]
    return [*own, info("Master", "Master", _MASTER, True)]


def limits(request: Request) -> Response:
    return json_response(current_limits(request.org))


def current_limits(org: Org) -> dict[str, Any]:
    settings, calls = org.settings, org.calls

    def entry(maximum: int, used: int) -> dict[str, int]:
        return {"Max": maximum, "Remaining": max(maximum - used, 0)}

    records = sum(org.store.count(one) for one in org.schema if one.createable)
    return {
        "ActiveScratchOrgs": entry(6, 0),
        "ConcurrentAsyncGetReportInstances": entry(200, 0),
        "DailyApiRequests": entry(settings.api_limit, org.api_usage) | {"coa": {"Max": 0, "Remaining": 0}},
        "DailyAsyncApexExecutions": entry(250000, 0),
        "DailyBulkApiBatches": entry(settings.bulk_batch_limit, calls["bulk_batches"]),
        "DailyBulkV2QueryFileStorageMB": entry(976562, calls["bulk_query_bytes"] // 1_000_000),
        "DailyBulkV2QueryJobs": entry(settings.bulk_query_limit, calls["bulk_query_jobs"]),
        # A record takes 2 KB of data storage.
        "DataStorageMB": entry(20480, records * 2 // 1024),
        "FileStorageMB": entry(settings.file_storage_mb, org.content.storage_used() // (1024 * 1024)),
        "HourlyAsyncReportRuns": entry(1200, 0),
        "SingleEmail": entry(5000, 0),
    }


def record_count(request: Request) -> Response:
    """A cached snapshot on the real thing: unknown and empty objects are left out."""
    org = request.org
    names = [name for name in request.query.get("sObjects", "").split(",") if name]
    wanted = [org.schema.get(name) for name in names] if names else list(org.schema)
    counts = []
    for sobject in wanted:
        if sobject is not None and not sobject.tooling:
            alive = f"{quote('IsDeleted')} = 0" if sobject.get("IsDeleted") else "1"
            number = org.store.count(sobject, alive)
            if number:
                counts.append({"count": number, "name": sobject.name})
    return json_response({"sObjects": counts})
