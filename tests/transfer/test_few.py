"""sObjects that are only looked up and hold few records come by REST: the same tables, the same values, fewer calls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import sql

from coa.extract.bulk import ExtractSpec, ensure_state_table, extract_object
from coa.extract.few import extract_few
from coa.model import CONTRACT, PRODUCT
from coa.preflight.orgs import describe_objects
from coa.salesforce.session import Org
from coa.staging.database import Database
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table
from orgsim.launch import RunningOrg, running_org
from tests.engine.harness import FAST, LENIENT, connection_to

SPECS = [
    ExtractSpec(SOURCE, CONTRACT, ["Id", "Name", "CreatedDate", "IsDeleted"]),
    ExtractSpec(SOURCE, PRODUCT, ["Id", "Name", "CreatedDate", "CHANNEL_ORDERS__Fixed_Price__c"]),
    ExtractSpec(SOURCE, "User", ["Id", "Username", "IsActive"]),
]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningOrg]:
    with running_org(role="source", orders=10, seed=3, job_delay=0.01) as org:
        yield org


def started(running: RunningOrg, database: Database, most: int) -> Run:
    run = Run.start(
        database,
        FAST.model_copy(update={"extract_rest_rows": most}),
        dag_id="coa_migrate",
        airflow_run_id=f"few-{most}",
        triggered_by="test",
        raw_params=LENIENT,
    )
    ensure_state_table(run)
    # Values are converted by the types that preflight found.
    describe_objects(run, opened(running), SOURCE, [spec.sobject for spec in SPECS])
    return run


def opened(running: RunningOrg) -> Org:
    return Org(connection_to(running, "coa_source"), FAST)


def table(run: Run, sobject: str) -> list[dict[str, object]]:
    return run.db.rows(sql.SQL('SELECT * FROM {} ORDER BY "Id"').format(run.table(SOURCE, sobject)))


def test_both_ways_fill_the_same_tables(running: RunningOrg, database: Database) -> None:
    by_rest, by_bulk = started(running, database, 1000), started(running, database, 0)
    rows = extract_few(by_rest, opened(running), SPECS)
    assert extract_few(by_bulk, opened(running), SPECS) == {}
    for spec in SPECS:
        assert extract_object(by_bulk, opened(running), spec) == rows[spec.sobject] > 0
        as_text = [
            {name: None if value == "" else value for name, value in one.items()}
            for one in table(by_bulk, spec.sobject)
        ]
        assert table(by_rest, spec.sobject) == as_text


def test_few_records_cost_two_calls_and_are_not_read_again(running: RunningOrg, database: Database) -> None:
    run, org = started(running, database, 1000), opened(running)
    org.count("User")
    org.drain_call_counts()
    rows = extract_few(run, org, SPECS)
    assert org.drain_call_counts() == {"composite": 2}
    assert extract_few(run, org, SPECS) == {}
    assert [extract_object(run, org, spec) for spec in SPECS] == [rows[spec.sobject] for spec in SPECS]
    assert org.drain_call_counts() == {}


def test_more_records_than_that_are_left_to_a_bulk_query(running: RunningOrg, database: Database) -> None:
    run, org = started(running, database, 1), opened(running)
    assert extract_few(run, org, SPECS) == {}
    assert not run.has_table(Table.SOURCE, PRODUCT)


def test_what_the_org_refuses_is_left_to_a_bulk_query_which_tells_it(
    running: RunningOrg, database: Database
) -> None:
    unknown = ExtractSpec(SOURCE, "User", ["Id", "Nonsense__c"])
    run = started(running, database, 1000)
    assert extract_few(run, opened(running), [unknown]) == {}
    assert not run.has_table(Table.SOURCE, "User")
