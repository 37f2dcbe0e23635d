"""Two runs never work on one pair of orgs at a time, whichever DAG they are of."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from tests.engine.harness import FAST
from tests.reconcile.pairs import let_expire

from coa.approval import standing
from coa.errors import PairBusy
from coa.staging.database import Database
from coa.staging.runs import Run


def run_of(database: Database, dag_id: str, pair_id: int, **params: Any) -> Run:
    run = Run.start(
        database, FAST, dag_id=dag_id, airflow_run_id=uuid4().hex, triggered_by="test", raw_params=params
    )
    run.update(pair_id=pair_id)
    return run


@pytest.fixture
def pair_id(database: Database) -> int:
    return int(
        database.value(
            "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('s', 't') RETURNING pair_id"
        )
    )


@pytest.mark.parametrize("second", ["coa_migrate", "coa_sync", "coa_rollback"])
def test_a_second_run_waits_whichever_dag_it_is_of(database: Database, pair_id: int, second: str) -> None:
    run_of(database, "coa_migrate", pair_id).lease.take()
    with pytest.raises(PairBusy, match="works on the same pair of orgs"):
        run_of(database, second, pair_id).lease.take()


def test_of_many_that_start_at_once_one_gets_the_pair(database: Database, pair_id: int) -> None:
    runs = [run_of(database, "coa_sync", pair_id) for _ in range(6)]

    def take(run: Run) -> bool:
        try:
            run.lease.take()
        except PairBusy:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, runs)) == 1
    assert sum(run.lease.is_held() for run in runs) == 1


def test_other_pairs_are_not_concerned(database: Database, pair_id: int) -> None:
    run_of(database, "coa_migrate", pair_id).lease.take()
    other = database.value(
        "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('s', 'u') RETURNING pair_id"
    )
    run_of(database, "coa_migrate", int(other)).lease.take()


def test_a_holder_that_ended_gives_way(database: Database, pair_id: int) -> None:
    first = run_of(database, "coa_migrate", pair_id)
    first.lease.take()
    first.update(state="failed")
    second = run_of(database, "coa_sync", pair_id)
    second.lease.take()
    assert second.lease.is_held()
    assert not first.lease.is_held()


def test_a_holder_whose_lease_expired_gives_way_and_cannot_come_back(
    database: Database, pair_id: int
) -> None:
    first = run_of(database, "coa_migrate", pair_id)
    first.lease.take()
    let_expire(database)
    second = run_of(database, "coa_sync", pair_id)
    second.lease.take()
    first.lease.renew()
    assert second.lease.is_held()
    assert not first.lease.is_held()


def test_a_holder_that_is_known_to_be_dead_gives_way(database: Database, pair_id: int) -> None:
    first = run_of(database, "coa_migrate", pair_id)
    first.lease.take()
    second = run_of(database, "coa_sync", pair_id)
    second.lease.take(lambda row: bool(row["run_id"] == first.run_id))
    assert second.lease.is_held()


def test_a_run_that_lost_its_pair_must_not_write_on(database: Database, pair_id: int) -> None:
    first = run_of(database, "coa_migrate", pair_id)
    first.lease.take()
    first.lease.require()
    let_expire(database)
    second = run_of(database, "coa_sync", pair_id)
    second.lease.take()
    with pytest.raises(PairBusy):
        first.lease.require()
    second.update(loaded_at=datetime.now(UTC))
    second.lease.release()
    with pytest.raises(PairBusy, match="took it over"):
        first.lease.require()


def test_a_cleared_run_gets_its_pair_back_when_nobody_wrote_since(database: Database, pair_id: int) -> None:
    run = run_of(database, "coa_migrate", pair_id)
    run.lease.take()
    run.lease.release()
    run.lease.require()
    assert run.lease.is_held()


class TestSeveralSources:
    """They move into one target: never two at once, whatever DAG and schedule each has."""

    @pytest.fixture
    def runs(self, database: Database, pair_id: int) -> tuple[Run, Run]:
        other = database.value(
            "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('s2', 't') RETURNING pair_id"
        )
        return run_of(database, "coa_migrate", pair_id), run_of(database, "other_sync", int(other))

    def test_a_second_source_waits_for_the_first(self, runs: tuple[Run, Run]) -> None:
        first, second = runs
        first.lease.take()

        with pytest.raises(PairBusy, match=f"Run {first.run_id} .* works on the same target"):
            second.lease.take()
        first.lease.release()
        second.lease.take()

        assert second.lease.is_held()

    def test_one_source_may_be_read_for_two_targets(self, database: Database, runs: tuple[Run, Run]) -> None:
        first, _ = runs
        first.lease.take()
        other = database.value(
            "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('s', 'u') RETURNING pair_id"
        )
        run_of(database, "coa_migrate", int(other)).lease.take()

        assert first.lease.is_held()

    def test_who_lost_the_target_has_lost_the_pair_and_writes_nothing(
        self, database: Database, runs: tuple[Run, Run]
    ) -> None:
        first, second = runs
        first.lease.take()
        let_expire(database)
        second.lease.take()

        first.lease.renew()

        assert not first.lease.is_held()
        assert database.rows("SELECT run_id FROM coa.lease") == [{"run_id": second.run_id}]
        with pytest.raises(PairBusy, match="works on the same target"):
            first.lease.require()

    def test_a_plan_of_before_another_source_wrote_is_out_of_date(
        self, database: Database, runs: tuple[Run, Run]
    ) -> None:
        first, second = runs
        first.lease.take()
        let_expire(database)
        second.lease.take()
        second.update(loaded_at=datetime.now(UTC))
        second.lease.release()

        with pytest.raises(PairBusy, match="has written to it"):
            first.lease.require()

    def test_a_writer_that_began_before_and_went_on_since_counts(
        self, database: Database, runs: tuple[Run, Run], pair_id: int
    ) -> None:
        earlier, _ = runs
        earlier.update(loaded_at=datetime.now(UTC))
        later = run_of(database, "other_sync", int(runs[1].record.require_pair()))
        database.execute(
            "INSERT INTO coa.job (pair_id, run_id, step, sobject, operation) VALUES (%s, %s, 'orders', 'o', 'insert')",
            [pair_id, earlier.run_id],
        )

        with pytest.raises(PairBusy, match="has written to it"):
            later.lease.require()

    def test_a_worker_of_before_the_target_lease_is_seen_by_its_pair(
        self, database: Database, runs: tuple[Run, Run]
    ) -> None:
        """In a rolling deployment it goes on renewing what it knows; a program that starts refuses the newer schema."""
        old, second = runs
        old.lease.take()
        database.execute("UPDATE coa.target_lease SET expires_at = clock_timestamp() - interval '1 second'")

        with pytest.raises(PairBusy, match=f"Run {old.run_id} "):
            second.lease.take()

    def test_both_places_are_prolonged_together(self, database: Database, runs: tuple[Run, Run]) -> None:
        first, _ = runs
        first.lease.take()
        let_expire(database)

        first.lease.renew()

        for place in ("target_lease", "lease"):
            assert database.value(f"SELECT expires_at > clock_timestamp() FROM coa.{place}") is True

    def test_a_standing_approval_of_one_source_is_none_for_another(
        self, database: Database, runs: tuple[Run, Run], pair_id: int
    ) -> None:
        first, second = runs
        database.execute(
            """INSERT INTO coa.standing_approval (pair_id, granted_by, granted_in, expires_at, max_records, actions)
               VALUES (%s, 'anna', %s, clock_timestamp() + interval '1 day', 100, '{insert,update}')""",
            [pair_id, first.run_id],
        )

        assert standing.current(first) is not None
        assert standing.current(second) is None
