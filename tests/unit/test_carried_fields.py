"""Which fields are carried, and from where: decided by two describes, the mapping and the params alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coa.fields.field_map import (
    RETIRED,
    FieldMapping,
    NotCarried,
    carried_fields,
    lookup_objects,
    not_carried_fields,
    type_conflict,
)
from coa.mapping.model import FieldRule, Mapping
from coa.model import (
    CLONED_FROM,
    CUSTOMER,
    DETAIL,
    DETAIL_ORDER,
    NEVER_WRITTEN,
    NS,
    ORDER,
    ORDER_CUSTOMER,
    ORIGINAL_RECEIVED_AT,
    RECEIVED_AT,
    SOURCE_ID,
    SOURCE_NUMBER,
    SYSTEM_FIELDS,
)
from tests.unit.describes import (
    FieldData,
    any_field,
    describe,
    formula,
    number,
    read_only,
    reference,
    text,
)

NEW, OLD = NS + "pc_Fixed_Price__c", NS + "Fixed_Price__c"


def _rule(name: str, rule: FieldRule) -> dict[str, Any]:
    """For `**`: any name of a field can be a keyword."""
    return {name: rule}


def carried(
    source: list[FieldData],
    target: list[FieldData],
    sobject: str = ORDER,
    created_dates: str = "required",
    **rules: FieldRule,
) -> dict[str, FieldMapping]:
    """By name; `rules` are those of the mapping file, by target field."""
    found = carried_fields(
        sobject,
        describe(sobject, *source),
        describe(sobject, *target),
        Mapping(fields={sobject: rules}),
        created_dates,
    )
    return {one.name: one for one in found}


def lost(source: list[FieldData], target: list[FieldData], **rules: Any) -> list[NotCarried]:
    return not_carried_fields(
        ORDER, describe(ORDER, *source), describe(ORDER, *target), Mapping(fields={ORDER: rules})
    )


class TestWhatIsCarried:
    def test_a_field_that_both_orgs_have_is_carried_from_the_field_of_its_name(self) -> None:
        (one,) = carried([text("Note__c")], [text("Note__c")]).values()
        assert (one.kind, one.source and one.source.name, one.fallback) == ("value", "Note__c", None)

    def test_a_field_of_one_org_alone_is_not_carried(self) -> None:
        assert carried([text("Ours__c")], [text("Theirs__c")]) == {}

    def test_fields_come_in_the_order_of_the_targets_describe(self) -> None:
        fields = [text("B__c"), text("A__c"), text("C__c")]
        assert list(carried(fields[::-1], fields)) == ["B__c", "A__c", "C__c"]

    @pytest.mark.parametrize("name", sorted(SYSTEM_FIELDS | NEVER_WRITTEN))
    def test_what_the_platform_writes_or_nobody_may_is_never_carried(self, name: str) -> None:
        assert carried([text(name)], [text(name)]) == {}
        assert carried([text(name)], [text(name)], **_rule(name, FieldRule(constant="x"))) == {}

    @pytest.mark.parametrize(
        "there",
        [formula("F__c"), any_field("F__c", autoNumber=True), read_only(text("F__c"))],
        ids=["formula", "auto-number", "read-only"],
    )
    def test_what_the_target_makes_or_does_not_let_us_write_is_not_carried(self, there: FieldData) -> None:
        assert carried([text("F__c")], [there]) == {}

    @pytest.mark.parametrize("kind", ["address", "location", "base64", "complexvalue", "json"])
    def test_what_a_bulk_query_cannot_return_is_not_carried(self, kind: str) -> None:
        assert carried([any_field("F__c", kind)], [any_field("F__c", kind)]) == {}
        assert carried([any_field("F__c", kind)], [text("F__c")]) == {}

    def test_a_formula_of_the_source_fills_a_plain_field_of_the_target(self) -> None:
        assert carried([formula("F__c")], [text("F__c")])["F__c"].kind == "value"

    @pytest.mark.parametrize(
        ("createable", "updateable"), [(True, False), (False, True)], ids=["on create", "on update"]
    )
    def test_a_field_that_can_be_written_once_is_carried_and_says_when(
        self, createable: bool, updateable: bool
    ) -> None:
        there = {**text("F__c"), "createable": createable, "updateable": updateable}
        one = carried([text("F__c")], [there])["F__c"]
        assert (one.createable, one.updateable) == (createable, updateable)


class TestRulesOfTheMappingFile:
    def test_a_rename_reads_the_other_field(self) -> None:
        found = carried([text("Old__c")], [text("New__c")], New__c=FieldRule(source="Old__c"))
        assert found["New__c"].source is not None
        assert found["New__c"].source.name == "Old__c"

    def test_a_rename_to_nothing_is_not_replaced_by_the_field_of_the_same_name(self) -> None:
        assert carried([text("New__c")], [text("New__c")], New__c=FieldRule(source="Gone__c")) == {}

    @pytest.mark.parametrize(
        "rule", [FieldRule(constant="x"), FieldRule(default="x")], ids=["constant", "default"]
    )
    def test_a_constant_or_default_fills_a_field_that_the_source_lacks(self, rule: FieldRule) -> None:
        one = carried([], [text("New__c")], New__c=rule)["New__c"]
        assert (one.source, one.kind) == (None, "value")

    def test_a_constant_stands_even_where_the_source_has_the_field(self) -> None:
        assert carried([text("F__c")], [text("F__c")], F__c=FieldRule(constant=""))["F__c"].source is None

    def test_a_default_leaves_the_sources_value_in_place(self) -> None:
        assert carried([text("F__c")], [text("F__c")], F__c=FieldRule(default="x"))["F__c"].source is not None

    def test_a_dropped_field_is_not_carried_whatever_else_its_rule_says(self) -> None:
        rule = FieldRule(drop=True, constant="x", default="y")
        assert carried([text("F__c")], [text("F__c")], F__c=rule) == {}


class TestAuditFields:
    @pytest.mark.parametrize("name", ["CreatedDate", "CreatedById"])
    def test_they_are_carried_on_create_alone(self, name: str) -> None:
        kind = {"CreatedDate": "datetime"}.get(name, "reference")
        data = any_field(name, kind, referenceTo=["User"] if kind == "reference" else [])
        one = carried([data], [data])[name]
        assert one.createable
        assert not one.updateable
        assert one.kind == {"CreatedDate": "audit", "CreatedById": "lookup"}[name]

    def test_they_are_left_out_when_the_run_does_not_want_them(self) -> None:
        data = any_field("CreatedDate", "datetime")
        assert carried([data], [data], created_dates="off") == {}

    def test_they_are_left_out_when_the_user_may_not_set_them(self) -> None:
        there = {**any_field("CreatedDate", "datetime"), "createable": False}
        assert carried([any_field("CreatedDate", "datetime")], [there]) == {}


class TestReferences:
    @pytest.mark.parametrize(
        ("sobject", "name", "to", "kind", "deferred"),
        [
            (ORDER, ORDER_CUSTOMER, CUSTOMER, "parent", False),
            (ORDER, CLONED_FROM, ORDER, "parent", True),
            (DETAIL, DETAIL_ORDER, ORDER, "parent", False),
            (ORDER, "Partner_Order__c", ORDER, "parent", True),
            (ORDER, "Account__c", "Account", "lookup", False),
        ],
    )
    def test_what_we_load_ourselves_is_a_parent_and_everything_else_is_looked_up(
        self, sobject: str, name: str, to: str, kind: str, deferred: bool
    ) -> None:
        one = carried([reference(name, to)], [reference(name, to)], sobject)[name]
        assert (one.kind, one.refers_to, one.deferred) == (kind, (to,), deferred)

    def test_the_targets_word_on_where_a_reference_leads_counts_more(self) -> None:
        found = carried([reference("R__c", "Account")], [reference("R__c", "Contact")])
        assert found["R__c"].refers_to == ("Contact",)

    def test_an_id_kept_as_text_is_a_reference_when_the_mapping_file_says_so(self) -> None:
        mapping = Mapping(id_fields={ORDER: {"A__c": "Account", "O__c": ORDER}})
        both = describe(ORDER, text("A__c"), text("O__c"))
        kinds = {o.name: (o.kind, o.refers_to) for o in carried_fields(ORDER, both, both, mapping, "off")}
        assert kinds == {"A__c": ("lookup", ("Account",)), "O__c": ("parent", (ORDER,))}

    def test_lookup_objects_are_those_whose_records_must_be_found_in_the_target(self) -> None:
        both = [
            reference("OwnerId", "User", "Group"),
            reference("R__c", "Account"),
            reference(CLONED_FROM, ORDER),
        ]
        assert lookup_objects(list(carried(both, both).values())) == {"User", "Group", "Account"}


class TestMigrationFields:
    def test_the_key_is_the_id_of_the_source_and_the_number_its_name(self) -> None:
        source = [read_only(text("Id", 18)), any_field("Name", autoNumber=True)]
        found = carried(source, [text(SOURCE_ID, 18), text(SOURCE_NUMBER)])
        assert {n: (o.kind, o.source and o.source.name) for n, o in found.items()} == {
            SOURCE_ID: ("key", "Id"),
            SOURCE_NUMBER: ("key", "Name"),
        }

    def test_they_cannot_be_dropped_by_the_mapping_file(self) -> None:
        assert SOURCE_ID in carried([text("Id")], [text(SOURCE_ID)], **_rule(SOURCE_ID, FieldRule(drop=True)))

    def test_the_received_date_is_the_packages_where_nobody_kept_another(self) -> None:
        shown = any_field(RECEIVED_AT, "datetime")
        one = carried([shown], [any_field(ORIGINAL_RECEIVED_AT, "datetime")])[ORIGINAL_RECEIVED_AT]
        assert (one.source and one.source.name, one.fallback) == (RECEIVED_AT, None)

    def test_a_source_that_was_itself_a_target_gives_the_date_that_it_kept_and_else_the_packages(
        self,
    ) -> None:
        both = [any_field(RECEIVED_AT, "datetime"), any_field(ORIGINAL_RECEIVED_AT, "datetime")]
        one = carried(both, [any_field(ORIGINAL_RECEIVED_AT, "datetime")])[ORIGINAL_RECEIVED_AT]
        assert one.source is not None
        assert one.fallback is not None
        assert (one.source.name, one.fallback.name) == (ORIGINAL_RECEIVED_AT, RECEIVED_AT)


class TestFieldsThatThePackageRetired:
    """Version 2 of the package replaced them by successors."""

    def names(self, source: list[FieldData], target: list[FieldData], **rules: Any) -> dict[str, Any]:
        found = carried(source, target, DETAIL, **rules)
        return {n: (o.source and o.source.name, o.fallback and o.fallback.name) for n, o in found.items()}

    @pytest.mark.parametrize(("new", "old"), RETIRED.items())
    def test_a_source_from_before_gives_the_retired_field_to_its_successor(self, new: str, old: str) -> None:
        assert self.names([number(old)], [number(new)]) == {new: (old, None)}

    def test_where_the_target_lacks_the_retired_field_it_fills_the_gaps_of_its_successor(self) -> None:
        assert self.names([number(NEW), number(OLD)], [number(NEW)]) == {NEW: (NEW, OLD)}

    def test_where_both_orgs_have_both_each_keeps_its_own(self) -> None:
        both = [number(NEW), number(OLD)]
        assert self.names(both, both) == {NEW: (NEW, None), OLD: (OLD, None)}

    def test_a_formula_only_displays_and_is_never_read_instead(self) -> None:
        assert self.names([formula(OLD, "double")], [number(NEW)]) == {}
        assert self.names([number(NEW), formula(OLD, "double")], [number(NEW)]) == {NEW: (NEW, None)}

    def test_a_retired_field_of_another_type_does_not_fill_gaps(self) -> None:
        assert self.names([number(NEW), text(OLD)], [number(NEW)]) == {NEW: (NEW, None)}

    @pytest.mark.parametrize("rule", [FieldRule(source="Mine__c"), FieldRule(constant="1")])
    def test_what_the_mapping_file_says_counts_more(self, rule: FieldRule) -> None:
        source = [number(NEW), number(OLD), number("Mine__c")]
        assert self.names(source, [number(NEW)], **{NEW: rule}) == {NEW: (rule.source or None, None)}


class TestWhatIsLost:
    @pytest.mark.parametrize(
        ("there", "why"),
        [
            ([], "has no such field"),
            ([formula("F__c")], "computes it"),
            ([read_only(text("F__c"))], "does not let us write it"),
        ],
    )
    def test_data_without_a_place_is_told_with_the_reason(self, there: list[FieldData], why: str) -> None:
        (one,) = lost([text("F__c")], there)
        assert one.field == "F__c"
        assert why in one.reason

    def test_a_dropped_field_is_told_although_the_target_has_it(self) -> None:
        (one,) = lost([text("F__c")], [text("F__c")], F__c=FieldRule(drop=True))
        assert "dropped by the mapping file" in one.reason

    def test_a_field_that_was_renamed_is_not_lost(self) -> None:
        assert lost([text("Old__c")], [text("New__c")], New__c=FieldRule(source="Old__c")) == []

    def test_a_retired_field_whose_successor_takes_its_values_is_not_lost(self) -> None:
        assert lost([number(OLD)], [number(NEW)]) == []

    def test_what_the_source_computes_is_no_loss(self) -> None:
        assert lost([formula("F__c"), any_field("N__c", autoNumber=True)], []) == []

    KINDS = st.sampled_from([text, number, formula])
    FIELDS = st.dictionaries(st.sampled_from([f"F{n}__c" for n in range(6)]), KINDS, max_size=6)

    @given(FIELDS, FIELDS, st.sets(st.sampled_from([f"F{n}__c" for n in range(6)])))
    def test_each_plain_field_of_a_partner_is_carried_or_told_never_both(
        self, have: dict[str, Any], want: dict[str, Any], dropped: set[str]
    ) -> None:
        source, target = ([make(name) for name, make in fields.items()] for fields in (have, want))
        rules: dict[str, Any] = {name: FieldRule(drop=True) for name in dropped}
        arrives = set(carried(source, target, **rules))
        told = {one.field for one in lost(source, target, **rules)}
        plain = {name for name, make in have.items() if make is not formula}
        assert arrives & told == set()
        assert plain <= arrives | told
        assert told <= plain


class TestTypesThatDoNotFit:
    def conflict(self, have: str, want: str) -> str:
        (one,) = carried([any_field("F__c", have)], [any_field("F__c", want)]).values()
        return type_conflict(one)

    TYPES = ("string", "textarea", "picklist", "double", "currency", "int", "date", "datetime", "boolean")

    @pytest.mark.parametrize("have", TYPES)
    def test_text_takes_everything(self, have: str) -> None:
        assert self.conflict(have, "string") == ""

    @pytest.mark.parametrize("kind", TYPES)
    def test_a_type_fits_itself(self, kind: str) -> None:
        assert self.conflict(kind, kind) == ""

    @pytest.mark.parametrize("have", ["double", "currency", "percent", "int", "long"])
    @pytest.mark.parametrize("want", ["double", "currency", "percent", "int", "long"])
    def test_numbers_fit_each_other(self, have: str, want: str) -> None:
        assert self.conflict(have, want) == ""

    @pytest.mark.parametrize(
        ("have", "want"),
        [("string", "double"), ("date", "datetime"), ("datetime", "date"), ("double", "boolean"),
         ("boolean", "int"), ("string", "reference"), ("picklist", "date")],
    )  # fmt: skip
    def test_everything_else_is_told_in_both_types(self, have: str, want: str) -> None:
        assert self.conflict(have, want) == f"{have} in the source, {want} in the target"

    def test_a_constant_has_no_type_of_the_source_to_conflict_with(self) -> None:
        (one,) = carried([text("F__c")], [number("F__c")], F__c=FieldRule(constant="1")).values()
        assert type_conflict(one) == ""

    def test_a_link_is_found_again_whatever_the_field_is(self) -> None:
        both = describe(ORDER, text("A__c"))
        there = describe(ORDER, reference("A__c", "Account"))
        mapping = Mapping(id_fields={ORDER: {"A__c": "Account"}})
        (one,) = carried_fields(ORDER, both, there, mapping, "off")
        assert (one.kind, type_conflict(one)) == ("lookup", "")
