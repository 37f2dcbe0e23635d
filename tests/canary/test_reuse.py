"""A proved canary stands for that of a later run, as long as nothing is another that counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coa.fields.saved import saved_carried
from coa.load.canary_reuse import fingerprint, reusable
from coa.load.canary_state import canary_of
from coa.load.learned import is_learned
from coa.load.observed import expected_canary_markdown
from coa.mapping.store import mapping_of
from coa.model import DETAIL, NS, ORDER
from coa.staging.database import Database
from coa.staging.runs import Run
from tests.engine.checker import check
from tests.engine.harness import Migration, Migrator
from tests.reconcile.pairs import plan_rows, table, two_orgs

LINE = NS + "Product_Line_Description__c"
FEW: dict[str, Any] = {"canary": 20}


@pytest.fixture
def pair(database: Database, tmp_path: Path) -> Iterator[Migrator]:
    with two_orgs(database, tmp_path, orders=90) as migrator:
        yield migrator


def halves(pair: Migrator) -> str:
    """SOQL for the older half of the source's orders."""
    dates = sorted(str(r["CreatedDate"]) for r in table(pair.source, ORDER).values())
    return f"CreatedDate < {dates[len(dates) // 2][:19]}Z"


def expect_clean(pair: Migrator, result: Migration) -> None:
    assert result.state == "verified", result.error
    left_out = {i for (_, i), r in plan_rows(result.run).items() if r["action"] in ("blocked", "held")}
    verdict = check(pair.source, pair.target, left_out)
    assert verdict.clean, str(verdict)


@pytest.mark.lane
def test_a_later_run_takes_over_what_the_canary_showed_and_rechecks_it_in_its_first_chunk(
    pair: Migrator,
) -> None:
    first = pair.migrate(orders_where=halves(pair), **FEW)
    assert first.state == "verified", first.error

    second = pair.migrate(chunk_size=20, **FEW)

    expect_clean(pair, second)
    told = second.summary["canary"]
    assert told["reused_from"] == first.run.run_id
    assert told["orders"] < 20
    row = canary_of(second.run)
    assert row is not None
    assert row["rechecked"]
    assert is_learned(second.run, DETAIL, 3)
    # So does whoever reads the plan of a run that is large enough for a canary.
    assert f"What the canary of run `{first.run.run_id}` saw" in expected_canary_markdown(second.run, 100)


@pytest.mark.lane
def test_a_target_that_does_something_else_now_ends_the_reuse_and_all_is_right_all_the_same(
    pair: Migrator,
) -> None:
    first = pair.migrate(orders_where=halves(pair), **FEW)
    assert first.state == "verified", first.error
    pair.target.control("PATCH", "settings", {"overwrite_on_insert": [f"{DETAIL}.{LINE}=by a new trigger"]})

    second = pair.migrate(chunk_size=20, **FEW)

    expect_clean(pair, second)
    assert second.summary["canary"]["reused_from"] == first.run.run_id
    assert DETAIL in second.summary["canary"]["careful"]
    assert not is_learned(second.run, DETAIL, 3)


@pytest.fixture(scope="module")
def proved(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrator]:
    """A pair on which a run has proved its canary."""
    with two_orgs(module_database, tmp_path_factory.mktemp("proved"), orders=60) as pair:
        run = pair.migrate(**FEW)
        assert run.state == "verified", run.error
        yield pair


@pytest.fixture
def later(proved: Migrator) -> Iterator[Run]:
    """A run on the same pair, right after its preflight: nothing in it is another."""
    run = proved.start(**FEW)
    proved.walk(run).do("preflight")
    yield run
    run.lease.release()


def finds(run: Run) -> bool:
    return reusable(run, saved_carried(run, mapping_of(run))) is not None


def change(run: Run, **values: Any) -> None:
    run.update(target_org={**run.record.target_org, **values})


def test_it_is_found_where_all_is_the_same(later: Run) -> None:
    assert finds(later)


@pytest.mark.parametrize(
    "values",
    [
        {"id": "00D000000000009AAA"},
        {"user_id": "005000000000009AAA"},
        {"permission_sets": ["0PS000000000001AAA"]},
        {"permission_sets": None},
        {"api_version": "58.0"},
        {"automation": ["trigger Stamp on Order"]},
        {"inactive_workflow_rules": ["Populate Pricing fields"]},
        {"workflow_rules": None},
        {"workflow_rules": {"Populate Pricing fields": None}},
        {"inactive_validation_rules": None},
        {"not_told": ["Apex triggers"]},
    ],
    ids=str,
)
def test_it_is_not_where_the_target_is_another_or_is_not_known(later: Run, values: dict[str, Any]) -> None:
    change(later, **values)

    assert not finds(later)


@pytest.mark.parametrize(
    "params",
    [
        {"received_dates": "accept_reset"},
        {"owner_policy": "stop"},
        {"canary_gate": "ask"},
        {"learned_passes": "ignore"},
    ],
    ids=str,
)
def test_it_is_not_where_something_else_is_written_or_a_canary_is_to_be_seen(
    later: Run, params: dict[str, Any]
) -> None:
    later.params = later.params.model_copy(update=params)

    assert not finds(later)


def test_it_is_not_with_another_field_map_nor_with_another_mapping_file(later: Run) -> None:
    carried = saved_carried(later, mapping_of(later))
    less = {**carried, ORDER: carried[ORDER][1:]}
    assert reusable(later, less) is None
    later.update(mapping_sha256="0" * 64)
    assert not finds(later)


def test_it_is_not_when_it_is_old_or_what_followed_it_was_not_so(later: Run) -> None:
    later.settings = later.settings.model_copy(update={"canary_days": 0})
    assert not finds(later)
    later.settings = later.settings.model_copy(update={"canary_days": 30})
    later.db.execute("UPDATE coa.canary SET much_mended = %s", [[DETAIL]])
    assert not finds(later)
    later.db.execute("UPDATE coa.canary SET much_mended = '{}'")
    assert finds(later)


def test_a_fingerprint_is_kept_with_the_canary_as_it_was(later: Run) -> None:
    now = fingerprint(later, saved_carried(later, mapping_of(later)))
    kept = later.db.value("SELECT fingerprint FROM coa.canary ORDER BY ended_at LIMIT 1")
    assert kept == json.loads(json.dumps(now))


def test_after_a_roll_back_it_stands_for_nothing(later: Run) -> None:
    of = later.db.value("SELECT run_id FROM coa.canary ORDER BY ended_at LIMIT 1")
    undo = Run.start(
        later.db,
        later.settings,
        dag_id="coa_rollback",
        airflow_run_id="undo",
        triggered_by="test",
        raw_params={"run_id": of, "require_approval": False},
    )
    undo.update(mode="rollback")
    assert finds(later)
    later.db.execute("UPDATE coa.run SET loaded_at = now() WHERE run_id = %s", [undo.run_id])
    assert not finds(later)
    later.db.execute("DELETE FROM coa.run WHERE run_id = %s", [undo.run_id])
