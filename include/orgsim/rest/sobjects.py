"""Single records: create, read, update, delete, upsert by external id (contract E1)."""

from __future__ import annotations

from typing import Any

from orgsim.content.rest import record_given
from orgsim.dml import WriteOptions
from orgsim.errors import ApiError, RowError, not_found
from orgsim.ids import looks_like_id, to_18
from orgsim.rest.data import find
from orgsim.rest.http import Request, Response, Router, json_response, no_content
from orgsim.rows import Row, decode_json
from orgsim.schema.model import Field, SObject

#: Row errors that REST answers with another status than 400.
_STATUS = {"INSUFFICIENT_ACCESS_OR_READONLY": 403}


def register(router: Router) -> None:
    router.data("POST", "/sobjects/{sobject}", create)
    router.data("GET", "/sobjects/{sobject}/{record_id}", read)
    router.data("PATCH", "/sobjects/{sobject}/{record_id}", update)
    router.data("DELETE", "/sobjects/{sobject}/{record_id}", delete)
    router.data("GET", "/sobjects/{sobject}/{key}/{value:path}", read_by_key)
    router.data("PATCH", "/sobjects/{sobject}/{key}/{value:path}", upsert)
    router.data("DELETE", "/sobjects/{sobject}/{key}/{value:path}", delete_by_key)


def refused(error: RowError) -> ApiError:
    return ApiError(error.code, error.message, _STATUS.get(error.code, 400), fields=list(error.fields))


def options(request: Request) -> WriteOptions:
    return WriteOptions(request.user_id)


def require(sobject: SObject, right: str) -> None:
    if not getattr(sobject, right):
        raise ApiError(
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            f"entity type cannot be {right.replace('able', 'ed')}: {sobject.label}",
        )


def record_json(
    request: Request, sobject: SObject, record: dict[str, Any], names: list[str] | None = None
) -> dict[str, Any]:
    """A whole record, or the named fields of it, as REST prints it; formulas included."""
    from orgsim.soql import rest_rows
    from orgsim.soql.tree import Compare, Literal, Query, Select

    org = request.org
    visible = [one.name for one in sobject.fields if not org.schema.is_hidden(sobject, one)]
    select = [Select(tuple(name.split("."))) for name in (names or visible)]
    query = Query(
        select=select, source=sobject.name, where=Compare(("Id",), "=", Literal("string", record["Id"]))
    )
    plan = org.compiler.compile(query, include_deleted=True, tooling=True)
    rendered = rest_rows.render(org, plan, rest_rows.fetch(org, plan), request.data_path)
    return rendered[0]


def create(request: Request) -> Response:
    sobject = find(request)
    require(sobject, "createable")
    fields, files = record_given(request, sobject)
    row = decode_json(request.org.schema, sobject, fields)
    row.values |= files
    request.org.dml.write("insert", sobject, [row], options(request))
    if row.error is not None:
        raise refused(row.error)
    location = f"{request.data_path}/sobjects/{sobject.name}/{row.id}"
    return json_response({"id": row.id, "success": True, "errors": []}, 201, Location=location)


def _record(request: Request, sobject: SObject) -> dict[str, Any]:
    given = request.parameters["record_id"]
    if not looks_like_id(given):
        raise not_found()
    record = request.org.store.record(sobject, to_18(given))
    if record is None:
        if request.org.store.record(sobject, to_18(given), deleted=True) is not None:
            raise ApiError("ENTITY_IS_DELETED", "entity is deleted", 404, fields=[])
        raise not_found()
    return record


def read(request: Request) -> Response:
    sobject = find(request)
    record = _record(request, sobject)
    return json_response(record_json(request, sobject, record, _fields(request)))


def _fields(request: Request) -> list[str] | None:
    names = [name.strip() for name in request.query.get("fields", "").split(",") if name.strip()]
    return names or None


def update(request: Request) -> Response:
    sobject = find(request)
    require(sobject, "updateable")
    record = _record(request, sobject)
    row = decode_json(request.org.schema, sobject, request.json_object())
    if "Id" in row.values:
        raise ApiError(
            "INVALID_FIELD", "The Id field should not be specified in the sobject data.", fields=["Id"]
        )
    row.values["Id"] = record["Id"]
    request.org.dml.write("update", sobject, [row], options(request))
    if row.error is not None:
        raise refused(row.error)
    return no_content()


def delete(request: Request) -> Response:
    sobject = find(request)
    require(sobject, "deletable")
    _delete(request, sobject, _record(request, sobject)["Id"])
    return no_content()


def _delete(request: Request, sobject: SObject, record_id: str) -> None:
    row = Row()
    row.values["Id"] = record_id
    request.org.dml.write("delete", sobject, [row], options(request))
    if row.error is not None:
        raise refused(row.error)


def key_field(request: Request, sobject: SObject) -> Field:
    """The external id of the path; NOT_FOUND when there is none of that name."""
    name = request.parameters["key"]
    field = request.org.schema.visible(sobject, name)
    if field is None or not (field.external_id or field.id_lookup or field.name == "Id"):
        raise ApiError(
            "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {name}", 404
        )
    return field


def _by_key(request: Request, sobject: SObject, field: Field) -> list[dict[str, Any]]:
    value = request.parameters["value"]
    if field.type == "id":
        value = to_18(value) if looks_like_id(value) else ""
    return request.org.store.records(sobject, field.name, [value])


def _several(request: Request, sobject: SObject, found: list[dict[str, Any]]) -> Response:
    return json_response([f"{request.data_path}/sobjects/{sobject.name}/{one['Id']}" for one in found], 300)


def read_by_key(request: Request) -> Response:
    sobject = find(request)
    found = _by_key(request, sobject, key_field(request, sobject))
    if not found:
        raise not_found()
    if len(found) > 1:
        return _several(request, sobject, found)
    return json_response(record_json(request, sobject, found[0], _fields(request)))


def upsert(request: Request) -> Response:
    sobject = find(request)
    require(sobject, "updateable")
    field = key_field(request, sobject)
    body = request.json_object()
    if field.name in body:
        raise ApiError(
            "INVALID_FIELD",
            f"The {field.name} field should not be specified in the sobject data.",
            fields=[field.name],
        )
    found = _by_key(request, sobject, field)
    if len(found) > 1:
        return _several(request, sobject, found)
    row = decode_json(request.org.schema, sobject, body)
    if row.error is None:
        key = decode_json(request.org.schema, sobject, {field.name: request.parameters["value"]})
        row.values |= key.values
        row.error = key.error
    request.org.dml.write("upsert", sobject, [row], options(request), field)
    if row.error is not None:
        raise refused(row.error)
    if request.version < 46.0 and not row.created:
        return no_content()
    answer: dict[str, Any] = {"id": row.id, "success": True, "errors": []}
    if request.version >= 46.0:
        answer["created"] = row.created
    return json_response(answer, 201 if row.created else 200)


def delete_by_key(request: Request) -> Response:
    sobject = find(request)
    require(sobject, "deletable")
    found = _by_key(request, sobject, key_field(request, sobject))
    if not found:
        raise not_found()
    if len(found) > 1:
        return _several(request, sobject, found)
    _delete(request, sobject, found[0]["Id"])
    return no_content()
