"""Smaller REST resources: deleted and updated records, a plain SOSL search, tooling describe."""

from __future__ import annotations

import re
from typing import Any

from orgsim.errors import ApiError
from orgsim.rest.data import find, full_describe
from orgsim.rest.http import Request, Response, Router, json_response
from orgsim.schema import describe
from orgsim.schema.model import Field, SObject
from orgsim.soql import rest_rows
from orgsim.soql.tree import Query, Select
from orgsim.store import quote
from orgsim.values import BadValue, parse_datetime

_FIND = re.compile(
    r"\s*FIND\s*\{(?P<term>(?:[^{}\\]|\\.)*)\}(?:\s+IN\s+(?P<group>\w+)\s+FIELDS)?(?:\s+RETURNING\s+(?P<returning>.*?))?"
    r"(?:\s+LIMIT\s+(?P<limit>\d+))?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_RETURNED = re.compile(r"(\w+)\s*(?:\(([^()]*)\))?")
_STAMP = Field("start", "start", "datetime")


def register(router: Router) -> None:
    router.data("GET", "/sobjects/{sobject}/deleted", deleted)
    router.data("GET", "/sobjects/{sobject}/updated", updated)
    router.data("GET", "/search", search)
    router.data("GET", "/tooling/sobjects", tooling_objects)
    router.data("GET", "/tooling/sobjects/{sobject}/describe", full_describe)


def _window(request: Request) -> tuple[str, str]:
    try:
        start, end = (
            parse_datetime(request.query[name].replace(" ", "+"), _STAMP) for name in ("start", "end")
        )
    except KeyError as missing:
        raise ApiError("INVALID_REPLICATION_DATE", f"{missing.args[0]} is missing") from None
    except BadValue as bad:
        raise ApiError("INVALID_REPLICATION_DATE", bad.error.message) from None
    if start >= end:
        raise ApiError("INVALID_REPLICATION_DATE", "startDate before endDate is expected")
    return start, end


def _json_date(stored: str) -> str:
    return stored[:-1] + "+0000"


def deleted(request: Request) -> Response:
    sobject, (start, end) = find(request), _window(request)
    sql = (
        f'SELECT "Id", "SystemModstamp" FROM {quote(sobject.name)}'
        ' WHERE "IsDeleted" = 1 AND "SystemModstamp" BETWEEN ? AND ?'
    )
    found = request.org.store.all(sql, [start, end])
    records = [{"deletedDate": _json_date(when), "id": one} for one, when in found]
    return json_response(
        {
            "deletedRecords": records,
            "earliestDateAvailable": _json_date(start),
            "latestDateCovered": _json_date(end),
        }
    )


def updated(request: Request) -> Response:
    sobject, (start, end) = find(request), _window(request)
    sql = f'SELECT "Id" FROM {quote(sobject.name)} WHERE "IsDeleted" = 0 AND "SystemModstamp" BETWEEN ? AND ?'
    ids = [row[0] for row in request.org.store.all(sql, [start, end])]
    return json_response({"ids": ids, "latestDateCovered": _json_date(end)})


def search(request: Request) -> Response:
    """FIND {term} RETURNING Object(Field, ...): name fields and short texts that contain the term."""
    match = _FIND.match(request.query.get("q", ""))
    if match is None:
        raise ApiError("MALFORMED_SEARCH", "No search term found or the search is not understood")
    term = re.sub(r"\\(.)", r"\1", match["term"]).strip("*")
    if len(term) < 2:
        raise ApiError("MALFORMED_SEARCH", "search term must be longer than one character: " + term)
    wanted = _RETURNED.findall(match["returning"] or "Account, Contact, Opportunity")
    records: list[dict[str, Any]] = []
    for name, listed in wanted:
        sobject = request.org.schema.get(name)
        if sobject is None:
            raise ApiError("INVALID_TYPE", f"sObject type '{name}' is not supported.")
        fields = [one.strip() for one in listed.split(",") if one.strip()] or ["Id"]
        records += _search(request, sobject, term, fields, match["group"] or "ALL")
    return json_response({"searchRecords": records[: int(match["limit"] or 2000)]})


def _search(
    request: Request, sobject: SObject, term: str, fields: list[str], group: str
) -> list[dict[str, Any]]:
    searched = [
        one
        for one in sobject.stored()
        if one.type in ("string", "email", "phone") and (group.upper() != "NAME" or one.name_field)
    ]
    query = Query(select=[Select(tuple(one.split("."))) for one in fields], source=sobject.name)
    plan = request.org.compiler.compile(query)
    plan.where.append("(" + " OR ".join(f"t.{quote(one.name)} LIKE ? ESCAPE '\\'" for one in searched) + ")")
    escaped = re.sub(r"([%_\\])", r"\\\1", term)
    plan.parameters += [f"%{escaped}%"] * len(searched)
    return rest_rows.render(request.org, plan, rest_rows.fetch(request.org, plan), request.data_path)


def tooling_objects(request: Request) -> Response:
    listed = [
        describe.summary(one, request.data_path + "/tooling") for one in request.org.schema if one.tooling
    ]
    return json_response({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed})
