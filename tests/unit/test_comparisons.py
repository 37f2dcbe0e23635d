"""How a desired record and one of the target are compared, field by field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coa.fields.compare import Comparison, actual_hash, changed_fields, comparisons
from coa.fields.field_map import FieldMapping, carried_fields
from coa.mapping.model import Mapping
from coa.model import CLONED_FROM, CUSTOMER, DETAIL, DETAIL_ORDER, NS, ORDER, ORDER_CUSTOMER, RECEIVED_AT
from coa.verify.totals import YEAR_FIELDS, year_field
from tests.unit.describes import FieldData, any_field, describe, number, paper_run, reference, shown, text


def carried(*fields: FieldData, sobject: str = ORDER) -> list[FieldMapping]:
    both = describe(sobject, *fields)
    return carried_fields(sobject, both, both, Mapping(), "required")


def compared(*fields: FieldData, sobject: str = ORDER, **params: Any) -> tuple[dict[str, Comparison], str]:
    """Comparisons by field, and the joins as text."""
    found, joins = comparisons(paper_run(**params), sobject, carried(*fields, sobject=sobject))
    return {one.field.name: one for one in found}, shown(joins)


@pytest.mark.parametrize(
    ("kind", "function"),
    [("string", "text"), ("picklist", "text"), ("reference", "text"), ("double", "number"), ("currency", "number"),
     ("int", "number"), ("boolean", "boolean"), ("date", "date"), ("multipicklist", "multipicklist")],
)  # fmt: skip
def test_the_targets_value_is_brought_into_the_form_of_the_desired_one(kind: str, function: str) -> None:
    one = compared(any_field("F__c", kind))[0]["F__c"]
    assert shown(one.expected) == 'd."F__c"'
    assert shown(one.actual) == f'coa."canon_{function}"(t."F__c")'


def test_empty_equals_empty() -> None:
    one = compared(text("F__c"))[0]["F__c"]
    assert "IS DISTINCT FROM" in shown(one.differs)


def test_times_are_compared_to_the_second_on_both_sides() -> None:
    one = compared(any_field("F__c", "datetime"))[0]["F__c"]
    assert shown(one.expected).startswith("coa.to_second(")
    assert shown(one.actual).startswith("coa.to_second(")


@pytest.mark.parametrize("name", ["OwnerId", "CreatedById"])
def test_a_user_whom_nobody_asked_for_is_right_as_the_org_has_filled_it_in(name: str) -> None:
    one = compared(reference(name, "User"))[0][name]
    assert shown(one.expected) == f'COALESCE(d."{name}", {shown(one.actual)})'


@pytest.mark.parametrize(
    ("sobject", "name", "parent"),
    [(ORDER, ORDER_CUSTOMER, CUSTOMER), (ORDER, CLONED_FROM, ORDER), (DETAIL, DETAIL_ORDER, ORDER),
     (ORDER, "Mine__c", CUSTOMER)],
)  # fmt: skip
def test_a_parent_is_expected_by_the_id_that_the_ledger_gives_it(
    sobject: str, name: str, parent: str
) -> None:
    found, joins = compared(reference(name, parent), sobject=sobject)
    alias = shown(found[name].expected).split(".")[0]
    assert shown(found[name].expected) == f"{alias}.target_id"
    assert joins == (
        f"LEFT JOIN \"coa\".\"ledger\" {alias} ON {alias}.pair_id = 'pair' AND {alias}.sobject = '{parent}' "
        f'AND {alias}.source_id = d."{name}"'
    )


def test_each_parent_has_a_join_of_its_own() -> None:
    found, joins = compared(reference(ORDER_CUSTOMER, CUSTOMER), text("F__c"), reference(CLONED_FROM, ORDER))
    assert joins.count("LEFT JOIN") == 2
    assert shown(found[ORDER_CUSTOMER].expected) != shown(found[CLONED_FROM].expected)


@pytest.mark.parametrize(("policy", "is_compared"), [("restore", True), ("accept_reset", False)])
def test_a_received_date_whose_reset_was_accepted_is_not_compared(policy: str, is_compared: bool) -> None:
    found, _ = compared(any_field(RECEIVED_AT, "datetime"), text("F__c"), received_dates=policy)
    assert (RECEIVED_AT in found) == is_compared
    assert "F__c" in found


def test_without_fields_nothing_can_have_changed() -> None:
    assert shown(changed_fields([])) == "'{}'::text[]"


def test_changed_fields_are_listed_by_name() -> None:
    found, _ = compared(text("A__c"), number("B__c"))
    said = shown(changed_fields(list(found.values())))
    assert said.count("CASE WHEN") == 2
    assert "THEN 'A__c' END" in said
    assert "THEN 'B__c' END" in said


NAMES = st.lists(st.sampled_from([f"F{n}__c" for n in range(6)]), unique=True, min_size=1)


class TestTheHashOfARecord:
    """Tells a later run that somebody changed the record in the target."""

    def of(self, names: list[str]) -> str:
        return shown(actual_hash(list(compared(*map(text, names))[0].values())))

    @given(NAMES, st.randoms())
    def test_it_does_not_depend_on_the_order_of_the_fields(self, names: list[str], random: Any) -> None:
        shuffled = random.sample(names, len(names))
        assert self.of(names) == self.of(shuffled)

    @given(NAMES, NAMES)
    def test_other_fields_give_another_prefix_so_a_wider_describe_is_no_change_of_the_record(
        self, one: list[str], other: list[str]
    ) -> None:
        same = self.of(one).split("||")[0] == self.of(other).split("||")[0]
        assert same == (set(one) == set(other))

    def test_empty_and_absent_values_are_told_apart_from_their_neighbours(self) -> None:
        said = self.of(["A__c", "B__c"])
        assert "E'\\x1f'" in said
        assert said.count("E'\\x1e'") == 2


class TestTheYearOfAnOrder:
    """By which the control totals are split."""

    def test_it_is_that_of_its_creation_where_the_date_is_carried(self) -> None:
        assert year_field(carried(*(any_field(n, "datetime") for n in YEAR_FIELDS))) == "CreatedDate"

    def test_it_is_that_of_the_customers_order_else(self) -> None:
        name = NS + "Date_Partner_Received_Customer_Order__c"
        assert year_field(carried(any_field(name, "date"))) == name

    def test_it_is_that_of_the_targets_record_when_neither_is_carried(self) -> None:
        assert year_field([]) == "CreatedDate"
