"""OAuth token endpoint and identity (contract A2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt

from orgsim.org import Org
from orgsim.rest.http import Request, Response, Router, json_response

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCES = ("https://login.salesforce.com", "https://test.salesforce.com")


class Refused(Exception):
    """An OAuth error: code, description, HTTP status."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.code, self.description, self.status = code, description, status


def register(router: Router) -> None:
    router.add("POST", "/services/oauth2/token", token, open=True)
    router.add("GET", "/services/oauth2/userinfo", userinfo)
    router.add("POST", "/services/oauth2/userinfo", userinfo)
    router.add("POST", "/services/oauth2/revoke", revoke, open=True)
    router.add("GET", "/id/{org_id}/{user_id}", userinfo)


def token(request: Request) -> Response:
    """All four grants; none answers how long the token lives. A refresh token comes for a scope that asks for it."""
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    form = {**request.query, **form}
    client = _client(request, form)
    try:
        user_id = _user(request, form, *client)
    except Refused as refusal:
        return json_response(
            {"error": refusal.code, "error_description": refusal.description}, refusal.status
        )
    session = request.org.sessions.open(user_id)
    identity = f"{request.base_url}/id/{request.org.id}/{user_id}"
    issued = str(int(request.org.clock.time() * 1000))
    signature = base64.b64encode(
        hmac.digest(client[1].encode(), (identity + issued).encode(), hashlib.sha256)
    ).decode()
    answer: dict[str, Any] = {
        "access_token": session.token,
        "signature": signature,
        "scope": "api",
        "instance_url": request.base_url,
        "id": identity,
        "token_type": "Bearer",
        "issued_at": issued,
    }
    if form.get("grant_type") == "client_credentials":
        answer["api_instance_url"] = request.base_url
    if "refresh_token" in form.get("scope", "") and form.get("grant_type") == "password":
        answer["refresh_token"] = _refresh_token(request.org)
    return json_response(answer)


def _client(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """Consumer key and secret from the Basic header or the form."""
    header = request.headers.get("authorization", "")
    if header.lower().startswith("basic "):
        try:
            key, _, secret = base64.b64decode(header[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return key, secret
    return form.get("client_id", ""), form.get("client_secret", "")


def _user(request: Request, form: dict[str, str], key: str, secret: str) -> str:
    org, grant = request.org, form.get("grant_type", "")
    if grant == JWT_GRANT:
        return _jwt_user(org, form.get("assertion", ""), request.base_url)
    if grant not in ("client_credentials", "password", "refresh_token"):
        raise Refused(
            "unsupported_grant_type" if grant else "invalid_request",
            "grant type not supported" if grant else "must specify a grant_type",
        )
    if key != org.settings.consumer_key:
        raise Refused("invalid_client_id", "client identifier invalid")
    if not hmac.compare_digest(secret.encode(), org.settings.consumer_secret.encode()):
        raise Refused("invalid_client", "invalid client credentials")
    if grant == "password":
        known = {org.settings.password, org.settings.password + org.settings.security_token}
        if (
            not org.settings.password_flow
            or form.get("username") != org.settings.username
            or form.get("password") not in known
        ):
            raise Refused("invalid_grant", "authentication failure")
    elif grant == "refresh_token" and form.get("refresh_token") != _refresh_token(org):
        raise Refused("invalid_grant", "expired access/refresh token")
    return org.user_id


def _refresh_token(org: Org) -> str:
    """One for the life of the org, as no rotation is set up."""
    digest = hmac.digest(org.settings.consumer_secret.encode(), org.id.encode(), hashlib.sha256)
    return "5Aep861" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _jwt_user(org: Org, assertion: str, own_url: str) -> str:
    """RS256 assertion for a configured key: issuer, subject, audience, expiry within minutes."""
    if not org.settings.jwt_public_key:
        raise Refused("invalid_grant", "user hasn't approved this consumer")
    pem = Path(org.settings.jwt_public_key).read_bytes()
    try:
        claims = jwt.decode(
            assertion,
            _public_key(pem),
            algorithms=["RS256"],
            options={"verify_aud": False, "require": ["iss", "sub", "aud", "exp"], "verify_exp": False},
        )
    except jwt.PyJWTError:
        raise Refused("invalid_grant", "invalid assertion") from None
    if claims["iss"] != org.settings.consumer_key:
        raise Refused("invalid_client_id", "client identifier invalid")
    audience = claims["aud"]
    if not (set(audience if isinstance(audience, list) else [audience]) & {*_AUDIENCES, own_url}):
        raise Refused("invalid_grant", "audience is invalid")
    if claims["sub"] != org.settings.username:
        raise Refused("invalid_grant", "user hasn't approved this consumer")
    ahead = float(claims["exp"]) - org.clock.time()
    if not -30 < ahead < 360:
        raise Refused("invalid_grant", "expired authorization code")
    return org.user_id


def _public_key(pem: bytes) -> Any:
    """A public key, or the one in a certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"CERTIFICATE" in pem:
        return x509.load_pem_x509_certificate(pem).public_key()
    return load_pem_public_key(pem)


def revoke(request: Request) -> Response:
    form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
    request.org.sessions.close({**request.query, **form}.get("token", ""))
    return Response(200, b"", content_type="text/html")


def userinfo(request: Request) -> Response:
    org = request.org
    user = org.store.record(org.schema["User"], request.user_id) or {}
    base = request.base_url
    return json_response(
        {
            "sub": f"{base}/id/{org.id}/{request.user_id}",
            "id": f"{base}/id/{org.id}/{request.user_id}",
            "user_id": request.user_id,
            "organization_id": org.id,
            "preferred_username": user.get("Username"),
            "username": user.get("Username"),
            "display_name": user.get("Name"),
            "name": user.get("Name"),
            "email": user.get("Email"),
            "active": bool(user.get("IsActive")),
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "zoneinfo": "Etc/UTC",
            "utcOffset": 0,
            "urls": {
                "rest": f"{base}/services/data/v{{version}}/",
                "sobjects": f"{base}/services/data/v{{version}}/sobjects/",
                "query": f"{base}/services/data/v{{version}}/query/",
                "partner": f"{base}/services/Soap/u/{{version}}/{org.id[:15]}",
            },
        }
    )
