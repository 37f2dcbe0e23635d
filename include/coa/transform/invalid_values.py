"""Records with values that the target's field types refuse: `value_invalid`, in one pass an sObject."""

from __future__ import annotations

from psycopg import sql

from coa.fields.field_map import FieldMapping
from coa.fields.refused import refused
from coa.policies import Policies
from coa.reasons import reason_sql
from coa.staging.runs import Run
from coa.staging.tables import Table


def find_invalid_values(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """Adds to `problem` what is refused among the desired values, custom rules included.

    What `invalid_values: blank` left out is no problem any more; what it may not leave out blocks.
    """
    for sobject, fields in carried.items():
        tests = []
        for one in fields:
            found = refused(one, sql.SQL("d.{}").format(sql.Identifier(one.name)))
            if found:
                tests.append((one.name, *found))
        if tests:
            _find(run, sobject, tests)


def _find(run: Run, sobject: str, tests: list[tuple[str, sql.Composed, str]]) -> None:
    """`tests`: (field, condition on the desired record `d`, why the value is refused)."""
    why = reason_sql("value_invalid", why=sql.SQL("v.why"))
    run.db.execute(
        sql.SQL(
            """INSERT INTO {problem} (sobject, source_id, reason_code, field, reason, next_step, verdict)
               SELECT {sobject}, d.source_id, {code}, v.field, {reason}, {next_step}, {verdict}
               FROM {desired} d CROSS JOIN LATERAL (VALUES {tests}) AS v (field, refused, why)
               WHERE ({any}) AND v.refused ON CONFLICT DO NOTHING"""
        ).format(
            problem=run.table(Table.PROBLEM),
            sobject=sql.Literal(sobject),
            code=why.code,
            reason=why.message,
            next_step=why.next_step,
            verdict=sql.Literal(Policies(run.params).verdict("invalid_values")),
            desired=run.table(Table.DESIRED, sobject),
            tests=sql.SQL(", ").join(
                sql.SQL("({}, {}, {})").format(sql.Literal(name), condition, sql.Literal(fault))
                for name, condition, fault in tests
            ),
            any=sql.SQL(" OR ").join(sql.SQL("({})").format(condition) for _, condition, _ in tests),
        )
    )
