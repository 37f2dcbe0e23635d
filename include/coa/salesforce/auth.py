"""Logging in to an org: OAuth flows and, for old set-ups, SOAP login.

Which fields of a connection are filled decides the flow, the same order as the Salesforce provider's:
a given session, JWT bearer, client credentials, username-password. Sources: "OAuth Authorization
Flows" of Salesforce Help; SOAP login() exists up to API 64.0 and ends with Summer '27.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import jwt

from coa.errors import AuthenticationFailed, ConfigurationError

SOAP_VERSION = "59.0"
JWT_LIFETIME_SECONDS = 180
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class OrgConnection:
    """How to reach and enter one org. Secrets never appear in its repr."""

    name: str
    """Name of the Airflow connection, for messages."""
    login_url: str
    """Scheme, host and port: `https://acme.my.salesforce.com` or `http://127.0.0.1:9101`."""
    username: str = ""
    password: str = field(default="", repr=False)
    security_token: str = field(default="", repr=False)
    consumer_key: str = field(default="", repr=False)
    consumer_secret: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    """PEM text of the RSA key whose certificate the connected app knows."""
    audience: str = ""
    session_id: str = field(default="", repr=False)
    instance_url: str = ""
    api_version: str = ""
    """Such as `67.0`; empty: the highest that the org offers, up to the newest tested."""
    unknown_extras: tuple[str, ...] = ()
    """What the connection has beside all that we know, each with the known name that it may be meant for."""


@dataclass(frozen=True)
class Token:
    """An open session: where to go, what to show, and whose it is (empty where the login did not tell)."""

    access_token: str = field(repr=False)
    instance_url: str = ""
    user_id: str = ""
    organization_id: str = ""


class KeptSession:
    """The session that was opened for a connection, until it is refused. For several threads at once.

    Each `Org` proves for itself that it is with the org that it is bound to; a connection that says something else by
    now gets a session of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: OrgConnection | None = None
        self._token: Token | None = None

    def opened(self, connection: OrgConnection, log_in: Callable[[], Token]) -> Token:
        """The session of this connection; `log_in` opens one where none is kept, and may raise what it raises."""
        with self._lock:
            if self._token is None or self._of != connection:
                self._of, self._token = connection, log_in()
            return self._token

    def forget(self, used: Token) -> None:
        """After this session was refused, the next caller opens a new one."""
        with self._lock:
            # Another thread may have opened a new one already.
            if self._token is used:
                self._token = None


class Post(Protocol):
    """Sends a form or text body and returns (status, parsed JSON or None, text)."""

    def __call__(self, url: str, data: dict[str, str] | str, headers: dict[str, str]) -> tuple[int, Any, str]:
        """Sends the request. Raises `OrgUnavailable` when no answer comes, `OrgRefused` for a redirect."""


def check_url(url: str, connection_name: str) -> str:
    """The URL without a trailing slash; raises `ConfigurationError` for plain http beyond loopback."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"Connection {connection_name}: {url!r} is not an http(s) address.",
            next_step="set its host to the My Domain address, such as https://acme.my.salesforce.com.",
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigurationError(
            f"Connection {connection_name}: plain http to {parts.hostname} would send secrets in the clear.",
            next_step="use https; plain http is only for orgs on this machine (127.0.0.1, localhost).",
        )
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: only there is `http://` allowed."""
    return host in LOOPBACK_HOSTS or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))


def login(connection: OrgConnection, post: Post) -> Token:
    """Opens a session. Raises `AuthenticationFailed` with what the org answered.

    Raises `ConfigurationError` when the connection has no credentials that go together.
    """
    c = connection
    if c.session_id:
        return Token(c.session_id, check_url(c.instance_url or c.login_url, c.name))
    if c.private_key and c.consumer_key:
        if not c.username:
            raise ConfigurationError(
                f"Connection {c.name}: JWT bearer needs the user name to log in as.",
                next_step="fill in the connection's login.",
            )
        return _oauth(
            c,
            post,
            {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": _assertion(c)},
        )
    if c.consumer_key and c.consumer_secret and c.username and c.password:
        return _oauth(
            c,
            post,
            {
                "grant_type": "password",
                "client_id": c.consumer_key,
                "client_secret": c.consumer_secret,
                "username": c.username,
                "password": c.password + c.security_token,
            },
        )
    if c.consumer_key and c.consumer_secret:
        return _oauth(
            c,
            post,
            {
                "grant_type": "client_credentials",
                "client_id": c.consumer_key,
                "client_secret": c.consumer_secret,
            },
        )
    if c.username and c.password:
        return _soap(c, post)
    raise ConfigurationError(
        f"Connection {c.name} has no credentials."
        + (f" It has unknown extras: {', '.join(c.unknown_extras)}." if c.unknown_extras else ""),
        next_step="set consumer_key and consumer_secret (client credentials), or consumer_key, private_key and "
        "login (JWT bearer), or session_id and instance_url.",
    )


def _assertion(c: OrgConnection) -> str:
    audience = c.audience
    if not audience:
        host = urlsplit(c.login_url).hostname or ""
        # Sandboxes log in at test.salesforce.com; a local org is its own audience.
        if is_loopback(host):
            audience = c.login_url
        elif host == "test.salesforce.com" or ".sandbox." in host:
            audience = "https://test.salesforce.com"
        else:
            audience = "https://login.salesforce.com"
    claims = {
        "iss": c.consumer_key,
        "sub": c.username,
        "aud": audience,
        "exp": int(time.time()) + JWT_LIFETIME_SECONDS,
    }
    try:
        return jwt.encode(claims, c.private_key, algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError) as error:
        raise ConfigurationError(
            f"Connection {c.name}: the private key cannot be read ({type(error).__name__}).",
            next_step="give an RSA private key in PEM form, with its line breaks.",
        ) from error


def _oauth(c: OrgConnection, post: Post, form: dict[str, str]) -> Token:
    status, body, _ = post(
        check_url(c.login_url, c.name) + "/services/oauth2/token",
        form,
        {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
    )
    if status != 200 or not isinstance(body, dict) or not body.get("access_token"):
        said = (
            ": ".join(str(body[k]) for k in ("error", "error_description") if body.get(k))
            if isinstance(body, dict)
            else ""
        )
        raise AuthenticationFailed(
            f"Connection {c.name}: {c.login_url} refused the login (HTTP {status}{', ' + said if said else ''}).",
            next_step=_advice(said),
        )
    instance = str(body.get("instance_url") or c.login_url)
    # The identity URL: https://login.salesforce.com/id/<organization id>/<user id>.
    identity = re.search(r"/id/(00D\w{12,15})/(005\w{12,15})/?$", str(body.get("id", "")), re.ASCII)
    organization_id, user_id = identity.groups() if identity else ("", "")
    return Token(str(body["access_token"]), check_url(instance, c.name), user_id, organization_id)


def _advice(said: str) -> str:
    if "not supported on this domain" in said:
        return "set the host to the org's My Domain address; client credentials do not work on login.salesforce.com."
    if "no client credentials user" in said:
        return "set a Run As user in the client credentials flow of the external client app."
    if "audience" in said:
        return "set the extra `audience` to https://login.salesforce.com or https://test.salesforce.com."
    if "approved" in said:
        return "pre-authorise the user for the connected app (policies, permitted users)."
    return (
        "check consumer_key, consumer_secret or private_key, and login of the connection; "
        "the org's login history says more."
    )


def _soap(c: OrgConnection, post: Post) -> Token:
    envelope = (
        '<?xml version="1.0" encoding="utf-8"?><env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:urn="urn:partner.soap.sforce.com"><env:Body><urn:login>'
        f"<urn:username>{escape(c.username)}</urn:username>"
        f"<urn:password>{escape(c.password + c.security_token)}</urn:password>"
        "</urn:login></env:Body></env:Envelope>"
    )
    status, _, text = post(
        f"{check_url(c.login_url, c.name)}/services/Soap/u/{SOAP_VERSION}",
        envelope,
        {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": "login"},
    )
    session = re.search(r"<(?:\w+:)?sessionId>([^<]+)<", text)
    server = re.search(r"<(?:\w+:)?serverUrl>([^<]+)<", text)
    if status != 200 or not session or not server:
        code = re.search(r"<(?:\w+:)?exceptionCode>([^<]+)<", text)
        raise AuthenticationFailed(
            f"Connection {c.name}: SOAP login was refused (HTTP {status}{', ' + code.group(1) if code else ''}).",
            next_step="check login, password and security token; new orgs have SOAP login switched off: "
            "use client credentials or JWT bearer.",
        )
    url = urlsplit(server.group(1))
    user = re.search(r"<(?:\w+:)?userId>([^<]+)<", text)
    organization = re.search(r"<(?:\w+:)?organizationId>([^<]+)<", text)
    return Token(
        session.group(1),
        check_url(f"{url.scheme}://{url.netloc}".replace("-api.", "."), c.name),
        user.group(1) if user else "",
        organization.group(1) if organization else "",
    )
