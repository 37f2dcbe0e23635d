"""What a plan says of where each value comes from."""

from __future__ import annotations

from typing import Any

import pytest

from coa.fields import lineage as subject
from coa.fields.field_map import carried_fields
from coa.mapping.model import CustomRule, FieldRule, Mapping
from coa.model import (
    CONTRACT,
    CUSTOMER,
    NS,
    ORDER,
    ORDER_CUSTOMER,
    ORIGINAL_RECEIVED_AT,
    PRODUCT,
    RECEIVED_AT,
    SOURCE_ID,
)
from coa.salesforce.describe import Describe
from tests.unit.describes import FieldData, any_field, describe, number, paper_run, picklist, reference, text

Told = dict[str, tuple[str, str]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`told(source, target)`: field -> (where from, rule) for orders of two describes."""

    def tell(
        source: list[FieldData],
        target: list[FieldData],
        mapping: Mapping = Mapping(),  # noqa: B008  # frozen
        others: tuple[Describe, ...] = (),
        **params: Any,
    ) -> Told:
        ours, theirs = describe(ORDER, *source), describe(ORDER, *target)
        carried = carried_fields(ORDER, ours, theirs, mapping, "required")
        sides = {"source": ours, "target": theirs}
        monkeypatch.setattr(
            subject,
            "saved_describes",
            lambda run, side: {ORDER: sides[side], **{one.name: one for one in others}},
        )
        monkeypatch.setattr(subject, "saved_carried", lambda run, mapping: {ORDER: carried})
        entries = subject.lineage(paper_run(**params), mapping)
        assert {one["sobject"] for one in entries} <= {ORDER}
        return {one["field"]: (one["source"], one["rule"]) for one in entries}

    return tell


def with_rule(rule: FieldRule) -> Mapping:
    return Mapping(fields={ORDER: {"F__c": rule}})


def test_a_plain_field_comes_as_it_is(told: Any) -> None:
    assert told([text("F__c")], [text("F__c")]) == {"F__c": ("F__c", "as in the source")}


@pytest.mark.parametrize(
    ("rule", "origin", "says"),
    [
        (FieldRule(constant="x"), "", "constant 'x'"),
        (FieldRule(source="Old__c"), "Old__c", "renamed by the mapping file"),
        (FieldRule(values={"a": "b", "c": "d"}), "F__c", "value map of 2 entries"),
        (FieldRule(default="x"), "F__c", "default 'x' where empty"),
        (FieldRule(truncate=True), "F__c", "cut to 80 characters"),
    ],
)
def test_each_rule_of_the_mapping_file_is_told(told: Any, rule: FieldRule, origin: str, says: str) -> None:
    source = [text("F__c"), text("Old__c")]
    assert told(source, [text("F__c")], with_rule(rule)) == {"F__c": (origin, says)}


def test_several_rules_are_told_in_the_order_in_which_they_work(told: Any) -> None:
    rule = FieldRule(source="Old__c", values={"a": "b"}, default="x", truncate=True)
    assert told([text("Old__c")], [text("F__c", 10)], with_rule(rule))["F__c"][1].split("; ") == [
        "renamed by the mapping file",
        "value map of 1 entries",
        "default 'x' where empty",
        "cut to 10 characters",
    ]


def test_policies_that_change_a_value_are_told(told: Any) -> None:
    both = [text("T__c", 40), picklist("P__c", "a")]
    found = told(both, both, too_long_policy="truncate", picklist_policy="blank")
    assert found["T__c"][1] == "cut to 40 characters"
    assert "blank where the target's picklist lacks the value" in found["P__c"][1]


def test_a_field_with_a_fallback_names_both(told: Any) -> None:
    new, old = NS + "pc_Fixed_Price__c", NS + "Fixed_Price__c"
    assert told([number(new), number(old)], [number(new)])[new][0] == f"{new} else {old}"


@pytest.mark.parametrize(
    ("policy", "says"), [("restore", "written last, alone"), ("accept_reset", "the package's stamp stays")]
)
def test_what_becomes_of_the_received_date_is_told(told: Any, policy: str, says: str) -> None:
    both = [any_field(RECEIVED_AT, "datetime")]
    assert says in told(both, both, received_dates=policy)[RECEIVED_AT][1]


def test_a_date_of_creation_is_set_on_insert_only(told: Any) -> None:
    both = [any_field("CreatedDate", "datetime")]
    assert told(both, both)["CreatedDate"] == ("CreatedDate", "set on insert only")


def test_the_migration_fields_say_what_they_are(told: Any) -> None:
    found = told(
        [text("Id"), any_field(RECEIVED_AT, "datetime")],
        [text(SOURCE_ID), any_field(ORIGINAL_RECEIVED_AT, "datetime")],
    )
    assert found[SOURCE_ID] == ("Id", "the record's id in the source: the migration key")
    assert found[ORIGINAL_RECEIVED_AT][0] == RECEIVED_AT


def test_a_parent_is_what_this_migration_created_or_matched(told: Any) -> None:
    both = [reference(ORDER_CUSTOMER, CUSTOMER)]
    assert (
        told(both, both)[ORDER_CUSTOMER][1] == f"id of the {CUSTOMER} that this migration created or matched"
    )


class TestLookups:
    ACCOUNT = describe("Account", text("Name"))

    def test_the_keys_are_named_best_first(self, told: Any) -> None:
        user = describe("User", text("Email"), text("FederationIdentifier"))
        found = told([reference("U__c", "User")], [reference("U__c", "User")], others=(user,))
        assert found["U__c"][1] == "User of the target by FederationIdentifier, then Email"

    @pytest.mark.parametrize("name", [CONTRACT, PRODUCT])
    def test_the_catalog_has_keys_of_its_own(self, told: Any, name: str) -> None:
        both = [reference("R__c", name)]
        assert told(both, both)["R__c"][1] == f"{name} of the target by {subject.PACKAGE_KEYS[name]}"

    def test_an_object_that_one_org_lacks_is_found_by_nothing(self, told: Any) -> None:
        both = [reference("R__c", "Thing__c")]
        assert told(both, both)["R__c"][1].endswith("by nothing: only one org has the object")

    def test_the_mapping_file_comes_before_all_keys(self, told: Any) -> None:
        both = [reference("R__c", "Account")]
        mapping = Mapping(records={"Account": {"001A": "001B"}})
        says = told(both, both, mapping, (self.ACCOUNT,))["R__c"][1]
        assert says == "Account of the target by the mapping file, then Name"

    def test_an_owner_tells_its_policy(self, told: Any) -> None:
        both = [reference("OwnerId", "Account")]
        says = told(both, both, others=(self.ACCOUNT,), owner_policy="stop")["OwnerId"][1]
        assert says.endswith("without an active user: owner_policy stop")


def test_a_custom_rule_comes_after_everything_but_never_touches_a_parent(told: Any) -> None:
    both = [text("F__c"), reference(ORDER_CUSTOMER, CUSTOMER)]
    found = told(both, both, Mapping(custom={ORDER: CustomRule("rules.py", "shout")}))
    assert found["F__c"][1].endswith("then custom rule shout, where it changes the value")
    assert "shout" not in found[ORDER_CUSTOMER][1]
