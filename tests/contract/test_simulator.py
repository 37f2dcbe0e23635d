"""The simulator is held to the catalogue: switched by facts, and made into a partner's org by a cassette."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from coa.contract.ask import ask_all
from coa.contract.cassette import Cassette, cassette_of, make_cassette
from coa.contract.catalogue import BY_ID, FACTS
from coa.contract.diff import compare, told
from coa.contract.fact import Answer, Fact
from coa.contract.probes import PROBES, Access
from coa_airflow.local.contract_diff import replayed
from orgsim.facts import SWITCHES
from orgsim.launch import RunningOrg
from tests.contract.conftest import probe_org

THREE = {
    "order.update.received-stamp": "kept",
    "text.length-unit": "utf16",
    "bulk.results.empty": "no_content",
}
ALONE = {
    "audit.describe", "audit.insert.created-date", "key.case", "order.insert.blank-contract", "order.insert.blank-type",
    "picklist.restricted", "detail.insert.blank-contract", "detail.insert.blank-quantity",
    "detail.insert.pc-fields-sent", "order.insert.received-date",
}  # fmt: skip
"""Facts whose other answer takes away what another question asks with, or gives it another answer."""


def asked(org: RunningOrg, facts: Iterable[Fact] = FACTS) -> dict[str, Answer]:
    return {one.fact.id: one.answer for one in ask_all(probe_org(org), Access.STATUS, facts)}


def recorded(org: RunningOrg) -> Cassette:
    session = probe_org(org)
    document = make_cassette(session, ask_all(session, Access.STATUS), role="target", is_sandbox=True)
    return cassette_of(json.loads(json.dumps(document)), "test")


def rounds() -> list[dict[str, str]]:
    """All switches, as many in one org as do not come in each other's way."""
    together: list[dict[str, str]] = []
    for fact_id, answers in SWITCHES.items():
        for n, answer in enumerate(answers):
            if fact_id in ALONE:
                together.append({fact_id: answer})
                continue
            while len([one for one in together if not one.keys() & ALONE]) <= n:
                together.append({})
            [one for one in together if not one.keys() & ALONE][n][fact_id] = answer
    return together


@pytest.mark.parametrize(
    "switched",
    [
        pytest.param(
            one,
            id=next(iter(one)) if len(one) == 1 else str(len(one)),
            marks=pytest.mark.lane if len(one) == 1 else (),
        )
        for one in rounds()
    ],
)
def test_each_switch_gives_its_fact_that_answer(
    sandbox: Callable[..., RunningOrg], switched: dict[str, str]
) -> None:
    org = sandbox(orders=0, fact=[f"{name}={answer}" for name, answer in switched.items()])

    answers = asked(org, [BY_ID[name] for name in switched])

    assert {name: one.answer or one.why for name, one in answers.items()} == switched


def test_a_switch_is_of_a_fact_of_the_catalogue_and_not_what_it_foretells() -> None:
    for fact_id, answers in SWITCHES.items():
        assert fact_id in PROBES
        assert BY_ID[fact_id].expected not in answers


@pytest.mark.parametrize(
    ("given", "said"),
    [("order.nothing=x", "no fact"), ("text.emoji", "no fact"), ("key.case=x", "switched to")],
)
def test_a_switch_that_does_not_exist_is_refused(given: str, said: str) -> None:
    from orgsim.facts import Facts
    from orgsim.settings import Settings

    with pytest.raises(ValueError, match=said):
        Facts(Settings(fact=[given]))


def test_the_command_says_so_in_a_sentence() -> None:
    from orgsim.__main__ import main

    with pytest.raises(
        SystemExit, match=r"orgsim: order\.insert\.blank-type can be switched to accepted, not to 'x'"
    ):
        main(["--port", "0", "--fact", "order.insert.blank-type=x"])


@pytest.mark.parametrize("answer", SWITCHES["order.insert.received-date"])
def test_an_org_that_sets_the_received_date_itself_is_no_other_in_its_date_times(
    sandbox: Callable[..., RunningOrg], answer: str
) -> None:
    org = sandbox(orders=0, fact=[f"order.insert.received-date={answer}"])

    answers = asked(org, [BY_ID["datetime.milliseconds"]])

    assert answers["datetime.milliseconds"].answer == BY_ID["datetime.milliseconds"].expected


@pytest.mark.lane
def test_three_settings_show_exactly_those_three(
    sandbox: Callable[..., RunningOrg], capsys: pytest.CaptureFixture[str]
) -> None:
    cassette = recorded(sandbox(fact=[f"{name}={answer}" for name, answer in THREE.items()]))

    text = replayed(cassette)

    assert "hold, 3 differ" in text.splitlines()[0]
    for name, answer in THREE.items():
        part = text.partition(f"{name}: ")[2].split("\n\n")[0]
        assert f"the cassette: {answer}\n" in part
        assert f"the simulator: {BY_ID[name].expected}\n" in part
        assert BY_ID[name].rests in part
        assert BY_ID[name].change in part


def test_a_cassette_makes_the_simulator_that_org(sandbox: Callable[..., RunningOrg], tmp_path: Path) -> None:
    cassette = recorded(sandbox(fact=[f"{name}={answer}" for name, answer in THREE.items()]))
    file = tmp_path / "cassette.json"
    file.write_text(json.dumps(cassette.document), "utf-8")

    found = compare(cassette.answers, asked(sandbox(profile=str(file))))

    assert found.different == ()
    assert len(found.same) > 80


def test_what_a_profile_has_and_the_simulator_lacks_is_told_not_taken(tmp_path: Path) -> None:
    from orgsim.facts import Facts
    from orgsim.settings import Settings

    entry: dict[str, Any] = {"state": "answered", "expected": "kept"}
    document = {
        "format": "coa-contract-cassette",
        "version": 1,
        "facts": [
            {**entry, "id": "text.emoji", "answer": "changed"},
            {**entry, "id": "text.trailing-blanks", "answer": "trimmed"},
            {**entry, "id": "text.rest.cr", "answer": "kept"},
        ],
    }
    file = tmp_path / "cassette.json"
    file.write_text(json.dumps(document), "utf-8")
    settings = Settings(profile=str(file))

    facts = Facts(settings)

    assert facts.ignored == ["text.emoji=changed"]
    assert settings.trim_text is True
    assert settings.fact == ["text.trailing-blanks=trimmed"]


@pytest.mark.parametrize(
    "content", ["no JSON", "[]", '{"format": "other"}', '{"format": "coa-contract-cassette", "version": 1}']
)
def test_a_file_that_is_no_cassette_is_refused_as_a_profile(tmp_path: Path, content: str) -> None:
    from orgsim.facts import Facts
    from orgsim.settings import Settings

    file = tmp_path / "cassette.json"
    file.write_text(content, "utf-8")

    with pytest.raises(ValueError, match="no cassette"):
        Facts(Settings(profile=str(file)))


@pytest.mark.lane
def test_the_same_org_twice_does_not_differ(sandbox: Callable[..., RunningOrg]) -> None:
    org = sandbox()

    found = compare(asked(org), asked(org))

    assert found.different == ()
    assert told(found).startswith(f"{len(found.same)} hold, 0 differ")
