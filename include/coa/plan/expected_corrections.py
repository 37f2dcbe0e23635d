"""What follows each planned write: what the package changes in the record, and the update that corrects it.

The rules are those that the package shows (its four workflow rules, what an insert cannot carry). A partner's
own automation cannot be predicted; it is corrected when it is seen. Sources: the managed workflow rules as
retrieved from orgs with versions 1.39 to 3.61; Bulk API 2.0 guide for what a CSV cannot carry; the describe for
defaults that fill an empty field.

Table `expected_corrections` of the run: one row for each record and field; `step` is the load step that
corrects it, empty where a policy leaves it as the package made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from coa.fields.bulk_values import bulk_cannot_carry, insert_fields, is_text
from coa.fields.compare import parent_join, parent_of
from coa.fields.field_map import FieldMapping
from coa.load_steps import CORRECTIONS, FROZEN_TERMS, LINKS, RECEIVED_DATES, STATUSES
from coa.model import (
    DETAIL,
    DETAIL_PRODUCT,
    DRAFT,
    FROZEN_DETAIL_FIELDS,
    NS,
    ORDER,
    PRODUCT,
    RECEIVED_AT,
    STATUS,
    WORKFLOW_PRICING,
    WORKFLOW_RECEIVED,
)
from coa.policies import Policies
from coa.staging import tables
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table

DRAFT_RESET = "draft_reset"
PRICE_COPIED = "price_copied"
RECEIVED_STAMPED = "received_stamped"
DEFAULT_FILLED = "default_filled"
NOT_ON_INSERT = "not_on_insert"
NOT_BY_BULK = "not_by_bulk"
LINK_LATER = "link_later"

REASONS = {
    DRAFT_RESET: "A new order is a Draft, whatever status is sent: the package resets it. The status follows when "
    "its details are there.",
    PRICE_COPIED: "The package copies today's price of a FIXED product over that of a new detail.",
    RECEIVED_STAMPED: "The package stamps the moment of the load on an order that goes to Received.",
    DEFAULT_FILLED: "The field is empty in the source, and the target fills its default into a new record.",
    NOT_ON_INSERT: "The target takes the field on an update only.",
    NOT_BY_BULK: "A Bulk job cannot carry the text as it is (carriage returns, or the null mark #N/A).",
    LINK_LATER: "The order that it was cloned from may be created later.",
}

NOTHING = sql.SQL("NULL")
NO_JOINS = sql.SQL("")
FIXED = "FIXED"
CATALOG_PRICING, CATALOG_PRICE = NS + "Pricing_Type__c", NS + "Fixed_Price__c"
COPIED_PRICE, COPIED_PRICING = NS + "pc_Fixed_Price__c", NS + "pc_Pricing_Type__c"


def expect_corrections(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """Fills `expected_corrections` anew from the plan. Asks no org and writes to none."""
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.EXPECTED_CORRECTIONS)
    off = run.record.inactive_workflow_rules
    orders = {f.name: f for f in carried[ORDER]}
    if STATUS in orders:
        _draft_reset(run)
        if RECEIVED_AT in orders and WORKFLOW_RECEIVED not in off:
            _received_stamp(run, orders[RECEIVED_AT])
    if WORKFLOW_PRICING not in off:
        _price_copy(run, {f.name: f for f in carried[DETAIL]})
    for sobject, fields in carried.items():
        _what_an_insert_leaves(run, sobject, fields)
        for one in fields:
            if one.deferred and one.updateable:
                _link_later(run, sobject, one)
    run.db.execute(sql.SQL("ANALYZE {}").format(run.table(Table.EXPECTED_CORRECTIONS)))


def _add(
    run: Run,
    sobject: str,
    effect: str,
    field: str,
    step: str,
    *,
    condition: sql.Composable,
    becomes: sql.Composable = NOTHING,
    wanted: sql.Composable | None = None,
    joins: sql.Composable = NO_JOINS,
) -> None:
    """One row a planned record (aliases `p` the plan, `d` desired) that fulfils the condition."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO {expected} (sobject, source_id, field, effect, becomes, wanted, step)
               SELECT p.sobject, p.source_id, {field}, {effect}, {becomes}, {wanted}, {step}
               FROM {plan} p JOIN {desired} d ON d.source_id = p.source_id {joins}
               WHERE p.sobject = {sobject} AND {condition} ON CONFLICT DO NOTHING"""
        ).format(
            expected=run.table(Table.EXPECTED_CORRECTIONS),
            field=sql.Literal(field),
            effect=sql.Literal(effect),
            becomes=becomes,
            wanted=sql.SQL("d.{}").format(sql.Identifier(field)) if wanted is None else wanted,
            step=sql.Literal(step),
            plan=run.table(Table.PLAN),
            desired=run.table(Table.DESIRED, sobject),
            joins=joins,
            sobject=sql.Literal(sobject),
            condition=condition,
        )
    )


def _draft_reset(run: Run) -> None:
    """The rule "New Service Order - Must be Draft Status"; where it is off the load sends no status either."""
    _add(
        run,
        ORDER,
        DRAFT_RESET,
        STATUS,
        STATUSES.name,
        becomes=sql.Literal(DRAFT),
        condition=sql.SQL("p.action = 'insert' AND d.{} IS DISTINCT FROM {}").format(
            sql.Identifier(STATUS), sql.Literal(DRAFT)
        ),
    )


def _received_stamp(run: Run, received_at: FieldMapping) -> None:
    """The rule "Service Order Date Received": it acts when the status becomes Received, never on insert."""
    restored = Policies(run.params).restores_received_dates and received_at.updateable
    _add(
        run,
        ORDER,
        RECEIVED_STAMPED,
        RECEIVED_AT,
        RECEIVED_DATES.name if restored else "",
        condition=sql.SQL(
            """d.{status} = 'Received' AND (p.action = 'insert'
                 OR (p.action = 'update' AND {status_name} = ANY (p.changed) AND NOT {date_name} = ANY (p.changed)))"""
        ).format(
            status=sql.Identifier(STATUS),
            status_name=sql.Literal(STATUS),
            date_name=sql.Literal(RECEIVED_AT),
        ),
    )


def _price_copy(run: Run, fields: dict[str, FieldMapping]) -> None:
    """The rule "Populate Pricing fields": on create only, from the target's catalog as it is now."""
    catalog = set(run.columns(TARGET, PRODUCT))
    if DETAIL_PRODUCT not in fields or not {CATALOG_PRICING, CATALOG_PRICE} <= catalog:
        return
    price = sql.SQL("coa.canon_number(round(NULLIF(c.{}, '')::numeric, {})::text)").format(
        sql.Identifier(CATALOG_PRICE),
        sql.Literal(int(fields[COPIED_PRICE].target.raw.get("scale") or 0) if COPIED_PRICE in fields else 0),
    )
    for name, becomes in ((COPIED_PRICE, price), (COPIED_PRICING, sql.Literal(FIXED))):
        if name not in fields or not fields[name].updateable:
            continue
        _add(
            run,
            DETAIL,
            PRICE_COPIED,
            name,
            CORRECTIONS.name,
            becomes=becomes,
            joins=sql.SQL('JOIN {} c ON c."Id" = d.{}').format(
                run.table(TARGET, PRODUCT), sql.Identifier(DETAIL_PRODUCT)
            ),
            condition=sql.SQL("p.action = 'insert' AND c.{} = {} AND d.{} IS DISTINCT FROM {}").format(
                sql.Identifier(CATALOG_PRICING), sql.Literal(FIXED), sql.Identifier(name), becomes
            ),
        )


def _what_an_insert_leaves(run: Run, sobject: str, fields: list[FieldMapping]) -> None:
    """Defaults in empty fields, texts that Bulk cannot carry, fields that only an update takes: in one pass."""
    cases = [case for one in fields for case in _cases(run, sobject, one, insert_fields(fields))]
    if not cases:
        return
    run.db.execute(
        sql.SQL(
            """INSERT INTO {expected} (sobject, source_id, field, effect, becomes, wanted, step)
               SELECT p.sobject, p.source_id, x.field, x.effect, x.becomes, x.wanted, x.step
               FROM {plan} p JOIN {desired} d ON d.source_id = p.source_id
               CROSS JOIN LATERAL (VALUES {cases}) AS x (field, effect, becomes, wanted, step, holds)
               WHERE p.sobject = {sobject} AND p.action = 'insert' AND ({any}) AND x.holds
               ON CONFLICT DO NOTHING"""
        ).format(
            expected=run.table(Table.EXPECTED_CORRECTIONS),
            plan=run.table(Table.PLAN),
            desired=run.table(Table.DESIRED, sobject),
            cases=sql.SQL(", ").join(
                sql.SQL("({}, {}, {}::text, {}::text, {}, {})").format(
                    sql.Literal(c.field),
                    sql.Literal(c.effect),
                    c.becomes,
                    c.wanted,
                    sql.Literal(c.step),
                    c.holds,
                )
                for c in cases
            ),
            sobject=sql.Literal(sobject),
            # Most records fulfil none of them: they are passed over before the cases are laid out for each.
            any=sql.SQL(" OR ").join(c.holds for c in cases),
        )
    )


@dataclass(frozen=True)
class _Case:
    """One thing that may happen to one field of a new record; `holds` is SQL over `d`, the desired record."""

    field: str
    effect: str
    step: str
    holds: sql.Composed
    becomes: sql.Composable
    wanted: sql.Composable


def _cases(run: Run, sobject: str, one: FieldMapping, inserted: list[FieldMapping]) -> Iterator[_Case]:
    if not one.updateable or one.deferred or (sobject == ORDER and one.name == STATUS):
        return
    frozen = sobject == DETAIL and one.name in FROZEN_DETAIL_FIELDS
    step = (FROZEN_TERMS if frozen else CORRECTIONS).name
    value = sql.SQL("d.{}").format(sql.Identifier(one.name))
    if one not in inserted:
        filled = sql.SQL("{} IS NOT NULL").format(value)
        yield _Case(one.name, NOT_ON_INSERT, step, filled, NOTHING, value)
        return
    default = _default(one)
    if default is not None:
        empty = sql.SQL("{} IS NULL").format(value)
        yield _Case(one.name, DEFAULT_FILLED, step, empty, sql.Literal(default or None), NOTHING)
    if is_text(one):
        # The text itself stays in `desired`: a copy of it would only be one more place to purge.
        uncarriable = bulk_cannot_carry(one, value, run.settings)
        yield _Case(one.name, NOT_BY_BULK, step, uncarriable, NOTHING, NOTHING)


def _default(one: FieldMapping) -> str | None:
    """What fills an empty field of a new record; empty text: a formula, whose value the describe does not tell."""
    if one.kind != "value" or one.target.type == "boolean":
        return None
    if one.target.default_picklist_value is not None:
        return one.target.default_picklist_value
    if one.target.raw.get("defaultValueFormula"):
        return ""
    fixed = one.target.raw.get("defaultValue")
    return None if fixed is None else str(fixed)


def _link_later(run: Run, sobject: str, one: FieldMapping) -> None:
    """Only links to orders that are there, or come with this plan; others stay empty and are explained."""
    parent = sql.Identifier("parent")
    _add(
        run,
        sobject,
        LINK_LATER,
        one.name,
        LINKS.name,
        joins=sql.SQL("{} LEFT JOIN {} o ON o.sobject = {} AND o.source_id = d.{}").format(
            parent_join(run, sobject, one, parent),
            run.table(Table.PLAN),
            parent_of(sobject, one),
            sql.Identifier(one.name),
        ),
        condition=sql.SQL("p.action = 'insert' AND ({}.target_id IS NOT NULL OR o.action = 'insert')").format(
            parent
        ),
    )
