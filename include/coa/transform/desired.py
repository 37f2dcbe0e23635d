"""Builds `desired__<slug>`: what each record should look like in the target.

One text column a carried field, canonical. Lookups that we match hold target ids; lookups to records
that we load ourselves (`parent`) hold source ids, which the ledger turns into target ids.
"""

from __future__ import annotations

import json

from psycopg import sql

from coa.config import RunParams
from coa.fields.field_map import FieldMapping
from coa.fields.refused import refused
from coa.fields.text_length import cut
from coa.model import AUDIT_FIELDS, CURRENCY, CUSTOMER_ORG_ID, MIGRATION_FIELDS, ORDER_TYPE, STATUS
from coa.policies import Policies
from coa.staging import tables
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table

OWNER_FIELDS = ("OwnerId",)
NEVER_TRUNCATED = frozenset({*MIGRATION_FIELDS, CUSTOMER_ORG_ID})
TRIMMED_BY_ORG = " \t\r\n\f\v"
"""White space that an org takes off the ends of a text: what we make ourselves is made as it will be stored."""
NEVER_BLANKED = frozenset({STATUS, ORDER_TYPE, CURRENCY})


def build_desired(run: Run, sobject: str, fields: list[FieldMapping], fallback_owner: str) -> int:
    """Creates the table anew; rows in it. `fallback_owner`: target user id, empty when unknown."""
    columns, joins = [], []
    for n, one in enumerate(fields):
        joins += _joins(run, one, n)
        columns.append(
            sql.SQL("{} AS {}").format(_expression(run, one, n, fallback_owner), sql.Identifier(one.name))
        )
    with run.db.transaction() as connection:
        query = sql.SQL('SELECT s."Id" AS source_id, {} FROM {} s {}').format(
            sql.SQL(", ").join(columns), run.table(SOURCE, sobject), sql.SQL(" ").join(joins)
        )
        made = tables.create_as(connection, run, Table.DESIRED, query, sobject)
        tables.analyze(connection, run, Table.DESIRED, sobject)
    return made


def source_value(one: FieldMapping) -> sql.Composed:
    """The raw source value of a field, before any rule, as SQL over the alias `s`."""
    if one.source is None:
        return sql.SQL("NULL::text").format()
    value = sql.SQL("NULLIF(s.{}, '')").format(sql.Identifier(one.source.name))
    if one.fallback is None:
        return value
    return sql.SQL("COALESCE({}, NULLIF(s.{}, ''))").format(value, sql.Identifier(one.fallback.name))


def mapped_value(one: FieldMapping) -> sql.Composed:
    """The value after renames, constants, value maps and defaults: what policies then look at."""
    rule = one.rule
    if rule.constant is not None:
        return sql.SQL("NULLIF({}::text, '')").format(sql.Literal(rule.constant.strip(TRIMMED_BY_ORG)))
    value = source_value(one)
    if rule.values:
        value = sql.SQL("NULLIF(COALESCE({}::jsonb ->> {v}, {v}), '')").format(
            sql.Literal(json.dumps({k: v.strip(TRIMMED_BY_ORG) for k, v in rule.values.items()})), v=value
        )
    if rule.default is not None:
        value = sql.SQL("COALESCE({}, {})").format(value, sql.Literal(rule.default.strip(TRIMMED_BY_ORG)))
    return value


def may_truncate(one: FieldMapping, params: RunParams) -> bool:
    """Never ids and keys: a shortened key is another key."""
    key = one.name in NEVER_TRUNCATED or one.target.flag("unique") or one.target.flag("externalId")
    return not key and (one.rule.truncate or Policies(params).truncates)


def _needs_active(run: Run, one: FieldMapping) -> bool:
    """An inactive user cannot own a new record, unless the user who loads may let them."""
    return one.name in OWNER_FIELDS and not keeps_inactive_owners(run)


def keeps_inactive_owners(run: Run) -> bool:
    """Whether preflight found the permission Update Records with Inactive Owners in the target."""
    return bool(run.record.target_org.get("keeps_inactive_owners"))


def may_blank_invalid(one: FieldMapping, params: RunParams) -> bool:
    """Whether a value that the target refuses is left out: never required ones, keys, status and order type."""
    key = one.name in NEVER_TRUNCATED or one.target.flag("unique") or one.target.flag("externalId")
    return (
        Policies(params).blanks_invalid_values
        and one.kind == "value"
        and not (key or one.target.required or one.name in NEVER_BLANKED)
    )


def _joins(run: Run, one: FieldMapping, n: int) -> list[sql.Composed]:
    if one.kind != "lookup":
        return []
    joins = []
    for k, name in enumerate(one.refers_to):
        if run.has_table(Table.MAP, name):
            joins.append(
                sql.SQL("LEFT JOIN {} {a} ON {a}.source_id = coa.id18({v})").format(
                    run.table(Table.MAP, name), a=sql.Identifier(f"m{n}_{k}"), v=mapped_value(one)
                )
            )
            if name == "User" and _needs_active(run, one):
                joins.append(
                    sql.SQL(
                        """LEFT JOIN {} {u} ON {u}."Id" = {a}.target_id AND {u}."IsActive" = 'true'"""
                    ).format(
                        run.table(TARGET, "User"),
                        a=sql.Identifier(f"m{n}_{k}"),
                        u=sql.Identifier(f"u{n}_{k}"),
                    )
                )
    return joins


def lookup_expression(run: Run, one: FieldMapping, n: int) -> sql.Composed:
    """The matched target id of a lookup field, as SQL over the joins of `_joins`."""
    found = []
    for k, name in enumerate(one.refers_to):
        if not run.has_table(Table.MAP, name):
            continue
        if name == "User" and _needs_active(run, one):
            found.append(sql.SQL('{}."Id"').format(sql.Identifier(f"u{n}_{k}")))
        else:
            found.append(sql.SQL("{}.target_id").format(sql.Identifier(f"m{n}_{k}")))
    return sql.SQL("COALESCE({}, NULL::text)").format(
        sql.SQL(", ").join(found or [sql.SQL("NULL::text").format()])
    )


def _expression(run: Run, one: FieldMapping, n: int, fallback_owner: str) -> sql.Composed:
    if one.kind == "parent":
        return sql.SQL("coa.id18({})").format(mapped_value(one))
    if one.kind == "lookup":
        found = lookup_expression(run, one, n)
        if one.name in OWNER_FIELDS and fallback_owner:
            return sql.SQL("COALESCE({}, {}::text)").format(found, sql.Literal(fallback_owner))
        return found
    value = mapped_value(one)
    if one.name in MIGRATION_FIELDS or one.name in AUDIT_FIELDS:
        return canonical_value(one, value)
    if (
        one.target.restricted_picklist
        and Policies(run.params).blanks_missing_picklist_values
        and one.name not in NEVER_BLANKED
    ):
        value = sql.SQL("CASE WHEN {} THEN {} END").format(picklist_fits(one, value), value)
    canonical = canonical_value(one, value)
    against = refused(one, canonical) if may_blank_invalid(one, run.params) else None
    if against:
        return sql.SQL("CASE WHEN {} THEN NULL ELSE {} END").format(against[0], canonical)
    length = one.target.length
    if length and one.target.canonical_function == "canon_text" and may_truncate(one, run.params):
        # The org trims what it stores: a cut that ends on a blank would come back as another value.
        value = sql.SQL("rtrim({}, {})").format(cut(value, length, run.settings), sql.Literal(TRIMMED_BY_ORG))
    return canonical_value(one, value)


def picklist_fits(one: FieldMapping, value: sql.Composed) -> sql.Composed:
    """Whether every value of a picklist (several, separated by `;`, in a multi-select one) is there."""
    allowed = sql.Literal(one.target.picklist_values)
    if one.target.type == "multipicklist":
        return sql.SQL("string_to_array({}, ';') <@ {}::text[]").format(value, allowed)
    return sql.SQL("{} = ANY ({}::text[])").format(value, allowed)


def canonical_value(one: FieldMapping, value: sql.Composed) -> sql.Composed:
    """The value in the form by which values are compared."""
    return sql.SQL("coa.{}({})").format(sql.Identifier(one.target.canonical_function), value)
