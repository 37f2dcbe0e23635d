"""No request follows a redirect, and no address that an org names leads to another origin: the token would go along."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coa.config import Settings
from coa.errors import OrgRefused
from coa.salesforce.session import Org, OrgConnection, url_on

Answer = Callable[[str, str], tuple[int, dict[str, str], Any]]
"""Method and path -> status, headers, body as JSON."""


@contextmanager
def server(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """Address of a server, and the requests that it got."""
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = self.rfile.read(length).decode()
            got.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')} {sent}")
            status, headers, body = answer(self.command, self.path)
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = handle_one  # noqa: N815  # names of the standard library

        def log_message(self, *_: object) -> None:
            """Nothing in the test's output."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}", got
    finally:
        running.shutdown()
        running.server_close()


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Where nothing of ours may arrive."""
    with server(lambda *_: (200, {}, {"access_token": "stolen", "totalSize": 1, "records": []})) as found:
        yield found


def session(url: str, **changes: str) -> Org:
    connection: dict[str, Any] = {
        "consumer_key": "key",
        "consumer_secret": "top secret",
        "api_version": "67.0",
        **changes,
    }
    return Org(
        OrgConnection(name="coa_target", login_url=url, **connection), Settings(retry_first_seconds=0.01)
    )


def given_session(url: str) -> Org:
    return session(url, session_id="00D!token", consumer_key="", consumer_secret="")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_login_that_is_redirected_sends_its_secret_nowhere(
    status: int, elsewhere: tuple[str, list[str]]
) -> None:
    address, arrived = elsewhere
    with server(lambda *_: (status, {"Location": address + "/services/oauth2/token"}, {})) as (url, got):
        with pytest.raises(OrgRefused, match="the login was answered with a redirect") as refusal:
            session(url).count("Account")

    assert len(got) == 1
    assert arrived == []
    assert "My Domain" in refusal.value.next_step


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_redirect_is_no_success_and_is_not_followed(
    method: str, status: int, elsewhere: tuple[str, list[str]]
) -> None:
    address, arrived = elsewhere
    with server(lambda *_: (status, {"Location": address}, {})) as (url, got):
        with pytest.raises(OrgRefused, match=f"redirect \\({status}"):
            given_session(url).send_json(method, "/sobjects/Account", {"Name": "Acme"}, kind="write")

    assert len(got) == 1
    assert arrived == []


def test_the_next_page_of_a_query_is_asked_of_the_same_org_only(elsewhere: tuple[str, list[str]]) -> None:
    address, arrived = elsewhere
    netloc = address.removeprefix("http://")
    for named in (address + "/x", f"//{netloc}/x", f"@{netloc}/x", f".{netloc}/x", f":1@{netloc}/x"):
        page = {"done": False, "totalSize": 1, "records": [{"Id": "1"}], "nextRecordsUrl": named}
        with server(lambda *_, page=page: (200, {}, page)) as (url, got):
            with pytest.raises(OrgRefused, match="an address of another server"):
                list(given_session(url).query("SELECT Id FROM Account"))
        assert len(got) == 1, named
    assert arrived == []


@given(st.text(max_size=30), st.sampled_from(["", "/", "//", "@", ".", "https://", "/services/data/"]))
def test_every_address_that_is_built_is_on_the_org(text: str, start: str) -> None:
    from requests import Request
    from requests.exceptions import RequestException
    from urllib3.util import parse_url

    try:
        url = url_on("https://acme.my.salesforce.com", start + text, "coa_target")
        sent_to = parse_url(str(Request("GET", url).prepare().url))
    except (OrgRefused, RequestException):
        return
    assert (sent_to.scheme, sent_to.netloc) == ("https", "acme.my.salesforce.com")
