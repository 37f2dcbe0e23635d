"""Objects with as many own fields as an org allows, through the whole flow: no limit on the width of the schema.

The partner's schema is drawn from the seed of the kinds.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from coa.model import LOADED, NS, ORDER
from coa.staging.database import Database
from orgsim.launch import running_pair
from tests import kinds
from tests.engine.checker import check
from tests.engine.harness import Migrator
from tests.kinds import kind

ORDERS = 12
NOTE = NS + "Invoice_Description__c"


def moved_whole(database: Database, folder: Path, **schema: Any) -> None:
    """A full run, a second that finds nothing to do, and a delta after a change: all of it proved from both orgs."""
    with running_pair(orders=ORDERS, seed=3, job_delay=0.01, **schema) as (source, target):
        migrator = Migrator(database, source, target, folder)
        first = migrator.migrate()
        assert first.state == "verified", first.error
        left = {
            row["source_id"]
            for row in database.rows(
                f"SELECT source_id FROM {first.run.schema}.plan WHERE action IN ('blocked', 'held')"
            )
        }
        assert len(left) < ORDERS
        verdict = check(source, target, left)
        assert verdict.clean, str(verdict)
        moved = first.summary["objects"]
        again = migrator.migrate()
        assert again.state == "verified", again.error
        for name in LOADED:
            counts = again.summary["objects"][name]
            assert counts["to_insert"] == counts["to_update"] == 0, (name, counts)
            assert counts["unchanged"] == moved[name]["inserted"]
        changed = next(
            row["source_id"]
            for row in database.rows(
                f"SELECT source_id FROM {again.run.schema}.plan WHERE sobject = %s AND action = 'unchanged'",
                [ORDER],
            )
        )
        source.control("PATCH", f"records/{ORDER}/{changed}", {NOTE: "changed since"})
        delta = migrator.migrate(mode="delta")
        assert delta.state == "verified", delta.error
        assert check(source, target, left).clean


@pytest.mark.lane
@kind
def test_sixty_own_fields_of_every_type(database: Database, tmp_path: Path) -> None:
    moved_whole(database, tmp_path, own_fields=60)


@kind
@pytest.mark.lane
@pytest.mark.parametrize("count", [10, 240, 480])
def test_own_fields_of_every_type(database: Database, tmp_path: Path, count: int) -> None:
    moved_whole(database, tmp_path, own_fields=count)


@kind
@pytest.mark.lane
def test_records_wider_than_a_page_of_the_database(database: Database, tmp_path: Path) -> None:
    """480 texts of 18 characters take 9,120 bytes of a row, and PostgreSQL moves no value so short out of it."""
    moved_whole(database, tmp_path, own_fields=480, own_field_types="string", own_fields_full=True)


@kind
@pytest.mark.lane
def test_a_random_schema_of_a_partner(database: Database, tmp_path: Path) -> None:
    draw = random.Random(kinds.seed())
    count, with_others = draw.randint(1, 120), draw.random() < 0.5
    print(kinds.told(), f"({count} own fields)")
    moved_whole(
        database, tmp_path, own_fields=count, own_fields_seed=kinds.seed(), partner_fields=with_others
    )
