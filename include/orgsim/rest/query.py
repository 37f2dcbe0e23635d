"""REST query, queryAll and their locators (contract E1)."""

from __future__ import annotations

import re
from typing import Any

from orgsim.cursors import Cursor
from orgsim.errors import ApiError
from orgsim.rest.http import Request, Response, Router, json_response
from orgsim.soql import rest_rows
from orgsim.soql.compile import Plan
from orgsim.soql.tree import Compare, Logic, parse

_BATCH = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)
_LOCATOR = re.compile(r"(0r8\w{15})-(\d+)\Z")


def register(router: Router) -> None:
    router.data("GET", "/query", query)
    router.data("GET", "/queryAll", query_all)
    router.data("GET", "/query/{locator}", more)
    router.data("GET", "/queryAll/{locator}", more)
    router.data("GET", "/tooling/query", tooling_query)


def query(request: Request) -> Response:
    return run(request, include_deleted=False)


def query_all(request: Request) -> Response:
    return run(request, include_deleted=True)


def tooling_query(request: Request) -> Response:
    return run(request, include_deleted=False, tooling=True)


def run(request: Request, *, include_deleted: bool, tooling: bool = False) -> Response:
    text = request.query.get("q")
    if text is None:
        raise ApiError("MALFORMED_QUERY", "A query string has to be specified")
    plan = request.org.compiler.compile(parse(text), include_deleted=include_deleted, tooling=tooling)
    _refuse_all_links(request, plan)
    if plan.count_only:
        return json_response({"totalSize": rest_rows.count(request.org, plan), "done": True, "records": []})
    rows = rest_rows.fetch(request.org, plan)
    if plan.aggregate and len(rows) > 2000:
        raise ApiError(
            "EXCEEDED_ID_LIMIT",
            "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch",
        )
    cursor = Cursor(plan, rows, _batch_size(request, plan), request.org.clock.time())
    return _page(request, cursor, 0, "")


def _refuse_all_links(request: Request, plan: Plan) -> None:
    """Links to files can be asked for by document or record only (contract F3)."""
    unfiltered = plan.sobject.name == "ContentDocumentLink" and not _names_document_or_record(
        plan.query.where
    )
    if unfiltered and not request.org.facts.says("rest.content-links", "accepted"):
        raise ApiError(
            "MALFORMED_QUERY",
            "Implementation restriction: ContentDocumentLink requires a filter by a single Id on ContentDocumentId or "
            "LinkedEntityId using the equals operator or multiple Id's using the IN operator.",
        )


def _names_document_or_record(condition: Any) -> bool:
    """Whether one of the ids is compared by = or IN, in every alternative."""
    if isinstance(condition, Logic):
        parts = [_names_document_or_record(one) for one in condition.parts]
        return {"and": any(parts), "or": all(parts)}.get(condition.operator, False)
    if not isinstance(condition, Compare) or not isinstance(condition.operand, tuple):
        return False
    name = condition.operand[-1].lower()
    return name in ("id", "contentdocumentid", "linkedentityid") and condition.operator in (
        "=",
        "in",
        "in_query",
    )


def _batch_size(request: Request, plan: Plan) -> int:
    match = _BATCH.search(request.headers.get("sforce-query-options", ""))
    size = int(match[1]) if match else 2000
    if not 200 <= size <= 2000 and match:
        size = min(max(size, 200), 2000)
    long_texts = sum(1 for one in plan.columns if one.field is not None and one.field.long_text)
    return min(size, 200) if long_texts >= 2 else size


def more(request: Request) -> Response:
    match = _LOCATOR.match(request.parameters["locator"])
    if match is None:
        raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
    cursor = request.org.cursors.get(match[1], request.org.clock.time())
    start = int(match[2])
    if start >= len(cursor.rows):
        raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
    return _page(request, cursor, start, match[1])


def _page(request: Request, cursor: Cursor, start: int, locator: str) -> Response:
    end = start + cursor.size
    done = end >= len(cursor.rows)
    answer: dict[str, Any] = {"totalSize": len(cursor.rows), "done": done}
    if not done:
        locator = locator or request.org.cursors.keep(cursor)
        answer["nextRecordsUrl"] = f"{request.data_path}/query/{locator}-{end}"
    answer["records"] = rest_rows.render(request.org, cursor.plan, cursor.rows[start:end], request.data_path)
    return json_response(answer)
