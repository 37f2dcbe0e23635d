"""Carries out an approved roll-back: restores first, then deletes children first; then reads back.

Each step can be started again after any interruption: jobs and rows are kept as for a load, and a new roll-back
of the same run plans from the target as it is then.
"""

from __future__ import annotations

from psycopg import sql

from coa.attachments import undo
from coa.extract.bulk import forget_outdated, mark_used
from coa.fields.bulk_values import bulk_cannot_carry
from coa.fields.compare import actual_hash, comparisons
from coa.fields.field_map import FieldMapping
from coa.load.jobs import Loader
from coa.load.load import stop_if_rejected
from coa.load.removal import remove
from coa.load.rest_update import send_exact
from coa.load.write_gate import begin_to_write, refuse_changed_target, require_go_ahead
from coa.load_steps import RESTORES, RESTORES_DATES, RESTORES_EXACT
from coa.mapping.model import Mapping
from coa.model import CUSTOMER, DETAIL, LOADED, ORDER, RECEIVED_AT, STATUS
from coa.rollback.plan import plan_hash
from coa.rollback.relinked import prove_restored, restore_lookups
from coa.rollback.scope import is_relinking, original_of, restorable_fields, snapshot
from coa.salesforce.session import Org
from coa.staging.fragments import ledger_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

PARENTS_FIRST = (CUSTOMER, ORDER, DETAIL)


def carry_out(run: Run, target: Org, mapping: Mapping) -> None:
    """Raises `RunStopped` without an approval of exactly this plan, or when the target changed under it."""
    original = original_of(run)
    if is_relinking(original):
        restore_lookups(run, original, target, mapping.relink, plan_hash(run))
        return
    if require_go_ahead(run, plan_hash(run)):
        refuse_changed_target(run, target, lambda name, ids: _in_plan(run, name, list(ids)))
        begin_to_write(run)
    fields = restorable_fields(run, original_of(run), mapping)
    undo.carry_out(run, target)
    for sobject in PARENTS_FIRST:
        _restore(run, target, sobject, fields[sobject])
    remove(run, target, run.table(Table.ROLLBACK))
    stop_if_rejected(run)


def _in_plan(run: Run, sobject: str, ids: list[str]) -> list[str]:
    rows = run.db.rows(
        sql.SQL(
            "SELECT target_id FROM {} WHERE sobject = %s AND action <> 'left' AND target_id = ANY (%s)"
        ).format(run.table(Table.ROLLBACK)),
        [sobject, ids],
    )
    return [str(r["target_id"]) for r in rows]


def _restore(run: Run, target: Org, sobject: str, fields: list[FieldMapping]) -> None:
    """Writes the earlier values back; the received date of orders last and by itself, as in a load."""
    by_bulk = RESTORES.on(sobject)
    by_rest = RESTORES_EXACT.on(sobject)
    uncarriable = [
        sql.SQL("({} = ANY (p.changed) AND {})").format(
            sql.Literal(f.name),
            bulk_cannot_carry(f, sql.SQL("d.{}").format(sql.Identifier(f.name)), run.settings),
        )
        for f in fields
    ]
    insert = sql.SQL(
        """INSERT INTO {work} (step, sobject, chunk_no, source_id, parent_id, target_id, changed)
           SELECT {step}, p.sobject, {chunk}, p.source_id, p.parent_id, p.target_id, {changed}
           FROM {plan} p JOIN {desired} d ON d.source_id = p.source_id
           WHERE p.sobject = {sobject} AND p.action = 'restore' AND {condition} ON CONFLICT DO NOTHING"""
    )
    common = {
        "work": run.table(Table.WORK),
        "chunk": sql.Literal(by_bulk.chunk_no),
        "plan": run.table(Table.ROLLBACK),
        "desired": run.table(Table.DESIRED, sobject),
        "sobject": sql.Literal(sobject),
    }
    run.db.execute(
        insert.format(
            step=sql.SQL("CASE WHEN {} THEN {} ELSE {} END").format(
                sql.SQL(" OR ").join(uncarriable), sql.Literal(by_rest.name), sql.Literal(by_bulk.name)
            ),
            changed=sql.SQL("array_remove(p.changed, {})").format(sql.Literal(RECEIVED_AT)),
            condition=sql.SQL("array_remove(p.changed, {}) <> '{{}}'").format(sql.Literal(RECEIVED_AT)),
            **common,
        )
    )
    Loader(run, target, fields).send(by_bulk)
    send_exact(run, target, by_rest, fields)
    if sobject == ORDER and any(f.name == RECEIVED_AT for f in fields):
        dates = RESTORES_DATES.on(sobject)
        run.db.execute(
            insert.format(
                step=sql.Literal(dates.name),
                changed=sql.SQL("ARRAY[{}]").format(sql.Literal(RECEIVED_AT)),
                condition=sql.SQL("p.changed && ARRAY[{}, {}]").format(
                    sql.Literal(RECEIVED_AT), sql.Literal(STATUS)
                ),
                **common,
            )
        )
        Loader(run, target, fields).send(dates)


def read_back(run: Run, target: Org, mapping: Mapping) -> None:
    """Reads the target again: what was deleted is gone, what was restored is as it was before."""
    original = original_of(run)
    if is_relinking(original):
        prove_restored(run, original, target, mapping.relink)
        return
    if run.has_table(Table.EXTRACT_STATE):
        forget_outdated(run, Table.VERIFY)
    snapshot(run, target, Table.VERIFY)
    fields = restorable_fields(run, original_of(run), mapping)
    run.db.execute("DELETE FROM coa.difference WHERE run_id = %s", [run.run_id])
    for sobject in LOADED:
        _find_remaining(run, sobject)
        _compare_restored(run, sobject, fields[sobject])
    undo.find_remaining(run, target)
    mark_used(run, Table.VERIFY)


def _find_remaining(run: Run, sobject: str) -> None:
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, kind, reason)
               SELECT %s, p.sobject, p.source_id, p.target_id, 'unexpected', 'to be deleted, and still there'
               FROM {} p JOIN {} t ON t."Id" = p.target_id WHERE p.sobject = %s AND p.action = 'delete'"""
        ).format(run.table(Table.ROLLBACK), run.table(Table.VERIFY, sobject)),
        [run.run_id, sobject],
    )


def _compare_restored(run: Run, sobject: str, fields: list[FieldMapping]) -> None:
    """Lists what differs from the pre-image; what is equal is noted as proved, as it stands now."""
    compared, _ = comparisons(run, sobject, fields)
    if not compared:
        return
    values = sql.SQL(", ").join(
        sql.SQL("({}, {}, {})").format(sql.Literal(c.field.name), c.expected, c.actual) for c in compared
    )
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference
                 (run_id, sobject, source_id, target_id, field, source_value, target_value, kind, reason)
               SELECT {run}, {sobject}, p.source_id, p.target_id, f.field, f.expected, f.actual, 'field',
                      'not as it was before the run'
               FROM {plan} p JOIN {desired} d ON d.source_id = p.source_id JOIN {verify} t ON t."Id" = p.target_id,
                    LATERAL (VALUES {values}) AS f (field, expected, actual)
               WHERE p.sobject = {sobject} AND p.action = 'restore' AND f.expected IS DISTINCT FROM f.actual"""
        ).format(
            run=sql.Literal(run.run_id),
            sobject=sql.Literal(sobject),
            plan=run.table(Table.ROLLBACK),
            desired=run.table(Table.DESIRED, sobject),
            verify=run.table(Table.VERIFY, sobject),
            values=values,
        )
    )
    run.db.execute(
        sql.SQL(
            """UPDATE coa.ledger l SET verified_hash = {hash}, last_run = {run}, step = 'done',
                      updated_at = clock_timestamp()
               FROM {plan} p JOIN {verify} t ON t."Id" = p.target_id
               WHERE p.sobject = {sobject} AND p.action = 'restore' AND {ledger}
                 AND NOT EXISTS (SELECT FROM coa.difference x WHERE x.run_id = {run}
                                   AND {x_is_p})"""
        ).format(
            ledger=ledger_of(run.pair_id, "p"),
            hash=actual_hash(compared),
            run=sql.Literal(run.run_id),
            plan=run.table(Table.ROLLBACK),
            verify=run.table(Table.VERIFY, sobject),
            sobject=sql.Literal(sobject),
            x_is_p=same_record("x", "p"),
        )
    )
