"""`orders_where` is a condition and nothing else, whatever its values say."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coa.config import RunParams
from coa.errors import InvalidParams
from coa.soql_condition import NoCondition, check_condition

FIELDS = st.sampled_from(
    ["Name", "CreatedDate", "CHANNEL_ORDERS__Customer__r.Name", "Limit__c", "Order_Type__c", "For__c"]
)
TEXTS = st.text(max_size=20).map(lambda t: "'" + t.replace("\\", "\\\\").replace("'", "\\'") + "'")
LITERALS = st.sampled_from(
    ["null", "true", "TODAY", "LAST_N_DAYS:30", "2020-01-01T00:00:00Z", "-5.25", "1e3", "USD500"]
)
VALUES = TEXTS | LITERALS
COMPARISONS = st.one_of(
    st.tuples(FIELDS, st.sampled_from(["=", "!=", "<", ">=", " LIKE ", " like "]), VALUES).map("".join),
    st.tuples(
        FIELDS,
        st.sampled_from([" IN (", " NOT IN (", " INCLUDES ("]),
        st.lists(VALUES, min_size=1, max_size=3),
    ).map(lambda c: f"{c[0]}{c[1]}{', '.join(c[2])})"),
    st.tuples(FIELDS, TEXTS).map(
        lambda c: f"Id IN (SELECT {c[0]} FROM Service_Order__c WHERE Name = {c[1]})"
    ),
    FIELDS.map(lambda f: f"CALENDAR_YEAR({f}) = 2020"),
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" AND ", " or "]), inner).map("".join),
        inner.map(lambda c: f"({c})"),
        inner.map(lambda c: f"NOT ({c})"),
    ),
    max_leaves=6,
)


@given(CONDITIONS)
@example("Name = 'a LIMIT 5 -- \\' ORDER BY'")
def test_every_condition_is_taken(condition: str) -> None:
    check_condition(condition)
    assert RunParams.parse({"orders_where": condition}).orders_where == condition.strip()


@given(
    CONDITIONS,
    st.sampled_from(
        [" LIMIT 5", " limit 5", "\nORDER BY Name", " GROUP BY Name", " FOR UPDATE", " OFFSET 3", " ALL ROWS",
         " WITH SECURITY_ENFORCED", " HAVING Name = 'x'", " USING SCOPE mine", " -- rest", " /* rest */", " // rest",
         ")", ") OR (Name = 'x'", " AND", "'", ";", " Name", ", Name", " LIMIT"]
    ),
)  # fmt: skip
def test_what_may_follow_a_condition_in_a_query_is_refused(condition: str, more: str) -> None:
    with pytest.raises(NoCondition):
        check_condition(condition + more)
    with pytest.raises(InvalidParams, match="orders_where"):
        RunParams.parse({"orders_where": condition + more})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("WHERE Name = 'x'", "WHERE is no part of a condition"),
        ("Name = 'x' LIMIT 3", "LIMIT is no part of a condition"),
        ("Id IN (SELECT Id FROM Account ORDER BY Id LIMIT 1)", "ORDER is no part of a condition"),
        ("Name = 'x", "a quote is not closed"),
        ("Name", "it ends too early"),
        ("Name = 'x' # all", "no comments"),
        ("(" * 5000 + "Name = 'x'" + ")" * 5000, "nested too deep"),
        ("f(" * 5000 + "Name" + ")" * 5000 + " = 1", "nested too deep"),
    ],
)
def test_the_fault_is_named(text: str, says: str) -> None:
    with pytest.raises(NoCondition, match=says):
        check_condition(text)


@given(st.text(max_size=60))
def test_any_other_text_is_taken_or_refused_and_never_fails_otherwise(text: str) -> None:
    with suppress(NoCondition):
        check_condition(text)
