"""One session for all that use a connection in one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from coa.errors import WrongOrg
from coa.salesforce import session
from coa.salesforce.auth import KeptSession, OrgConnection, Token

CONNECTION = OrgConnection(
    "coa_target", "https://acme.my.salesforce.com", consumer_key="k", consumer_secret="s"
)


def logins() -> Callable[[], Token]:
    numbers = iter(range(100))
    return lambda: Token(f"session {next(numbers)}")


def test_it_is_opened_once_for_one_connection() -> None:
    kept, log_in = KeptSession(), logins()

    assert kept.opened(CONNECTION, log_in) is kept.opened(replace(CONNECTION), log_in)


def test_a_connection_that_says_something_else_by_now_gets_its_own() -> None:
    kept, log_in = KeptSession(), logins()
    first = kept.opened(CONNECTION, log_in)

    for changed in (
        replace(CONNECTION, login_url="https://other.my.salesforce.com"),
        replace(CONNECTION, consumer_secret="other"),
    ):
        assert kept.opened(changed, log_in) != first


def test_a_refused_one_is_opened_anew_once_for_all_that_had_it() -> None:
    kept, log_in = KeptSession(), logins()
    old = kept.opened(CONNECTION, log_in)

    kept.forget(old)
    new = kept.opened(CONNECTION, log_in)
    kept.forget(old)

    assert new != old
    assert kept.opened(CONNECTION, log_in) is new


MADE_FOR, ANOTHER = "00D000000000001EAA", "00D000000000002EAA"


def bound(kept: KeptSession, organization: str) -> session.Org:
    org = session.Org(CONNECTION)
    org.kept = kept
    return org.bind(organization, "run 20260101T000000Z-a1b2c3")


def test_each_org_proves_for_itself_whose_session_it_is_and_asks_nothing_where_the_login_has_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = Token("session", CONNECTION.login_url, organization_id=MADE_FOR)
    monkeypatch.setattr(session, "login", lambda connection, post: token)
    monkeypatch.setattr(session.Org, "request", lambda *_, **__: pytest.fail("the org was asked"))
    kept = KeptSession()

    assert bound(kept, MADE_FOR).token is bound(kept, MADE_FOR).token
    with pytest.raises(WrongOrg, match=ANOTHER):
        _ = bound(kept, ANOTHER).token


def test_a_session_that_was_given_without_its_org_is_asked_by_each(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(org: session.Org) -> str:
        asked.append(org.name)
        return MADE_FOR

    monkeypatch.setattr(session, "login", lambda connection, post: Token("session", CONNECTION.login_url))
    monkeypatch.setattr(session.Org, "_asked_organization_id", answer)
    kept = KeptSession()

    for _ in range(2):
        _ = bound(kept, MADE_FOR).token

    assert len(asked) == 2
