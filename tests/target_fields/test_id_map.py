"""An id map is taken whole, for the right target and without contradicting the ledger, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from coa.errors import ConfigurationError
from coa.model import CUSTOMER, ORDER
from coa.staging.database import Database
from coa.target_fields.id_map import COLUMNS, export_id_map, import_id_map

TARGET, SOURCE, OTHER = "00D000000000002EAA", "00D000000000001EAA", "00D000000000003EAA"


def record(
    target: str = TARGET, source_id: str = "a01000000000001AAA", target_id: str = "a02000000000001AAA"
) -> str:
    return ",".join([target, SOURCE, ORDER, source_id, target_id, "inserted"])


def written(folder: Path, *lines: str) -> Path:
    file = folder / "map.csv"
    file.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n", "utf-8")
    return file


def ledger(db: Database) -> set[tuple[str, str, str]]:
    rows = db.rows("SELECT sobject, source_id, target_id FROM coa.ledger")
    return {(r["sobject"], r["source_id"], r["target_id"]) for r in rows}


def test_what_is_exported_can_be_imported_again(database: Database, tmp_path: Path) -> None:
    import_id_map(database, TARGET, written(tmp_path, record(), "end,1"))
    database.execute(
        """INSERT INTO coa.ledger (pair_id, sobject, source_id, target_id, origin) VALUES
             (1, %s, 'a03000000000001AAA', 'a04000000000001AAA', 'matched'),
             (1, %s, 'a03000000000002AAA', NULL, 'none')""",
        [CUSTOMER, CUSTOMER],
    )
    file = tmp_path / "export.csv"

    assert export_id_map(database, TARGET, file) == 2
    kept = {row for row in ledger(database) if row[2]}
    database.execute("DELETE FROM coa.ledger")

    assert import_id_map(database, TARGET, file) == 2
    assert ledger(database) == kept
    with pytest.raises(ConfigurationError, match="it is there already"):
        export_id_map(database, TARGET, file)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([record()], "its end is missing"),
        ([record(), "end,2"], "line 3 has 2 columns"),
        ([record(OTHER), "end,1"], f"is of the target {OTHER}"),
        ([record(source_id="x"), "end,1"], "is no record of an id map"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(
    database: Database, tmp_path: Path, lines: list[str], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        import_id_map(database, TARGET, written(tmp_path, *lines))
    assert ledger(database) == set()


def test_a_file_that_contradicts_the_ledger_is_refused_and_the_record_is_named(
    database: Database, tmp_path: Path
) -> None:
    import_id_map(database, TARGET, written(tmp_path, record(), "end,1"))
    known = ledger(database)

    with pytest.raises(ConfigurationError, match="a01000000000001AAA: a02000000000009AAA in the file"):
        import_id_map(database, TARGET, written(tmp_path, record(target_id="a02000000000009AAA"), "end,1"))

    assert ledger(database) == known
