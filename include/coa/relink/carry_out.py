"""Carries an approved plan out and reads back: by the Bulk jobs of a load, which survive any interruption."""

from __future__ import annotations

from functools import partial

from psycopg import sql

from coa.codes import Relink
from coa.extract.bulk import forget_outdated, mark_used
from coa.load.jobs import Loader
from coa.load.load import stop_if_rejected
from coa.load.write_gate import begin_to_write, require_go_ahead
from coa.load_steps import RELINKS, Step
from coa.reasons import reason_sql
from coa.relink.plan import plan_hash
from coa.relink.scope import Rules, lookup_fields, snapshot
from coa.salesforce.session import Org
from coa.salesforce.soql import text_list
from coa.staging import tables
from coa.staging.runs import Run
from coa.staging.tables import Table

IDS_PER_QUERY = 300


def carry_out(run: Run, target: Org, rules: Rules) -> None:
    """Sets the lookups. Raises `RunStopped` without an approval of exactly this plan."""
    if require_go_ahead(run, plan_hash(run)):
        begin_to_write(run)
    for sobject in rules:
        step = RELINKS.on_other(sobject)
        _stage_values(run, sobject, rules)
        planned = _plan_work(run, step)
        if planned:
            run.progress.add(step.name, sobject, total=planned)
        Loader(run, target, lookup_fields(run, sobject, rules)).send(
            step,
            between_jobs=partial(
                hold_changed, run, target, step, sorted(rules[sobject]), run.table(Table.RELINK)
            ),
        )
    stop_if_rejected(run)


def _stage_values(run: Run, sobject: str, rules: Rules) -> None:
    """`desired__`: a row for each record, with the new id in each lookup that is set."""
    columns = sql.SQL(", ").join(
        sql.SQL("max(target_id) FILTER (WHERE field = {}) AS {}").format(
            sql.Literal(name), sql.Identifier(name)
        )
        for name in sorted(rules[sobject])
    )
    with run.db.transaction() as connection:
        tables.create_as(
            connection,
            run,
            Table.DESIRED,
            sql.SQL(
                """SELECT record_id AS source_id, {} FROM {} WHERE sobject = {} AND action = {} GROUP BY 1"""
            ).format(columns, run.table(Table.RELINK), sql.Literal(sobject), sql.Literal(Relink.SET.value)),
            sobject,
        )


def _plan_work(run: Run, step: Step) -> int:
    """A row of `work` for each record; those that were held back by an earlier try stay out."""
    return run.db.execute(
        sql.SQL(
            """INSERT INTO {work} (step, sobject, chunk_no, source_id, target_id, changed)
               SELECT {step}, p.sobject, {chunk}, p.record_id, p.record_id, array_agg(p.field ORDER BY p.field)
               FROM {plan} p WHERE p.sobject = {sobject} AND p.action = {set}
                 AND NOT EXISTS (SELECT FROM {held} h WHERE h.sobject = p.sobject AND h.source_id = p.record_id)
               GROUP BY p.sobject, p.record_id ON CONFLICT DO NOTHING"""
        ).format(
            work=run.table(Table.WORK),
            step=sql.Literal(step.name),
            chunk=sql.Literal(step.chunk_no),
            plan=run.table(Table.RELINK),
            held=run.table(Table.CHANGED_SINCE_PLAN),
            sobject=sql.Literal(step.sobject),
            set=sql.Literal(Relink.SET.value),
        )
    )


def hold_changed(run: Run, org: Org, step: Step, lookups: list[str], plan: sql.Identifier) -> None:
    """Takes out of the next job what somebody changed since the plan was made: records whose lookup holds neither what
    it held before (`held` in the table `plan`) nor what it gets (`target_id`), and those that are gone.

    Asked right before each job; what this run itself wrote before a kill holds what the plan wants and goes on. Serves
    the undo as well, which goes the same way back.
    """
    waiting = [
        str(row["source_id"])
        for row in run.db.rows(
            # The order in which `Loader` puts rows into a job.
            sql.SQL(
                """SELECT source_id FROM {} WHERE step = %s AND sobject = %s AND state = 'pending'
                   ORDER BY source_id LIMIT %s"""
            ).format(run.table(Table.WORK)),
            [step.name, step.sobject, run.settings.rows_per_job],
        )
    ]
    for start in range(0, len(waiting), IDS_PER_QUERY):
        ids = waiting[start : start + IDS_PER_QUERY]
        now = {
            str(record["Id"]): [record.get(name) for name in lookups]
            for record in org.query(
                f"SELECT Id, {', '.join(lookups)} FROM {step.sobject} WHERE Id IN ({text_list(ids)})"
            )
        }
        _hold(run, step, plan, ids, lookups, now)
        run.lease.renew()


def _hold(
    run: Run,
    step: Step,
    plan: sql.Identifier,
    asked: list[str],
    lookups: list[str],
    now: dict[str, list[str | None]],
) -> None:
    """`now`: record -> values of the lookups in the target, as they are; without those that are gone."""
    values = [
        (record, name, value)
        for record, found in now.items()
        for name, value in zip(lookups, found, strict=True)
    ]
    with run.db.transaction() as connection:
        held = connection.execute(
            sql.SQL(
                """INSERT INTO {held} (sobject, source_id, reason)
                   SELECT w.sobject, w.source_id,
                          CASE WHEN bool_or(now.record_id IS NULL) THEN {gone} ELSE {changed} END
                   FROM {work} w JOIN {plan} p ON p.sobject = w.sobject AND p.record_id = w.source_id
                     AND p.field = ANY (w.changed)
                   LEFT JOIN unnest(%(records)s::text[], %(fields)s::text[], %(values)s::text[])
                     AS now (record_id, field, value) ON now.record_id = p.record_id AND now.field = p.field
                   WHERE w.step = %(step)s AND w.sobject = %(sobject)s AND w.source_id = ANY (%(asked)s)
                     AND (now.record_id IS NULL OR (coa.id18(now.value) IS DISTINCT FROM p.held
                                                    AND coa.id18(now.value) IS DISTINCT FROM p.target_id))
                   GROUP BY 1, 2 ON CONFLICT DO NOTHING RETURNING source_id"""
            ).format(
                held=run.table(Table.CHANGED_SINCE_PLAN),
                work=run.table(Table.WORK),
                plan=plan,
                gone=reason_sql("changed_since_plan:gone").message,
                changed=reason_sql("changed_since_plan:relinked").message,
            ),
            {
                "records": [record for record, _, _ in values],
                "fields": [name for _, name, _ in values],
                "values": [value for _, _, value in values],
                "step": step.name,
                "sobject": step.sobject,
                "asked": asked,
            },
        ).fetchall()
        connection.execute(
            sql.SQL(
                "DELETE FROM {} WHERE step = %s AND sobject = %s AND state = 'pending' AND source_id = ANY (%s)"
            ).format(run.table(Table.WORK)),
            [step.name, step.sobject, [row["source_id"] for row in held]],
        )


def read_back(run: Run, target: Org, rules: Rules) -> None:
    """Reads the records again: every lookup that was to be set leads to the moved record."""
    forget_outdated(run, Table.VERIFY)
    snapshot(run, target, rules, Table.VERIFY)
    run.db.execute("DELETE FROM coa.difference WHERE run_id = %s", [run.run_id])
    for sobject, lookups in rules.items():
        for name in lookups:
            _compare(run, sobject, name)
    mark_used(run, Table.VERIFY)


def _compare(run: Run, sobject: str, name: str) -> None:
    """What was held back or refused is told as such, and not as a difference."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, field, source_value, target_value,
                                           kind, reason)
               SELECT {run}, p.sobject, p.record_id, p.record_id, p.field, p.target_id, v.{field}, 'link',
                      CASE WHEN v."Id" IS NULL THEN 'the record is gone, or its fields were emptied'
                           ELSE 'the lookup does not lead to the moved record' END
               FROM {plan} p LEFT JOIN {verify} v ON v."Id" = p.record_id
               WHERE p.sobject = {sobject} AND p.field = {name} AND p.action = {set}
                 AND coa.id18(v.{field}) IS DISTINCT FROM p.target_id
                 AND NOT EXISTS (SELECT FROM {held} h WHERE h.sobject = p.sobject AND h.source_id = p.record_id)
                 AND NOT EXISTS (SELECT FROM coa.rejection r WHERE r.run_id = {run} AND r.sobject = p.sobject
                                   AND r.source_id = p.record_id)"""
        ).format(
            run=sql.Literal(run.run_id),
            plan=run.table(Table.RELINK),
            verify=run.table(Table.VERIFY, sobject),
            held=run.table(Table.CHANGED_SINCE_PLAN),
            sobject=sql.Literal(sobject),
            name=sql.Literal(name),
            field=sql.Identifier(name),
            set=sql.Literal(Relink.SET.value),
        )
    )
