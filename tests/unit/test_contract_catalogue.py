"""The catalogue of facts: whole, and each fact either asked for by one probe or told why it is not."""

from __future__ import annotations

import re

import pytest

from coa.contract.ask import count_beforehand
from coa.contract.catalogue import BY_ID, FACTS
from coa.contract.fact import Fact, Standing
from coa.contract.marks import MARK_FIELDS, mark
from coa.contract.probes import PROBES, Access
from coa.model import DETAIL, ORDER


def test_no_fact_stands_twice_and_no_probe_asks_for_none() -> None:
    assert len(BY_ID) == len(FACTS) >= 60
    assert set(PROBES) <= set(BY_ID)


def test_what_was_inferred_is_all_there() -> None:
    assert sum(fact.standing == Standing.INFERRED for fact in FACTS) >= 40


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.id)
def test_a_fact_has_a_probe_or_a_reason_why_not(fact: Fact) -> None:
    assert bool(fact.unaskable) != (fact.id in PROBES)
    assert bool(fact.unaskable) != bool(fact.expected)
    assert bool(fact.unaskable) or fact.change


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.id)
def test_a_fact_is_one_sentence_with_a_source_and_what_rests_on_it(fact: Fact) -> None:
    assert re.fullmatch(r"[a-z0-9]+(\.[a-z0-9-]+)+", fact.id)
    assert (
        fact.sentence[0].isupper()
        or fact.sentence[0].isdigit()
        or fact.sentence.startswith(("resultPages", "pc_", "sObject"))
    )
    assert fact.sentence.endswith(".")
    assert fact.source
    assert fact.rests


def test_an_answer_holds_or_does_no_harm_or_neither() -> None:
    fact = BY_ID["order.update.received-stamp"]

    assert [fact.holds(answer) for answer in ("stamped_over", "kept", "emptied")] == [True, False, False]
    assert [fact.harmless(answer) for answer in ("stamped_over", "kept", "emptied")] == [True, True, False]


def test_a_source_is_asked_nothing_that_makes_a_record() -> None:
    assert count_beforehand(Access.READ) == {}
    assert count_beforehand(Access.WRITE)[ORDER] < count_beforehand(Access.STATUS)[ORDER]
    assert count_beforehand(Access.WRITE)[DETAIL] > 0


def test_only_probes_with_leave_make_an_order_something_else_than_draft() -> None:
    of_status = {fact_id for fact_id, one in PROBES.items() if one.access == Access.STATUS}

    assert of_status == {
        "order.insert.status", "order.insert.received-stamp", "order.update.received-stamp", "order.update.date-only",
        "order.update.other-status", "order.update.direct-status", "detail.insert.released-order",
        "detail.update.frozen-terms",
    }  # fmt: skip


def test_a_mark_fits_into_an_org_id_of_the_oldest_app() -> None:
    assert len(mark("0a1b2c3d", 999)) <= 17
    assert sum(count_beforehand(Access.STATUS).values()) < 1000
    assert {name for one in PROBES.values() for name in one.writes} <= set(MARK_FIELDS)
