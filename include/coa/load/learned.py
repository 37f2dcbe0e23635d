"""Whether an sObject is loaded by what the canary showed, or the careful way: read back before it is corrected.

By what was learnt, each expected correction of the plan is sent without reading the record back first. This
needs a proved canary without a surprise for this sObject, which showed every effect that is expected of it.
What the canary could not show is found by the reading for the proof, and mended (`coa.mending`).
"""

from __future__ import annotations

from psycopg import sql

from coa.fields.bulk_values import insert_fields
from coa.fields.field_map import FieldMapping
from coa.load.canary_reuse import is_rechecked
from coa.load.canary_state import canary_of, much_mended_before
from coa.load.one_pass_state import ended_late, goes_one_pass
from coa.load_steps import CANARY_CHUNK, CORRECTIONS, CORRECTIONS_AFTER_LINKS, RECEIVED_DATES
from coa.model import DETAIL, FROZEN_DETAIL_FIELDS, LOADED
from coa.plan.expected_corrections import NOT_BY_BULK, RECEIVED_STAMPED
from coa.policies import Policies
from coa.staging.runs import Run
from coa.staging.tables import Table

CORRECTED_IN = (CORRECTIONS.name, RECEIVED_DATES.name)


def learn(run: Run, careful: list[str]) -> list[str]:
    """sObjects that the canary showed well enough, kept with it: those without a surprise and an unseen effect."""
    unseen = {
        r["sobject"]
        for r in run.db.rows(
            sql.SQL(
                """SELECT DISTINCT x.sobject FROM {} x JOIN {} p USING (sobject, source_id)
                   WHERE x.step = ANY (%s) AND p.action = 'insert' AND NOT EXISTS (
                     SELECT FROM coa.observed o WHERE o.run_id = ANY (%s) AND o.sobject = x.sobject
                       AND o.field = x.field AND o.effect = x.effect AND o.surprise = '')
                   -- An order that is created with its status never goes to Received.
                     AND NOT (x.effect = %s AND {})"""
            ).format(
                run.table(Table.EXPECTED_CORRECTIONS),
                run.table(Table.PLAN),
                goes_one_pass(run, sql.SQL("x.source_id")),
            ),
            [list(CORRECTED_IN), _rests_on(run), RECEIVED_STAMPED],
        )
    }
    canary = canary_of(run)
    reused = canary["reused_from"] if canary else None
    shown = {
        r["sobject"]
        for r in run.db.rows(sql.SQL("SELECT DISTINCT sobject FROM {}").format(run.table(Table.CANARY)))
    }
    known = shown | set(canary["learned"]) if canary and reused else shown
    unworthy = unseen | set(careful) | much_mended_before(run)
    return sorted(name for name in LOADED if name in known and name not in unworthy)


def _rests_on(run: Run) -> list[str]:
    """The runs whose observations count: this one, and the run whose canary is reused."""
    canary = canary_of(run)
    return [run.run_id, *([canary["reused_from"]] if canary and canary["reused_from"] else [])]


def is_learned(run: Run, sobject: str, chunk_no: int) -> bool:
    """Whether a chunk of an sObject is sent by what was learnt; never true for the canary's own chunks."""
    if not Policies(run.params).learns_from_canary or chunk_no <= CANARY_CHUNK or ended_late(run):
        return False
    canary = canary_of(run)
    return bool(
        canary
        and canary["proved"]
        and is_rechecked(canary)
        and sobject in canary["learned"]
        and sobject not in canary["much_mended"]
    )


def links_are_learned(run: Run, sobject: str, chunk_no: int) -> bool:
    """The same for the corrections after links: only if the canary set a link in each of the ways that the
    chunk did.
    """
    if not is_learned(run, sobject, chunk_no):
        return False
    sent = {
        r["chunk_no"]: set(r["steps"])
        for r in run.db.rows(
            sql.SQL(
                """SELECT chunk_no, array_agg(DISTINCT step) AS steps FROM {}
                   WHERE step = ANY (%s) AND sobject = %s AND state = 'accepted' GROUP BY 1"""
            ).format(run.table(Table.WORK)),
            [list(CORRECTIONS_AFTER_LINKS.after), sobject],
        )
    }
    shown = sent.get(CANARY_CHUNK, set())
    return bool(shown) and sent.get(chunk_no, set()) <= shown


def frozen_terms_at_stake(run: Run, fields: list[FieldMapping], chunk_no: int) -> sql.Composed:
    """SQL on the plan (alias `p`): details whose frozen terms are read back before their order is released.

    If details are loaded by what was learnt: those with such a term, or all, where the target fills one in
    or changes it.
    """
    frozen = [f for f in fields if f.name in FROZEN_DETAIL_FIELDS]
    filled = any(
        f.target.default_picklist_value is not None
        or f.target.raw.get("defaultValue") is not None
        or f.target.raw.get("defaultValueFormula")
        or f not in insert_fields(fields)
        for f in frozen
    )
    if filled or not is_learned(run, DETAIL, chunk_no) or _seen_changed(run, [f.name for f in frozen]):
        return sql.SQL("true").format()
    has_one = sql.SQL(" OR ").join(sql.SQL("f.{} IS NOT NULL").format(sql.Identifier(f.name)) for f in frozen)
    return sql.SQL("EXISTS (SELECT FROM {} f WHERE f.source_id = p.source_id AND ({}))").format(
        run.table(Table.DESIRED, DETAIL), has_one
    )


def _seen_changed(run: Run, names: list[str]) -> bool:
    return bool(
        run.db.value(
            """SELECT EXISTS (SELECT FROM coa.observed WHERE run_id = %s AND sobject = %s AND field = ANY (%s)
                                AND effect <> %s)""",
            [run.run_id, DETAIL, names, NOT_BY_BULK],
        )
    )
