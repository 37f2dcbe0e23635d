"""Which records of a real plan are chosen, and that they stay the same ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import sql

from coa.fields.saved import saved_carried
from coa.load.canary import choose_canary
from coa.load.canary_state import counts
from coa.load.work import create_work_tables
from coa.load_steps import CANARY_CHUNK
from coa.mapping.store import mapping_of
from coa.model import CLONED_FROM, CUSTOMER, DETAIL, ORDER, ORDER_CONTRACT, ORDER_TYPE, STATUS
from coa.plan.document import plan_hash
from coa.plan.expected_corrections import COPIED_PRICING
from coa.staging import tables
from coa.staging.database import Database
from coa.staging.runs import Run
from coa.staging.tables import Table
from tests.canary.conftest import ORDERS
from tests.reconcile.pairs import plan_rows, two_orgs


@pytest.fixture(scope="module")
def made(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run with a plan of more than fifty new orders, not yet prepared for loading."""
    with two_orgs(module_database, tmp_path_factory.mktemp("choice"), orders=ORDERS) as pair:
        run = pair.start()
        pair.plan(run)
        create_work_tables(run)
        yield run


@pytest.fixture
def run(made: Run) -> Run:
    """The same run before anything was chosen."""
    with made.db.transaction() as connection:
        tables.drop(connection, made, Table.CANARY)
    made.params = made.params.model_copy(update={"canary": 25})
    return made


def chosen_of(run: Run) -> dict[str, set[str]]:
    choose_canary(run, saved_carried(run, mapping_of(run)))
    found: dict[str, set[str]] = {CUSTOMER: set(), ORDER: set(), DETAIL: set()}
    for r in run.db.rows(sql.SQL("SELECT sobject, source_id FROM {}").format(run.table(Table.CANARY))):
        found[r["sobject"]].add(r["source_id"])
    return found


def values(run: Run, sobject: str, field: str) -> dict[str, str | None]:
    rows = run.db.rows(
        sql.SQL("SELECT source_id, {} AS v FROM {}").format(
            sql.Identifier(field), run.table(Table.DESIRED, sobject)
        )
    )
    return {r["source_id"]: r["v"] for r in rows}


def test_a_canary_has_the_number_asked_for_all_that_comes_with_it_and_every_stratum_that_fits(
    run: Run,
) -> None:
    before = plan_hash(run)
    chosen = chosen_of(run)
    plan = plan_rows(run)
    new = {i for (name, i), r in plan.items() if name == ORDER and r["action"] == "insert"}

    assert len(new) > 50
    assert len(chosen[ORDER]) == 25
    assert chosen[ORDER] <= new
    assert chosen[DETAIL] == {
        i
        for (name, i), r in plan.items()
        if name == DETAIL and r["action"] == "insert" and r["parent_id"] in chosen[ORDER]
    }
    customers = {plan[ORDER, i]["parent_id"] for i in chosen[ORDER]}
    assert chosen[CUSTOMER] == {c for c in customers if plan[CUSTOMER, c]["action"] == "insert"}
    for field in (STATUS, ORDER_TYPE, ORDER_CONTRACT):
        held = values(run, ORDER, field)
        assert {held[i] for i in chosen[ORDER]} == {held[i] for i in new}
    pricing = values(run, DETAIL, COPIED_PRICING)
    new_details = {i for (name, i), r in plan.items() if name == DETAIL and r["action"] == "insert"}
    assert {pricing[i] for i in chosen[DETAIL]} == {pricing[i] for i in new_details}
    originals = values(run, ORDER, CLONED_FROM)
    clones = {i for i in chosen[ORDER] if originals[i] in new}
    assert clones
    assert any(originals[i] in chosen[ORDER] for i in clones)
    assert {i for i in chosen[ORDER] if plan[ORDER, i]["chunk_no"] == CANARY_CHUNK} == chosen[ORDER]
    # The order in which chunks are loaded is nobody's approval.
    assert plan_hash(run) == before


def test_a_second_try_finds_the_same_records_and_the_same_plan_chooses_the_same(run: Run) -> None:
    first = chosen_of(run)

    assert chosen_of(run) == first
    with run.db.transaction() as connection:
        tables.drop(connection, run, Table.CANARY)
    assert chosen_of(run) == first


@pytest.mark.parametrize(("canary", "orders"), [(0, 0), (7, 7), (ORDERS, 0)])
def test_the_number_is_the_params(run: Run, canary: int, orders: int) -> None:
    run.params = run.params.model_copy(update={"canary": canary})

    chosen = chosen_of(run)

    assert len(chosen[ORDER]) == counts(run)["orders"] == orders
    if not orders:
        assert not any(chosen.values())


def test_what_changed_since_the_plan_is_never_chosen(run: Run) -> None:
    plan = plan_rows(run)
    held = sorted(i for (name, i), r in plan.items() if name == ORDER and r["action"] == "insert")[::3]
    run.db.execute(
        sql.SQL("INSERT INTO {} SELECT %s, unnest(%s::text[]), 'changed'").format(
            run.table(Table.CHANGED_SINCE_PLAN)
        ),
        [ORDER, held],
    )

    assert not chosen_of(run)[ORDER] & set(held)
