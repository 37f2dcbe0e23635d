"""Undoes a run of `coa_relink`: the lookups that it set hold again what they held before,
where nobody changed them since."""

from __future__ import annotations

from functools import partial

from psycopg import sql

from coa.codes import Relink, RowState
from coa.extract.bulk import forget_outdated, mark_used
from coa.load.conditions import not_held_back
from coa.load.jobs import Loader
from coa.load.load import stop_if_rejected
from coa.load.write_gate import begin_to_write, require_go_ahead
from coa.load_steps import RELINKS, RESTORES
from coa.reasons import reason_sql
from coa.relink.carry_out import hold_changed
from coa.relink.scope import Rules, lookup_fields, snapshot
from coa.salesforce.session import Org
from coa.staging import tables
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table


def plan_restores(run: Run, original: Run, rules: Rules) -> None:
    """Fills the table `rollback`, a row a record, and `desired__` with the pre-image.

    A lookup that holds the pre-image needs nothing; one that somebody changed is left, unless `force`.
    """
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.ROLLBACK)
    for sobject, lookups in rules.items():
        _plan_object(run, original, sobject, sorted(lookups))


def _plan_object(run: Run, original: Run, sobject: str, lookups: list[str]) -> None:
    names = sql.SQL(", ").join(
        sql.SQL("({}, NULLIF(coa.id18(t.{}), ''))").format(sql.Literal(name), sql.Identifier(name))
        for name in lookups
    )
    touched = reason_sql("conflict:rollback", fields=sql.SQL("array_to_string(c.touched, ', ')"))
    run.db.execute(
        sql.SQL(
            """INSERT INTO {plan} (sobject, source_id, target_id, action, wanted, changed,
                 reason_code, reason, next_step)
               SELECT {sobject}, c.record_id, c.record_id, CASE WHEN c.changed <> '{{}}' THEN 'restore' ELSE 'left' END,
                      'restore', c.changed, CASE WHEN c.touched = '{{}}' THEN '' ELSE {code} END,
                      CASE WHEN c.touched = '{{}}' THEN '' ELSE {message} END,
                      CASE WHEN c.touched = '{{}}' THEN '' ELSE {next_step} END
               FROM (SELECT r.record_id,
                            COALESCE(array_agg(r.field ORDER BY r.field)
                              FILTER (WHERE now.value = r.target_id OR {force}), '{{}}') AS changed,
                            COALESCE(array_agg(r.field ORDER BY r.field)
                              FILTER (WHERE now.value IS DISTINCT FROM r.target_id AND NOT {force}), '{{}}') AS touched
                     FROM {relinked} r JOIN {sent} w ON w.step = {step} AND w.sobject = r.sobject
                       AND w.source_id = r.record_id AND w.state NOT IN ({pending}, {rejected})
                     JOIN {records} t ON t."Id" = r.record_id
                     JOIN LATERAL (VALUES {names}) AS now (field, value) ON now.field = r.field
                     WHERE r.sobject = {sobject} AND r.action = {set} AND now.value IS DISTINCT FROM r.held
                     GROUP BY 1) c"""
        ).format(
            plan=run.table(Table.ROLLBACK),
            sobject=sql.Literal(sobject),
            code=touched.code,
            message=touched.message,
            next_step=touched.next_step,
            force=sql.Literal(run.params.force),
            relinked=original.table(Table.RELINK),
            sent=original.table(Table.WORK),
            step=sql.Literal(RELINKS.name),
            pending=sql.Literal(RowState.PENDING.value),
            rejected=sql.Literal(RowState.REJECTED.value),
            records=run.table(TARGET, sobject),
            names=names,
            set=sql.Literal(Relink.SET.value),
        )
    )
    with run.db.transaction() as connection:
        tables.create_as(
            connection,
            run,
            Table.DESIRED,
            sql.SQL(
                """SELECT p.source_id, {} FROM {} p JOIN {} r ON r.sobject = p.sobject AND r.record_id = p.source_id
                   WHERE p.sobject = {} AND p.action = 'restore' GROUP BY 1"""
            ).format(
                sql.SQL(", ").join(
                    sql.SQL("max(r.held) FILTER (WHERE r.field = {}) AS {}").format(
                        sql.Literal(name), sql.Identifier(name)
                    )
                    for name in lookups
                ),
                run.table(Table.ROLLBACK),
                original.table(Table.RELINK),
                sql.Literal(sobject),
            ),
            sobject,
        )


def restore_lookups(run: Run, original: Run, target: Org, rules: Rules, current_hash: str) -> None:
    """Raises `RunStopped` without an approval of exactly this plan."""
    if require_go_ahead(run, current_hash):
        begin_to_write(run)
    for sobject in rules:
        step = RESTORES.on_other(sobject)
        run.db.execute(
            sql.SQL(
                """INSERT INTO {work} (step, sobject, chunk_no, source_id, target_id, changed)
                   SELECT {step}, sobject, {chunk}, source_id, target_id, changed FROM {plan} p
                   WHERE sobject = {sobject} AND action = 'restore' AND {not_held_back}
                   ON CONFLICT DO NOTHING"""
            ).format(
                work=run.table(Table.WORK),
                step=sql.Literal(step.name),
                chunk=sql.Literal(step.chunk_no),
                plan=run.table(Table.ROLLBACK),
                not_held_back=not_held_back(run),
                sobject=sql.Literal(sobject),
            )
        )
        watched = partial(
            hold_changed, run, target, step, sorted(rules[sobject]), original.table(Table.RELINK)
        )
        Loader(run, target, lookup_fields(run, sobject, rules)).send(
            step, between_jobs=None if run.params.force else watched
        )
    stop_if_rejected(run)


def prove_restored(run: Run, original: Run, target: Org, rules: Rules) -> None:
    """Reads the records again: the lookups hold what they held before the run that is undone."""
    forget_outdated(run, Table.VERIFY)
    snapshot(run, target, rules, Table.VERIFY)
    run.db.execute("DELETE FROM coa.difference WHERE run_id = %s", [run.run_id])
    for sobject, lookups in rules.items():
        for name in lookups:
            run.db.execute(
                sql.SQL(
                    """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, field, source_value,
                                                   target_value, kind, reason)
                       SELECT {run}, p.sobject, p.source_id, p.target_id, {name}, r.held, v.{field}, 'link',
                              'not as it was before the run'
                       FROM {plan} p JOIN {relinked} r
                         ON r.sobject = p.sobject AND r.record_id = p.source_id AND r.field = {name}
                       -- The snapshot has no record without text and lookups.
                       LEFT JOIN {verify} v ON v."Id" = p.target_id
                       WHERE p.sobject = {sobject} AND p.action = 'restore' AND {name} = ANY (p.changed)
                         AND NULLIF(coa.id18(v.{field}), '') IS DISTINCT FROM r.held AND {not_held_back}"""
                ).format(
                    run=sql.Literal(run.run_id),
                    name=sql.Literal(name),
                    field=sql.Identifier(name),
                    plan=run.table(Table.ROLLBACK),
                    relinked=original.table(Table.RELINK),
                    verify=run.table(Table.VERIFY, sobject),
                    not_held_back=not_held_back(run),
                    sobject=sql.Literal(sobject),
                )
            )
    mark_used(run, Table.VERIFY)
