"""By which fields a record that we do not load is found again in the target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coa.fields.lookups import lookup_fields, lookup_keys
from coa.mapping.model import Mapping
from coa.model import DEFAULT_LOOKUP_KEYS
from coa.salesforce.describe import Describe
from tests.unit.describes import any_field, describe, text

THING = "Thing__c"


def external(name: str) -> dict[str, object]:
    return text(name, externalId=True)


def thing(*fields: dict[str, object]) -> Describe:
    return describe(THING, text("Id", 18), *fields)


def keys(source: Describe, target: Describe, *configured: str) -> tuple[str, ...]:
    return lookup_keys(THING, source, target, Mapping(lookups={THING: configured} if configured else {}))


@pytest.mark.parametrize(("sobject", "documented"), DEFAULT_LOOKUP_KEYS.items())
def test_a_known_object_has_its_documented_keys(sobject: str, documented: tuple[str, ...]) -> None:
    fields = {part for key in documented for part in key.split("+")} | {"Type"}
    both = describe(sobject, *map(text, sorted(fields)))
    found = lookup_keys(sobject, both, both, Mapping())
    assert [k for k in found if k in documented] == list(documented)


def test_a_developer_name_of_a_group_counts_within_its_type_first() -> None:
    both = describe("Group", text("DeveloperName"), text("Type"))
    assert lookup_keys("Group", both, both, Mapping()) == ("Type+DeveloperName", "DeveloperName")


def test_the_mapping_file_replaces_the_defaults() -> None:
    both = describe("Account", text("Name"), text("AccountNumber"))
    mapping = Mapping(lookups={"Account": ("AccountNumber",)})
    assert lookup_keys("Account", both, both, mapping) == ("AccountNumber",)


def test_any_other_object_is_found_by_external_ids_in_the_order_of_the_source_then_by_name() -> None:
    source = thing(external("B__c"), text("Name"), external("A__c"), text("Plain__c"))
    target = thing(external("A__c"), external("B__c"), text("Name"), text("Plain__c"))
    assert keys(source, target) == ("B__c", "A__c", "Name")


def test_our_own_migration_key_finds_nothing_again() -> None:
    both = thing(external("COA_Source_Id__c"), external("Key__c"))
    assert keys(both, both) == ("Key__c",)


@pytest.mark.parametrize("flag", ["autoNumber", "calculated"])
def test_a_name_that_the_org_makes_is_no_key(flag: str) -> None:
    both = thing(any_field("Name") | {flag: True})
    assert keys(both, both) == ()


def test_a_joined_key_needs_each_of_its_fields_in_both_orgs() -> None:
    source, target = thing(text("A__c"), text("B__c")), thing(text("A__c"))
    assert keys(source, target, "A__c+B__c", "A__c") == ("A__c",)
    assert keys(target, source, "A__c+B__c", "A__c") == ("A__c",)
    assert keys(source, source, "A__c+B__c", "A__c") == ("A__c+B__c", "A__c")


NAMES = [f"F{n}__c" for n in range(5)]
FIELDS = st.dictionaries(st.sampled_from([*NAMES, "Name"]), st.booleans(), max_size=6)


@given(FIELDS, FIELDS, st.lists(st.sampled_from([*NAMES, "F0__c+F1__c"]), unique=True))
def test_a_key_is_always_a_field_of_both_orgs_and_is_extracted(
    ours: dict[str, bool], theirs: dict[str, bool], configured: list[str]
) -> None:
    source, target = (
        thing(*(text(name, externalId=is_external) for name, is_external in fields.items()))
        for fields in (ours, theirs)
    )
    mapping = Mapping(lookups={THING: tuple(configured)} if configured else {})
    parts = {part for key in lookup_keys(THING, source, target, mapping) for part in key.split("+")}
    extracted = lookup_fields(THING, source, target, mapping)
    assert parts <= ours.keys() & theirs.keys()
    assert parts <= set(extracted)
    assert set(extracted) <= source.fields.keys() & target.fields.keys()


def test_users_are_extracted_with_all_by_which_people_name_them() -> None:
    names = ("Id", "Username", "Email", "FederationIdentifier", "IsActive", "Name", "SystemModstamp", "Phone")
    both = describe("User", *map(text, names))
    assert set(lookup_fields("User", both, both, Mapping())) == set(names) - {"Phone"}
