"""Links in texts: what is one, what it becomes, and that nothing else of a text is touched."""

from __future__ import annotations

import dataclasses
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coa.config import Settings
from coa.fields.text_links import Orgs, cut_up, fits, rewritten
from coa.salesforce.session import id18

ORGS = Orgs(
    "https://acme.my.salesforce.com", "https://merged--dev.sandbox.my.salesforce.com", {"a0X": "Order__c"}
)
OLD, NEW = id18("a0X000000000aB1"), id18("a0Y00000000zZ9q")
TARGETS = {("Order__c", OLD): NEW}
SOURCE, TARGET = ORGS.source_url, ORGS.target_url
LIGHTNING = "https://merged--dev.sandbox.lightning.force.com"


def new(text: str, orgs: Orgs = ORGS) -> str:
    return rewritten(cut_up(text, orgs), TARGETS) if cut_up(text, orgs) else text


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        (f"{SOURCE}/{OLD}", f"{TARGET}/{NEW}"),
        (f"{SOURCE}/{OLD[:15]}", f"{TARGET}/{NEW[:15]}"),
        (f"{SOURCE}/{OLD}/e?retURL=%2F", f"{TARGET}/{NEW}/e?retURL=%2F"),
        (f"see {SOURCE}/{OLD}. It", f"see {TARGET}/{NEW}. It"),
        (
            f"{SOURCE}/lightning/r/CHANNEL_ORDERS__Service_Order__c/{OLD}/view",
            f"{TARGET}/lightning/r/CHANNEL_ORDERS__Service_Order__c/{NEW}/view",
        ),
        (f"{SOURCE}/lightning/r/{OLD}/view", f"{TARGET}/lightning/r/{NEW}/view"),
        (
            f"https://acme.lightning.force.com/lightning/r/{OLD}/view",
            f"{LIGHTNING}/lightning/r/{NEW}/view",
        ),
        (
            f"https://acme.lightning.force.com/one/one.app#/sObject/{OLD}/view",
            f"{LIGHTNING}/one/one.app#/sObject/{NEW}/view",
        ),
        (f'<a href="HTTPS://ACME.my.salesforce.com/{OLD}">a</a>', f'<a href="{TARGET}/{NEW}">a</a>'),
        (f"http://acme.my.salesforce.com/{OLD}", f"{TARGET}/{NEW}"),
        (f"{SOURCE}/{OLD}\r\n{SOURCE}/{OLD[:15]}\n", f"{TARGET}/{NEW}\r\n{TARGET}/{NEW[:15]}\n"),
    ],
)  # fmt: skip
def test_a_link_to_a_moved_record_leads_to_it_in_the_target(text: str, becomes: str) -> None:
    assert new(text) == becomes


@pytest.mark.parametrize(
    "text",
    [
        f"{SOURCE}/{id18('a0X000000000aB2')}",  # not moved
        f"{SOURCE}/{OLD[:15]}AAA",  # its check characters are wrong: no id
        f"{SOURCE}/{OLD.lower()}",  # an id in small letters is another one
        f"{SOURCE}/{OLD}x",
        f"{SOURCE}/{OLD[:15]}-1",
        f"{SOURCE}/001000000000001AAA",  # of an object that is not moved
        f"{SOURCE}/apex/Page?id={OLD}",
        f"{SOURCE}/servlet/rtaImage?eid={OLD}",
        f"https://acmecorp.my.salesforce.com/{OLD}",
        f"https://acme.my.salesforce.com.evil.example/{OLD}",
        f"https://acme.my.salesforce.com:8443/{OLD}",
        f"order {OLD}",
        SOURCE,
        "",
    ],
)
def test_all_else_stays_byte_for_byte(text: str) -> None:
    assert new(text) == text


def test_an_org_without_a_my_domain_is_named_by_its_own_host() -> None:
    orgs = dataclasses.replace(
        ORGS, source_url="http://127.0.0.1:9101", target_url="https://na9.salesforce.com/"
    )

    assert new(f"http://127.0.0.1:9101/{OLD} http://127.0.0.1:9102/{OLD}", orgs) == (
        f"https://na9.salesforce.com/{NEW} http://127.0.0.1:9102/{OLD}"
    )


def test_lightning_links_go_to_the_plain_host_of_a_target_without_a_my_domain() -> None:
    orgs = dataclasses.replace(ORGS, target_url="https://na9.salesforce.com")

    assert new(f"https://acme.lightning.force.com/lightning/r/{OLD}/view", orgs) == (
        f"https://na9.salesforce.com/lightning/r/{NEW}/view"
    )


@pytest.mark.parametrize(
    ("counting", "astral", "room"), [("utf16", "\U0001f600", 2), ("code_points", "\U0001f600", 1)]
)
def test_a_text_fits_with_all_its_links_rewritten_or_not_at_all(
    counting: str, astral: str, room: int
) -> None:
    settings = Settings.model_validate({"text_length": counting})
    pieces = cut_up(f"{astral}{SOURCE}/{OLD}", ORGS)
    length = room + len(f"{TARGET}/{NEW}")

    assert fits(pieces, length, settings)
    assert not fits(pieces, length - 1, settings)
    assert fits(pieces, 0, settings)


# ---- properties ------------------------------------------------------------------------------------
ids = st.text(string.ascii_letters + string.digits, min_size=12, max_size=12).map(lambda t: id18(f"a0X{t}"))
links = st.builds(
    lambda host, path, record, short, tail: f"{host}{path}{record[: 15 if short else 18]}{tail}",
    st.sampled_from([SOURCE, "https://acme.lightning.force.com", "https://other.example"]),
    st.sampled_from(["/", "/lightning/r/", "/lightning/r/Order__c/", "/apex/P?id=", "/x/"]),
    ids,
    st.booleans(),
    st.sampled_from(["", "/view", "?a=b&amp;c", " ", "\r\n", '"', "x", "."]),
)
texts = st.lists(st.one_of(st.text(), links, ids), max_size=6).map("".join)


@given(texts)
def test_the_pieces_are_the_text(text: str) -> None:
    pieces = cut_up(text, ORGS)

    assert "".join(p.literal for p in pieces) == (text if pieces else "")
    assert rewritten(pieces, {}) == (text if pieces else "")
    assert all(p.literal for p in pieces)


@given(texts)
def test_a_rewritten_text_is_not_rewritten_again_and_grows_by_its_hosts_alone(text: str) -> None:
    pieces = cut_up(text, ORGS)
    found = [p for p in pieces if p.record_id]
    done = rewritten(pieces, {(p.sobject, p.record_id): id18(f"a0Y{p.record_id[3:15]}") for p in found})

    assert cut_up(done, ORGS) == []
    assert len(done) - len(text if pieces else "") == sum(
        len(p.before) + p.id_length - len(p.literal) for p in found
    )
