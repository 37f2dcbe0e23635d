"""Rewrites the links in texts after all lanes, when the ledger knows where the linked records are.

An insert carries the text as in the source, so it is complete even if the load stops; an update of a text with
such links is left to this step as well. Setting a text is idempotent: it may be sent twice.
"""

from __future__ import annotations

from psycopg import sql

from coa.codes import WRITTEN
from coa.fields.field_map import FieldMapping
from coa.fields.text_links import text_join, text_value
from coa.load.conditions import not_held_back
from coa.load.corrections import uncarriable
from coa.load.jobs import Loader
from coa.load.rest_update import send_exact
from coa.load_steps import CANARY_CHUNK, LINKS_IN_TEXTS, LINKS_IN_TEXTS_EXACT
from coa.salesforce.session import Org
from coa.staging.fragments import ledger_of, list_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table


def rewrites_links(fields: list[FieldMapping]) -> list[FieldMapping]:
    """The fields in whose texts links are rewritten."""
    return [f for f in fields if f.rule.rewrite_links and f.updateable]


def plan_links_in_texts(
    run: Run, sobject: str, fields: list[FieldMapping], chunk_no: int, meant: sql.Composable
) -> None:
    """Rows of every text that leads to a record which is there by now, and that the plan writes.

    `meant`: SQL on the plan (alias `p`). A text of the canary is sent again where a record has come since.
    """
    wanted = rewrites_links(fields)
    if not wanted:
        return
    by_bulk, by_rest = LINKS_IN_TEXTS.on(sobject, chunk_no), LINKS_IN_TEXTS_EXACT.on(sobject, chunk_no)
    changed, joins = [], []
    for n, one in enumerate(wanted):
        alias = sql.Identifier(f"w{n}")
        joins.append(text_join(run, sobject, one, alias))
        changed.append(
            sql.SQL(
                """CASE WHEN {value} IS DISTINCT FROM d.{f} AND (p.action = 'insert' OR {name} = ANY (p.changed))
                        THEN {name} END"""
            ).format(value=text_value(one, alias), f=sql.Identifier(one.name), name=sql.Literal(one.name))
        )
    run.db.execute(
        sql.SQL(
            """INSERT INTO {work} AS w (step, sobject, chunk_no, source_id, target_id, changed)
               SELECT CASE WHEN {uncarriable} THEN {by_rest} ELSE {by_bulk} END,
                      p.sobject, {chunk}, p.source_id, l.target_id, c.changed
               FROM {plan} p JOIN {desired} d ON d.source_id = p.source_id
               JOIN coa.ledger l ON {ledger}
               {joins}
               CROSS JOIN LATERAL (SELECT array_remove(ARRAY[{changed}]::text[], NULL) AS changed OFFSET 0) c
               WHERE p.sobject = {sobject} AND p.action IN {written} AND l.target_id IS NOT NULL
                 AND c.changed <> '{{}}' AND {not_held} AND {meant}
                 AND EXISTS (SELECT FROM {links} x WHERE {x_is_p}
                               AND x.field = ANY ({names}))
               ON CONFLICT (step, sobject, source_id) DO UPDATE
                 SET chunk_no = EXCLUDED.chunk_no, changed = EXCLUDED.changed, state = 'pending', job_key = NULL,
                     attempts = 0, error_code = NULL, error = NULL
                 WHERE w.chunk_no = {canary} AND EXCLUDED.chunk_no <> {canary} AND {came_since}"""
        ).format(
            ledger=ledger_of(run.pair_id, "p"),
            work=run.table(Table.WORK),
            uncarriable=uncarriable(run, wanted),
            by_rest=sql.Literal(by_rest.name),
            by_bulk=sql.Literal(by_bulk.name),
            chunk=sql.Literal(chunk_no),
            plan=run.table(Table.PLAN),
            desired=run.table(Table.DESIRED, sobject),
            joins=sql.SQL(" ").join(joins),
            changed=sql.SQL(", ").join(changed),
            sobject=sql.Literal(sobject),
            not_held=not_held_back(run),
            meant=meant,
            links=run.table(Table.TEXT_LINK),
            names=sql.Literal([one.name for one in wanted]),
            canary=sql.Literal(CANARY_CHUNK),
            came_since=_came_after_the_canary(run),
            written=list_of(WRITTEN),
            x_is_p=same_record("x", "p"),
        )
    )


def _came_after_the_canary(run: Run) -> sql.Composed:
    """SQL over `EXCLUDED`: whether a text leads to a record that this load created after its canary."""
    if not run.has_table(Table.CANARY):
        return sql.SQL("false").format()
    return sql.SQL(
        """EXISTS (SELECT FROM {links} x JOIN {plan} o
             ON o.sobject = x.record_sobject AND o.source_id = x.record_id AND o.action = 'insert'
           WHERE {x_is_excluded} AND x.fits
             AND NOT EXISTS (SELECT FROM {canary} k WHERE {k_is_o}))"""
    ).format(
        links=run.table(Table.TEXT_LINK),
        plan=run.table(Table.PLAN),
        canary=run.table(Table.CANARY),
        x_is_excluded=same_record("x", "EXCLUDED"),
        k_is_o=same_record("k", "o"),
    )


def send_links_in_texts(run: Run, org: Org, sobject: str, fields: list[FieldMapping], chunk_no: int) -> None:
    """Sends what `plan_links_in_texts` found; by REST what Bulk cannot carry."""
    if rewrites_links(fields):
        Loader(run, org, fields).send(LINKS_IN_TEXTS.on(sobject, chunk_no))
        send_exact(run, org, LINKS_IN_TEXTS_EXACT.on(sobject, chunk_no), fields)
