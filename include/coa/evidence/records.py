"""The line of each record in the evidence: its id, its outcome, and salted hashes of its values.

Values are hashed in the database, as the texts that were staged: what the source gave, what was planned, what
the target gave back. A record's salt is derived from a secret of the run, which is dropped with the run's
tables. So a bundle that is written again has the same root, and after a purge nobody can test guesses against
the hashes.
"""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_bytes

from psycopg import sql

from coa.evidence import coa_verify_evidence
from coa.fields.saved import saved_describes
from coa.model import LOADED
from coa.staging import tables
from coa.staging.fragments import same_record
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table

SECRET_BYTES = 32
SALT_BYTES = 16


def ensure_secret(run: Run) -> None:
    """The secret of the run's salts, made once."""
    with run.db.transaction() as connection:
        tables.ensure(connection, run, Table.EVIDENCE)
        connection.execute(
            sql.SQL("INSERT INTO {} (id, secret) VALUES (1, %s) ON CONFLICT DO NOTHING").format(
                run.table(Table.EVIDENCE)
            ),
            [token_bytes(SECRET_BYTES)],
        )


def hashed_fields(run: Run) -> dict[str, dict[str, list[str]]]:
    """Role -> sObject -> fields whose values are hashed, in the order in which they are."""
    kinds = {"source": Table.SOURCE, "plan": Table.DESIRED, "target": Table.VERIFY}
    return {
        role: {name: sorted(set(run.columns(kind, name)) - {"source_id"}) for name in LOADED}
        for role, kind in kinds.items()
    }


COLUMNS = (*coa_verify_evidence.COLUMNS, "salt")


def records(run: Run) -> Iterator[dict[str, str]]:
    """Every record of the plan (of a verification: every one that it expected), in the order of the tree.

    The order: customers, orders, details; within each the source ids by their bytes. Columns: those of `leaves.tsv`
    and `salt` (hex). `outcome`: `equal`, `explained` (equal but for what a policy or the mapping changed), `different`,
    `missing`, `refused` (by the target), `not_written` (matched, blocked, held, or changed since the plan).
    """
    fields = hashed_fields(run)
    for sobject in LOADED:
        query = _query(run, sobject, {role: names[sobject] for role, names in fields.items()})
        for row in run.db.copy_rows(query):
            yield {name: value or "" for name, value in zip(COLUMNS, row, strict=True)}


def carried(run: Run) -> Iterator[tuple[str, ...]]:
    """What was carried beside the records, in the columns of `attached.tsv`, by kind and source id.

    `outcome`: `equal`, `different`, `missing`, `refused` or `not_proved`.
    """
    query = sql.SQL(
        """SELECT a.sobject, a.source_id, COALESCE(m.target_id, ''), a.bytes::text, COALESCE(m.sha256, ''),
                  CASE WHEN x.missing THEN 'missing' WHEN x.differs THEN 'different'
                       WHEN m.state = 'proved' THEN 'equal' WHEN m.state = 'refused' THEN 'refused'
                       ELSE 'not_proved' END
           FROM {attached} a
           LEFT JOIN coa.attached m ON m.pair_id = {pair} AND {m_is_a}
           LEFT JOIN (SELECT sobject, source_id, bool_or(kind = 'missing') AS missing, true AS differs
                      FROM coa.difference WHERE run_id = {run} AND kind <> 'explained' GROUP BY 1, 2) x
             ON {x_is_a}
           WHERE a.action <> 'left' ORDER BY a.sobject COLLATE "C", a.source_id COLLATE "C" """
    ).format(
        m_is_a=same_record("m", "a"),
        x_is_a=same_record("x", "a"),
        attached=run.table(Table.ATTACHED),
        pair=sql.Literal(run.pair_id),
        run=sql.Literal(run.run_id),
    )
    for row in run.db.copy_rows(query):
        yield tuple(value or "" for value in row)


def _query(run: Run, sobject: str, fields: dict[str, list[str]]) -> sql.Composed:
    planned = run.has_table(Table.PLAN)
    base = (
        sql.SQL("SELECT source_id, target_id, action FROM {} WHERE sobject = {}").format(
            run.table(Table.PLAN), sql.Literal(sobject)
        )
        if planned
        else sql.SQL("SELECT source_id, target_id, 'migrated' AS action FROM {}").format(
            run.table(Table.EXPECTED, sobject)
        )
    )
    # OFFSET 0: else PostgreSQL makes the salt anew for each of the four places that it goes to.
    return sql.SQL(
        """SELECT {sobject} AS sobject, b.source_id, COALESCE(e.target_id, b.target_id, '') AS target_id,
                  {number} AS number, b.action,
                  CASE WHEN e.source_id IS NULL THEN 'not_written' WHEN e.rejected THEN 'refused'
                       WHEN x.missing THEN 'missing' WHEN x.differs THEN 'different'
                       WHEN x.source_id IS NOT NULL THEN 'explained' ELSE 'equal' END AS outcome,
                  {source} AS source, {plan} AS plan, {target} AS target, encode(k.salt, 'hex') AS salt
           FROM ({base}) b
           CROSS JOIN LATERAL (SELECT substring(sha256(v.secret || convert_to({sobject} || ' ' || b.source_id, 'UTF8'))
                                                FOR {size}) AS salt FROM {evidence} v OFFSET 0) k
           LEFT JOIN {expected} e ON e.source_id = b.source_id
           LEFT JOIN {sources} s ON s."Id" = b.source_id
           LEFT JOIN {desired} d ON d.source_id = b.source_id
           LEFT JOIN {verify} t ON t."Id" = COALESCE(e.target_id, b.target_id)
           LEFT JOIN (SELECT source_id, bool_or(kind = 'missing') AS missing, bool_or(kind <> 'explained') AS differs
                      FROM coa.difference WHERE run_id = {run} AND sobject = {sobject} GROUP BY 1) x
             ON x.source_id = b.source_id
           ORDER BY b.source_id COLLATE "C" """
    ).format(
        sobject=sql.Literal(sobject),
        number=_number(run, sobject, fields["source"]),
        source=_value_hash("source", "s", "Id", fields["source"]),
        plan=_value_hash("plan", "d", "source_id", fields["plan"]),
        target=_value_hash("target", "t", "Id", fields["target"]),
        base=base,
        size=sql.Literal(SALT_BYTES),
        evidence=run.table(Table.EVIDENCE),
        expected=run.table(Table.EXPECTED, sobject),
        sources=run.table(SOURCE, sobject),
        desired=run.table(Table.DESIRED, sobject),
        verify=run.table(Table.VERIFY, sobject),
        run=sql.Literal(run.run_id),
    )


def _number(run: Run, sobject: str, fields: list[str]) -> sql.Composed:
    """The auto-number by which people name a record; never a name that somebody typed."""
    describe = saved_describes(run, SOURCE).get(sobject)
    name = describe.field("Name") if describe else None
    if name is None or not name.flag("autoNumber") or "Name" not in fields:
        return sql.SQL("''").format()
    return sql.SQL("regexp_replace(COALESCE(s.\"Name\", ''), '[[:cntrl:]]', '', 'g')").format()


def _value_hash(role: str, alias: str, key: str, fields: list[str]) -> sql.Composed:
    """SQL for what `coa_verify_evidence.value_hash` makes of the row `alias`; '' where there is no row.

    A list, not an object: PostgreSQL looks up the type of each value of an object anew, and of a list once.
    """
    columns = sql.SQL(", ").join(sql.Identifier(alias, name) for name in fields)
    return sql.SQL(
        """CASE WHEN {present} IS NULL THEN '' ELSE encode(sha256(k.salt || convert_to({role}, 'UTF8') || '\\x00'::bytea
             || convert_to(array_to_json(ARRAY[{columns}]::text[])::text, 'UTF8')), 'hex') END"""
    ).format(present=sql.Identifier(alias, key), role=sql.Literal(role), columns=columns)
