"""Parquet files: typed columns, bounded memory, and a plain sentence without the extra."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pyarrow.parquet import ParquetFile, read_table

from coa import tabular
from coa.artifacts import Artifacts
from coa.errors import ConfigurationError
from coa.tabular import Kind, write_parquet

COLUMNS = {"name": Kind.TEXT, "lines": Kind.WHOLE, "value": Kind.NUMBER, "at": Kind.MOMENT}


def written(folder: Path, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    write_parquet(Artifacts(folder), "t.parquet", COLUMNS, rows)
    found: list[dict[str, Any]] = read_table(folder / "t.parquet").to_pylist()
    return found


def test_values_keep_their_kind(tmp_path: Path) -> None:
    moment = datetime(2019, 3, 4, 5, 6, 7, tzinfo=UTC)

    assert written(
        tmp_path,
        {"name": "=1+1 “é”\r\n", "lines": 3, "value": Decimal("12.50"), "at": "2019-03-04T05:06:07.000+0000"},
        {"name": "", "lines": "4", "value": "-0.5", "at": moment},
        {"name": None, "lines": "", "value": None, "other": 1},
    ) == [
        {"name": "=1+1 “é”\r\n", "lines": 3, "value": 12.5, "at": moment},
        {"name": "", "lines": 4, "value": -0.5, "at": moment},
        {"name": None, "lines": None, "value": None, "at": None},
    ]


def test_numbers_and_moments_are_exact(tmp_path: Path) -> None:
    numbers = [0.1 + 0.2, 1e-300, -1.7976931348623157e308, 123456789012.345678]
    moments = ["2019-03-04T05:06:07.089+0200", "1969-12-31T23:59:59.999Z", "2400-02-29T00:00:00"]

    rows = written(
        tmp_path,
        *({"value": number, "lines": 2**62 + 1} for number in numbers),
        *({"at": moment} for moment in moments),
    )

    assert [row["value"] for row in rows[:4]] == numbers
    assert {row["lines"] for row in rows[:4]} == {2**62 + 1}
    assert [row["at"].isoformat(timespec="milliseconds") for row in rows[4:]] == [
        "2019-03-04T03:06:07.089+00:00",
        "1969-12-31T23:59:59.999+00:00",
        "2400-02-29T00:00:00.000+00:00",
    ]


def test_writing_a_file_does_not_import_pandas(tmp_path: Path) -> None:
    code = (
        "import sys; from coa.artifacts import Artifacts; from coa.tabular import Kind, write_parquet; "
        "from pathlib import Path; "
        "write_parquet(Artifacts(Path(sys.argv[1])), 't.parquet', {'name': Kind.TEXT}, [{'name': 'Ada'}]); "
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "False"


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    assert written(tmp_path) == []
    assert ParquetFile(tmp_path / "t.parquet").schema_arrow.names == list(COLUMNS)


def test_rows_are_asked_for_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "GROUP_ROWS", 10)
    monkeypatch.setattr(tabular, "_cell", lambda value, kind: cells.append(value))
    cells: list[Any] = []
    ahead: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        for n in range(25):
            ahead.append(n - len(cells))
            yield {"name": str(n)}

    assert write_parquet(Artifacts(tmp_path), "t.parquet", {"name": Kind.TEXT}, rows()) == 25
    assert max(ahead) == 9
    assert ParquetFile(tmp_path / "t.parquet").num_row_groups == 3


def test_the_file_is_listed_with_its_hash_and_its_rows(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)

    write_parquet(artifacts, "t.parquet", COLUMNS, [{"name": "Ada"}])

    content = (tmp_path / "t.parquet").read_bytes()
    assert artifacts.listed == [
        {"name": "t.parquet", "bytes": len(content), "sha256": sha256(content).hexdigest(), "rows": 1}
    ]


def test_a_file_with_a_row_is_no_text_so_that_it_goes_with_a_persons_data(tmp_path: Path) -> None:
    write_parquet(Artifacts(tmp_path), "t.parquet", {"name": Kind.TEXT}, [{"name": "A"}])

    with pytest.raises(UnicodeDecodeError):
        (tmp_path / "t.parquet").read_text("utf-8")


def test_a_value_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="abc"):
        written(tmp_path, {"value": "abc"})


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "find_spec", lambda name: None)

    with pytest.raises(ConfigurationError, match=r"coa-migration\[parquet\]"):
        written(tmp_path, {})
