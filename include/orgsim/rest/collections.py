"""sObject collections: up to 200 records a call, answers in request order (contract E1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from orgsim.dml import WriteOptions
from orgsim.errors import ApiError, RowError, not_found
from orgsim.ids import looks_like_id, to_18
from orgsim.rest.data import find
from orgsim.rest.http import Request, Response, Router, json_response
from orgsim.rest.sobjects import key_field, record_json
from orgsim.rows import Row, decode_json
from orgsim.schema.model import Field, SObject

_ROLLED_BACK = RowError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone header",
)


class _RollBack(Exception):
    """Undo the savepoint: a row failed under allOrNone."""


def register(router: Router) -> None:
    router.data("POST", "/composite/sobjects", create)
    router.data("PATCH", "/composite/sobjects", update)
    router.data("DELETE", "/composite/sobjects", delete)
    router.data("PATCH", "/composite/sobjects/{sobject}/{key}", upsert)
    router.data("GET", "/composite/sobjects/{sobject}", read)
    router.data("POST", "/composite/sobjects/{sobject}", read)


def _body(request: Request) -> tuple[list[dict[str, Any]], bool]:
    body = request.json_object()
    records = body.get("records")
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise ApiError("JSON_PARSER_ERROR", "records: a list of objects is expected")
    if len(records) > 200:
        raise ApiError(
            "EXCEEDED_ID_LIMIT", "record limit reached. cannot submit more than 200 records in this call"
        )
    return records, bool(body.get("allOrNone"))


def _type(request: Request, record: dict[str, Any]) -> SObject:
    attributes = record.get("attributes")
    name = attributes.get("type") if isinstance(attributes, dict) else None
    if not isinstance(name, str):
        raise ApiError("INVALID_FIELD", "Must send attributes.type with each record")
    sobject = request.org.schema.get(name)
    if sobject is None or sobject.tooling:
        raise ApiError("INVALID_TYPE", f"sObject type '{name}' is not supported.")
    return sobject


def _decoded(request: Request, records: list[dict[str, Any]]) -> list[tuple[SObject, Row]]:
    pairs = []
    for record in records:
        sobject = _type(request, record)
        row = decode_json(request.org.schema, sobject, record)
        pairs.append((sobject, row))
    changes = sum(1 for before, after in pairwise(pairs) if before[0] is not after[0])
    if changes >= 10:
        raise ApiError("LIMIT_EXCEEDED", "cannot have more than 10 chunks in a single operation")
    return pairs


def _write(
    request: Request,
    operation: str,
    pairs: Sequence[tuple[SObject, Row]],
    all_or_none: bool,
    key: Field | None = None,
) -> None:
    """Consecutive records of one type are one chunk; allOrNone undoes everything when a row fails."""
    options = WriteOptions(request.user_id)
    right = {"insert": "createable", "delete": "deletable"}.get(operation, "updateable")
    for sobject, row in pairs:
        if not getattr(sobject, right) and row.error is None:
            row.error = RowError(
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type cannot be written: {sobject.label}"
            )
    try:
        with request.org.store.transaction():
            start = 0
            while start < len(pairs):
                end = start
                while end < len(pairs) and pairs[end][0] is pairs[start][0]:
                    end += 1
                request.org.faults.refuse(
                    "rest", pairs[start][0].name, operation, [row for _, row in pairs[start:end]]
                )
                request.org.dml.write(
                    operation, pairs[start][0], [row for _, row in pairs[start:end]], options, key
                )
                start = end
            if all_or_none and any(row.error is not None for _, row in pairs):
                raise _RollBack
    except _RollBack:
        for _, row in pairs:
            row.error = row.error or _ROLLED_BACK


def result(row: Row, *, created: bool = False) -> dict[str, Any]:
    if row.error is not None:
        return {"success": False, "errors": [row.error.as_json()]}
    answer: dict[str, Any] = {"id": row.id, "success": True, "errors": []}
    if created:
        answer["created"] = row.created
    return answer


def create(request: Request) -> Response:
    records, all_or_none = _body(request)
    pairs = _decoded(request, records)
    _write(request, "insert", pairs, all_or_none)
    return json_response([result(row) for _, row in pairs])


def update(request: Request) -> Response:
    records, all_or_none = _body(request)
    # `id` in small letters is common here.
    named = [
        {("Id" if name.lower() == "id" else name): value for name, value in one.items()} for one in records
    ]
    pairs = _decoded(request, named)
    _write(request, "update", pairs, all_or_none)
    return json_response([result(row) for _, row in pairs])


def upsert(request: Request) -> Response:
    sobject = find(request)
    field = key_field(request, sobject)
    records, all_or_none = _body(request)
    pairs = _decoded(request, records)
    if any(one is not sobject for one, _ in pairs):
        raise ApiError("INVALID_TYPE", f"every record of this call must be of type {sobject.name}")
    _write(request, "upsert", pairs, all_or_none, field)
    return json_response([result(row, created=True) for _, row in pairs])


def delete(request: Request) -> Response:
    ids = [one.strip() for one in request.query.get("ids", "").split(",") if one.strip()]
    if not ids:
        raise ApiError("MISSING_ARGUMENT", "ids not specified")
    if len(ids) > 200:
        raise ApiError(
            "EXCEEDED_ID_LIMIT", "record limit reached. cannot submit more than 200 records in this call"
        )
    pairs = []
    anything = request.org.schema["Account"]
    for one in ids:
        row = Row()
        sobject = request.org.schema.by_prefix(one) if looks_like_id(one) else None
        if sobject is None:
            row.error = RowError("MALFORMED_ID", f"malformed id {one}")
        else:
            row.values["Id"] = to_18(one)
        pairs.append((sobject or anything, row))
    _write(request, "delete", pairs, request.query.get("allOrNone", "").lower() == "true")
    return json_response([result(row) for _, row in pairs])


def read(request: Request) -> Response:
    """Records by id in the order asked for; null where there is none."""
    sobject = find(request)
    if request.method == "POST":
        body = request.json_object()
        ids, names = body.get("ids"), body.get("fields")
        if not isinstance(ids, list) or not isinstance(names, list):
            raise ApiError("JSON_PARSER_ERROR", "ids and fields are expected")
    else:
        ids = [one for one in request.query.get("ids", "").split(",") if one]
        names = [one for one in request.query.get("fields", "").split(",") if one]
    if not names:
        raise ApiError("MISSING_ARGUMENT", "fields not specified")
    if len(ids) > 2000:
        raise not_found()
    found = []
    for one in ids:
        record = (
            request.org.store.record(sobject, to_18(one))
            if isinstance(one, str) and looks_like_id(one)
            else None
        )
        found.append(
            None if record is None else record_json(request, sobject, record, [str(name) for name in names])
        )
    return json_response(found)
