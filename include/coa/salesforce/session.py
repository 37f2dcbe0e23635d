"""One org over HTTP: time-outs on every request, renewal of an expired session, retries, a count of calls.

What may be repeated is repeated here. A write without an answer may not; it raises `AmbiguousWrite`, and the
caller reads the state back.
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Self
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from coa.config import Settings
from coa.errors import (
    AllowanceUsedUp,
    AmbiguousWrite,
    AuthenticationFailed,
    ConfigurationError,
    LimitExceeded,
    OrgRefused,
    OrgUnavailable,
    WrongOrg,
)
from coa.salesforce.auth import KeptSession, OrgConnection, Token, check_url, is_loopback, login
from coa.salesforce.pace import Pace

__all__ = ["KeptSession", "Org", "OrgConnection"]

log = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD"})
TRANSIENT_STATUSES = frozenset({429, 500, 502, 503, 504})
MOST_RENEWALS = 2
"""New sessions of one request. One would do, were it not that it may be ended as well before the request comes
again."""
CLIENT_NAME = "coa-migration"
NEWEST_API_VERSION = 67.0
"""The newest API version that this release was tested with."""


class Number(float):
    """A number of a JSON body that keeps its text: a double has fewer digits than an org may print."""

    text: str

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.text = text
        return made


_closed: list[str] = []
"""Why no session may be opened in this process, while that is so."""


@contextmanager
def no_orgs(why: str) -> Iterator[None]:
    """While the block runs, making an `Org` in this process raises a `ConfigurationError` that says `why`."""
    _closed.append(why)
    try:
        yield
    finally:
        _closed.remove(why)


class _Bearer(requests.auth.AuthBase):
    """Set as `auth`, because otherwise a .netrc on the worker would replace the header."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Org:
    """A session with one org. Logs in on first use; may be used by several threads at once.

    `max_wait`: seconds after which a wait for a Bulk job that can be taken up later raises `JobStillRunning`;
    None waits on.
    """

    def __init__(
        self, connection: OrgConnection, settings: Settings | None = None, *, max_wait: float | None = None
    ) -> None:
        if _closed:
            raise ConfigurationError(
                f"{connection.name} is not entered: {_closed[-1]}.",
                next_step="start make preflight to read the orgs anew.",
            )
        self.connection = connection
        self.settings = settings or Settings()
        self.max_wait = max_wait
        self.pace = Pace()
        """How long this org's Bulk jobs take; give several sessions with one org the same."""
        self.kept = KeptSession()
        """Give those that use one connection in one process the same, and they log in once."""
        self.calls: Counter[str] = Counter()
        self.usage: tuple[int, int] | None = None
        """API calls of the last 24 hours as the org counts them, and the allowance."""
        self._token: Token | None = None
        self._bound_to = ""
        self._made_for = ""
        self._proved: Token | None = None
        self._proving = False
        self._version = ""
        self._lock = threading.RLock()
        self._local = threading.local()
        check_url(connection.login_url or connection.instance_url, connection.name)

    # ---- identity -----------------------------------------------------------------------------
    @property
    def name(self) -> str:
        """Name of the connection, for messages."""
        return self.connection.name

    @property
    def token(self) -> Token:
        """The access token. Logs in on first use, and proves that it is the org that the run is bound to.

        Raises `AuthenticationFailed` when the org refuses the login, `OrgUnavailable` when it does not answer,
        `WrongOrg` when it is another org, and `ConfigurationError` when it sends us to plain http.
        """
        with self._lock:
            if self._token is None:
                self._token = self.kept.opened(
                    self.connection, lambda: login(self.connection, self._post_login)
                )
                self._forbid_leaving_this_machine(self._token.instance_url)
            if self._bound_to and self._proved is not self._token and not self._proving:
                self._prove_identity(self._token)
            return self._token

    def bind(self, organization_id: str, made_for: str) -> Org:
        """From now on every session, including renewed ones, must be with this organization before
        anything is asked of it.

        `made_for`: what was made for that organization, such as `run 20261123T144200Z-a1b2c3`. Raises
        `WrongOrg` at the first use of a session with another one.
        """
        with self._lock:
            if id18(organization_id) != id18(self._bound_to):
                self._bound_to, self._proved = organization_id, None
            self._made_for = made_for
        return self

    def organization_id(self) -> str:
        """Id of the org as its login told it, else as its Organization record has it."""
        return id18(self.token.organization_id or self._asked_organization_id())

    @property
    def instance_url(self) -> str:
        """Scheme and host of the org, without a path."""
        return self.token.instance_url

    @property
    def api_version(self) -> str:
        """`67.0`: as the connection says, else the highest offered that we tested."""
        with self._lock:
            if not self._version:
                self._version = self.connection.api_version.lstrip("v") or self._choose_version()
            return self._version

    def use_version(self, version: str) -> None:
        """Sets the API version, so that the org need not be asked; the connection's own version, or one
        set before, counts more.
        """
        with self._lock:
            self._version = self._version or self.connection.api_version.lstrip("v") or version

    @property
    def data_path(self) -> str:
        """Path of the REST API: `/services/data/vXX.X`."""
        return f"/services/data/v{self.api_version}"

    def user_id(self) -> str:
        """Id of the user we act as; empty when the org does not tell."""
        if self.token.user_id:
            return self.token.user_id
        try:
            info = self.get_json("/services/oauth2/userinfo", kind="login")
        except OrgRefused:
            return ""
        return str(info.get("user_id", ""))

    def drain_call_counts(self) -> dict[str, int]:
        """API calls by kind since the last call of this method; a task records them when it ends."""
        with self._lock:
            taken = dict(self.calls)
            self.calls.clear()
            return taken

    # ---- requests -----------------------------------------------------------------------------
    def get_json(self, path: str, *, kind: str, params: dict[str, str] | None = None) -> Any:
        """GET; `path` is absolute on the instance. Retried. Raises `OrgRefused`, `OrgUnavailable`."""
        for attempt in range(1, self.settings.request_retries + 1):
            response = self.request("GET", path, kind=kind, params=params)
            try:
                return self._decoded(response, f"GET {path}")
            except ValueError as error:
                # A proxy's page, or a body that was cut off where the length was not declared.
                self._pause_or_give_up(attempt, f"{self.name}: GET {path} answered no JSON", error)
        raise OrgUnavailable(f"{self.name}: GET {path} did not answer with JSON.")

    def data_json(self, path: str, *, kind: str, params: dict[str, str] | None = None) -> Any:
        """GET below `/services/data/vXX.X`."""
        return self.get_json(self.data_path + path, kind=kind, params=params)

    def send_json(self, method: str, path: str, body: Any, *, kind: str, safe: bool = False) -> Any:
        """A JSON write below `/services/data/vXX.X`; None when the answer is empty.

        `safe`: the write may be repeated (it is idempotent). Otherwise a missing answer raises
        `AmbiguousWrite`.
        """
        response = self.request(
            method,
            self.data_path + path,
            kind=kind,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json; charset=UTF-8"},
            safe=safe,
        )
        if not response.content:
            return None
        try:
            return self._decoded(response, f"{method} {path}")
        except ValueError as error:
            raise AmbiguousWrite(
                f"{self.name}: {method} {path} answered something that is not JSON."
            ) from error
        except ConfigurationError as unreadable:
            if safe:
                raise
            # It was done, and how it went cannot be read: the state is.
            raise AmbiguousWrite(unreadable.message) from unreadable

    def request(
        self,
        method: str,
        path: str,
        *,
        kind: str,
        params: dict[str, str] | None = None,
        data: bytes | IO[bytes] | None = None,
        headers: dict[str, str] | None = None,
        stream: bool = False,
        safe: bool | None = None,
    ) -> requests.Response:
        """One request with renewal and, where it may be repeated, back-off.

        Returns a 2xx response. Raises `OrgRefused` for 4xx, `LimitExceeded` for too many calls at once,
        `AllowanceUsedUp` for those of a day, `OrgUnavailable` when retries ran out, `AmbiguousWrite` when a write got
        no answer. Raises `AuthenticationFailed` when a renewed session is refused as well.
        """
        repeatable = method in SAFE_METHODS if safe is None else safe
        renewals = 0
        attempt = 0
        while True:
            attempt += 1
            self._respect_allowance()
            token = self.token
            if data is not None and not isinstance(data, bytes):
                data.seek(0)
            try:
                response = self._http().request(
                    method,
                    url_on(token.instance_url, path, self.name),
                    params=params,
                    data=data,
                    headers={"Sforce-Call-Options": f"client={CLIENT_NAME}", **(headers or {})},
                    auth=_Bearer(token.access_token),
                    timeout=(self.settings.connect_timeout, self.settings.read_timeout),
                    stream=stream,
                    # Our token would go along, and a write that was answered with 302 has not been done.
                    allow_redirects=False,
                )
                self._count(kind, response)
            except requests.RequestException as error:
                self._count(kind, None)
                if not repeatable and not never_sent(error):
                    raise AmbiguousWrite(
                        f"{self.name}: no answer to {method} {path} ({type(error).__name__})."
                    ) from error
                self._pause_or_give_up(attempt, f"{method} {path}: {describe_failure(error)}", error)
                continue
            if 200 <= response.status_code < 300:
                return response
            if 300 <= response.status_code < 400:
                response.close()
                raise self._redirected(f"{method} {path}", response)
            code, message = error_of(response)
            if response.status_code == 401 and renewals < MOST_RENEWALS:
                renewals += 1
                log.warning("%s: %s %s answered 401 %s: a new session", self.name, method, path, code)
                self._renew(token)
                continue
            failure = f"{self.name}: {method} {path} answered {response.status_code} {code} {message}".strip()
            response.close()
            if response.status_code == 401:
                raise AuthenticationFailed(
                    f"{failure}.",
                    next_step=f"check the connection {self.name}: a new session was refused as well.",
                )
            if code == "REQUEST_LIMIT_EXCEEDED" or "LIMIT_EXCEEDED" in code:
                if "concurrent" in message.lower():
                    self._pause_or_give_up(attempt, failure, None, LimitExceeded)
                    continue
                raise AllowanceUsedUp(
                    f"{failure}.",
                    next_step="the org's 24-hour allowance is used up: run again when it has recovered.",
                )
            if response.status_code in TRANSIENT_STATUSES:
                if not repeatable:
                    raise AmbiguousWrite(f"{failure}.")
                self._pause_or_give_up(attempt, failure, None)
                continue
            raise OrgRefused(
                f"{failure}.",
                status=response.status_code,
                code=code,
                said=message,
                next_step=advice_for(code, self.name),
            )

    # ---- REST query ---------------------------------------------------------------------------
    def query(self, soql: str, *, tooling: bool = False, all_rows: bool = False) -> Iterator[dict[str, Any]]:
        """Records of a REST query, page by page, for results that are known to be small."""
        path = "/tooling/query" if tooling else "/queryAll" if all_rows else "/query"
        body = self.data_json(path, kind="query", params={"q": soql})
        while True:
            yield from body["records"]
            if body.get("done", True) or not body.get("nextRecordsUrl"):
                return
            body = self.get_json(body["nextRecordsUrl"], kind="query")

    def count(self, sobject: str, where: str = "") -> int:
        """`SELECT COUNT() FROM sobject`; recordCount is a cached figure and not fit to reconcile."""
        soql = f"SELECT COUNT() FROM {sobject}" + (f" WHERE {where}" if where else "")
        return int(self.data_json("/query", kind="query", params={"q": soql})["totalSize"])

    def _decoded(self, response: requests.Response, asked: str) -> Any:
        """The JSON of an answer. Raises `ValueError` when it is none or was cut off.

        `requests` would put a question mark in the place of a byte that is not UTF-8, and a record would arrive
        changed: that raises `ConfigurationError`, for asking again gives the same bytes.
        """
        try:
            text = response.content.decode("utf-8")
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data":
                raise ValueError("cut off within a character") from error
            raise ConfigurationError(
                f"{self.name}: {asked.partition('?')[0]} answered bytes that are not UTF-8 (at {error.start}).",
                next_step="find the record in the org, correct its text, then run again.",
            ) from error
        return json.loads(text, parse_float=Number)

    # ---- inside -------------------------------------------------------------------------------
    def _http(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            session = requests.Session()
            adapter = HTTPAdapter(pool_connections=4, pool_maxsize=8, max_retries=0)
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            self._local.session = session
        return self._local.session  # type: ignore[no-any-return]

    def _post_login(
        self, url: str, data: dict[str, str] | str, headers: dict[str, str]
    ) -> tuple[int, Any, str]:
        body = data.encode() if isinstance(data, str) else data
        for attempt in range(1, self.settings.request_retries + 1):
            try:
                self.calls["login"] += 1
                response = self._http().post(
                    url,
                    data=body,
                    headers=headers,
                    auth=_Bearer(""),
                    timeout=(self.settings.connect_timeout, self.settings.read_timeout),
                    # With 307 the secrets would be sent on to wherever it leads.
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                self._pause_or_give_up(attempt, f"login at {url}: {describe_failure(error)}", error)
                continue
            if 300 <= response.status_code < 400:
                raise self._redirected("the login", response)
            if response.status_code in TRANSIENT_STATUSES and "Soap" not in url:
                self._pause_or_give_up(attempt, f"login at {url} answered {response.status_code}", None)
                continue
            try:
                parsed = response.json()
            except ValueError:
                parsed = None
            return response.status_code, parsed, response.text
        raise OrgUnavailable(f"Connection {self.name}: login at {url} did not succeed.")

    def _asked_organization_id(self) -> str:
        record = next(iter(self.query("SELECT Id FROM Organization")), {})
        return str(record.get("Id", ""))

    def _prove_identity(self, token: Token) -> None:
        """Raises `WrongOrg`, and forgets the session, when it is not with the org that we are bound to."""
        self._proving = True
        try:
            # A session that was given with the connection says nothing of its org: that costs a call.
            found = id18(token.organization_id or self._asked_organization_id())
        finally:
            self._proving = False
        if found != id18(self._bound_to):
            self.kept.forget(token)
            self._token = None
            raise WrongOrg(
                f"The connection {self.name} leads to the organization {found or '(unknown)'}; "
                f"{self._made_for} was made for {id18(self._bound_to)}. Nothing was written to it.",
                next_step=f"point the connection {self.name} at {id18(self._bound_to)} again and clear the failed "
                "task; for the other org, trigger a new run and have its plan approved.",
            )
        self._proved = self._token

    def _redirected(self, what: str, response: requests.Response) -> OrgRefused:
        leads_to = urlsplit(response.headers.get("Location", "")).hostname or ""
        return OrgRefused(
            f"{self.name}: {what} was answered with a redirect ({response.status_code}"
            f"{' to ' + leads_to if leads_to else ''}), which is not followed.",
            status=response.status_code,
            next_step=f"set the host of the connection {self.name} to the org's My Domain address, and look for a "
            "proxy in between.",
        )

    def _renew(self, used: Token) -> None:
        with self._lock:
            # Another thread may have renewed it already.
            if self._token is used:
                if self.connection.session_id:
                    raise AuthenticationFailed(
                        f"Connection {self.name}: its session has expired.",
                        next_step="put a new session_id into the connection, or use client credentials.",
                    )
                self.kept.forget(used)
                self._token = None

    def _forbid_leaving_this_machine(self, instance_url: str) -> None:
        """A local org must not send us to another machine over plain http."""
        host = urlsplit(instance_url).hostname or ""
        if urlsplit(instance_url).scheme == "http" and not is_loopback(host):
            raise ConfigurationError(
                f"Connection {self.name}: the org sends us to {host} over plain http.",
                next_step="use an org whose instance URL is https.",
            )

    def _choose_version(self) -> str:
        offered = [str(v["version"]) for v in self.get_json("/services/data", kind="login")]
        usable = [v for v in offered if float(v) <= NEWEST_API_VERSION]
        if not usable:
            raise ConfigurationError(
                f"{self.name} offers only API versions newer than {NEWEST_API_VERSION}.",
                next_step="set the extra `version` of the connection to one that the org offers.",
            )
        return max(usable, key=float)

    def _count(self, kind: str, response: requests.Response | None) -> None:
        with self._lock:
            self.calls[kind] += 1
            found = re.search(
                r"(?<![-\w])api-usage=(\d+)/(\d+)",
                response.headers.get("Sforce-Limit-Info", "") if response is not None else "",
            )
            if found:
                self.usage = int(found.group(1)), int(found.group(2))

    def _respect_allowance(self) -> None:
        if self.usage is None:
            return
        used, allowed = self.usage
        reserve = min(self.settings.api_reserve, allowed // 10)
        if allowed and used >= allowed - reserve:
            raise AllowanceUsedUp(
                f"{self.name}: {used} of {allowed} API calls of the last 24 hours are used; "
                f"the last {reserve} are reserved for others.",
                next_step="run again when the allowance has recovered, or set COA_API_RESERVE.",
            )

    def _pause_or_give_up(
        self,
        attempt: int,
        failure: str,
        cause: BaseException | None,
        error_class: type[OrgUnavailable] | type[LimitExceeded] = OrgUnavailable,
    ) -> None:
        if attempt >= self.settings.request_retries:
            raise error_class(
                f"{failure} (tried {attempt} times).",
                next_step=f"check that {self.connection.login_url or self.connection.instance_url} "
                f"(connection {self.name}) can be reached from the workers.",
            ) from cause
        gap = min(self.settings.retry_first_seconds * 2 ** (attempt - 1), self.settings.retry_max_seconds)
        # Jitter, so that lanes that failed together do not come back together.
        gap *= random.uniform(0.7, 1.3)
        log.warning("%s: retry %d in %.1f s", failure, attempt, gap)
        time.sleep(gap)


def id18(value: str) -> str:
    """A 15-character id with its three check characters; anything else as it is.

    >>> id18("0018c00002FInbo")
    '0018c00002FInboAAD'
    """
    if len(value) != 15:
        return value
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    groups = (value[start : start + 5] for start in (0, 5, 10))
    return value + "".join(alphabet[sum(1 << i for i, c in enumerate(g) if "A" <= c <= "Z")] for g in groups)


def url_on(instance_url: str, path: str, name: str) -> str:
    """The address of a path on an org; `path` may be what the org sent, such as nextRecordsUrl.

    Raises `OrgRefused` when that would lead to another origin, where the session's token would go along.
    """
    ours = urlsplit(instance_url)
    try:
        url = urljoin(instance_url + "/", path)
        theirs = urlsplit(url)
        same = (theirs.scheme, theirs.netloc.lower()) == (ours.scheme, ours.netloc.lower())
    except ValueError:
        same = False
    if not same or not path.startswith("/"):
        raise OrgRefused(
            f"{name}: the org names an address of another server, to which nothing is sent.",
            next_step=f"check which server the connection {name} leads to, and look for a proxy in between.",
        )
    return url


def error_of(response: requests.Response) -> tuple[str, str]:
    """(errorCode, message) of a Salesforce error body; empty when it is something else."""
    try:
        return error_in(response.json())
    except (ValueError, requests.RequestException):
        return "", ""


def error_in(body: Any) -> tuple[str, str]:
    """(errorCode, message) of the JSON of an error; empty when it is something else."""
    first = body[0] if isinstance(body, list) and body else body
    if not isinstance(first, dict):
        return "", ""
    return str(first.get("errorCode", "")), " ".join(str(first.get("message", "")).split())[:300]


def never_sent(error: requests.RequestException) -> bool:
    """Whether the request certainly did not reach the org: no connection was made."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)


def describe_failure(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    text = str(error)
    if "Name or service not known" in text or "getaddrinfo" in text or "NameResolution" in text:
        return "the host name cannot be resolved"
    if "Connection refused" in text:
        return "the connection was refused"
    return type(error).__name__


def advice_for(code: str, name: str) -> str:
    if code in ("INVALID_FIELD", "INVALID_TYPE"):
        return f"check the field and object rights of the user behind {name} (permission set COA Admin User)."
    if code in ("API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED", "INSUFFICIENT_ACCESS"):
        return f"give the user behind {name} API access."
    return ""
