"""Records which desired values differ from the source on purpose, and why: explained differences."""

from __future__ import annotations

from psycopg import sql

from coa.explanations import Cause, sentence
from coa.fields.field_map import FieldMapping
from coa.fields.refused import refused
from coa.fields.text_length import text_length
from coa.mapping.model import Mapping
from coa.model import DETAIL, DETAIL_CONTRACT
from coa.policies import Policies
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table
from coa.transform.blank_contracts import is_filled
from coa.transform.desired import (
    canonical_value,
    mapped_value,
    may_blank_invalid,
    may_truncate,
    picklist_fits,
    source_value,
)


def explain(run: Run, carried: dict[str, list[FieldMapping]], mapping: Mapping) -> None:
    """Writes `coa.explained` anew for every policy or rule that changed a value."""
    run.db.execute("DELETE FROM coa.explained WHERE run_id = %s", [run.run_id])
    for sobject, custom in mapping.custom.items():
        for one in carried[sobject]:
            changed = sql.SQL(
                "EXISTS (SELECT FROM {} c WHERE c.field = {} AND c.source_id = d.source_id)"
            ).format(run.table(Table.CUSTOM, sobject), sql.Literal(one.name))
            _insert(run, sobject, one, changed, Cause.CUSTOM_RULE, function=custom.function)
    for sobject, fields in carried.items():
        for one in fields:
            if one.kind == "lookup":
                _explain_lookup(run, sobject, one)
            elif one.kind == "value":
                _explain_value(run, sobject, one)


def _explain_lookup(run: Run, sobject: str, one: FieldMapping) -> None:
    value = mapped_value(one)
    if one.name == "OwnerId":
        mapped = _mapped_condition(run, one)
        condition = sql.SQL("{} IS NOT NULL AND NOT ({})").format(value, mapped)
        cause = Cause.OWNER_POLICY
    elif one.name == "CreatedById":
        condition = sql.SQL("{} IS NOT NULL AND d.{} IS NULL").format(value, sql.Identifier(one.name))
        cause = Cause.CREATOR_UNMATCHED
    else:
        condition = sql.SQL("{} IS NOT NULL AND d.{} IS NULL").format(value, sql.Identifier(one.name))
        cause = Cause.LOOKUP_BLANK
    if sobject == DETAIL and one.name == DETAIL_CONTRACT and one.rule.default is None:
        _insert(run, sobject, one, is_filled(), Cause.CONTRACT_FROM_ORDER)
    _insert(run, sobject, one, condition, cause, policy=run.params.owner_policy)


def _mapped_condition(run: Run, one: FieldMapping) -> sql.Composed:
    """Whether the desired value is what the maps say, not the fallback."""
    tests = [
        sql.SQL("EXISTS (SELECT FROM {} m WHERE m.source_id = coa.id18({}) AND m.target_id = d.{})").format(
            run.table(Table.MAP, name), mapped_value(one), sql.Identifier(one.name)
        )
        for name in one.refers_to
        if run.has_table(Table.MAP, name)
    ]
    return sql.SQL(" OR ").join(tests) if tests else sql.SQL("false").format()


def _explain_value(run: Run, sobject: str, one: FieldMapping) -> None:
    rule, value = one.rule, source_value(one)
    if rule.constant is not None or rule.values or rule.default is not None:
        _insert(
            run,
            sobject,
            one,
            sql.SQL("{} IS DISTINCT FROM {}").format(value, mapped_value(one)),
            Cause.MAPPING_FILE,
        )
    if one.target.restricted_picklist and Policies(run.params).blanks_missing_picklist_values:
        _insert(
            run,
            sobject,
            one,
            sql.SQL("{v} IS NOT NULL AND d.{f} IS NULL AND NOT {fits}").format(
                v=mapped_value(one), f=sql.Identifier(one.name), fits=picklist_fits(one, mapped_value(one))
            ),
            Cause.PICKLIST_BLANK,
        )
    against = refused(one, canonical_value(one, mapped_value(one)))
    if against and may_blank_invalid(one, run.params):
        _insert(
            run,
            sobject,
            one,
            sql.SQL("{} IS NOT NULL AND d.{} IS NULL AND {}").format(
                mapped_value(one), sql.Identifier(one.name), against[0]
            ),
            Cause.INVALID_BLANK,
            why=against[1],
        )
    length = one.target.length
    if length and one.target.canonical_function == "canon_text" and may_truncate(one, run.params):
        _insert(
            run,
            sobject,
            one,
            sql.SQL("{} > {}").format(text_length(mapped_value(one), run.settings), sql.Literal(length)),
            Cause.TRUNCATED,
            length=length,
        )


def _insert(
    run: Run, sobject: str, one: FieldMapping, condition: sql.Composed, cause: Cause, **facts: object
) -> None:
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.explained (run_id, sobject, source_id, field, source_value, target_value, cause, reason)
               SELECT {run}, {sobject}, s."Id", {field}, {value}, d.{column}, {cause}, {reason}
               FROM {source} s JOIN {desired} d ON d.source_id = s."Id" WHERE {condition}
               ON CONFLICT DO NOTHING"""
        ).format(
            run=sql.Literal(run.run_id),
            sobject=sql.Literal(sobject),
            field=sql.Literal(one.name),
            value=source_value(one),
            column=sql.Identifier(one.name),
            cause=sql.Literal(cause.value),
            reason=sql.Literal(sentence(cause, **facts)),
            source=run.table(SOURCE, sobject),
            desired=run.table(Table.DESIRED, sobject),
            condition=condition,
        )
    )
