"""Composite, batch and tree: several requests or records in one call (contract E1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

from orgsim.dml import WriteOptions
from orgsim.errors import ApiError, RowError
from orgsim.rest.data import find
from orgsim.rest.http import Request, Response, Router, error_response, json_response
from orgsim.rows import Row, decode_json
from orgsim.schema.model import SObject

_REFERENCE = re.compile(r"@\{(\w+)((?:\.\w+|\[\d+\])*)\}")
_MAX_REQUESTS = 25
_MAX_QUERIES = 5


class _RollBack(Exception):
    """Undo the savepoint."""


def register(router: Router) -> None:
    router.data("POST", "/composite", composite)
    router.data("POST", "/tooling/composite", composite)
    router.data("POST", "/composite/batch", batch)
    router.data("POST", "/composite/tree/{sobject}", tree)


def _run(request: Request, method: str, url: str, body: Any) -> Response:
    """One subrequest through the ordinary routes; it is not an API call of its own."""
    import json

    parts = urlsplit(url)
    inner = replace(
        request,
        method=method.upper(),
        path=unquote(parts.path),
        query_string=parts.query,
        body=b"" if body is None else json.dumps(body).encode(),
        headers={**request.headers, "content-type": "application/json"},
        _query=None,
    )
    try:
        route, inner.parameters = request.router.find(inner.method, inner.path)
        version = inner.parameters.pop("version", None)
        if version is None or route.open:
            raise ApiError("INVALID_INPUT", f"not a resource of this API: {url}")
        inner.version = request.version
        return route.handler(inner)
    except ApiError as refusal:
        return error_response(refusal)


def _json(response: Response) -> Any:
    import json

    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    return json.loads(body) if body else None


# composite --------------------------------------------------------------------------------------------------


def composite(request: Request) -> Response:
    """Subrequests in order; later ones may use the answers of earlier ones by ``@{reference.path}``."""
    body = request.json_object()
    subrequests = body.get("compositeRequest")
    if not isinstance(subrequests, list) or not all(isinstance(one, dict) for one in subrequests):
        raise ApiError("JSON_PARSER_ERROR", "compositeRequest: a list of objects is expected")
    if len(subrequests) > _MAX_REQUESTS:
        raise ApiError("LIMIT_EXCEEDED", f"the composite request has more than {_MAX_REQUESTS} subrequests")
    queries = sum(1 for one in subrequests if re.search(r"/(query|composite)", str(one.get("url", ""))))
    if queries > _MAX_QUERIES:
        raise ApiError("LIMIT_EXCEEDED", f"at most {_MAX_QUERIES} subrequests can be queries or collections")
    names = [one.get("referenceId") for one in subrequests]
    if len({str(name) for name in names}) != len(names) or not all(
        isinstance(name, str) and name for name in names
    ):
        raise ApiError("INVALID_INPUT", "each subrequest needs a referenceId of its own")
    answers: list[dict[str, Any]] = []
    try:
        with request.org.store.transaction():
            for one in subrequests:
                answers.append(_subrequest(request, one, answers))
            if body.get("allOrNone") and any(one["httpStatusCode"] >= 300 for one in answers):
                raise _RollBack
    except _RollBack:
        for one in answers:
            if one["httpStatusCode"] < 300:
                one["httpStatusCode"] = 400
                one["body"] = [
                    {
                        "errorCode": "PROCESSING_HALTED",
                        "message": "The transaction was rolled back since another operation in the same "
                        "transaction failed.",
                    }
                ]
                one["httpHeaders"] = {}
    return json_response({"compositeResponse": answers})


def _subrequest(request: Request, one: dict[str, Any], answers: list[dict[str, Any]]) -> dict[str, Any]:
    earlier = {answer["referenceId"]: answer for answer in answers}
    method, url = one.get("method"), one.get("url")
    if not isinstance(method, str) or not isinstance(url, str):
        raise ApiError("JSON_PARSER_ERROR", "method and url are expected in each subrequest")
    try:
        url, body = _filled(url, earlier), _filled(one.get("body"), earlier)
    except ApiError as refusal:
        response = error_response(refusal)
    else:
        response = _run(request, method, url, body)
    return {
        "body": _json(response),
        "httpHeaders": {name: value for name, value in response.headers.items() if name == "Location"},
        "httpStatusCode": response.status,
        "referenceId": one["referenceId"],
    }


def _filled(value: Any, earlier: dict[str, dict[str, Any]]) -> Any:
    """The value with every ``@{reference.path}`` replaced."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: str(_looked_up(match, earlier)), value)
    if isinstance(value, list):
        return [_filled(one, earlier) for one in value]
    if isinstance(value, dict):
        return {key: _filled(one, earlier) for key, one in value.items()}
    return value


def _looked_up(match: re.Match[str], earlier: dict[str, dict[str, Any]]) -> Any:
    answer = earlier.get(match[1])
    if answer is None or answer["httpStatusCode"] >= 300:
        raise ApiError("PROCESSING_HALTED", f"Invalid reference specified. No value for {match[0]} found")
    value = answer["body"]
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", match[2]):
        try:
            value = value[int(index)] if index else value[name]
        except (KeyError, IndexError, TypeError):
            raise ApiError(
                "PROCESSING_HALTED", f"Invalid reference specified. No value for {match[0]} found"
            ) from None
    return value


# batch ------------------------------------------------------------------------------------------------------


def batch(request: Request) -> Response:
    """Independent subrequests; URLs are relative to /services/data/."""
    body = request.json_object()
    subrequests = body.get("batchRequests")
    if not isinstance(subrequests, list) or not all(isinstance(one, dict) for one in subrequests):
        raise ApiError("JSON_PARSER_ERROR", "batchRequests: a list of objects is expected")
    if len(subrequests) > _MAX_REQUESTS:
        raise ApiError("LIMIT_EXCEEDED", f"the batch has more than {_MAX_REQUESTS} subrequests")
    results: list[dict[str, Any]] = []
    halted = False
    for one in subrequests:
        if halted:
            message = {
                "errorCode": "BATCH_PROCESSING_HALTED",
                "message": "Batch processing halted per request",
            }
            results.append({"statusCode": 412, "result": [message]})
            continue
        url = "/services/data/" + str(one.get("url", "")).lstrip("/").removeprefix("services/data/")
        response = _run(request, str(one.get("method", "GET")), url, one.get("richInput"))
        results.append({"statusCode": response.status, "result": _json(response)})
        halted = bool(body.get("haltOnError")) and response.status >= 400
    return json_response({"hasErrors": any(one["statusCode"] >= 400 for one in results), "results": results})


# tree -------------------------------------------------------------------------------------------------------


def tree(request: Request) -> Response:
    """Nested records, all or nothing: at most 200 records, five types, five levels."""
    sobject = find(request)
    records = request.json_object().get("records")
    if not isinstance(records, list) or not records:
        raise ApiError("JSON_PARSER_ERROR", "records: a list of objects is expected")
    done: list[tuple[str, Row]] = []
    flat = list(_walk(request, sobject, records, 1))
    if len(flat) > 200 or len({one[0].name for one in flat}) > 5:
        raise ApiError("LIMIT_EXCEEDED", "at most 200 records of five types in one tree")
    try:
        with request.org.store.transaction():
            _insert(request, sobject, records, None, None, done)
            if any(row.error is not None for _, row in done):
                raise _RollBack
    except _RollBack:
        failed = [
            {"referenceId": name, "errors": [row.error.as_json()]}
            for name, row in done
            if row.error is not None
        ]
        return json_response({"hasErrors": True, "results": failed}, 400)
    return json_response(
        {"hasErrors": False, "results": [{"referenceId": name, "id": row.id} for name, row in done]}, 201
    )


def _walk(
    request: Request, sobject: SObject, records: list[Any], level: int
) -> Iterator[tuple[SObject, dict[str, Any]]]:
    if level > 5:
        raise ApiError("LIMIT_EXCEEDED", "at most five levels in one tree")
    for record in records:
        if not isinstance(record, dict) or not isinstance(record.get("attributes"), dict):
            raise ApiError("INVALID_INPUT", "each record needs attributes with type and referenceId")
        attributes = record["attributes"]
        if str(attributes.get("type", "")).lower() != sobject.name.lower() or not attributes.get(
            "referenceId"
        ):
            raise ApiError("INVALID_INPUT", "attributes: type and referenceId are expected")
        yield sobject, record
        for child, _, nested in _children(request, sobject, record):
            yield from _walk(request, child, nested, level + 1)


def _children(
    request: Request, sobject: SObject, record: dict[str, Any]
) -> Iterator[tuple[SObject, str, list[Any]]]:
    """Child object, its link to this one and the nested records."""
    for name, value in record.items():
        if isinstance(value, dict) and isinstance(value.get("records"), list):
            for child, link in request.org.schema.children(sobject.name):
                if str(link.child_relationship).lower() == name.lower():
                    yield child, link.name, value["records"]
                    break
            else:
                raise ApiError("INVALID_FIELD", f"No such relation '{name}' on entity '{sobject.name}'")


def _insert(
    request: Request,
    sobject: SObject,
    records: list[dict[str, Any]],
    link: str | None,
    parent_id: str | None,
    done: list[tuple[str, Row]],
) -> None:
    rows = []
    for record in records:
        own = {
            name: value
            for name, value in record.items()
            if not (isinstance(value, dict) and "records" in value)
        }
        row = decode_json(request.org.schema, sobject, own)
        if link is not None:
            row.values[link] = parent_id
        rows.append(row)
        done.append((str(record["attributes"]["referenceId"]), row))
    if not sobject.createable:
        for row in rows:
            row.error = RowError(
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type cannot be inserted: {sobject.label}"
            )
        return
    request.org.dml.write("insert", sobject, rows, WriteOptions(request.user_id))
    for record, row in zip(records, rows, strict=True):
        if row.error is None:
            for child, child_link, nested in _children(request, sobject, record):
                _insert(request, child, nested, child_link, row.id, done)
