"""Bytes over REST: records that come with a file as multipart/form-data, and reading a file back (contract F3).

REST API guide, "Insert or Update Blob Data" and "sObject Blob Get".
"""

from __future__ import annotations

import json
from typing import Any

from orgsim.content.schema import DATA
from orgsim.errors import ApiError, not_found
from orgsim.ids import looks_like_id, to_18
from orgsim.rest.data import find
from orgsim.rest.http import Request, Response, Router
from orgsim.rest.multipart import parts_of
from orgsim.schema.model import SObject


def register(router: Router) -> None:
    for name in dict.fromkeys(DATA.values()):
        router.data("GET", f"/sobjects/{{sobject}}/{{record_id}}/{name}", blob)


def blob(request: Request) -> Response:
    """The bytes as they are."""
    sobject = find(request)
    given = request.parameters["record_id"]
    content = request.org.content
    if (
        not content.on
        or sobject.name not in DATA
        or not request.path.rstrip("/").endswith(DATA[sobject.name])
    ):
        raise not_found()
    record = request.org.store.record(sobject, to_18(given)) if looks_like_id(given) else None
    if record is None:
        raise not_found()
    return Response(200, content.body(record["Id"]), "application/octetstream")


def record_given(request: Request, sobject: SObject) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The fields of a new record, and the bytes that came beside them."""
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        if sobject.name in DATA and len(request.body) > request.org.settings.base64_limit * 4 // 3 + 65536:
            # The limit is documented (37.5 MB of base64), its text is not: inferred.
            raise ApiError("INVALID_INPUT", "Maximum size of request reached.", 413)
        return request.json_object(), {}
    fields: dict[str, Any] | None = None
    files: dict[str, bytes] = {}
    for name, is_json, data in parts_of(request.body, kind):
        if is_json and fields is None:
            fields = _object(data)
        elif name == DATA.get(sobject.name):
            files[name] = data
        else:
            raise ApiError("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}")
    if fields is None:
        raise ApiError("INVALID_MULTIPART_REQUEST", "the part with the fields of the record is missing")
    limit = request.org.settings.multipart_limit
    if any(len(data) > limit for data in files.values()):
        raise ApiError("INVALID_INPUT", "Maximum size of request reached.", 413)
    return fields, files


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as problem:
        raise ApiError("JSON_PARSER_ERROR", f"Unexpected content: {problem}") from None
    if not isinstance(value, dict):
        raise ApiError("JSON_PARSER_ERROR", "Can not deserialize: an object is expected")
    return value
