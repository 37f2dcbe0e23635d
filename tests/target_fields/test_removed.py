"""When the fields are gone: nobody creates a record a second time, whatever staging database the next run has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coa.errors import ConfigurationError
from coa.model import LOADED, ORDER, SOURCE_ID
from coa.preflight.fields_removed import mark_of
from coa.salesforce.session import Org
from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres
from coa.target_fields.id_map import import_id_map
from coa.target_fields.remove import Removed, moved_from, remove, require_confirmed, steps
from coa.target_fields.setup import set_up
from coa.target_fields.state import look
from tests import databases
from tests.engine.harness import FAST, Migrator, connection_to
from tests.files import open_to_others
from tests.reconcile.pairs import actions, table, two_orgs
from tests.target_fields.conftest import FOLDER


@pytest.fixture
def pair(database: Database, tmp_path: Path) -> Iterator[Migrator]:
    with two_orgs(database, tmp_path, orders=10) as migrator:
        yield migrator


@pytest.fixture
def fresh(postgres_server: EmbeddedPostgres) -> Iterator[Database]:
    """Another staging database, which has never heard of these orgs."""
    with databases.fresh(postgres_server) as url:
        staging = Database(url)
        yield staging
        staging.dispose()


def target_of(pair: Migrator) -> Org:
    return Org(connection_to(pair.target, "coa_target"), FAST)


def removed(pair: Migrator, tmp_path: Path) -> Removed:
    org = target_of(pair)
    return remove(pair.db, org, look(org), tmp_path / "id_map.csv")


def set_up_again(pair: Migrator) -> None:
    org = target_of(pair)
    set_up(org, look(org), FOLDER)


def counterparts(db: Database) -> set[tuple[str, ...]]:
    rows = db.rows("SELECT sobject, source_id, target_id, origin FROM coa.ledger WHERE target_id IS NOT NULL")
    return {tuple(map(str, row.values())) for row in rows}


def counts(pair: Migrator) -> dict[str, int]:
    return {name: len(table(pair.target, name)) for name in LOADED}


@pytest.mark.lane
def test_a_fresh_staging_database_is_refused_until_it_has_the_exported_id_map(
    pair: Migrator, fresh: Database, tmp_path: Path
) -> None:
    first = pair.migrate()
    assert first.state == "verified", first.error
    before, moved = counts(pair), {r["Id"] for r in table(pair.target, ORDER).values() if r[SOURCE_ID]}

    done = removed(pair, tmp_path)

    state = look(target_of(pair))
    assert (state.seen, state.permission_set) == ([], "")
    assert steps(state, moved_from(pair.db, state.org_id)) == []  # a second call has nothing to do
    assert open_to_others(done.file) == []
    assert done.records == sum(moved_from(pair.db, state.org_id).values()) > len(moved)
    mark = mark_of(pair.source.org_id)
    assert pair.target.count(f"SELECT COUNT() FROM PermissionSet WHERE Name = '{mark}'") == 1

    set_up_again(pair)
    other = Migrator(fresh, pair.source, pair.target, pair.artifacts)
    blocked = other.migrate()
    assert blocked.state == "blocked"
    assert fresh.value("SELECT count(*) FROM coa.finding WHERE code = 'ledger_missing'") == 1
    assert counts(pair) == before

    # The run that was blocked has matched customers of ours, as if they were anybody's.
    assert 0 < import_id_map(fresh, pair.target.org_id, done.file) <= done.records
    assert counterparts(fresh) == counterparts(pair.db)
    assert import_id_map(fresh, pair.target.org_id, done.file) == 0
    again = other.migrate()
    assert again.state == "verified", again.error
    assert counts(pair) == before
    assert {r["Id"] for r in table(pair.target, ORDER).values() if r[SOURCE_ID]} == moved


@pytest.mark.lane
def test_the_staging_database_of_the_migration_writes_the_keys_anew(pair: Migrator, tmp_path: Path) -> None:
    pair.migrate()
    before = counts(pair)
    removed(pair, tmp_path)
    set_up_again(pair)

    again = pair.migrate(mode="delta")

    assert again.state == "verified"
    assert counts(pair) == before
    assert not [key for key, (action, reason) in actions(again.run).items() if reason == "conflict"]
    assert {action for action, _ in actions(again.run).values()} >= {"update"}


def test_what_is_unfinished_or_unknown_keeps_the_fields_where_they_are(
    pair: Migrator, fresh: Database, tmp_path: Path
) -> None:
    org = target_of(pair)
    state = look(org)
    pair.db.execute(
        "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES (%s, %s)",
        [pair.source.org_id, state.org_id],
    )
    run = pair.start()
    run.update(pair_id=1)
    with pytest.raises(ConfigurationError, match=f"no end yet: {run.run_id}"):
        remove(pair.db, org, state, tmp_path / "a.csv")
    run.update(state="failed")

    pair.db.execute(
        """INSERT INTO coa.ledger (pair_id, sobject, source_id, target_id, origin, step)
           VALUES (1, %s, 'a01000000000001AAA', 'a02000000000001AAA', 'inserted', 'created')""",
        [ORDER],
    )
    with pytest.raises(ConfigurationError, match="1 record and 0 Bulk jobs are unfinished"):
        remove(pair.db, org, state, tmp_path / "a.csv")
    pair.db.execute("UPDATE coa.ledger SET step = 'done'")

    pair.db.execute(
        """INSERT INTO coa.standing_approval (pair_id, granted_by, granted_in, expires_at, max_records, actions)
           VALUES (1, 'ada', %s, %s, 10, '{insert}')""",
        [run.run_id, datetime.now(UTC) + timedelta(days=1)],
    )
    with pytest.raises(ConfigurationError, match="A standing approval is valid until"):
        remove(pair.db, org, state, tmp_path / "a.csv")

    record = next(iter(table(pair.target, ORDER)))
    pair.target.control("PATCH", f"records/{ORDER}/{record}", {SOURCE_ID: "a01000000000001AAA"})
    with pytest.raises(ConfigurationError, match="this staging database knows 0 of them"):
        remove(fresh, org, state, tmp_path / "a.csv")

    with pytest.raises(ConfigurationError, match="CONFIRM is not given") as unconfirmed:
        require_confirmed(state, "")
    assert f"CONFIRM={state.org_id}" in unconfirmed.value.next_step
    with pytest.raises(ConfigurationError, match="CONFIRM is '00D000000000001EAA'"):
        require_confirmed(state, "00D000000000001EAA")
    require_confirmed(state, state.org_id[:15])
    assert len(look(org).seen) == 9
    assert not (tmp_path / "a.csv").exists()
