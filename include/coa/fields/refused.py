"""Values that a field's type refuses, recognised from the describe before anything is sent.

A source org may hold values that no org accepts any more, because Salesforce introduced the checks later. Texts
that are too long and values missing in a picklist have policies of their own (`coa.transform.rules`). `url` and
`phone` are not here: Salesforce does not check their form (Object Reference, "Field Types": "client
applications are responsible").
"""

from __future__ import annotations

from psycopg import sql

from coa.fields.field_map import FieldMapping
from coa.model import AUDIT_FIELDS
from coa.reasons import clause

# Salesforce Help 000384328, "Email Address Format Technical Standards Validation": the whole range of characters, not
# Latin ones alone; periods in a row and at the end of the local part, not at its beginning. Comments and quoted
# local parts are allowed, and not judged here.
_NOT_JUDGED = r'[("]'
_IN_LOCAL = r"[^@\s,;:<>\\()\[\]]"
_IN_LABEL = r"[^@\s,;:<>\\()\[\].!#$%&'*+/=?^_`{|}~]"
EMAIL = rf"^(?!\.){_IN_LOCAL}+@{_IN_LABEL}+(\.{_IN_LABEL}+)+$"
_HYPHEN_AT_AN_END = r"@(.*\.)?-|@.*-(\.|$)"

FIRST_YEAR, LAST_YEAR = 1700, 4000
"""Of dates and date-times (SOAP API Developer Guide, "Primitive Data Types")."""
FIRST_AUDIT_YEAR = 1970
"""Of CreatedDate when it is set on insert (facts, F1)."""
LONGEST_INT = 2**31


def refused(one: FieldMapping, value: sql.Composable) -> tuple[sql.Composed, str] | None:
    """(SQL: whether the target refuses a canonical value that is not null, why); None where it takes any."""
    kind = one.target.type
    if one.kind not in ("value", "audit"):
        return None
    if kind == "email":
        return _email(value), clause("no_email", field=one.name)
    if kind in ("date", "datetime"):
        first = FIRST_AUDIT_YEAR if one.name in AUDIT_FIELDS else FIRST_YEAR
        return _outside(value, first), clause("outside_years", field=one.name, first=first, last=LAST_YEAR)
    if one.target.canonical_function == "canon_number":
        return _too_large(one, value)
    return None


def _email(value: sql.Composable) -> sql.Composed:
    return sql.SQL("NOT {v} ~ {unjudged} AND (NOT {v} ~ {form} OR {v} ~ {hyphen})").format(
        v=value,
        unjudged=sql.Literal(_NOT_JUDGED),
        form=sql.Literal(EMAIL),
        hyphen=sql.Literal(_HYPHEN_AT_AN_END),
    )


def _outside(value: sql.Composable, first: int) -> sql.Composed:
    # By the bytes of `YYYY-...`: a year of five digits comes before 1700, one of three behind 4000 or before it.
    return sql.SQL(
        """({v} !~ '^[0-9]{{4}}-' OR {v} COLLATE "C" < {first} OR {v} COLLATE "C" >= {after})"""
    ).format(v=value, first=sql.Literal(f"{first:04d}"), after=sql.Literal(str(LAST_YEAR + 1)))


def _too_large(one: FieldMapping, value: sql.Composable) -> tuple[sql.Composed, str] | None:
    """Digits before the point, where the target has fewer than the source, or the value comes from elsewhere."""
    if one.target.type == "int":
        if _straight(one) and one.source is not None and one.source.type == "int":
            return None
        return (
            sql.SQL("abs({}::numeric) >= {}").format(value, sql.Literal(LONGEST_INT)),
            clause("too_large_int", field=one.name),
        )
    whole, scale = digits(one.target.raw)
    if not whole or (_straight(one) and one.source is not None and 0 < digits(one.source.raw)[0] <= whole):
        return None
    return (
        # Salesforce rounds to the scale first.
        sql.SQL("round(abs({}::numeric), {}) >= power(10::numeric, {})").format(
            value, sql.Literal(scale), sql.Literal(whole)
        ),
        clause("too_many_digits", field=one.name, digits=whole),
    )


def digits(raw: dict[str, object]) -> tuple[int, int]:
    """Digits before and after the point, as a describe gives them; (0, 0) where it does not."""
    precision, scale = (int(str(raw.get(k) or 0)) for k in ("precision", "scale"))
    return precision - scale, scale


def _straight(one: FieldMapping) -> bool:
    rule = one.rule
    return rule.constant is None and rule.default is None and not rule.values and not rule.source
