"""Records of the target that have a key of this source and came from another one: `key_of_other_source`.

Ids are unique only within one org. Two sandboxes of one org have equal ids, which mean two records, or one that
was changed in both; only a person can know. What another source's migration created is never taken as ours, nor
overwritten.
"""

from __future__ import annotations

from psycopg import sql

from coa.codes import ROW_UNDECIDED
from coa.fields.other_sources import held_by_others, other_pairs
from coa.load_steps import CREATING
from coa.model import LOADED, SOURCE_ID, SOURCE_NUMBER
from coa.reasons import reason_sql
from coa.staging.fragments import list_of
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table, identifier


def note_what_others_left(run: Run) -> None:
    """Assigns records to the pair whose killed run sent them: its ledger does not know them, its table of
    rows does.

    To be called under the lease, with a snapshot of the target: no other run writes.
    """
    for other in run.db.rows(
        "SELECT run_id, pair_id FROM coa.run WHERE pair_id = ANY (%s) AND loaded_at IS NOT NULL "
        "AND state IS DISTINCT FROM 'verified' ORDER BY run_id",
        [other_pairs(run)],
    ):
        work = identifier(other["run_id"], Table.WORK)
        if not run.db.has_table(work):
            continue
        for sobject in LOADED:
            run.db.execute(
                sql.SQL(
                    """INSERT INTO {ledgers} AS l
                         (pair_id, sobject, source_id, target_id, origin, step, inserted_run)
                       SELECT DISTINCT ON (w.source_id) %(pair)s, w.sobject, w.source_id, t."Id", 'inserted', 'created',
                              %(run)s
                       FROM {work} w JOIN {target} t ON coa.id18(t.{key}) = w.source_id
                       WHERE w.sobject = %(sobject)s AND w.step = ANY (%(steps)s) AND w.state IN {row_undecided}
                         AND NOT EXISTS (SELECT FROM {ledgers} o WHERE o.pair_id = %(mine)s
                               AND o.sobject = w.sobject AND o.target_id = t."Id" AND o.origin = 'inserted')
                       ORDER BY w.source_id, t."Id"
                       ON CONFLICT (pair_id, sobject, source_id) DO UPDATE
                         SET target_id = EXCLUDED.target_id, origin = 'inserted', step = 'created',
                             inserted_run = EXCLUDED.inserted_run, updated_at = clock_timestamp()
                         WHERE l.target_id IS NULL"""
                ).format(
                    work=work,
                    target=run.table(TARGET, sobject),
                    key=sql.Identifier(SOURCE_ID),
                    ledgers=run.ledger,
                    row_undecided=list_of(ROW_UNDECIDED),
                ),
                {
                    "run": other["run_id"],
                    "pair": other["pair_id"],
                    "mine": run.pair_id,
                    "sobject": sobject,
                    "steps": list(CREATING),
                },
            )


def is_ours(run: Run, sobject: str) -> sql.Composed:
    """SQL: whether record `t` of the target, with the key of record `s` of the source, may be taken as its
    copy.

    True for a record that our ledger (`k`) knows as inserted. For others, no other source's ledger may have
    it, and its origin must fit as far as the record shows: its original number, and that it is not older
    than the record that it copies.
    """
    return sql.SQL(
        """(k.target_id = t."Id" AND k.origin = 'inserted')
           OR (NOT {held} AND NOT ({unlike}))"""
    ).format(
        held=held_by_others(run, sobject, sql.SQL('t."Id"')),
        unlike=sql.SQL(" OR ").join(_misfits(run, sobject)),
    )


def _misfits(run: Run, sobject: str) -> list[sql.Composed]:
    tests = [sql.SQL("false").format()]
    if SOURCE_NUMBER in run.columns(TARGET, sobject) and SOURCE_NUMBER in run.columns(Table.DESIRED, sobject):
        # Compared with what the field map makes of it: a mapping file may fill it otherwise.
        tests.append(
            sql.SQL("NULLIF(t.{n}, '') <> NULLIF(d.{n}, '')").format(n=sql.Identifier(SOURCE_NUMBER))
        )
    if "CreatedDate" in run.columns(SOURCE, sobject):
        # A day, for clocks that differ.
        tests.append(
            sql.SQL(
                """NULLIF(t."CreatedDate", '')::timestamptz + interval '1 day'
                   < NULLIF(s."CreatedDate", '')::timestamptz"""
            ).format()
        )
    return [sql.SQL("COALESCE({}, false)").format(test) for test in tests]


def block_foreign_keys(run: Run) -> None:
    """A problem for each record whose key is taken; to be called when the ledger knows all that is ours or matched."""
    known = reason_sql("key_of_other_source", org_id=sql.SQL("o.source_org_id"))
    unknown = reason_sql("key_of_other_source:unknown")
    for sobject in LOADED:
        run.db.execute(
            sql.SQL(
                """INSERT INTO {problem}
                   SELECT {sobject}, s."Id", {code}, {key_name},
                          CASE WHEN o.source_org_id IS NULL THEN {unknown} ELSE {known} END, {next_step}, 'block'
                   FROM {target} t JOIN {source} s ON s."Id" = coa.id18(t.{key})
                   LEFT JOIN {ledgers} l
                     ON l.pair_id = {pair} AND l.sobject = {sobject} AND l.source_id = s."Id"
                   LEFT JOIN LATERAL (
                     SELECT p.source_org_id FROM {ledgers} x JOIN coa.org_pair p USING (pair_id)
                     WHERE x.pair_id = ANY ({others}) AND x.sobject = {sobject} AND x.target_id = t."Id"
                       AND x.origin = 'inserted' ORDER BY 1 LIMIT 1) o ON true
                   WHERE COALESCE(l.origin, 'none') = 'none' ON CONFLICT DO NOTHING"""
            ).format(
                ledgers=run.ledger,
                problem=run.table(Table.PROBLEM),
                sobject=sql.Literal(sobject),
                code=known.code,
                key_name=sql.Literal(SOURCE_ID),
                known=known.message,
                unknown=unknown.message,
                next_step=known.next_step,
                target=run.table(TARGET, sobject),
                source=run.table(SOURCE, sobject),
                key=sql.Identifier(SOURCE_ID),
                pair=sql.Literal(run.pair_id),
                others=sql.Literal(other_pairs(run)),
            )
        )
