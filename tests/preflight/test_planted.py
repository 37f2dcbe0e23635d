"""Every planted problem is found in one run, with its count; a pair of orgs without problems gives no finding."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coa import pipeline
from coa.model import NS
from coa.staging.database import Database
from tests.engine.harness import Migrator

from .outcome import Outcome, preflight
from .pair import clean_pair
from .problems import MAPPING, PARAMS, PROBLEMS, SOURCE_START, START, TARGET_START, Problem


@pytest.fixture(scope="module")
def planted(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("planted")
    mapping = folder / "mapping.yaml"
    mapping.write_text(MAPPING)
    with clean_pair(**START, target=TARGET_START, **SOURCE_START) as pair:
        expected = {problem.key: problem.plant(pair) for problem in PROBLEMS}
        migrator = Migrator(module_database, pair.source, pair.target, folder)
        outcome = preflight(migrator, **PARAMS, mapping=str(mapping))
    outcome.expected = expected
    return outcome


def _name(problem: Problem) -> str:
    return "-".join(part for part in problem.key if part).replace(NS, "")


@pytest.mark.parametrize("problem", PROBLEMS, ids=_name)
def test_a_planted_problem_is_found_with_its_count(problem: Problem, planted: Outcome) -> None:
    assert problem.key in planted.findings, sorted(planted.findings)
    found = planted.findings[problem.key]
    assert found["severity"] == problem.severity
    assert found["count"] == planted.expected[problem.key]
    assert found["message"]
    assert found["next_step"]
    assert len(found["examples"]) <= 10


def test_there_are_at_least_forty_of_them() -> None:
    assert len({problem.key for problem in PROBLEMS}) >= 40


def test_nothing_is_found_that_was_not_planted(planted: Outcome) -> None:
    """Besides what follows from a planted problem: children of what is blocked, values that policies change."""
    consequences = {"order_incomplete", "parent_blocked", "value_changed_by_policy"}
    unexpected = {
        key for key in planted.findings.keys() - planted.expected.keys() if key[0] not in consequences
    }
    assert unexpected == set()


def test_the_run_stops_and_names_every_blocker(planted: Outcome) -> None:
    blockers = [f for f in planted.findings.values() if f["severity"] == "blocker"]
    assert blockers
    assert all(f["message"] in planted.error for f in blockers)


def test_the_template_of_the_mapping_names_what_was_not_found(planted: Outcome) -> None:
    text = (planted.folder / "mapping_template.yaml").read_text()
    assert '# "Acquired Agreement":' in text
    assert '# "P-NEW":' in text
    assert '"ISVforce Agreement 2012": "ISVforce Agreement 2012"  # by Name' in text


def test_owners_are_told_by_name_and_stand_in_the_template(planted: Outcome) -> None:
    text = (planted.folder / "mapping_template.yaml").read_text()
    found = [
        f for (code, _, _), f in planted.findings.items() if code in ("owners_unmatched", "owners_inactive")
    ]
    assert len(found) == 2
    for finding in found:
        assert re.match(
            r"\d+ owners? of [\d,]+ records? (have|has|are|is) .*: [^,]+, \S+@\S+ \(", finding["message"]
        )
    owners = text.split("owners:")[1]
    assert "not found in the target" in owners
    assert "inactive in the target as" in owners
    assert "@" in owners


@pytest.fixture(scope="module")
def clean(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    with clean_pair(orders=60) as pair:
        migrator = Migrator(module_database, pair.source, pair.target, tmp_path_factory.mktemp("clean"))
        return preflight(migrator, **PARAMS)


def test_a_pair_of_orgs_without_problems_gives_no_finding(clean: Outcome) -> None:
    assert {key: f["message"] for key, f in clean.findings.items()} == {}
    assert clean.error == ""


def test_the_number_of_api_calls_does_not_grow_with_the_orders(
    clean: Outcome, module_database: Database, tmp_path: Path
) -> None:
    """Polls of Bulk jobs apart: so preflight alone is counted, which asks no Bulk query."""
    counts = []
    for orders in (30, 300):
        with clean_pair(orders=orders) as pair:
            migrator = Migrator(module_database, pair.source, pair.target, tmp_path)
            run = migrator.start(**PARAMS)
            pipeline.preflight(run, *migrator.orgs())
            counts.append(
                run.db.value("SELECT sum(calls)::int FROM coa.api_usage WHERE run_id = %s", [run.run_id])
            )
            run.lease.release()
    assert counts[0] == counts[1]
    assert counts[0] == 25, "docs/preflight.md says how many"
