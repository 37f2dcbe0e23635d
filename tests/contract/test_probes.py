"""The probes on an org whose answers are known, and what no probe may do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coa.contract.ask import Asked, ask_all, count_beforehand
from coa.contract.cleanup import clean
from coa.contract.fact import AnswerState
from coa.contract.ledger import MemoryLedger, Written
from coa.contract.probe_org import ForbiddenWrite, ProbeOrg
from coa.contract.probes import PROBES, Access
from coa.contract.stage import Stage
from coa.model import COA_OBJECTS, CONTRACT, CUSTOMER, DETAIL, NS, ORDER, PRODUCT, STATUS
from orgsim.launch import RunningOrg, running_org
from tests.contract.conftest import SMALL, probe_org, session

LACKING = {"currency.unknown-code", "field.masked", "rest.soap-types"}
"""What a small org of one currency without encryption and files cannot be asked."""


def values_of(org: RunningOrg) -> dict[str, Any]:
    """Every stored value of every living record of the package."""
    return {
        name: [row for row in org.control("GET", f"table/{name}") if not row["IsDeleted"]]
        for name in COA_OBJECTS
    }


def written_by(org: ProbeOrg) -> Written:
    ledger = org.ledger
    assert isinstance(ledger, MemoryLedger)
    return Written(ledger.key, tuple(ledger.jobs), {name: tuple(ids) for name, ids in ledger.ids.items()})


class Contract:
    """One run of all probes, and the org before and after it."""

    def __init__(self, org: RunningOrg) -> None:
        self.running = org
        self.before = values_of(org)
        self.org = probe_org(org)
        self.asked = {one.fact.id: one for one in ask_all(self.org, Access.STATUS)}
        self.made = Counter({name: len(ids) for name, ids in self.org.made.items()})
        self.removed = clean(self.org.org, [written_by(self.org)])
        self.after = values_of(org)


@pytest.fixture(scope="module")
def contract() -> Iterator[Contract]:
    with running_org(**SMALL) as org:
        yield Contract(org)


def told(asked: Asked) -> str:
    return asked.answer.answer or asked.answer.why


def test_every_question_is_answered_as_the_catalogue_foretells(contract: Contract) -> None:
    wrong = {
        name: told(one)
        for name, one in contract.asked.items()
        if name in PROBES and name not in LACKING and not one.fact.holds(one.answer.answer)
    }

    assert wrong == {}


def test_what_the_org_lacks_is_told(contract: Contract) -> None:
    assert {
        name for name, one in contract.asked.items() if name in PROBES and not one.answer.answer
    } == LACKING
    assert "CurrencyIsoCode is not there" in contract.asked["currency.unknown-code"].answer.why


def test_no_more_records_are_made_than_were_counted(contract: Contract) -> None:
    counted = count_beforehand(Access.STATUS)

    assert all(contract.made[name] <= counted[name] for name in contract.made)


def test_live_records_are_as_they_were_and_nothing_is_left(contract: Contract) -> None:
    assert contract.after == contract.before
    assert contract.removed.left == 0
    assert contract.removed.deleted > 50
    assert contract.running.control("GET", "stats")["jobs"] == []


def test_no_order_of_a_status_probe_is_there_when_the_next_question_is_asked(
    sandbox: Callable[..., RunningOrg],
) -> None:
    running = sandbox()
    org = probe_org(running)
    seen: list[int] = []

    def count(asked: Asked) -> None:
        seen.append(running.count(f"SELECT COUNT() FROM {ORDER} WHERE {STATUS} = 'Provisioned'"))

    before = running.count(f"SELECT COUNT() FROM {ORDER} WHERE {STATUS} = 'Provisioned'")
    asked = ask_all(
        org, Access.STATUS, [one for one in _facts() if PROBES[one.id].access == Access.STATUS], count
    )

    assert {one.answer.state for one in asked} == {AnswerState.ANSWERED}
    assert set(seen) == {before}


def _facts() -> list[Any]:
    from coa.contract.catalogue import FACTS

    return [fact for fact in FACTS if fact.id in PROBES]


def test_without_leave_questions_are_told_as_not_asked(sandbox: Callable[..., RunningOrg]) -> None:
    running = sandbox()
    org = probe_org(running, status_allowed=False)

    asked = {one.fact.id: one.answer for one in ask_all(org, Access.READ)}

    assert org.made == {}
    assert (
        running.count(f"SELECT COUNT() FROM {CONTRACT}") == running.control("GET", "stats")["rows"][CONTRACT]
    )
    assert asked["order.insert.status"].state == AnswerState.NOT_ASKED
    assert "only read" in asked["order.insert.status"].why
    assert asked["package.provisioned"].answer == "present"


@pytest.mark.parametrize(
    ("settings", "fact_id", "answer"),
    [
        ({"workflow_off": ["draft"]}, "order.insert.status", "as_sent"),
        ({"workflow_off": ["draft"]}, "package.rule.draft", "inactive"),
        ({"workflow_off": ["received"]}, "order.update.received-stamp", "kept"),
        ({"workflow_off": ["pricing"]}, "detail.insert.fixed-price", "as_sent"),
        ({"trim_text": True}, "text.trailing-blanks", "trimmed"),
        ({"utf16_lengths": True}, "text.length-unit", "utf16"),
        ({"crlf_in_quotes": False}, "text.bulk.crlf", "job_failed"),
        ({"audit_fields": False}, "audit.describe", "not_createable"),
        ({"validation_off": ["Contract_is_Required"]}, "order.insert.blank-contract", "accepted"),
        (
            {"multi_currency": True},
            "currency.unknown-code",
            "refused:INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        ),
        ({"encrypt_field": ["Customer__c.Customer_City__c"]}, "field.masked", "masked"),
        ({"hard_delete": True}, "rest.delete.hard", "allowed"),
        ({"draft_job": True}, "package.submit-jobs", "found"),
        ({"package_version": "1.39"}, "package.rule.pricing", "active"),
        ({"page_size": 1}, "bulk.query.locator", "null_at_end_and_rereadable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_org_of_another_kind_answers_otherwise(
    sandbox: Callable[..., RunningOrg], settings: dict[str, Any], fact_id: str, answer: str
) -> None:
    org = probe_org(sandbox(**settings))

    (asked,) = ask_all(org, Access.STATUS, [one for one in _facts() if one.id == fact_id])

    assert told(asked) == answer


def test_records_of_probes_are_not_taken_for_those_of_the_org(sandbox: Callable[..., RunningOrg]) -> None:
    asked = {one.fact.id: one.answer.answer for one in ask_all(probe_org(sandbox(empty=True)), Access.WRITE)}

    assert asked["package.provisioned"] == "absent"
    assert asked["order.insert.bare"] == "accepted"


def test_an_org_that_refuses_the_records_of_the_stage_is_told_so_by_each_question(
    sandbox: Callable[..., RunningOrg],
) -> None:
    running = sandbox()
    running.control(
        "POST", "faults", {"kind": "refuse_rows", "sobject": CONTRACT, "fraction": 1.0, "times": -1}
    )

    (asked,) = ask_all(probe_org(running), Access.WRITE, [f for f in _facts() if f.id == "order.insert.bare"])

    assert asked.answer.state == AnswerState.NOT_ASKABLE
    assert "refused a record that the probe needs" in asked.answer.why


def test_where_the_right_is_there_nothing_lies_in_the_recycle_bin(sandbox: Callable[..., RunningOrg]) -> None:
    running = sandbox(hard_delete=True)
    org = probe_org(running)
    ask_all(org, Access.WRITE, [f for f in _facts() if f.id == "detail.insert.fixed-price"])

    removed = clean(org.org, [written_by(org)])

    assert (removed.deleted, removed.in_recycle_bin) == (5, 0)


@pytest.fixture(scope="module")
def asking() -> Iterator[ProbeOrg]:
    with running_org(**SMALL) as running:
        yield probe_org(running, status_allowed=False)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({STATUS: "Received"}, "without leave"),
        ({NS + "Send_Order__c": True}, "Send_Order__c"),
        ({NS + "Send_Order__c": False}, "Send_Order__c"),
        ({}, "more records"),
    ],
)
def test_what_no_probe_may_write_is_refused_before_it_is_sent(
    asking: ProbeOrg, values: dict[str, Any], said: str
) -> None:
    asking.announce({ORDER: 0 if not values else 1})
    asking.exchanges = []

    with pytest.raises(ForbiddenWrite, match=said):
        asking.insert(ORDER, values)
    assert asking.exchanges == []


@pytest.mark.parametrize("sobject", [CUSTOMER, ORDER, DETAIL, PRODUCT])
def test_a_record_that_is_not_of_this_run_is_neither_changed_nor_deleted(
    asking: ProbeOrg, sobject: str
) -> None:
    live = str(next(asking.org.query(f"SELECT Id FROM {sobject} LIMIT 1"))["Id"])

    for write in (
        lambda: asking.update(sobject, live, {"Name": "x"}),
        lambda: asking.delete(sobject, live),
        lambda: asking.bulk(sobject, "update", [{"Id": live, "Name": "x"}]),
    ):
        with pytest.raises(ForbiddenWrite, match="not its own"):
            write()


def test_an_order_of_a_probe_is_one_that_the_app_would_not_submit(sandbox: Callable[..., RunningOrg]) -> None:
    running = sandbox()
    org = probe_org(running)
    org.announce({ORDER: 1})
    order = Stage(org).order()

    found = org.read(
        ORDER, order, NS + "I_certify__c", NS + "Created_with_new_COA__c", NS + "Service_Start_Date__c"
    )

    assert found[NS + "I_certify__c"] == "No"
    assert found[NS + "Created_with_new_COA__c"] is False
    assert found[NS + "Service_Start_Date__c"] is None
    assert session(running).organization_id() == running.org_id
