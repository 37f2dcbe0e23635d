"""Answers that a fault gives instead of the real one."""

from __future__ import annotations

from orgsim.errors import ApiError
from orgsim.faults import Fault
from orgsim.rest.http import Response, error_response

_HTML = (
    "<html><head><title>{title}</title></head><body><h1>{title}</h1>"
    "<p>The server is temporarily unable to service your request.</p></body></html>"
)
_ERRORS = {
    "unknown_exception": (
        "UNKNOWN_EXCEPTION",
        "An unexpected error occurred. Please include this ErrorId if you contact support: 1234567890-12345 (-1234567)",
        500,
    ),
    "server_unavailable": (
        "SERVER_UNAVAILABLE",
        "The server is currently unavailable. Please try again later.",
        503,
    ),
    "limit_total": ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", 403),
    "limit_concurrent_long": ("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.", 403),
    "limit_concurrent": (
        "REQUEST_LIMIT_EXCEEDED",
        "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        403,
    ),
    "invalid_session": ("INVALID_SESSION_ID", "Session expired or invalid", 401),
}


def planned_answer(fault: Fault) -> Response | None:
    """The answer of a fault that replaces the request; None when the request is carried out."""
    if fault.kind in _ERRORS:
        return error_response(ApiError(*_ERRORS[fault.kind]))
    if fault.kind in ("html_502", "html_503"):
        title = {"html_502": "502 Bad Gateway", "html_503": "503 Service Unavailable"}[fault.kind]
        return Response(int(title[:3]), _HTML.format(title=title).encode(), "text/html; charset=UTF-8")
    if fault.kind == "status":
        kind = (
            "application/json;charset=UTF-8" if fault.body[:1] in ("[", "{") else "text/html; charset=UTF-8"
        )
        return Response(fault.status, fault.body.encode(), kind)
    return None
