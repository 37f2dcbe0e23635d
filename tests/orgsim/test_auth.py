"""Contract A: who gets a session, and how it ends."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from orgsim.launch import RunningOrg, running_org
from tests.orgsim.client import Client, connect


def token(org: RunningOrg, headers: dict[str, str] | None = None, /, **form: str) -> requests.Response:
    return requests.post(f"{org.url}/services/oauth2/token", data=form, headers=headers, timeout=30)


def test_a2_client_credentials_in_the_body_or_by_basic_header(org: RunningOrg) -> None:
    body = token(
        org, grant_type="client_credentials", client_id=org.consumer_key, client_secret=org.consumer_secret
    ).json()
    assert body["instance_url"] == org.url
    assert body["token_type"] == "Bearer"
    assert body["access_token"].startswith(org.org_id[:15] + "!")
    assert "expires_in" not in body
    assert "refresh_token" not in body
    assert all(isinstance(value, str) for value in body.values())
    basic = base64.b64encode(f"{org.consumer_key}:{org.consumer_secret}".encode()).decode()
    again = token(org, {"Authorization": f"Basic {basic}"}, grant_type="client_credentials")
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("form", "error"),
    [
        (
            {"grant_type": "client_credentials", "client_id": "coa", "client_secret": "wrong"},
            "invalid_client",
        ),
        (
            {"grant_type": "client_credentials", "client_id": "no", "client_secret": "secret"},
            "invalid_client_id",
        ),
        ({"grant_type": "device", "client_id": "coa", "client_secret": "secret"}, "unsupported_grant_type"),
        ({}, "invalid_request"),
        (
            {
                "grant_type": "password",
                "client_id": "coa",
                "client_secret": "secret",
                "username": "integration@source.example",
                "password": "bad",
            },
            "invalid_grant",
        ),
        ({"grant_type": "refresh_token", "client_id": "coa", "client_secret": "secret"}, "invalid_grant"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "x"}, "invalid_grant"),
    ],
)
def test_a2_refusals_are_error_and_description(org: RunningOrg, form: dict[str, str], error: str) -> None:
    answer = token(org, **form)
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert answer.json()["error_description"]


def test_a2_password_grant_with_or_without_security_token(org: RunningOrg) -> None:
    for suffix in ("", org.settings.security_token):
        answer = token(
            org,
            grant_type="password",
            client_id=org.consumer_key,
            client_secret=org.consumer_secret,
            username=org.settings.username,
            password=org.settings.password + suffix,
        )
        assert answer.status_code == 200


def test_a2_a_refresh_token_renews_the_session(org: RunningOrg) -> None:
    client = {"client_id": org.consumer_key, "client_secret": org.consumer_secret}
    user = {
        "username": org.settings.username,
        "password": org.settings.password,
        "scope": "api refresh_token",
    }
    first = token(org, grant_type="password", **client, **user).json()
    again = token(org, grant_type="refresh_token", refresh_token=first["refresh_token"], **client).json()
    assert again["access_token"] != first["access_token"]
    assert "refresh_token" not in again


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    path = tmp_path_factory.mktemp("keys") / "public.pem"
    path.write_bytes(public)
    return private, path


@pytest.fixture(scope="module")
def jwt_org(keys: tuple[Any, Path]) -> Any:
    with running_org(role="target", orders=0, empty=True, jwt_public_key=str(keys[1])) as org:
        yield org


def assertion(org: RunningOrg, key: Any, **changes: Any) -> str:
    claims = {
        "iss": org.consumer_key,
        "sub": org.settings.username,
        "aud": "https://login.salesforce.com",
        "exp": int(time.time()) + 180,
    }
    return jwt.encode(claims | changes, key, algorithm="RS256")


def test_a2_jwt_bearer_with_a_checked_signature(jwt_org: RunningOrg, keys: tuple[Any, Path]) -> None:
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    good = token(jwt_org, grant_type=grant, assertion=assertion(jwt_org, keys[0]))
    assert good.status_code == 200, good.text
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    bad = {
        "signature": assertion(jwt_org, other),
        "audience": assertion(jwt_org, keys[0], aud="https://evil.example"),
        "expiry": assertion(jwt_org, keys[0], exp=int(time.time()) - 600),
        "too long": assertion(jwt_org, keys[0], exp=int(time.time()) + 3600),
        "subject": assertion(jwt_org, keys[0], sub="nobody@example"),
    }
    for why, one in bad.items():
        answer = token(jwt_org, grant_type=grant, assertion=one)
        assert answer.json()["error"] == "invalid_grant", why


def test_a4_a_dead_session_answers_401_invalid_session_id(client: Client) -> None:
    client.http.headers["Authorization"] = "Bearer no"
    assert client.error("GET", "/limits") == (401, "INVALID_SESSION_ID", "Session expired or invalid")


def test_a2_a_session_ends_after_inactivity(org: RunningOrg) -> None:
    client = connect(org)
    client.get("/limits")
    org.control("POST", "clock", {"seconds": 7201})
    assert client.call("GET", "/limits").status_code == 401
    org.control("POST", "clock", {"offset": 0})


def test_a_session_can_be_made_to_end_after_n_calls(org: RunningOrg) -> None:
    client = connect(org)
    org.control("POST", "sessions/expire", {"after_calls": 3})
    assert [client.call("GET", "/limits").status_code for _ in range(5)] == [200, 200, 200, 401, 401]
    org.control("POST", "sessions/expire", {"after_calls": 0})


def test_revoked_tokens_are_dead(org: RunningOrg) -> None:
    client = connect(org)
    mine = client.http.headers["Authorization"].split()[1]
    requests.post(f"{org.url}/services/oauth2/revoke", data={"token": mine}, timeout=30)
    assert client.call("GET", "/limits").status_code == 401


def test_identity_names_user_and_org(org: RunningOrg, client: Client) -> None:
    info = client.call("GET", "/services/oauth2/userinfo").json()
    assert info["organization_id"] == org.org_id
    assert info["preferred_username"] == "integration@source.example"


def test_versions_need_no_session(org: RunningOrg) -> None:
    """H: ascending list with label, url, version."""
    versions = requests.get(f"{org.url}/services/data/", timeout=30).json()
    assert versions[-1] == {"label": "Summer '26", "url": "/services/data/v67.0", "version": "67.0"}
    assert [one["label"] for one in versions[-3:]] == ["Winter '26", "Spring '26", "Summer '26"]
    assert versions[0]["version"] == "31.0"


def test_h_a_retired_version_answers_410_and_an_unknown_one_404(client: Client) -> None:
    assert client.error("GET", "/services/data/v30.0/limits")[:2] == (410, "UNSUPPORTED_API_VERSION")
    assert client.error("GET", "/services/data/v99.0/limits")[:2] == (404, "NOT_FOUND")
    answer = client.call("GET", "/services/async/30.0/job/750000000000000AAA")
    assert answer.status_code == 400
    assert "InvalidVersion" in answer.text
