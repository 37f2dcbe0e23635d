"""Id maps: which record of the target is meant by a record of the source that we do not load ourselves.

Each map is a table `map__<slug>` (source_id, target_id, rule). A key matches where its value is there and
unique among the records of either org; several source records may not share one target by an ambiguous key.
"""

from __future__ import annotations

from psycopg import sql

from coa.fields.lookups import lookup_keys
from coa.fields.saved import saved_describes
from coa.mapping.model import Mapping
from coa.staging import tables
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table

CASE_INSENSITIVE = frozenset({"Email", "Username"})


def create_map(run: Run, sobject: str) -> None:
    """An empty table `map__<object>`, in place of one of an earlier try."""
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.MAP, sobject)


def map_by_keys(run: Run, sobject: str, mapping: Mapping) -> int:
    """Fills the map of a lookup object; rows in it."""
    create_map(run, sobject)
    map_given_records(run, sobject, mapping)
    if run.has_table(SOURCE, sobject) and run.has_table(TARGET, sobject):
        source, target = saved_describes(run, SOURCE), saved_describes(run, TARGET)
        if sobject == "User":
            _map_given_owners(run, mapping)
        for key in lookup_keys(sobject, source[sobject], target[sobject], mapping):
            if sobject == "User":
                # Of two users with one e-mail the active one is meant.
                _map_by_key(run, sobject, key, target_filter=sql.SQL("""t."IsActive" = 'true'"""))
            _map_by_key(run, sobject, key)
    run.db.execute(sql.SQL("ANALYZE {}").format(run.table(Table.MAP, sobject)))
    return int(run.db.value(sql.SQL("SELECT count(*) FROM {}").format(run.table(Table.MAP, sobject))))


def map_given_records(run: Run, sobject: str, mapping: Mapping) -> None:
    """Pairs of record ids that the mapping file names."""
    for source_id, target_id in mapping.records.get(sobject, {}).items():
        run.db.execute(
            sql.SQL(
                "INSERT INTO {} VALUES (coa.id18(%s), coa.id18(%s), 'mapping file') ON CONFLICT DO NOTHING"
            ).format(run.table(Table.MAP, sobject)),
            [source_id, target_id],
        )


def _map_given_owners(run: Run, mapping: Mapping) -> None:
    present = set(run.columns(SOURCE, "User"))
    names = [n for n in ("Id", "Username", "Email", "FederationIdentifier") if n in present]
    for theirs, ours in mapping.owners.items():
        said = sql.SQL(" OR ").join(
            sql.SQL("lower(s.{}) = lower(%s)").format(sql.Identifier(n)) for n in names
        )
        meant = sql.SQL(" OR ").join(
            sql.SQL("lower(t.{}) = lower(%s)").format(sql.Identifier(n)) for n in names
        )
        run.db.execute(
            sql.SQL(
                """INSERT INTO {} SELECT s."Id", t."Id", 'mapping file' FROM {} s, {} t WHERE ({}) AND ({})
                   ON CONFLICT DO NOTHING"""
            ).format(
                run.table(Table.MAP, "User"),
                run.table(SOURCE, "User"),
                run.table(TARGET, "User"),
                said,
                meant,
            ),
            [theirs] * len(names) + [ours] * len(names),
        )


def _map_by_key(run: Run, sobject: str, key: str, target_filter: sql.SQL | None = None) -> None:
    """Matches records that no better key has matched, where the key is unique on both sides."""
    query = sql.SQL(
        """WITH s AS (SELECT "Id", {key_s} AS k, count(*) OVER (PARTITION BY {key_s}) AS n FROM {source} s),
                t AS (SELECT "Id", {key_t} AS k, count(*) OVER (PARTITION BY {key_t}) AS n
                      FROM {target} t WHERE {filter})
           INSERT INTO {map} SELECT s."Id", t."Id", {rule} FROM s JOIN t USING (k)
           WHERE k IS NOT NULL AND s.n = 1 AND t.n = 1 ON CONFLICT DO NOTHING"""
    ).format(
        key_s=_key_expression("s", key),
        key_t=_key_expression("t", key),
        source=run.table(SOURCE, sobject),
        target=run.table(TARGET, sobject),
        filter=target_filter or sql.SQL("true"),
        map=run.table(Table.MAP, sobject),
        rule=sql.Literal(f"by {key}"),
    )
    run.db.execute(query)


def _key_expression(alias: str, key: str) -> sql.Composed:
    """One text of one or more fields; null as soon as one of them is empty."""
    parts = []
    for name in key.split("+"):
        column = sql.SQL("NULLIF({}.{}, '')").format(sql.Identifier(alias), sql.Identifier(name))
        parts.append(sql.SQL("lower({})").format(column) if name in CASE_INSENSITIVE else column)
    return sql.SQL("({})").format(sql.SQL(" || E'\\x1f' || ").join(parts))
