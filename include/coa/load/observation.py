"""What the target does with the records of the canary, step by step.

After every step that sent something, all records of the canary are read again. A field was changed by the
target in that step if it holds neither its earlier value nor what was sent, or not what was just sent. In the
step that creates a record, its desired values are compared. Expected values come from the plan and from earlier
readings, never from the load.

Table `effect`: one row for each record, field and step. It is compared with the plan's expected corrections.
What happens as expected is no surprise; anything else is, and so is an expected effect that does not happen.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from coa.extract.bulk import ExtractSpec
from coa.extract.rest_values import by_ids, keep_records, read_few
from coa.fields.compare import Comparison, LinksInTexts, comparisons
from coa.fields.field_map import FieldMapping
from coa.fields.saved import saved_carried
from coa.load.work import chunk_step_done
from coa.load_steps import BACK_TO_DRAFT, INSERT, ORDERS_ONE_PASS, WATCHED_CHUNKS, Step
from coa.mapping.store import mapping_of
from coa.model import DETAIL, DETAIL_ORDER, LOADED, ORDER, STATUS
from coa.plan.expected_corrections import DRAFT_RESET, RECEIVED_STAMPED
from coa.salesforce.session import Org
from coa.staging import tables
from coa.staging.database import Row
from coa.staging.fragments import ledger_of
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table


def begin_to_watch(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """Records the state of the canary's records before the first step: those that are in the target already."""
    if run.has_table(Table.EFFECT):
        return
    with run.db.transaction() as connection:
        for sobject in LOADED:
            names = _columns(carried[sobject])
            table = tables.create(connection, run, Table.SEEN, sobject, fields=names)
            there = set(run.columns(TARGET, sobject))
            known = sql.SQL(", ").join(sql.Identifier(n) for n in names if n in there)
            connection.execute(
                sql.SQL(
                    """INSERT INTO {table} ({known}) SELECT {known} FROM {target} WHERE "Id" IN (
                         SELECT l.target_id FROM {canary} c JOIN coa.ledger l
                           ON {ledger}
                         WHERE c.sobject = %s)"""
                ).format(
                    table=table,
                    known=known,
                    target=run.table(TARGET, sobject),
                    canary=run.table(Table.CANARY),
                    ledger=ledger_of(run.pair_id, "c"),
                ),
                [sobject],
            )
        tables.ensure(connection, run, Table.EFFECT)


def observe(run: Run, org: Org, step: Step) -> None:
    """Reads the canary again after a step, if the step belongs to it and sent something."""
    if step.chunk_no not in WATCHED_CHUNKS:
        return
    sent = _what_was_sent(run, step)
    if not sent or chunk_step_done(run, step.chunk_no, sent):
        return
    carried = saved_carried(run, mapping_of(run))
    found = read_canary(
        run, org, [ExtractSpec(Table.REREAD, name, _columns(carried[name])) for name in LOADED]
    )
    with run.db.transaction() as connection:
        for sobject, fields in carried.items():
            _compare(run, connection, step, sobject, fields, found[sobject])
        connection.execute(
            sql.SQL("UPDATE {} SET steps_done = array_append(steps_done, %s) WHERE chunk_no = %s").format(
                run.table(Table.CHUNK)
            ),
            [sent, step.chunk_no],
        )
    run.lease.renew()


def read_canary(run: Run, org: Org, specs: list[ExtractSpec]) -> dict[str, list[Row]]:
    """sObject -> the canary's records as the target holds them now; of its orders every detail, planned or not."""
    ids: dict[str, list[str]] = {name: [] for name in LOADED}
    for r in run.db.rows(
        sql.SQL(
            """SELECT c.sobject, l.target_id FROM {} c JOIN coa.ledger l ON {}
               WHERE l.target_id IS NOT NULL AND c.sobject <> %s ORDER BY 1, 2"""
        ).format(run.table(Table.CANARY), ledger_of(run.pair_id, "c")),
        [DETAIL],
    ):
        ids[r["sobject"]].append(str(r["target_id"]))
    queries: list[ExtractSpec] = []
    for spec in specs:
        key, wanted = ("Id", ids[spec.sobject]) if spec.sobject != DETAIL else (DETAIL_ORDER, ids[ORDER])
        queries += by_ids(spec, wanted, key)
    return {name: [] for name in LOADED} | read_few(org, queries)


def _columns(fields: list[FieldMapping]) -> list[str]:
    return ["Id", *(f.name for f in fields if f.name != "Id")]


def _what_was_sent(run: Run, step: Step) -> str:
    """What a step has sent so far, as an entry among its chunk's steps; empty where it sent nothing.

    A step that starts again after a kill is compared once for what it sent before, and again if it sends
    more. Otherwise effects of a later step would be counted as its own.
    """
    row = run.db.row(
        sql.SQL(
            """SELECT (SELECT max(job_key) FROM coa.job WHERE run_id = %(run)s AND step = %(step)s
                         AND sobject = %(sobject)s AND chunk_no = %(chunk)s) AS job,
                      (SELECT count(*) FROM {} WHERE step = %(step)s AND sobject = %(sobject)s
                         AND chunk_no = %(chunk)s AND job_key IS NULL) AS rows"""
        ).format(run.table(Table.WORK)),
        {"step": step.name, "sobject": step.sobject, "chunk": step.chunk_no, "run": run.run_id},
    )
    assert row is not None
    if row["job"] is None and not row["rows"]:
        return ""
    return f"seen {step.name} of {step.sobject}: job {row['job'] or 0}, {row['rows']} rows by REST"


def _compare(
    run: Run,
    connection: psycopg.Connection[Row],
    step: Step,
    sobject: str,
    fields: list[FieldMapping],
    records: list[dict[str, Any]],
) -> None:
    """Notes what changed since the last reading, and makes this reading the last one."""
    names = _columns(fields)
    now = tables.create(connection, run, Table.REREAD, sobject, part="canary", fields=names)
    keep_records(run, connection, ExtractSpec(Table.REREAD, sobject, names), now, records)
    seen = run.table(Table.SEEN, sobject)
    if step.sobject == sobject or _is_another(connection, now, seen):
        compared, joins = comparisons(run, sobject, fields, in_texts=LinksInTexts.EITHER)
        if compared:
            connection.execute(_effects(run, step, sobject, now, compared, joins))
        connection.execute(sql.SQL("DELETE FROM {}").format(seen))
        connection.execute(sql.SQL("INSERT INTO {} SELECT * FROM {}").format(seen, now))
    tables.drop(connection, run, Table.REREAD, sobject, "canary")


def _is_another(connection: psycopg.Connection[Row], now: sql.Identifier, seen: sql.Identifier) -> bool:
    """Whether the readings differ in any text. To compare them field by field is a statement that takes PostgreSQL
    longer to plan than to run, and of an sObject that a step does not write there is mostly nothing to compare.
    """
    found = connection.execute(
        sql.SQL(
            "SELECT EXISTS (SELECT * FROM {n} EXCEPT SELECT * FROM {s}) "
            "OR EXISTS (SELECT * FROM {s} EXCEPT SELECT * FROM {n}) AS another"
        ).format(n=now, s=seen)
    ).fetchone()
    assert found is not None
    return bool(found["another"])


def _effects(
    run: Run,
    step: Step,
    sobject: str,
    now: sql.Identifier,
    compared: list[Comparison],
    joins: sql.Composed,
) -> sql.Composed:
    """INSERT of what the target did: the new reading (`t`) beside the last one (`s`) and what was sent (`w`)."""
    values = sql.SQL(", ").join(
        sql.SQL("({}, {}, {}, {})").format(
            sql.Literal(c.field.name), c.expected, c.actual, _as_read(c, sql.Identifier("s"))
        )
        for c in compared
    )
    return sql.SQL(
        """INSERT INTO {effect} (sobject, source_id, field, step, sent, was, becomes, wanted, effect, foreseen)
           SELECT {sobject}, l.source_id, v.field, {step}, z.sent, v.was, v.actual, v.expected, x.effect,
                  COALESCE(x.effect IS NOT NULL AND y.due AND (x.becomes IS NULL OR x.becomes = v.actual), false)
           FROM {canary} k JOIN coa.ledger l
             ON {ledger}
           JOIN {now} t ON t."Id" = l.target_id JOIN {desired} d ON d.source_id = l.source_id {joins}
           LEFT JOIN {seen} s ON s."Id" = t."Id"
           LEFT JOIN {work} w ON w.step = {step} AND w.sobject = {sobject} AND w.source_id = l.source_id
             AND {same_sobject}
           CROSS JOIN LATERAL (VALUES {values}) AS v (field, expected, actual, was)
           CROSS JOIN LATERAL (SELECT s."Id" IS NULL OR COALESCE(v.field = ANY (w.changed), false) AS sent) z
           LEFT JOIN {expected} x ON x.sobject = {sobject} AND x.source_id = l.source_id AND x.field = v.field
           CROSS JOIN LATERAL (SELECT CASE WHEN x.effect = {stamped} THEN {status_sent}
                                           WHEN x.effect = {reset} THEN s."Id" IS NULL AND NOT {as_it_is}
                                           ELSE s."Id" IS NULL END AS due) y
           WHERE k.sobject = {sobject} AND v.actual IS DISTINCT FROM v.expected
             AND NOT ({set_back} AND v.field = {status})
             AND (z.sent OR v.actual IS DISTINCT FROM v.was)
           ON CONFLICT DO NOTHING"""
    ).format(
        ledger=ledger_of(run.pair_id, "k"),
        effect=run.table(Table.EFFECT),
        canary=run.table(Table.CANARY),
        sobject=sql.Literal(sobject),
        step=sql.Literal(step.name),
        now=now,
        desired=run.table(Table.DESIRED, sobject),
        joins=joins,
        seen=run.table(Table.SEEN, sobject),
        work=run.table(Table.WORK),
        same_sobject=sql.SQL("true" if step.sobject == sobject and step.operation != INSERT else "false"),
        values=values,
        expected=run.table(Table.EXPECTED_CORRECTIONS),
        stamped=sql.Literal(RECEIVED_STAMPED),
        reset=sql.Literal(DRAFT_RESET),
        # Sent with its status, an order that is a Draft is a surprise; set back to Draft, it is none.
        as_it_is=sql.Literal(step.name == ORDERS_ONE_PASS.name),
        set_back=sql.Literal(step.name == BACK_TO_DRAFT.name),
        status=sql.Literal(STATUS),
        # The stamp follows a status that was sent, whichever step sent it.
        status_sent=sql.SQL("COALESCE({} = ANY (w.changed), false)").format(sql.Literal(STATUS)),
    )


def _as_read(one: Comparison, alias: sql.Identifier) -> sql.Composed:
    """A field of another reading, in the form in which `one.actual` has that of the new one."""
    value = sql.SQL("coa.{}({}.{})").format(
        sql.Identifier(one.field.target.canonical_function), alias, sql.Identifier(one.field.name)
    )
    return sql.SQL("coa.to_second({})").format(value) if one.field.target.type == "datetime" else value
