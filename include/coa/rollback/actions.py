"""Which records of a run are deleted, restored or left.

Deleted is what the run inserted, restored what it updated, from the target's snapshot that it took before its
first write. Both only if nobody changed the record since: each field still holds what the run left there (its
own reading after the load) or what was there before. `force` includes changed records, but never a record that
the run did not insert.
"""

from __future__ import annotations

from psycopg import sql

from coa.codes import RunMode
from coa.fields.compare import changed_fields, comparisons
from coa.fields.field_map import FieldMapping
from coa.fields.other_sources import held_by_others
from coa.load_steps import DELETIONS, RESTORING
from coa.model import DETAIL, DETAIL_ORDER, ORDER, ORDER_CUSTOMER, RECEIVED_AT, SOURCE_ID
from coa.reasons import reason, reason_sql
from coa.rollback.scope import watched_fields
from coa.salesforce.describe import Field
from coa.staging import tables
from coa.staging.fragments import same_record
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table, identifier

PARENTS = {ORDER: ORDER_CUSTOMER, DETAIL: DETAIL_ORDER}


def adopt_unknown(run: Run, original: Run, sobject: str) -> None:
    """Records that the run created although it was killed before it got the answer: new since then, with
    our key.
    """
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.ledger AS l (pair_id, sobject, source_id, target_id, origin, step, inserted_run)
               SELECT DISTINCT ON (p.source_id) %s, p.sobject, p.source_id, t."Id", 'inserted', 'created', %s
               FROM {now} t JOIN {plan} p ON p.sobject = %s AND p.source_id = coa.id18(t.{key})
               WHERE p.action = 'insert' AND NOT EXISTS (SELECT FROM {before} b WHERE b."Id" = t."Id")
                 AND NOT {moved}
               ORDER BY p.source_id, t."Id"
               ON CONFLICT (pair_id, sobject, source_id) DO UPDATE
                 SET target_id = EXCLUDED.target_id, origin = 'inserted', step = 'created',
                     inserted_run = EXCLUDED.inserted_run, updated_at = clock_timestamp()
                 WHERE l.target_id IS NULL"""
        ).format(
            moved=held_by_others(run, sobject, sql.SQL('t."Id"')),
            now=run.table(TARGET, sobject),
            plan=original.table(Table.PLAN),
            key=sql.Identifier(SOURCE_ID),
            before=original.table(TARGET, sobject),
        ),
        [run.pair_id, original.run_id, sobject],
    )


def _canonical(one: Field, alias: str) -> sql.Composed:
    value = sql.SQL("coa.{}({}.{})").format(
        sql.Identifier(one.canonical_function), sql.Identifier(alias), sql.Identifier(one.name)
    )
    return sql.SQL("coa.to_second({})").format(value) if one.type == "datetime" else value


def _touched(run: Run, original: Run, sobject: str, *, or_before: bool) -> sql.Composed:
    """SQL for the names of fields that hold neither what the run left (alias `v`) nor what was there before
    (`b`).

    Without a reading after the load, the user who last modified the record decides.
    """
    columns = set(original.columns(Table.VERIFY, sobject))
    tests = []
    for one in watched_fields(run, original, sobject):
        if columns and one.name not in columns:
            continue
        now, after, before = (_canonical(one, alias) for alias in ("t", "v", "b"))
        test = sql.SQL("{} IS DISTINCT FROM {}").format(now, after)
        if or_before:
            test = sql.SQL("({} AND {} IS DISTINCT FROM {})").format(test, now, before)
            if one.name == RECEIVED_AT:
                # The package stamps it while an interrupted roll-back restores the status.
                test = sql.SQL("({} AND NOT x.resumed)").format(test)
        tests.append(sql.SQL("CASE WHEN {} THEN {} END").format(test, sql.Literal(one.name)))
    by_fields = sql.SQL("array_remove(ARRAY[{}]::text[], NULL)").format(sql.SQL(", ").join(tests))
    return sql.SQL(
        """CASE WHEN v."Id" IS NOT NULL THEN {by_fields}
                WHEN coa.id18(t."LastModifiedById") = {us} THEN '{{}}'::text[]
                ELSE ARRAY['LastModifiedById'] END"""
    ).format(by_fields=by_fields, us=sql.Literal(str(original.record.target_org.get("user_id", ""))))


def _after(original: Run, sobject: str) -> sql.Composable:
    """The run's own reading after its load; an empty one when it never came so far."""
    if original.has_table(Table.VERIFY, sobject):
        return original.table(Table.VERIFY, sobject)
    return sql.SQL("(SELECT * FROM {} WHERE false)").format(original.table(TARGET, sobject))


def _verdict(run: Run, wanted: str, *, changed: str) -> sql.Composed:
    """SQL for action, wanted, changed, reason_code, reason, next_step of a record of `c (touched, changed)`."""
    if run.params.force:
        return sql.SQL("{wanted}, {wanted}, c.{changed}, '', '', ''").format(
            wanted=sql.Literal(wanted), changed=sql.Identifier(changed)
        )
    touched = reason_sql("conflict:rollback", fields=sql.SQL("array_to_string(c.touched, ', ')"))
    return sql.SQL(
        """CASE WHEN c.touched = '{{}}' THEN {wanted} ELSE 'left' END, {wanted}, c.{changed},
           CASE WHEN c.touched = '{{}}' THEN '' ELSE {code} END,
           CASE WHEN c.touched = '{{}}' THEN '' ELSE {reason} END,
           CASE WHEN c.touched = '{{}}' THEN '' ELSE {next_step} END"""
    ).format(
        wanted=sql.Literal(wanted),
        changed=sql.Identifier(changed),
        code=touched.code,
        reason=touched.message,
        next_step=touched.next_step,
    )


def plan_deletes(run: Run, original: Run, sobject: str) -> None:
    """Plans what the original run inserted: `delete`, or `left` with the reason where somebody touched it since."""
    parent = PARENTS.get(sobject)
    run.db.execute(
        sql.SQL(
            """INSERT INTO {plan} (sobject, source_id, target_id, parent_id, action, wanted, changed,
                                   reason_code, reason, next_step)
               SELECT {sobject}, l.source_id, t."Id", {parent},
                      {verdict}
               FROM coa.ledger l JOIN {now} t ON t."Id" = l.target_id
               LEFT JOIN {after} v ON v."Id" = t."Id",
                    LATERAL (SELECT {touched} AS touched OFFSET 0) c
               WHERE l.pair_id = {pair} AND l.sobject = {sobject} AND l.origin = 'inserted'
                 AND l.inserted_run = {original}"""
        ).format(
            plan=run.table(Table.ROLLBACK),
            sobject=sql.Literal(sobject),
            parent=sql.SQL("t.{}").format(sql.Identifier(parent)) if parent else sql.SQL("NULL"),
            verdict=_verdict(run, "delete", changed="touched"),
            now=run.table(TARGET, sobject),
            after=_after(original, sobject),
            touched=_touched(run, original, sobject, or_before=False),
            pair=sql.Literal(run.pair_id),
            original=sql.Literal(original.run_id),
        )
    )


def plan_restores(run: Run, original: Run, sobject: str, fields: list[FieldMapping]) -> None:
    """What the run updated and that differs from what was there before; the pre-image goes to `desired__`."""
    desired = run.table(Table.DESIRED, sobject)
    columns = sql.SQL(", ").join(
        sql.SQL("coa.{}(b.{f}) AS {f}").format(
            sql.Identifier(one.target.canonical_function), f=sql.Identifier(one.name)
        )
        for one in fields
    )
    with run.db.transaction() as connection:
        tables.create_as(
            connection,
            run,
            Table.DESIRED,
            sql.SQL(
                """SELECT p.source_id, {} FROM {} p JOIN {} b ON b."Id" = p.target_id
                   WHERE p.sobject = {} AND p.action = 'update'"""
            ).format(
                columns,
                original.table(Table.PLAN),
                original.table(TARGET, sobject),
                sql.Literal(sobject),
            ),
            sobject,
        )
    compared, _ = comparisons(run, sobject, fields)
    parent = PARENTS.get(sobject)
    run.db.execute(
        sql.SQL(
            """INSERT INTO {plan} (sobject, source_id, target_id, parent_id, action, wanted, changed,
                                   reason_code, reason, next_step)
               SELECT {sobject}, p.source_id, t."Id", {parent},
                      {verdict}
               FROM {original_plan} p JOIN {now} t ON t."Id" = p.target_id
               JOIN {before} b ON b."Id" = p.target_id JOIN {desired} d ON d.source_id = p.source_id
               LEFT JOIN {after} v ON v."Id" = t."Id",
                    LATERAL (SELECT p.source_id = ANY ({resumed}) AS resumed) x,
                    LATERAL (SELECT {changed} AS changed, {touched} AS touched) c
               WHERE p.sobject = {sobject} AND p.action = 'update' AND c.changed <> '{{}}'
               ON CONFLICT DO NOTHING"""
        ).format(
            plan=run.table(Table.ROLLBACK),
            sobject=sql.Literal(sobject),
            parent=sql.SQL("t.{}").format(sql.Identifier(parent)) if parent else sql.SQL("NULL"),
            verdict=_verdict(run, "restore", changed="changed"),
            original_plan=original.table(Table.PLAN),
            now=run.table(TARGET, sobject),
            before=original.table(TARGET, sobject),
            desired=desired,
            after=_after(original, sobject),
            resumed=sql.Literal(_begun_by_earlier_rollbacks(run, sobject)),
            changed=changed_fields(compared),
            touched=_touched(run, original, sobject, or_before=True),
        )
    )


def list_erased(run: Run, original: Run, sobject: str) -> None:
    """What the run updated and whose pre-image went with a person's data (`coa.retention.person`): it stays."""
    erased = reason("pre_image_erased")
    parent = PARENTS.get(sobject)
    run.db.execute(
        sql.SQL(
            """INSERT INTO {plan} (sobject, source_id, target_id, parent_id, action, wanted, reason_code, reason,
                                   next_step)
               SELECT {sobject}, p.source_id, t."Id", {parent}, 'left', 'restore', {code}, {reason}, {next_step}
               FROM {original_plan} p JOIN {now} t ON t."Id" = p.target_id
               WHERE p.sobject = {sobject} AND p.action = 'update'
                 AND NOT EXISTS (SELECT FROM {before} b WHERE b."Id" = p.target_id)
               ON CONFLICT DO NOTHING"""
        ).format(
            plan=run.table(Table.ROLLBACK),
            sobject=sql.Literal(sobject),
            parent=sql.SQL("t.{}").format(sql.Identifier(parent)) if parent else sql.SQL("NULL"),
            code=sql.Literal(erased.code),
            reason=sql.Literal(erased.message),
            next_step=sql.Literal(erased.next_step),
            original_plan=original.table(Table.PLAN),
            now=run.table(TARGET, sobject),
            before=original.table(TARGET, sobject),
        )
    )


def _begun_by_earlier_rollbacks(run: Run, sobject: str) -> list[str]:
    """Source ids of records that an interrupted roll-back of the same run has begun to restore."""
    begun: list[str] = []
    for row in run.db.rows(
        """SELECT run_id FROM coa.run WHERE mode = %s AND run_id <> %s AND params ->> 'run_id' = %s
             AND loaded_at IS NOT NULL""",
        [RunMode.ROLLBACK, run.run_id, run.params.run_id],
    ):
        work = identifier(row["run_id"], Table.WORK)
        if run.db.has_table(work):
            begun += [
                str(r["source_id"])
                for r in run.db.rows(
                    sql.SQL("SELECT source_id FROM {} WHERE sobject = %s AND step = ANY (%s)").format(work),
                    [sobject, list(RESTORING)],
                )
            ]
    return begun


def list_deleted_by_run(run: Run, original: Run) -> None:
    """Lists what the original run deleted: it cannot be put back by the API, only taken out of the recycle bin."""
    if not original.has_table(Table.DELETION):
        return
    run.db.execute(
        sql.SQL(
            """INSERT INTO {} (sobject, source_id, target_id, parent_id, action, wanted, reason_code, reason, next_step)
               SELECT d.sobject, d.source_id, d.target_id, d.parent_id, 'left', 'restore', %s, %s, %s
               FROM {} d JOIN {} w ON w.step = %s AND {w_is_d}
               WHERE d.action = 'delete' AND w.state = 'accepted' ON CONFLICT DO NOTHING"""
        ).format(
            run.table(Table.ROLLBACK),
            original.table(Table.DELETION),
            original.table(Table.WORK),
            w_is_d=same_record("w", "d"),
        ),
        [*reason("deleted_by_run"), DELETIONS.name],
    )
