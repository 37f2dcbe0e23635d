"""Which problems a run looks for: by the describes, the params and the target's active validation rules."""

from __future__ import annotations

from typing import Any

import pytest

from coa.fields.field_map import carried_fields
from coa.mapping.model import FieldRule, Mapping
from coa.model import (
    CONTRACT,
    CUSTOMER,
    DETAIL,
    DETAIL_CONTRACT,
    DETAIL_PRODUCT,
    NS,
    ORDER,
    ORDER_CONTRACT,
    ORDER_TYPE,
    PRODUCT,
    QUANTITY,
    STATUS,
)
from coa.transform.rules import TERMS_RULES, Rule, all_rules
from tests.unit.describes import (
    FieldData,
    any_field,
    describe,
    number,
    paper_run,
    picklist,
    reference,
    shown,
    text,
)

OF_THE_PACKAGE = {
    "Contract_is_Required",
    "OrderTypeRequired",
    "Order_must_belong_to_contract_terms",
    "Product_must_belong_to_contract_terms",
    "Quantity_is_required",
    *TERMS_RULES,
}
DETAIL_FIELDS = [
    reference(DETAIL_CONTRACT, CONTRACT),
    reference(DETAIL_PRODUCT, PRODUCT),
    number(QUANTITY),
    *(text(NS + name) for _, name in TERMS_RULES.values()),
]
FLAGS = {("target", CONTRACT): [NS + flag for flag, _ in TERMS_RULES.values()]}


def rules(
    source: list[FieldData],
    target: list[FieldData],
    sobject: str = CUSTOMER,
    rule: FieldRule | None = None,
    **params: Any,
) -> list[Rule]:
    """Those that fields of one object call for; `rule` is the mapping file's for the first field of the target."""
    mapping = Mapping(fields={sobject: {target[0]["name"]: rule}} if rule else {})
    carried = carried_fields(
        sobject, describe(sobject, *source), describe(sobject, *target), mapping, "required"
    )
    found = all_rules(paper_run(**params), {DETAIL: [], sobject: carried}, frozenset(OF_THE_PACKAGE))
    return [one for one in found if one.sobject == sobject]


def package_rules(*inactive: str, fields: list[FieldData] = DETAIL_FIELDS, flags: Any = FLAGS) -> list[Rule]:
    """What the package's own validation rules add, for orders and details whose fields cause no problem."""
    both = describe(DETAIL, *fields)
    carried = {ORDER: [], DETAIL: carried_fields(DETAIL, both, both, Mapping(), "off")}
    every = all_rules(paper_run(flags), carried, frozenset(inactive))
    of_fields = all_rules(paper_run(flags), carried, frozenset(OF_THE_PACKAGE))
    return [one for one in every if one not in of_fields]


def said(found: list[Rule]) -> list[tuple[str, str, str]]:
    return [(one.reason.code, one.field, one.verdict) for one in found]


def test_fields_that_fit_call_for_no_rule() -> None:
    both = [text("T__c"), number("N__c"), picklist("P__c", "a", restricted=False), any_field("D__c", "date")]
    assert rules(both, both) == []


class TestPicklists:
    @pytest.mark.parametrize(("policy", "verdict"), [("stop", "stop"), ("block_record", "block")])
    def test_a_restricted_one_is_checked_as_the_policy_says(self, policy: str, verdict: str) -> None:
        both = [picklist("P__c", "a", "b")]
        found = rules(both, both, picklist_policy=policy)
        assert said(found) == [("picklist_value_missing", "P__c", verdict)]

    def test_a_value_that_is_blanked_is_no_problem(self) -> None:
        both = [picklist("P__c", "a", "b")]
        assert rules(both, both, picklist_policy="blank") == []

    def test_a_status_is_never_blanked_so_its_record_is_blocked(self) -> None:
        status = [picklist(STATUS, "Draft")]
        assert said(rules(status, status, ORDER, picklist_policy="blank")) == [
            ("picklist_value_missing", STATUS, "block")
        ]


class TestTexts:
    @pytest.mark.parametrize(("policy", "verdict"), [("stop", "stop"), ("block_record", "block")])
    def test_a_shorter_field_of_the_target_is_checked_as_the_policy_says(
        self, policy: str, verdict: str
    ) -> None:
        found = rules([text("T__c", 80)], [text("T__c", 40)], too_long_policy=policy)
        assert said(found) == [("value_too_long", "T__c", verdict)]
        assert shown(found[0].condition).endswith("> 40")
        assert "40 characters" in found[0].reason.message

    @pytest.mark.parametrize("length", [80, 81, 255])
    def test_a_field_that_is_as_long_needs_no_check(self, length: int) -> None:
        assert rules([text("T__c", 80)], [text("T__c", length)]) == []

    def test_a_constant_is_checked_whatever_the_source_has(self) -> None:
        found = rules([text("T__c", 10)], [text("T__c", 10)], rule=FieldRule(constant="x" * 11))
        assert [one.reason.code for one in found] == ["value_too_long"]

    @pytest.mark.parametrize("how", [{"too_long_policy": "truncate"}, {"rule": FieldRule(truncate=True)}])
    def test_what_is_cut_is_no_problem(self, how: dict[str, Any]) -> None:
        assert rules([text("T__c", 80)], [text("T__c", 40)], **how) == []


class TestNumbers:
    @pytest.mark.parametrize(
        ("have", "want", "checked"),
        [
            ((18, 2), (18, 2), False),
            ((18, 2), (16, 2), False),
            ((18, 4), (18, 2), True),
            ((10, 0), (12, 4), False),
            ((18, 2), (18, 0), True),
            ((18, 2), (0, 0), False),
        ],
    )
    def test_a_field_that_keeps_fewer_digits_after_the_point_is_checked(
        self, have: tuple[int, int], want: tuple[int, int], checked: bool
    ) -> None:
        found = rules([number("N__c", *have)], [number("N__c", *want)])
        assert [one.reason.code for one in found] == (["value_too_long"] if checked else [])

    def test_the_condition_counts_digits_after_the_point(self) -> None:
        (one,) = rules([number("N__c", 18, 4)], [number("N__c", 10, 2)])
        assert shown(one.condition) == 'scale(d."N__c"::numeric) > 2'

    @pytest.mark.parametrize(
        ("policy", "verdict"), [("stop", "stop"), ("block_record", "block"), ("truncate", "block")]
    )
    def test_digits_are_never_cut(self, policy: str, verdict: str) -> None:
        found = rules([number("N__c", 18, 4)], [number("N__c", 18, 2)], too_long_policy=policy)
        assert [one.verdict for one in found] == [verdict]


class TestLookups:
    @pytest.mark.parametrize(
        ("to", "param", "value", "expected"),
        [
            (CONTRACT, "unmatched_contract_policy", "stop", ("contract_unmatched", "stop")),
            (CONTRACT, "unmatched_contract_policy", "block_record", ("contract_unmatched", "block")),
            (PRODUCT, "unmatched_product_policy", "stop", ("product_unmatched", "stop")),
            (PRODUCT, "unmatched_product_policy", "block_record", ("product_unmatched", "block")),
            ("Account", "unmatched_lookup_policy", "block_record", ("lookup_unmatched", "block")),
            ("Account", "unmatched_lookup_policy", "blank", None),
        ],
    )
    def test_each_kind_has_its_policy(
        self, to: str, param: str, value: str, expected: tuple[str, str] | None
    ) -> None:
        both = [reference("R__c", to)]
        given: dict[str, Any] = {param: value}
        found = [(one.reason.code, one.verdict) for one in rules(both, both, **given)]
        assert found == ([expected] if expected else [])

    def test_a_lookup_that_the_target_requires_cannot_be_blank(self) -> None:
        both = [reference("R__c", "Account", nillable=False)]
        found = rules(both, both, unmatched_lookup_policy="blank")
        assert {one.reason.code for one in found} == {"lookup_unmatched", "refused_by_org"}

    @pytest.mark.parametrize(("policy", "codes"), [("stop", ["owner_unmatched"]), ("running_user", [])])
    def test_an_owner_without_a_counterpart_stops_only_where_it_was_asked_for(
        self, policy: str, codes: list[str]
    ) -> None:
        both = [reference("OwnerId", "User", "Group")]
        assert [one.reason.code for one in rules(both, both, owner_policy=policy)] == codes

    def test_who_created_a_record_is_no_reason_to_leave_it_behind(self) -> None:
        both = [reference("CreatedById", "User", updateable=False)]
        assert rules(both, both, owner_policy="stop", unmatched_lookup_policy="block_record") == []


class TestRequiredFields:
    def test_an_empty_value_of_a_required_field_blocks_its_record(self) -> None:
        both = [text("T__c", nillable=False)]
        assert said(rules(both, both)) == [("refused_by_org", "T__c", "block")]

    @pytest.mark.parametrize(
        "there",
        [
            text("T__c", nillable=False, defaultedOnCreate=True),
            text("T__c", nillable=False, createable=False),
            any_field("T__c", "boolean", nillable=False),
        ],
        ids=["has a default", "cannot be given", "is false when empty"],
    )
    def test_what_the_org_fills_in_itself_is_not_required(self, there: FieldData) -> None:
        assert rules([there], [there]) == []


class TestRulesOfThePackage:
    def test_all_of_them_are_foreseen(self) -> None:
        assert sorted((one.sobject, one.reason.code, one.field) for one in package_rules()) == sorted(
            [
                (ORDER, "contract_unmatched", ORDER_CONTRACT),
                (ORDER, "picklist_value_missing", ORDER_TYPE),
                (DETAIL, "contract_mismatch", DETAIL_CONTRACT),
                (DETAIL, "product_unmatched", DETAIL_PRODUCT),
                (DETAIL, "contract_blank", DETAIL_CONTRACT),
                (DETAIL, "contract_mismatch", DETAIL_PRODUCT),
                (DETAIL, "quantity_missing", QUANTITY),
                *((DETAIL, "terms_missing", NS + field) for _, field in TERMS_RULES.values()),
            ]
        )

    @pytest.mark.parametrize("name", sorted(OF_THE_PACKAGE))
    def test_a_rule_that_is_switched_off_in_the_target_stands_against_nothing(self, name: str) -> None:
        every, without = package_rules(), package_rules(name)
        assert len(without) == len(every) - (2 if name.startswith(("Product", "Order_must")) else 1)
        assert [one for one in every if one in without] == without

    @pytest.mark.parametrize("name", [QUANTITY, DETAIL_PRODUCT, DETAIL_CONTRACT])
    def test_a_field_that_is_not_carried_is_not_asked_for(self, name: str) -> None:
        fields = [one for one in DETAIL_FIELDS if one["name"] != name]
        assert name not in {one.field for one in package_rules(fields=fields)}

    def test_terms_are_asked_for_only_where_the_targets_contracts_know_the_override(self) -> None:
        assert "terms_missing" not in {one.reason.code for one in package_rules(flags={})}

    def test_each_blocks_its_record_and_none_the_run(self) -> None:
        assert {one.verdict for one in package_rules()} == {"block"}


def test_each_rule_says_why_and_what_to_do_in_whole_sentences() -> None:
    fields = [
        text("T__c", 20, nillable=False),
        number("N__c", 4),
        picklist("P__c", "a"),
        reference("R__c", CONTRACT),
        reference("OwnerId", "User"),
    ]
    source = [text("T__c", 80), number("N__c", 18), picklist("P__c", "a", "b"), *fields[3:]]
    for one in [*rules(source, fields, owner_policy="stop"), *package_rules()]:
        assert one.reason.message.endswith(".")
        assert one.reason.next_step.endswith(".")
