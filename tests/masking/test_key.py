"""The key of a rehearsal's masks: one a target, made once or named by the deployment, and never another one later."""

from __future__ import annotations

from pathlib import Path

import pytest

from coa.errors import ConfigurationError
from coa.masking.key import key_of
from coa.staging.database import Database
from coa.staging.runs import Run
from tests.engine.harness import FAST

TARGET, OTHER = "00D000000000001AAA", "00D000000000002AAA"


def rehearsal(db: Database, target: str) -> Run:
    run = Run.start(db, FAST, dag_id="coa_migrate", airflow_run_id="", triggered_by="test", raw_params={})
    pair = db.value(
        """INSERT INTO coa.org_pair (source_org_id, target_org_id, masked) VALUES ('00D000000000009AAA', %s, true)
           ON CONFLICT (source_org_id, target_org_id, masked) DO UPDATE SET masked = true RETURNING pair_id""",
        [target],
    )
    run.update(pair_id=pair, target_org={"id": target})
    return run


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "masking.key"
    path.write_bytes(bytes(range(40)))
    monkeypatch.setenv("COA_MASKING_KEY", str(path))
    return path


def test_without_a_setting_a_key_is_made_once_a_target(database: Database) -> None:
    first = key_of(rehearsal(database, TARGET))
    assert len(first) == 32
    assert key_of(rehearsal(database, TARGET)) == first
    assert key_of(rehearsal(database, OTHER)) != first


def test_a_file_is_the_key_and_staging_does_not_hold_it(database: Database, file: Path) -> None:
    assert key_of(rehearsal(database, TARGET)) == file.read_bytes()
    assert key_of(rehearsal(database, TARGET)) == file.read_bytes()
    (row,) = database.rows("SELECT key, fingerprint FROM coa.masking_key")
    assert row["key"] is None
    assert file.read_bytes().hex() not in row["fingerprint"]


def test_another_key_than_before_is_refused_with_the_way_out(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_of(rehearsal(database, TARGET))
    file.write_bytes(bytes(40))
    with pytest.raises(ConfigurationError, match="masked by another key") as refused:
        key_of(rehearsal(database, TARGET))
    assert "refresh the sandbox" in refused.value.next_step
    monkeypatch.delenv("COA_MASKING_KEY")
    with pytest.raises(ConfigurationError, match="which is none"):
        key_of(rehearsal(database, TARGET))
    # The other way round: made before, and named now.
    key_of(rehearsal(database, OTHER))
    monkeypatch.setenv("COA_MASKING_KEY", str(file))
    with pytest.raises(ConfigurationError) as made:
        key_of(rehearsal(database, OTHER))
    assert "or unset it" in made.value.next_step


def test_a_file_that_cannot_be_a_key_is_named_before_anything_is_read(database: Database, file: Path) -> None:
    file.write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="has 5 bytes; 32 are needed"):
        key_of(rehearsal(database, TARGET))
    file.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        key_of(rehearsal(database, TARGET))
    assert database.value("SELECT count(*) FROM coa.masking_key") == 0
