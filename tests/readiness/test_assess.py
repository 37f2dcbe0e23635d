"""What the rules make of a customer and product, and of a file of rules."""

from __future__ import annotations

import csv
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from coa.errors import ConfigurationError
from coa.readiness.assess import readiness_counts, readiness_rows, snapshot_day
from coa.readiness.rules import FILE, Meaning, parse_rules, shipped_rules
from coa.staging.database import Database
from coa_airflow.readiness import newest_snapshot, write_readiness
from tests.readiness.snapshot import Snapshot

DAY = date(2026, 11, 28)
TEXT = files("coa.readiness").joinpath(FILE).read_text("utf-8")


@pytest.fixture
def snapshot() -> Snapshot:
    made = Snapshot()
    made.order("2025-01-01", 12, customer="free")
    made.order("2026-03-01", 12, customer="runs")
    made.order("2025-01-01", 12, customer="abroad", country="Germany", currency="EUR")
    made.order("2026-03-01", 24, customer="renews", auto="Yes", country=" united states ")
    made.order("2025-01-01", 12, customer="site", product="flat", unit="Org")
    return made


def test_each_verdict_stands_beside_its_rule_and_source(database: Database, snapshot: Snapshot) -> None:
    found = {r["customer_id"]: r for r in readiness_rows(snapshot.stage(database), DAY)}

    assert {name: (r["verdict"], r["rules"]) for name, r in found.items()} == {
        "free": ("no_obstacle_in_data", ""),
        "runs": ("after 2027-03-01", "contract_runs"),
        "abroad": ("stays", "country; currency"),
        "renews": ("after 2028-03-01", "contract_runs"),
        "site": ("stays", "not_by_seat"),
    }
    rules = shipped_rules()
    assert found["runs"]["sources"] == str(rules.sources["transition"])
    assert "superseded" in found["abroad"]["sources"]
    assert found["free"]["why"] == rules.otherwise.says
    assert found["abroad"]["why"].endswith("is our reading. (inferred)")
    assert "12 months" in found["renews"]["notes"]
    assert "no automatic renewal" in found["renews"]["notes"]
    assert str(found["renews"]["cancel_by"]) == "2028-02-25"


def test_verdicts_are_counted_by_rule_as_of_the_snapshot(database: Database, snapshot: Snapshot) -> None:
    run = snapshot.stage(database, started_at="2026-11-28T23:30:00Z")

    counted = readiness_counts(run)

    assert snapshot_day(run) == DAY
    assert [(c["verdict"], c["rules"], c["rows"], c["customers"]) for c in counted] == [
        ("after", "contract_runs", 2, 2),
        ("no_obstacle_in_data", "", 1, 1),
        ("stays", "country; currency", 1, 1),
        ("stays", "not_by_seat", 1, 1),
    ]
    assert (str(counted[0]["from_day"]), str(counted[0]["to_day"])) == ("2027-03-01", "2028-03-01")


def test_other_rules_give_other_verdicts(database: Database, snapshot: Snapshot) -> None:
    document = yaml.safe_load(TEXT)
    document["rules"] = [r for r in document["rules"] if r["id"] not in ("country", "currency")]
    rules = parse_rules(yaml.safe_dump(document), "mine.yaml")

    found = {r["customer_id"]: r["verdict"] for r in readiness_rows(snapshot.stage(database), DAY, rules)}

    assert found["abroad"] == "no_obstacle_in_data"


def test_the_shipped_rules_name_their_version_and_sources() -> None:
    rules = shipped_rules()

    assert rules.version
    assert {r.means for r in rules.rules} == set(Meaning)
    assert {r.source for r in rules.rules} <= set(rules.sources)
    assert rules.prerequisites


def test_every_fault_of_a_file_is_told_at_once() -> None:
    document = yaml.safe_load(TEXT)
    document["rules"][0] |= {"field": "colour", "means": "perhaps", "none_of": ["x"]}
    document["rules"][1]["source"] = "hearsay"
    document["rules"][2]["id"] = document["rules"][3]["id"]
    document["rules"][4]["none_of"] = [12]
    document["sources"]["transition"]["noted_on"] = "yesterday"
    document["least_notice_days"] = -1
    document["otherwise"] = {"says": ""}
    document["extra"] = 1

    with pytest.raises(ConfigurationError) as error:
        parse_rules(yaml.safe_dump(document), "mine.yaml")

    for told in (
        "rules[1].field is none of",
        "rules[1].means is none of",
        "rules[1] needs either one_of or none_of",
        "rules[2].source names no source: hearsay",
        "rule contract_end_unknown stands there twice",
        "rules[5]: write each value in quotes",
        "sources.transition.noted_on is no date",
        "least_notice_days is no number",
        "otherwise lacks source",
        "otherwise.says is no text",
        "the file has an unknown entry extra",
    ):
        assert told in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "rules: [", "just words"])
def test_a_file_that_is_none_is_told(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"mine\.yaml"):
        parse_rules(text, "mine.yaml")


def test_a_run_without_an_extract_has_no_rows(database: Database) -> None:
    empty = Snapshot()
    empty.order("2026-03-01")
    run = empty.stage(database)
    database.execute(f"DROP TABLE {run.schema}.source__channel_orders__service_order__c")

    assert list(readiness_rows(run)) == []
    assert readiness_counts(run) == []


def test_the_list_is_written_beside_the_snapshot_and_never_over_another(
    database: Database, snapshot: Snapshot, tmp_path: Path
) -> None:
    run = snapshot.stage(database, artifacts=str(tmp_path / "placeholder"))
    folder = tmp_path / run.run_id
    folder.mkdir()
    run.update(artifacts=str(folder))

    path = write_readiness(database, run.run_id, DAY, shipped_rules())

    assert path == str(folder / "gtm_readiness_2026-11-28.csv")
    with open(path, encoding="utf-8-sig", newline="") as file:
        assert [r["customer_id"] for r in csv.DictReader(file)] == [
            "abroad",
            "free",
            "renews",
            "runs",
            "site",
        ]


def test_the_newest_whole_snapshot_is_taken(database: Database, snapshot: Snapshot) -> None:
    assert newest_snapshot(database) is None
    whole = snapshot.stage(database, started_at="2026-11-01T00:00:00Z")
    snapshot.stage(database, started_at="2026-11-03T00:00:00Z", params={"orders_where": "Name = 'SO-1'"})
    purged = snapshot.stage(database, started_at="2026-11-02T00:00:00Z")
    database.execute(f"DROP SCHEMA {purged.schema} CASCADE")

    assert newest_snapshot(database) == whole.run_id
