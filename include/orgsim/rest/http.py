"""Requests, responses and routes, without regard to case and trailing slashes, as Salesforce takes them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from orgsim.errors import ApiError, not_found
from orgsim.org import Org
from orgsim.sessions import Session

JSON_TYPE = "application/json;charset=UTF-8"


@dataclass(slots=True)
class Request:
    """A request as handlers see it: the body is whole and already unpacked."""

    org: Org
    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    body: bytes
    base_url: str
    router: Router
    session: Session | None = None
    version: float = 0.0
    parameters: dict[str, str] = field(default_factory=dict)
    _query: dict[str, str] | None = None

    @property
    def query(self) -> dict[str, str]:
        if self._query is None:
            self._query = dict(parse_qsl(self.query_string, keep_blank_values=True))
        return self._query

    @property
    def data_path(self) -> str:
        """``/services/data/vXX.X`` of this request's version."""
        return f"/services/data/v{self.version:.1f}"

    @property
    def user_id(self) -> str:
        return self.session.user_id if self.session is not None else self.org.user_id

    def json(self) -> Any:
        """The body as JSON; JSON_PARSER_ERROR otherwise."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as problem:
            raise ApiError("JSON_PARSER_ERROR", f"Unexpected content: {problem}") from None

    def json_object(self) -> dict[str, Any]:
        value = self.json()
        if not isinstance(value, dict):
            raise ApiError("JSON_PARSER_ERROR", "Can not deserialize: an object is expected")
        return value


@dataclass(slots=True)
class Response:
    """``body`` is whole, or an iterator of parts for large results."""

    status: int = 200
    body: bytes | Iterator[bytes] = b""
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)


def json_response(value: Any, status: int = 200, **headers: str) -> Response:
    encoded = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return Response(status, encoded, headers=headers)


def no_content() -> Response:
    return Response(204, b"", content_type="")


def error_response(error: ApiError) -> Response:
    return json_response(error.body(), error.status)


Handler = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    handler: Handler
    open: bool


class Router:
    """Routes by template: ``{name}`` is one segment, ``{name:path}`` the rest."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def add(self, method: str, template: str, handler: Handler, *, open: bool = False) -> None:
        pattern = re.sub(r"\{(\w+):path\}", r"(?P<\1>.+)", template)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        self._routes.append(Route(method, re.compile(pattern + "/?", re.IGNORECASE), handler, open))

    def data(self, method: str, template: str, handler: Handler) -> None:
        """A resource under ``/services/data/vXX.X``."""
        self.add(method, r"/services/data/v{version}" + template, handler)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route and its parameters; 405 when only the method is wrong."""
        other = False
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match is None:
                continue
            if route.method == method or (method == "HEAD" and route.method == "GET"):
                return route, match.groupdict()
            other = True
        if other:
            raise ApiError(
                "METHOD_NOT_ALLOWED", f"HTTP Method '{method}' not allowed. Allowed are others", 405
            )
        raise not_found()
