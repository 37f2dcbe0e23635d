"""What stays behind is counted, and what the org does not let us count is told."""

from __future__ import annotations

from typing import Any

import pytest

from coa.config import RunParams
from coa.errors import OrgRefused
from coa.model import LOADED
from coa.preflight.not_migrated import check_elsewhere
from coa.preflight.probe import Probe
from coa.salesforce.composite import count_of
from coa.salesforce.describe import Describe
from coa.salesforce.session import Org, OrgConnection
from coa.salesforce.soql import text_list

TYPES = text_list(tuple(LOADED))
EMAILS = count_of("EmailMessage", f"RelatedTo.Type IN ({TYPES})")


def looked(emails: Any) -> tuple[list[str], list[str]]:
    """Codes of the findings, and the messages of what could not be asked."""
    org = Org(OrgConnection(name="coa_source", login_url="https://acme.my.salesforce.com"))
    known: dict[Any, Any] = {
        count_of(name, f"What.Type IN ({TYPES})"): {"totalSize": 0} for name in ("Task", "Event")
    }
    probe = Probe(org, "source", known=known | {EMAILS: emails})
    source = {name: Describe({"name": name, "fields": []}) for name in LOADED}
    found = check_elsewhere(probe, source, RunParams(attachments="carry", history="archive"))
    return [f"{f.code} {f.count}" for f in found], [f.message for f in probe.findings()]


def test_emails_are_counted() -> None:
    assert looked({"totalSize": 7}) == (["emails_not_carried 7"], [])


@pytest.mark.parametrize("code", ["INVALID_TYPE", "INSUFFICIENT_ACCESS"])
def test_an_org_without_emails_or_the_right_to_see_them_is_a_note_and_no_failure(code: str) -> None:
    counted, notes = looked(OrgRefused("no", status=400, code=code))
    assert counted == []
    assert len(notes) == 1
    assert f"e-mails ({code})" in notes[0]
