"""One person's data goes from every run, and the rest of the run stays what it was."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from psycopg import sql

from coa.errors import ConfigurationError
from coa.extract.baseline import find_base
from coa.extract.bulk import ExtractSpec
from coa.model import ORDER
from coa.retention.__main__ import main
from coa.retention.person import Person, erase
from coa.staging.database import Database
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table
from tests.engine.harness import FAST
from tests.retention.planted import FIELDS, NAME, RECORD, files_that_name, plant, tables_that_name

OTHER = "a0X000000000009AAA"


def source_ids(run: Run) -> list[str]:
    rows = run.db.rows(sql.SQL('SELECT "Id" FROM {} ORDER BY 1').format(run.table(Table.SOURCE, ORDER)))
    return [r["Id"] for r in rows]


@pytest.mark.parametrize("said", [NAME, NAME.lower(), NAME.upper()])
def test_nothing_names_the_person_afterwards(said: str, database: Database, tmp_path: Path) -> None:
    planted = plant(database, tmp_path)

    [done] = erase(database, Person.named([said]), planted.places)

    assert tables_that_name(database, NAME) == []
    assert list(files_that_name(tmp_path, NAME)) == []
    assert done.run_id == planted.run.run_id
    assert done.logs == 1


def test_records_of_others_and_the_proof_stay(database: Database, tmp_path: Path) -> None:
    planted = plant(database, tmp_path)
    run = planted.run
    database.execute(
        sql.SQL("INSERT INTO {} VALUES (%s, %s, %s)").format(run.table(Table.SOURCE, ORDER)),
        [OTHER, f"{NAME}man Ltd", "2026-01-01T00:00:00Z"],
    )

    erase(database, Person.named([NAME]), planted.places)

    assert source_ids(run) == [OTHER]
    assert database.value("SELECT count(*) FROM coa.ledger WHERE source_id = %s", [RECORD]) == 1
    assert database.value("SELECT answered_by FROM coa.approval") == "approver"
    left = {str(p.relative_to(planted.folder)) for p in planted.folder.rglob("*") if p.is_file()}
    assert left == {
        "id_map.csv",
        "evidence/leaves.tsv",
        "evidence/signature.json",
        "evidence/coa-verify-evidence",
    }
    assert bytes(database.value(sql.SQL("SELECT secret FROM {}").format(run.table(Table.EVIDENCE)))) == b""


def test_a_record_is_found_by_its_id_in_either_org(database: Database, tmp_path: Path) -> None:
    """By the id of the target's record; the ledger knows the source's."""
    planted = plant(database, tmp_path)

    [done] = erase(database, Person.named(["a0Y000000000002AAA"]), planted.places)

    assert source_ids(planted.run) == []
    assert done.rows > 5
    for table in ("explained", "difference", "rejection"):
        assert database.value(f"SELECT count(*) FROM coa.{table}") == 0


def test_a_run_of_which_data_was_deleted_is_no_base_and_goes_on_no_more(
    database: Database, tmp_path: Path
) -> None:
    planted = plant(database, tmp_path)
    newer = Run.start(
        database, FAST, dag_id="coa_migrate", airflow_run_id="newer", triggered_by="test", raw_params={}
    )
    newer.update(pair_id=planted.run.pair_id)
    database.execute("UPDATE coa.run SET params = '{}' WHERE run_id = %s", [planted.run.run_id])
    spec = ExtractSpec(SOURCE, ORDER, FIELDS)
    database.execute(
        sql.SQL("UPDATE {} SET \"SystemModstamp\" = '2026-01-01T00:00:00Z'").format(
            planted.run.table(Table.SOURCE, ORDER)
        )
    )
    assert find_base(newer, spec) is not None

    erase(database, Person.named([NAME]), planted.places)

    assert find_base(newer, spec) is None
    planted.run.refresh()
    with pytest.raises(ConfigurationError, match="it cannot continue"):
        planted.run.reopen()


def test_a_person_whom_nobody_knows_changes_nothing(database: Database, tmp_path: Path) -> None:
    planted = plant(database, tmp_path)

    assert erase(database, Person.named(["Nobody Atall"]), planted.places) == []
    assert tables_that_name(database, NAME) != []
    planted.run.refresh()
    planted.run.reopen()


def test_while_a_run_that_holds_the_person_is_under_way_nothing_is_deleted(
    database: Database, tmp_path: Path
) -> None:
    planted = plant(database, tmp_path)
    planted.run.update(state=None)
    planted.run.lease.take()
    before = tables_that_name(database, NAME)

    with pytest.raises(ConfigurationError, match="under way"):
        erase(database, Person.named([NAME]), planted.places)

    assert tables_that_name(database, NAME) == before


def test_the_command_tells_first_and_takes_the_name_from_its_input(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COA_STAGING_URL", database.url)
    monkeypatch.setenv("COA_LOCAL_FOLDER", str(tmp_path / "local"))
    planted = plant(database, tmp_path)

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{NAME}\n"))
    assert main(["--person", "-", "--dry-run"]) == 0
    assert "would delete from" in capsys.readouterr().out
    assert tables_that_name(database, NAME) != []

    assert main(["--person", NAME]) == 0
    told = capsys.readouterr().out
    assert f"deleted from {planted.run.run_id}" in told
    assert NAME not in told
    assert tables_that_name(database, NAME) == []


@pytest.mark.parametrize("given", [[], [" "], ["Al"]])
def test_a_name_that_is_part_of_everything_is_refused(given: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="at least 3 characters"):
        Person.named(given)


@pytest.mark.parametrize(
    "line",
    [
        f"by {NAME}.",
        "<td>Zoë O&#39;Brien-Lee</td>",
        '"note": "Zo\\u00eb O\'Brien-Lee"',
        '"note": "ZOË O\'BRIEN-LEE\\n"',
        "mail zoe@example.com!",
    ],
)
def test_a_name_is_found_however_a_file_writes_it(line: str) -> None:
    assert Person.named([NAME, "zoe@example.com"]).is_named_in(line)


@pytest.mark.parametrize("line", ["Zoë O'Brien-Leeman", "xzoe@example.com", "zoe@example.community"])
def test_a_longer_name_is_another_one(line: str) -> None:
    assert not Person.named([NAME, "zoe@example.com"]).is_named_in(line)
