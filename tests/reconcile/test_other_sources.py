"""Several sources move into one target: what came from another one is never taken as ours, and is not overlooked.

The orgs are two sandboxes of one org (equal record ids), the second of which was worked in since it was copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from tests.engine.harness import FAST, Migration, Migrator
from tests.reconcile.pairs import actions, create, dump, let_expire, like, plan_rows, table

from coa.model import (
    CUSTOMER,
    CUSTOMER_ORG_ID,
    DETAIL,
    DETAIL_ORDER,
    LOADED,
    NS,
    ORDER,
    ORDER_CUSTOMER,
    SOURCE_ID,
    SOURCE_NUMBER,
)
from coa.plan.counterparts import sync_ledger
from coa.plan.foreign_keys import block_foreign_keys
from coa.staging import tables
from coa.staging.database import Database
from coa.staging.runs import Run
from coa.staging.tables import Table
from orgsim.launch import running_org, running_pair

ORG_OF_THE_COPY = "00D000000000Cpy"


@contextmanager
def copies(database: Database, folder: Path) -> Iterator[tuple[Migrator, Migrator]]:
    """Migrations of two copies of one org into one target."""
    seeded: dict[str, Any] = {"orders": 6, "seed": 7, "job_delay": 0.0, "planted": False}
    with (
        running_pair(**seeded) as (source, target),
        running_org(role="source", copied=True, org_id=ORG_OF_THE_COPY, **seeded) as copy,
    ):
        first = Migrator(database, source, target, folder / "artifacts")
        yield first, replace(first, source=copy)


def moved(migration: Migration, sobject: str) -> int:
    return int(migration.summary["objects"][sobject]["inserted"])


def entered_since(made: Migrator, **other: str) -> tuple[str, str]:
    """An order like one of both sources, entered in this one since it was copied, with its details; its customer."""
    order = min(table(made.source, ORDER).values(), key=lambda r: str(r["Id"]))
    new = create(made.source, ORDER, **like(order, **other))
    for detail in table(made.source, DETAIL).values():
        if detail[DETAIL_ORDER] == order["Id"]:
            create(made.source, DETAIL, **like(detail, **{DETAIL_ORDER: new}))
    return new, str(order[ORDER_CUSTOMER])


def test_equal_ids_of_two_sources_are_two_records(database: Database, tmp_path: Path) -> None:
    with copies(database, tmp_path) as (first, second):
        assert table(first.source, ORDER).keys() == table(second.source, ORDER).keys()
        own, customer = entered_since(second, **{NS + "Service_Start_Date__c": "2031-05-06"})
        twin, _ = entered_since(second)
        of_first = first.migrate()
        assert of_first.state == "verified", of_first.error
        before = dump(first.target)

        of_second = second.migrate()

        assert of_second.state == "verified", of_second.error
        found = actions(of_second.run)
        blocked = {i for (s, i), told in found.items() if s == ORDER and told[1] == "key_of_other_source"}
        assert blocked == table(first.source, ORDER).keys()
        row = plan_rows(of_second.run)[ORDER, min(blocked)]
        assert first.source.org_id in row["reason"]
        assert "duplicates" in row["next_step"]
        # A customer of both is one, and the order of the second source hangs on it.
        assert found[CUSTOMER, customer] == ("match", "")
        assert moved(of_second, ORDER) == 1
        there = {r[SOURCE_ID]: r for r in table(first.target, ORDER).values()}
        kept = {r[SOURCE_ID]: r for r in table(first.target, CUSTOMER).values()}
        assert there[own][ORDER_CUSTOMER] == kept[customer]["Id"]
        assert there[own][SOURCE_NUMBER] == table(second.source, ORDER)[own]["Name"]
        # An order that looks like one that the first source brought is for a person to decide.
        assert found[ORDER, twin] == ("blocked", "possible_duplicate")
        # Not a value of what the first source brought was touched.
        after = dump(first.target)
        assert {s: {i: after[s][i] for i in rows} for s, rows in before.items()} == before


@pytest.mark.lane
def test_what_a_killed_run_of_another_source_created_is_its_own(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ledger does not know these records, since nobody read the results of its job; its rows say who sent them."""
    with copies(database, tmp_path) as (first, second):
        run = first.start()
        first.plan(run)
        first.waive(run)
        monkeypatch.setattr("coa.load.jobs.apply_results", _killed)
        with pytest.raises(Killed):
            first.load(run)
        monkeypatch.undo()
        let_expire(database)
        written = {r[SOURCE_ID] for r in table(first.target, CUSTOMER).values() if r[SOURCE_ID]}
        assert written

        of_second = second.migrate()

        assert of_second.state == "verified", of_second.error
        found = actions(of_second.run)
        assert {found[CUSTOMER, i][0] for i in written} == {"match"}
        owners = {
            r["source_org_id"]
            for r in database.rows(
                """SELECT p.source_org_id FROM coa.ledger l JOIN coa.org_pair p USING (pair_id)
                   WHERE l.sobject = %s AND l.source_id = ANY (%s) AND l.origin = 'inserted'""",
                [CUSTOMER, sorted(written)],
            )
        }
        assert owners == {first.source.org_id}


class Killed(Exception):
    """The process is gone."""


def _killed(*_: object) -> None:
    raise Killed


class TestOriginByTheRecordItself:
    """Where no ledger tells: the staging database is new, and the target full of records with keys."""

    @pytest.fixture
    def run(self, database: Database) -> Run:
        run = Run.start(
            database, FAST, dag_id="coa_migrate", airflow_run_id="m", triggered_by="t", raw_params={}
        )
        pair = database.value(
            "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('s', 't') RETURNING pair_id"
        )
        run.update(pair_id=pair)
        return run

    def fill(self, run: Run, number: str, created: str) -> None:
        """One customer of the source, and a record of the target with its key."""
        texts = {
            Table.SOURCE: ("Id, CreatedDate", ("a00000000000001AAA", "2024-05-01T10:00:00.000Z")),
            Table.TARGET: (
                f"Id, CreatedDate, {SOURCE_ID}, {SOURCE_NUMBER}",
                ("t00000000000001AAA", created, "a00000000000001AAA", number),
            ),
            Table.DESIRED: (f"source_id, {SOURCE_NUMBER}", ("a00000000000001AAA", "C-17")),
        }
        with run.db.transaction() as connection:
            tables.create(connection, run, Table.PROBLEM)
            for sobject in LOADED:
                for name, (columns, values) in texts.items():
                    query = sql.SQL("SELECT * FROM (VALUES ({})) AS x ({}) WHERE {}").format(
                        sql.SQL(", ").join(map(sql.Literal, values)),
                        sql.SQL(", ").join(map(sql.Identifier, columns.split(", "))),
                        sql.Literal(sobject == CUSTOMER),
                    )
                    tables.create_as(connection, run, name, query, sobject)
                for name, org in ((Table.TARGET, CUSTOMER_ORG_ID), (Table.SOURCE, CUSTOMER_ORG_ID)):
                    connection.execute(
                        sql.SQL("ALTER TABLE {} ADD {} text").format(
                            run.table(name, sobject), sql.Identifier(org)
                        )
                    )

    @pytest.mark.parametrize(
        ("number", "created", "ours"),
        [
            ("C-17", "2024-05-01T10:00:00.000Z", True),
            ("", "2026-05-01T10:00:00.000Z", True),
            ("C-18", "2026-05-01T10:00:00.000Z", False),
            ("C-17", "2024-04-29T10:00:00.000Z", False),
        ],
        ids=["a faithful copy", "a copy of before the number", "another number", "older than the record"],
    )
    def test_a_record_whose_origin_does_not_fit_is_not_ours(
        self, run: Run, number: str, created: str, ours: bool
    ) -> None:
        self.fill(run, number, created)

        sync_ledger(run)
        block_foreign_keys(run)

        assert run.db.value("SELECT origin FROM coa.ledger") == ("inserted" if ours else "none")
        problems = run.db.rows(sql.SQL("SELECT reason_code, reason FROM {}").format(run.table(Table.PROBLEM)))
        assert [p["reason_code"] for p in problems] == ([] if ours else ["key_of_other_source"])
        assert ours or "its number or its age does not fit" in problems[0]["reason"]

    def test_what_another_source_sent_and_never_heard_of_again_goes_to_its_ledger(
        self, run: Run, database: Database
    ) -> None:
        self.fill(run, "C-17", "2026-05-01T10:00:00.000Z")
        other = Run.start(
            database, FAST, dag_id="coa_migrate", airflow_run_id="o", triggered_by="t", raw_params={}
        )
        pair = database.value(
            "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('s2', 't') RETURNING pair_id"
        )
        other.update(pair_id=pair, loaded_at=datetime.now(UTC), state="failed")
        with database.transaction() as connection:
            tables.create(connection, other, Table.WORK)
            connection.execute(
                sql.SQL(
                    "INSERT INTO {} (step, sobject, chunk_no, source_id, state) "
                    "VALUES ('customers', %s, -1, %s, 'sent')"
                ).format(other.table(Table.WORK)),
                [CUSTOMER, "a00000000000001AAA"],
            )
            connection.execute(
                "INSERT INTO coa.ledger (pair_id, sobject, source_id) VALUES (%s, %s, %s)",
                [pair, CUSTOMER, "a00000000000001AAA"],
            )

        sync_ledger(run)

        assert database.rows("SELECT pair_id, origin, inserted_run FROM coa.ledger ORDER BY pair_id") == [
            {"pair_id": run.pair_id, "origin": "none", "inserted_run": None},
            {"pair_id": pair, "origin": "inserted", "inserted_run": other.run_id},
        ]
