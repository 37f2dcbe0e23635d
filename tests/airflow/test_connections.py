"""Every way of writing an org into an Airflow connection, and what is said when it cannot work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.sdk import Connection

from coa.errors import ConfigurationError
from coa.salesforce.auth import OrgConnection, login
from coa_airflow.connections import org_connection
from coa_airflow.hook import CoaSalesforceHook

LOCAL = "http://127.0.0.1:9101"
MY_DOMAIN = "https://acme.my.salesforce.com"


def from_uri(uri: str) -> OrgConnection:
    return org_connection("coa_source", Connection(conn_id="coa_source", uri=uri))


def from_json(**fields: object) -> OrgConnection:
    connection = Connection.from_json(json.dumps({"conn_type": "salesforce", **fields}), "coa_source")
    return org_connection("coa_source", connection)


@pytest.mark.parametrize(
    ("uri", "login_url"),
    [
        ("salesforce://http%3A%2F%2F127.0.0.1%3A9101", LOCAL),
        ("salesforce://http%3A%2F%2F127.0.0.1:9101", LOCAL),
        ("salesforce://http://127.0.0.1:9101", LOCAL),
        ("salesforce://http://127.0.0.1:9101/", LOCAL),
        ("salesforce://http://127.0.0.1:9101/services?x=1", LOCAL),
        ("salesforce://127.0.0.1:9101/", LOCAL),
        ("salesforce://localhost:9101/?schema=x", "http://localhost:9101"),
        ("salesforce://http%3A%2F%2F%5B%3A%3A1%5D:9101/", "http://[::1]:9101"),
        ("salesforce://https%3A%2F%2Facme.my.salesforce.com", MY_DOMAIN),
        ("salesforce://https%3A%2F%2Facme.my.salesforce.com%2F", MY_DOMAIN),
        ("salesforce://https://acme.my.salesforce.com?x=1", MY_DOMAIN),
        ("salesforce://https://acme.my.salesforce.com:8443/", MY_DOMAIN + ":8443"),
        ("salesforce://acme.my.salesforce.com/", MY_DOMAIN),
        ("salesforce:///?domain=acme.my", MY_DOMAIN),
        ("salesforce:///?domain=acme--uat.sandbox.my", "https://acme--uat.sandbox.my.salesforce.com"),
        ("salesforce:///?domain=test", "https://test.salesforce.com"),
        ("salesforce:///?domain=acme.my.salesforce.com", MY_DOMAIN),
        ("salesforce:///?domain=https%3A%2F%2Facme.my.salesforce.com", MY_DOMAIN),
        ("salesforce:///?extra__salesforce__domain=acme.my", MY_DOMAIN),
        ("salesforce://user:pw@/", "https://login.salesforce.com"),
        ("salesforce:///?session_id=s&instance_url=https%3A%2F%2Facme.my.salesforce.com%2F", MY_DOMAIN),
        ("salesforce:///?session_id=s&instance=acme.my.salesforce.com", MY_DOMAIN),
    ],
)
def test_each_uri_form_names_the_same_address(uri: str, login_url: str) -> None:
    assert from_uri(uri).login_url == login_url


@pytest.mark.parametrize(
    ("fields", "login_url"),
    [
        ({"host": LOCAL}, LOCAL),
        ({"host": "http://127.0.0.1", "port": 9101}, LOCAL),
        ({"host": "127.0.0.1", "port": "9101"}, LOCAL),
        ({"host": "127.0.0.1", "port": 9101, "schema": "https"}, "https://127.0.0.1:9101"),
        ({"host": LOCAL, "port": 9101}, LOCAL),
        ({"host": "acme.my.salesforce.com", "schema": "https"}, MY_DOMAIN),
        ({"host": f"{MY_DOMAIN}/lightning/setup"}, MY_DOMAIN),
        ({"extra": {"domain": "acme.my"}}, MY_DOMAIN),
        ({"extra": json.dumps({"extra__salesforce__domain": "acme.my", "domain": ""})}, MY_DOMAIN),
    ],
)
def test_each_json_form_names_the_same_address(fields: dict[str, object], login_url: str) -> None:
    assert from_json(**fields).login_url == login_url


def test_client_credentials_arrive_whole() -> None:
    read = from_uri(
        "salesforce://http%3A%2F%2F127.0.0.1:9101/?consumer_key=k%2B%2F%3D&consumer_secret=s%26&version=v66.0"
    )

    assert (read.consumer_key, read.consumer_secret, read.api_version) == ("k+/=", "s&", "66.0")


def test_the_forms_of_the_user_interface_with_legacy_names_arrive_whole() -> None:
    read = from_json(
        login="me@acme.com",
        password="pw",
        extra={
            "extra__salesforce__security_token": "tok",
            "extra__salesforce__domain": "test",
            "extra__salesforce__version": 64.0,
        },
    )

    assert (read.username, read.password, read.security_token) == ("me@acme.com", "pw", "tok")
    assert (read.login_url, read.api_version) == ("https://test.salesforce.com", "64.0")


def test_a_private_key_is_read_from_its_file(tmp_path: Path) -> None:
    key = tmp_path / "server.key"
    key.write_text("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n")

    read = from_json(
        login="me@acme.com", host=MY_DOMAIN, extra={"consumer_key": "k", "private_key_file_path": str(key)}
    )

    assert read.private_key == key.read_text()


def test_a_private_key_with_written_out_line_breaks_gets_real_ones() -> None:
    read = from_json(
        login="me", extra={"consumer_key": "k", "private_key": "-----BEGIN-----\\nabc\\n-----END-----"}
    )

    assert read.private_key == "-----BEGIN-----\nabc\n-----END-----"
    assert read.login_url == "https://login.salesforce.com"


def test_no_secret_shows_in_the_text_of_a_connection() -> None:
    read = from_json(
        login="me",
        password="S3CRET",
        host=MY_DOMAIN,
        extra={"consumer_secret": "S3CRET", "session_id": "S3CRET"},
    )

    assert "S3CRET" not in repr(read)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"host": "http://acme.my.salesforce.com"}, "plain http to acme.my.salesforce.com"),
        ({"host": "http://10.0.0.5", "port": 9101}, "plain http to 10.0.0.5"),
        ({"host": "ftp://acme.com"}, "not an http"),
        ({"extra": {"session_id": "s", "instance_url": "http://evil.example.com"}}, "plain http"),
        ({"extra": {"consumer_key": "k", "consumer_secret": "s"}}, "does not say where the org is"),
        ({"host": MY_DOMAIN, "extra": {"version": "latest"}}, "version"),
        ({"host": MY_DOMAIN, "extra": {"private_key_file_path": "/no/such/server.key"}}, "No such file"),
        ({"host": MY_DOMAIN, "extra": {"private_key_file_path": "/dev/zero"}}, "not a regular file"),
    ],
)
def test_what_cannot_work_is_refused_by_name_with_a_next_step(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refusal:
        from_json(**fields)

    assert "coa_source" in refusal.value.message
    assert refusal.value.next_step


def test_a_missing_connection_says_how_to_define_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_COA_NOWHERE", raising=False)

    with pytest.raises(ConfigurationError, match="AIRFLOW_CONN_COA_NOWHERE"):
        _ = CoaSalesforceHook("coa_nowhere").org


@pytest.mark.parametrize(
    "written",
    [
        "salesforce://a:S3CRET@https://acme.my.salesforce.com/?instance_url=https://acme.my.salesforce.com",
        '{"conn_type": "salesforce", "password": "S3CRET", ',
        '{"conn_type": "salesforce", "password": "S3CRET", "port": "nine"}',
        '{"conn_type": "salesforce", "password": "S3CRET", "nonsense": 1}',
        "salesforce://a:S3CRET@https://acme.my.salesforce.com:port/",
    ],
)
def test_an_unreadable_connection_is_reported_without_its_secrets(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_COA_BROKEN", written)

    with pytest.raises(ConfigurationError, match="coa_broken cannot be read") as refusal:
        _ = CoaSalesforceHook("coa_broken").org

    assert "S3CRET" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_the_hook_reads_the_environment_in_both_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_COA_SOURCE",
        "salesforce://http%3A%2F%2F127.0.0.1%3A9101/?consumer_key=k&consumer_secret=s",
    )
    monkeypatch.setenv(
        "AIRFLOW_CONN_COA_TARGET",
        json.dumps({"conn_type": "salesforce", "host": "http://127.0.0.1", "port": 9102}),
    )

    assert CoaSalesforceHook("coa_source").org.connection.login_url == LOCAL
    assert CoaSalesforceHook("coa_target").org.connection.login_url == "http://127.0.0.1:9102"


def test_extras_that_nobody_reads_are_named_with_the_one_that_is_meant_and_without_values() -> None:
    read = from_json(
        host=LOCAL, extra={"consumer_key": "k", "consumer_secrt": "hidden", "team": "x", "proxies": "p"}
    )

    assert read.unknown_extras == ("consumer_secrt (is consumer_secret meant?)", "team")
    with pytest.raises(ConfigurationError, match="unknown extras: consumer_secrt") as refused:
        login(read, post=lambda *_: (500, None, ""))
    assert "hidden" not in str(refused.value)
