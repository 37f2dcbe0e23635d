"""Tables of a run that are written once: PostgreSQL leaves them alone, so they are analyzed by whoever fills them."""

from __future__ import annotations

from psycopg import sql

from coa.model import ORDER
from coa.staging import tables
from coa.staging.database import Database
from coa.staging.runs import SOURCE
from coa.staging.tables import DECLARED, OURS_TO_ANALYZE, Table, schema_of
from coa.staging.wide import WIDEST
from tests.engine.kept import Pair
from tests.staging.test_earlier_tables import started

LEFT_ALONE = """SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = %s AND c.relkind = 'r' AND 'autovacuum_enabled=false' = ANY (c.reloptions)"""


def test_tables_of_records_are_left_alone_in_whatever_way_they_are_made(database: Database) -> None:
    run = started(database)
    with database.transaction() as connection:
        tables.create(connection, run, Table.SOURCE, ORDER, fields=["Id", "Name"])
        tables.create_as(
            connection, run, Table.DESIRED, sql.SQL("SELECT 'a' AS source_id, 'b' AS f").format(), ORDER
        )
        many = ["Id", *(f"f{n}" for n in range(WIDEST + 1))]
        tables.create(connection, run, Table.VERIFY, ORDER, fields=many)
        tables.ensure(connection, run, Table.WORK)
        tables.ensure(connection, run, Table.CHUNK)

    names = {str(r["name"]) for r in database.rows(LEFT_ALONE, [schema_of(run.run_id)])}

    assert {"work", tables.table_name(SOURCE, ORDER), tables.table_name(Table.DESIRED, ORDER)} <= names
    assert sum(name.startswith("wide_") for name in names) == 2
    assert "chunk" not in names


def test_each_of_them_that_a_migration_filled_has_statistics(moved_pair: Pair) -> None:
    _, run = moved_pair
    left_alone = run.db.rows(LEFT_ALONE, [run.schema])
    known = {r["tablename"] for r in run.db.rows("SELECT DISTINCT tablename FROM pg_stats")}
    bare = [
        r["name"]
        for r in left_alone
        if r["name"] not in known
        and run.db.value(
            sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(run.schema, r["name"]))
        )
    ]

    declared = [kind for kind, one in DECLARED.items() if OURS_TO_ANALYZE in one.storage]
    assert len(left_alone) >= len(declared) // 2
    # The canary's last reading: as small as the canary.
    assert [name for name in bare if not name.startswith(Table.SEEN)] == []
