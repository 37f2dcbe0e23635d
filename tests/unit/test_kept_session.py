"""One session for all that use a connection in one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

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
