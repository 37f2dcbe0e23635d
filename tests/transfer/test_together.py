"""Small reads go out together: fewer calls, the same answers, the same words of a refusal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coa.errors import OrgRefused
from coa.model import COA_OBJECTS, CUSTOMER, DETAIL, LOADED, ORDER
from coa.preflight.probe import Probe
from coa.salesforce.composite import Read, count_of, granted, read_together, records_of
from coa.salesforce.session import Org
from orgsim.launch import RunningOrg, running_org
from tests.engine.harness import FAST, connection_to


@pytest.fixture(scope="module")
def running() -> Iterator[RunningOrg]:
    with running_org(role="source", orders=40, seed=3) as org:
        yield org


@pytest.fixture
def org(running: RunningOrg) -> Iterator[Org]:
    yield Org(connection_to(running, "coa_source"), FAST)
    running.control("DELETE", "faults")


def test_answers_stand_in_the_order_of_the_questions_and_cost_one_call_for_five_queries(org: Org) -> None:
    describes = [Read(path=f"/sobjects/{name}/describe", kind="describe") for name in COA_OBJECTS]
    counts = [count_of(name) for name in LOADED] * 4
    org.user_id()
    org.drain_call_counts()

    answers = read_together(org, [*describes, *counts])

    assert [granted(a)["name"] for a in answers[: len(describes)]] == list(COA_OBJECTS)
    alone = [org.count(name) for name in LOADED] * 4
    assert [granted(a)["totalSize"] for a in answers[len(describes) :]] == alone
    assert org.drain_call_counts()["composite"] == 3


def test_a_refusal_has_the_words_of_a_call_of_its_own_and_harms_no_other_answer(org: Org) -> None:
    good, bad = count_of(ORDER), Read(soql=f"SELECT Nonsense__c FROM {ORDER}")

    first, refused, last = read_together(org, [good, bad, good])

    assert granted(first) == granted(last)
    assert isinstance(refused, OrgRefused)
    assert refused.code == "INVALID_FIELD"
    with pytest.raises(OrgRefused, match="Nonsense__c"):
        granted(refused)
    with pytest.raises(OrgRefused) as alone:
        bad.alone(org)
    assert (refused.message, refused.next_step) == (alone.value.message, alone.value.next_step)


def test_a_refusal_that_asking_again_cannot_change_costs_no_second_call(org: Org) -> None:
    org.count(ORDER)
    org.drain_call_counts()
    read_together(
        org, [count_of(ORDER), Read(soql=f"SELECT Nonsense__c FROM {ORDER}"), count_of("Nonsense__c")]
    )
    assert org.drain_call_counts() == {"composite": 1}


def test_all_pages_of_an_answer_are_read() -> None:
    with running_org(role="source", orders=600, seed=3) as paged:
        many = Org(connection_to(paged, "coa_source"), FAST)
        found = read_together(many, [Read(soql=f"SELECT Id FROM {name}") for name in (CUSTOMER, DETAIL)])
        ids = [{r["Id"] for r in records_of(many, granted(a))} for a in found]
        assert [len(i) for i in ids] == [many.count(CUSTOMER), many.count(DETAIL)]


def test_an_org_that_takes_no_composite_request_is_asked_one_by_one(running: RunningOrg, org: Org) -> None:
    running.control(
        "POST", "faults", {"kind": "status", "status": 404, "path": "/composite$", "times": 100, "body": "[]"}
    )

    answers = read_together(org, [count_of(name) for name in LOADED])

    assert [granted(a)["totalSize"] for a in answers] == [org.count(name) for name in LOADED]


def test_a_probe_notes_what_it_was_refused_although_it_asked_ahead(org: Org) -> None:
    def check(probe: Probe) -> tuple[int | None, list[dict[str, object]] | None]:
        return probe.count("orders", ORDER), probe.rows("nonsense", f"SELECT Nonsense__c FROM {ORDER}")

    probe = Probe(org, "source")
    probe.prefetch(check)
    org.drain_call_counts()

    assert check(probe) == (org.count(ORDER), None)
    assert probe.refused == {"nonsense": "INVALID_FIELD"}
    assert org.drain_call_counts() == {"query": 1}
