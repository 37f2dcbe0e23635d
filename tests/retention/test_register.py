"""The register names every table, column and file; what is not in it fails here before it is forgotten there."""

from __future__ import annotations

from pathlib import Path

from coa.retention.purge import purge
from coa.retention.register import PERMANENT, RUN_TABLES, Holds
from coa.staging.database import Database, Row
from coa.staging.tables import Table
from tests.retention.planted import FILES, NAME, files_that_name, plant, tables_that_name


def test_every_permanent_table_and_column_is_in_the_register(database: Database) -> None:
    there: dict[str, set[str]] = {}
    for r in database.rows(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'coa'"
    ):
        there.setdefault(r["table_name"], set()).add(r["column_name"])

    assert there == {table: set(kept.columns) for table, kept in PERMANENT.items()}


def test_a_column_is_in_one_list_only() -> None:
    assert {t: k.columns for t, k in PERMANENT.items() if len(set(k.columns)) != len(k.columns)} == {}


def test_texts_are_emptied_and_documents_are(database: Database) -> None:
    """A document may hold anything; only what describes an org, or is anonymous, is known to hold nobody's data."""
    documents = {
        (r["table_name"], r["column_name"])
        for r in database.rows(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'coa' AND data_type = 'jsonb'"
        )
    }
    plain = {(t, c) for t, c in documents if c in PERMANENT[t].plain}

    contract = {("contract_cassette", "cassette"), ("contract_cassette", "made")}
    assert plain == {("run", "source_org"), ("run", "target_org")} | contract


def test_every_table_of_a_run_is_in_the_register() -> None:
    assert set(RUN_TABLES) == set(Table)


def test_a_purged_run_names_nobody_anywhere(database: Database, tmp_path: Path) -> None:
    planted = plant(database, tmp_path)
    texts = {t for t, k in PERMANENT.items() if k.emptied}
    named = {kind.value for kind, holds in RUN_TABLES.items() if holds is not Holds.PLAIN}
    before = tables_that_name(database, NAME.split("'")[0])
    assert texts <= set(before)
    assert named <= {t.partition("__")[0] for t in before}
    assert len(list(files_that_name(tmp_path, NAME))) >= len(FILES) - 5

    done = purge(database, planted.row(), planted.places)

    assert tables_that_name(database, "Zo") == []
    assert list(files_that_name(tmp_path, NAME)) == []
    assert done.logs == 1


def test_a_purge_keeps_what_is_no_text(database: Database, tmp_path: Path) -> None:
    planted = plant(database, tmp_path)
    queries = {
        table: f"SELECT {', '.join(names)} FROM coa.{table} WHERE {kept.of_run}"
        for table, kept in PERMANENT.items()
        if not kept.deleted and kept.of_run
        if (names := [f'"{c}"' for c in (*kept.plain, *kept.deciders) if c != "purged_at"])
    }

    def kept_rows() -> dict[str, list[Row]]:
        return {t: database.rows(query, {"run": planted.run.run_id}) for t, query in queries.items()}

    before = kept_rows()

    purge(database, planted.row(), planted.places)

    assert kept_rows() == before
