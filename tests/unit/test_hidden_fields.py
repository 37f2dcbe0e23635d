"""What an org has and its user does not see is a finding, by field; never an empty value."""

from __future__ import annotations

from typing import Any

import pytest

from coa.findings.finding import Finding
from coa.mapping.model import FieldRule, Mapping
from coa.model import COA_OBJECTS, CUSTOMER, DETAIL, LOADED, NEVER_WRITTEN, NS, ORDER
from coa.preflight.hidden_fields import STRUCTURE, check_hidden_fields, is_structural, package_fields
from coa.salesforce.describe import Describe
from tests.unit.describes import FieldData, any_field, describe, formula, read_only, text

NEWEST = (3, 66, 0)
Describes = dict[str, dict[str, Describe]]


def org(
    hide: tuple[str, str] = ("", ""), also: dict[str, list[FieldData]] | None = None
) -> dict[str, Describe]:
    """The package whole, but for one field, and some more fields."""
    return {
        sobject: describe(
            sobject,
            *(any_field(name) for name in package_fields()[sobject] if (sobject, name) != hide),
            *(also or {}).get(sobject, []),
        )
        for sobject in COA_OBJECTS
    }


def found(
    in_source: Any, in_target: Any, policy: str = "stop", mapping: Mapping | None = None, **versions: Any
) -> list[Finding]:
    known = {"source": NEWEST, "target": NEWEST, **versions}
    return check_hidden_fields(
        {"source": in_source, "target": in_target}, known, mapping or Mapping(), policy
    )


def test_nothing_is_found_where_everything_is_shown() -> None:
    assert found(org(), org()) == []


WANTED = [
    (sobject, name)
    for sobject in LOADED
    for name, fact in package_fields()[sobject].items()
    if fact.get("createable", True) is True and name not in NEVER_WRITTEN
]


@pytest.mark.parametrize("role", ["source", "target"])
def test_each_hidden_field_of_the_package_is_named(role: str) -> None:
    """By what the package has, also where both users are blind alike."""
    for sobject, name in WANTED:
        blind = org((sobject, name))
        one_side = found(blind, org()) if role == "source" else found(org(), blind)
        for findings in (one_side, found(blind, blind)):
            assert [(f.sobject, f.field, f.code) for f in findings] == [(sobject, name, "field_hidden")]
            assert role in findings[0].message


@pytest.mark.parametrize(
    ("sobject", "name", "stop", "report"),
    [
        (ORDER, "Invoice_Description__c", "blocker", "warning"),
        (DETAIL, "pc_Fixed_Price__c", "blocker", "blocker"),
        (DETAIL, "SFDC_Price__c", "blocker", "blocker"),
        (ORDER, "Order_Submitted__c", "blocker", "blocker"),
        (ORDER, "Service_Start_Date__c", "blocker", "blocker"),
        (CUSTOMER, "Customer_Country__c", "blocker", "blocker"),
        (ORDER, "Customer__c", "blocker", "blocker"),
        # The package's own permission set leaves it out: nobody can be asked to see it.
        (CUSTOMER, "Annual_Order_Value__c", "warning", "warning"),
    ],
)
def test_money_dates_and_what_is_required_stop_the_run_whatever_the_param_says(
    sobject: str, name: str, stop: str, report: str
) -> None:
    blind = org((sobject, NS + name))
    assert [f.severity for f in found(blind, org(), "stop")] == [stop]
    assert [f.severity for f in found(blind, org(), "report")] == [report]


def test_what_holds_the_records_together_ends_the_run_at_once() -> None:
    for sobject in COA_OBJECTS:
        for name in STRUCTURE & set(package_fields()[sobject]):
            assert all(is_structural(f) for f in found(org((sobject, name)), org()))
    assert not any(is_structural(f) for f in found(org((ORDER, NS + "Invoice_Description__c")), org()))


def test_an_older_package_is_not_asked_for_what_it_does_not_have() -> None:
    blind = org((CUSTOMER, NS + "Customer_Account_Id__c"))
    assert found(blind, blind, source=(2, 22, 0), target=(2, 22, 0)) == []
    assert found(blind, org(), source=(2, 22, 0)) == []
    assert len(found(blind, org(), source=(3, 4, 0))) == 1
    other = org((ORDER, NS + "Invoice_Description__c"))
    assert found(other, other, source=(2, 22, 0), target=(2, 22, 0)) == []
    # But for what the other org shows it to have.
    assert [f.field for f in found(other, org(), source=(2, 22, 0))] == [NS + "Invoice_Description__c"]
    assert found(other, other, source=None, target=None) == []


@pytest.mark.parametrize(
    ("field", "severities"),
    [
        (text("Region__c"), ("blocker", "warning")),
        (any_field("Margin__c", "currency"), ("blocker", "blocker")),
        (any_field("Signed__c", "datetime"), ("blocker", "blocker")),
        (text("Region__c", nillable=False), ("blocker", "blocker")),
        (formula("Shown__c"), ()),
        (read_only(text("Stamp__c")), ()),
        (text("other__Region__c"), ()),
        (text("COA_Source_Number__c"), ()),
    ],
)
def test_of_a_partners_own_fields_the_other_org_tells(field: FieldData, severities: tuple[str, ...]) -> None:
    theirs = org(also={ORDER: [field]})
    assert tuple(f.severity for p in ("stop", "report") for f in found(org(), theirs, p)) == severities
    # The other way round it is counted with its data (`field_not_carried`).
    assert found(theirs, org()) == []


@pytest.mark.parametrize("rule", [FieldRule(drop=True), FieldRule(constant="x"), FieldRule(source="Area__c")])
def test_what_the_mapping_file_decides_is_no_finding(rule: FieldRule) -> None:
    mapping = Mapping(fields={ORDER: {"Region__c": rule}})
    assert found(org(), org(also={ORDER: [text("Region__c")]}), mapping=mapping) == []
