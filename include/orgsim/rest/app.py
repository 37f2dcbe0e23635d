"""The ASGI application: reads a request, checks session and version, applies faults, calls the handler."""

from __future__ import annotations

import asyncio
import gzip
import logging
import zlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

from orgsim.errors import ApiError, not_found
from orgsim.faults import Fault
from orgsim.org import Org
from orgsim.rest import bulk1
from orgsim.rest.faulty import planned_answer
from orgsim.rest.http import Request, Response, Router, error_response
from orgsim.rest.routes import build_router

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("orgsim")
_WORTH_PACKING = 1024


class App:
    """One org over HTTP."""

    def __init__(self, org: Org) -> None:
        self.org = org
        self.router: Router = build_router()
        self._pool = ThreadPoolExecutor(max_workers=24, thread_name_prefix="orgsim")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        body = await _read(receive)
        if body is None:
            return
        request = self._request(scope, body)
        loop = asyncio.get_running_loop()
        fault = None
        if not request.path.startswith("/control"):
            self.org.traffic["in"] += len(body)
            fault = self.org.faults.for_request(request.method, request.path)
        kind = fault.kind if fault is not None else ""
        if fault is not None and kind == "slow":
            await asyncio.sleep(fault.seconds)
        if kind == "reset_before":
            _drop(send)
            return
        response = planned_answer(fault) if fault is not None else None
        if response is None:
            response = await loop.run_in_executor(self._pool, self._answer, request)
        if kind == "reset_after":
            _drop(send)
            return
        if kind == "error_after":
            response = planned_answer(Fault("unknown_exception")) or response
        await self._send(request, response, send, fault.fraction if fault and kind == "truncate" else None)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    def _request(self, scope: Scope, body: bytes) -> Request:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        server = scope.get("server") or ("127.0.0.1", 0)
        host = headers.get("host") or f"{server[0]}:{server[1]}"
        return Request(
            self.org,
            scope["method"].upper(),
            unquote(scope.get("raw_path", scope["path"].encode()).decode("latin-1").split("?")[0]),
            scope["query_string"].decode("latin-1"),
            headers,
            body,
            f"{scope.get('scheme', 'http')}://{host}",
            self.router,
        )

    def _answer(self, request: Request) -> Response:
        """Runs in a worker thread; every refusal becomes an answer of the contract."""
        try:
            return self._dispatch(request)
        except ApiError as refusal:
            if request.path.lower().startswith("/services/async"):
                return bulk1.refuse(request, refusal)
            return error_response(refusal)
        except Exception:
            log.exception("%s %s", request.method, request.path)
            error = ApiError(
                "UNKNOWN_EXCEPTION",
                "An unexpected error occurred. Please include this ErrorId if you contact support",
                500,
            )
            return error_response(error)

    def _dispatch(self, request: Request) -> Response:
        encoding = request.headers.get("content-encoding", "").lower()
        if encoding in ("gzip", "deflate"):
            try:
                request.body = (
                    gzip.decompress(request.body) if encoding == "gzip" else zlib.decompress(request.body)
                )
            except (OSError, EOFError, zlib.error):
                raise ApiError("INVALID_INPUT", "the request body is not valid gzip") from None
        route, request.parameters = self.router.find(request.method, request.path)
        if not route.open:
            self._count_call()
            self._check_version(request)
            self._authenticate(request)
        response = route.handler(request)
        if not route.open:
            usage = f"api-usage={self.org.api_usage}/{self.org.settings.api_limit}"
            response.headers.setdefault("Sforce-Limit-Info", usage)
        return response

    def _count_call(self) -> None:
        self.org.calls["api"] += 1
        if self.org.settings.api_limit and self.org.api_usage > self.org.settings.api_limit:
            raise ApiError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", 403)

    def _check_version(self, request: Request) -> None:
        text = request.parameters.pop("version", None)
        if text is None:
            return
        try:
            request.version = float(text)
        except ValueError:
            raise not_found() from None
        settings = self.org.settings
        if request.version < settings.min_version:
            raise ApiError(
                "UNSUPPORTED_API_VERSION",
                "The requested API version has been retired or is not supported.",
                410,
            )
        if not request.version <= settings.max_version or request.version != int(request.version):
            raise not_found()

    def _authenticate(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        scheme, _, token = given.partition(" ")
        session = (
            self.org.sessions.find(token.strip() or scheme) if scheme.lower() in ("bearer", "oauth") else None
        )
        if session is None:
            session = self.org.sessions.find(request.headers.get("x-sfdc-session", ""))
        if session is None:
            raise ApiError("INVALID_SESSION_ID", "Session expired or invalid", 401)
        request.session = session

    async def _send(self, request: Request, response: Response, send: Send, truncate: float | None) -> None:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if response.content_type:
            headers["content-type"] = response.content_type
        body = response.body
        accepts = "gzip" in request.headers.get("accept-encoding", "").lower() and self.org.settings.gzip
        if isinstance(body, bytes):
            if accepts and len(body) >= _WORTH_PACKING:
                loop = asyncio.get_running_loop()
                body = await loop.run_in_executor(self._pool, lambda whole: gzip.compress(whole, 1), body)
                headers["content-encoding"] = "gzip"
            headers["content-length"] = str(len(body))
            parts: Iterator[bytes] = iter([body])
        elif accepts:
            headers["content-encoding"] = "gzip"
            parts = _packed(body)
        else:
            parts = body
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [
                    (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
                ],
            }
        )
        if request.method == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        loop = asyncio.get_running_loop()
        done = object()
        counted = not request.path.startswith("/control")
        while True:
            part = await loop.run_in_executor(self._pool, lambda: next(parts, done))
            if part is done:
                break
            assert isinstance(part, bytes)
            if counted:
                self.org.traffic["out"] += len(part)
            if truncate is not None:
                await send(
                    {
                        "type": "http.response.body",
                        "body": part[: int(len(part) * truncate)],
                        "more_body": True,
                    }
                )
                await asyncio.sleep(0.05)
                _drop(send)
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _read(receive: Receive) -> bytes | None:
    """The whole body, chunked or not; None when the client went away."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _packed(parts: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for part in parts:
        packed = packer.compress(part)
        if packed:
            yield packed
    yield packer.flush()


def _drop(send: Send) -> None:
    """Close the connection without (the rest of) an answer; the server's request object holds the transport."""
    holder = getattr(send, "__self__", None)
    transport = getattr(holder, "transport", None)
    if transport is None:
        raise RuntimeError("this ASGI server does not let a response be cut off")
    transport.abort()
