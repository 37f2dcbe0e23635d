"""What a run was told is frozen when it starts: its params and its mapping, whatever the file says afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas
import pytest
from psycopg import sql

from coa import pipeline
from coa.approval.terms import terms_of
from coa.errors import ConfigurationError, InvalidParams
from coa.mapping.place import NamedBy
from coa.mapping.store import adopt, mapping_of
from coa.staging.database import Database
from coa.staging.runs import Run
from coa.transform.custom import load_function
from tests.engine.harness import FAST

FILTER = "Name != 'x'"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.yaml"
    path.write_text(f"orders_where: {FILTER}\nowners: {{anna@old: anna@new}}\n")
    return path


def start(
    database: Database,
    name: str = "",
    dag_id: str = "coa_migrate",
    **params: Any,
) -> Run:
    return pipeline.start(
        database, FAST, dag_id=dag_id, airflow_run_id=name or uuid4().hex, triggered_by="", raw_params=params
    )


def test_later_tasks_use_what_was_read_and_not_the_file(database: Database, file: Path) -> None:
    run = start(database, mapping=str(file))
    file.unlink()

    later = Run.load(database, FAST, run.run_id)
    assert mapping_of(later).owners == {"anna@old": "anna@new"}
    assert later.params.orders_where == FILTER
    assert (later.record.mapping_name, len(later.record.mapping_sha256)) == ("mapping.yaml", 64)


def test_the_code_of_a_custom_rule_is_kept_and_hashed_with_the_file(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COA_CUSTOM_RULES", "true")
    monkeypatch.setenv("COA_MAPPING_FOLDER", str(file.parent))
    file.write_text("custom: {Service_Order__c: 'rules.py:tidy'}\n")
    module = file.parent / "rules.py"
    module.write_text("def tidy(desired, source):\n    return 'first'\n")
    run = start(database, mapping="mapping.yaml")
    module.write_text("def tidy(desired, source):\n    return 'second'\n")

    (rule,) = mapping_of(Run.load(database, FAST, run.run_id)).custom.values()
    later = start(database, mapping="mapping.yaml")

    nothing = pandas.DataFrame()
    assert load_function(rule)(nothing, nothing) == "first"
    assert later.record.mapping_sha256 != run.record.mapping_sha256


def test_a_file_that_a_form_may_not_name_ends_the_start(database: Database, file: Path) -> None:
    with pytest.raises(
        InvalidParams, match="is not in a folder from which this deployment reads mapping files"
    ):
        pipeline.start(
            database,
            FAST,
            mapping_named_by=NamedBy.AIRFLOW,
            dag_id="coa_migrate",
            airflow_run_id="manual__1",
            triggered_by="",
            raw_params={"mapping": str(file)},
        )


def test_a_start_that_is_tried_again_changes_nothing(database: Database, file: Path) -> None:
    params = {"mapping": str(file), "orders_where": "Name != 'y'"}
    first = start(database, "manual__1", **params)
    file.write_text("owners: {anna@old: eve@new}\n")

    again = start(database, "manual__1", **params)

    assert again.record == first.record
    assert again.params.orders_where == f"(Name != 'y') AND ({FILTER})"
    assert mapping_of(again).owners == {"anna@old": "anna@new"}


def test_a_run_that_starts_from_scratch_reads_the_file_as_it_is_then(database: Database, file: Path) -> None:
    params = {"mapping": str(file), "orders_where": "Name != 'y'"}
    start(database, "manual__1", **params).update(state="blocked")
    file.write_text("orders_where: Name != 'z'\n")

    again = start(database, "manual__1", **params)

    assert again.params.orders_where == "(Name != 'y') AND (Name != 'z')"
    assert mapping_of(again).owners == {}


def test_a_start_that_was_killed_before_it_read_the_file_reads_it_when_it_is_tried_again(
    database: Database, file: Path
) -> None:
    params = {"mapping": str(file)}
    Run.start(
        database, FAST, dag_id="coa_migrate", airflow_run_id="manual__1", triggered_by="", raw_params=params
    )

    assert start(database, "manual__1", **params).params.orders_where == FILTER


def test_a_bad_file_is_refused_at_the_start(database: Database, file: Path) -> None:
    file.write_text("feilds: {}\nowners: [a]\n")

    with pytest.raises(
        InvalidParams, match=r"mapping\.yaml is not usable: line 1, .*'fields' meant.*line 2,"
    ):
        start(database, mapping=str(file))

    row = database.row("SELECT state, params FROM coa.run") or {}
    assert row["params"] == {"mapping": str(file)}


def test_a_run_whose_inputs_were_not_frozen_has_no_mapping(database: Database) -> None:
    run = Run.start(
        database, FAST, dag_id="coa_migrate", airflow_run_id="manual__1", triggered_by="", raw_params={}
    )

    with pytest.raises(ConfigurationError, match="has no mapping"):
        mapping_of(run)
    assert not run.db.rows("SELECT FROM pg_tables WHERE schemaname = %s", [run.schema])


def test_a_grant_binds_the_filter_that_was_given_and_the_file_by_its_hash(
    database: Database, file: Path
) -> None:
    run = start(database, mapping=str(file), orders_where=" Name != 'y' ")

    terms = terms_of(run)
    assert terms["params"]["orders_where"] == "Name != 'y'"
    assert terms["mapping_sha256"] == run.record.mapping_sha256 != ""


def purge(run: Run) -> None:
    run.db.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(run.schema)))


def test_a_verification_has_the_mapping_of_its_migration(database: Database, file: Path) -> None:
    migration = start(database, mapping=str(file))
    run = start(database, dag_id="coa_verify")

    adopt(run, migration.run_id)

    assert mapping_of(run) == mapping_of(migration)
    assert run.record.mapping_sha256 == migration.record.mapping_sha256


def test_where_it_was_purged_only_the_same_file_is_as_good(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migration = start(database, mapping=str(file))
    purge(migration)

    with pytest.raises(ConfigurationError, match=r"set COA_MAPPING to .* the file mapping\.yaml"):
        adopt(start(database, dag_id="coa_verify"), migration.run_id)

    monkeypatch.setenv("COA_MAPPING", str(file))
    run = start(database, dag_id="coa_verify")
    adopt(run, migration.run_id)
    assert mapping_of(run).owners == {"anna@old": "anna@new"}


def test_a_verification_goes_by_the_policies_of_its_migration(database: Database) -> None:
    migration = start(database, received_dates="accept_reset", target_conn_id="theirs", verify_sample="5%")
    run = start(database, dag_id="coa_verify", target_conn_id="mine")
    run.update(policies_of=migration.run_id)

    params = Run.load(database, FAST, run.run_id).params

    assert params.received_dates == "accept_reset"
    assert (params.target_conn_id, params.verify_sample) == ("mine", "1%")
    assert run.record.mode == "verify"
    assert "received_dates" not in run.record.params
