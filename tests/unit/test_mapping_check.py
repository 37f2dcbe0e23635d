"""A rule that rewrites links is refused where no update could carry it, with the line that asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from coa.mapping.file import parse_mapping
from coa.mapping.place import Place
from coa.model import CUSTOMER, CUSTOMER_ORG_ID, DETAIL, LOADED, NS, ORDER
from coa.preflight.mapping_check import check_mapping
from coa.salesforce.describe import Describe
from tests.unit.describes import any_field, describe, picklist, text

FROZEN = NS + "Product_Special_Terms__c"


def orgs() -> dict[str, Describe]:
    fields = [
        any_field("Note__c", "textarea", length=32000),
        any_field("Page__c", "url", length=255),
        text(FROZEN, 255),
        text(CUSTOMER_ORG_ID, 18),
        text("Key__c", 80, externalId=True),
        picklist("Kind__c", "a", "b"),
        text("Written_Once__c", 80, updateable=False),
    ]
    return {name: describe(name, *fields) for name in LOADED}


@pytest.mark.parametrize(
    ("sobject", "field", "said"),
    [
        (DETAIL, FROZEN, f"links in {FROZEN} cannot be rewritten: the package refuses"),
        (ORDER, "Kind__c", "links are rewritten in texts, and Kind__c is picklist"),
        (ORDER, "Key__c", "Key__c is a key"),
        (CUSTOMER, CUSTOMER_ORG_ID, f"{CUSTOMER_ORG_ID} is a key"),
        (ORDER, "Written_Once__c", "may not update Written_Once__c"),
        (ORDER, "Nowhere__c", "has no field Nowhere__c"),
    ],
)
def test_a_field_whose_links_nobody_can_rewrite(sobject: str, field: str, said: str) -> None:
    mapping = parse_mapping(
        f"fields:\n  {sobject}:\n    {field}: rewrite_links\n", Path("mapping.yaml"), Place(Path())
    )

    (finding,) = check_mapping(mapping, orgs(), orgs())

    assert (finding.severity, finding.code, finding.field) == ("blocker", "mapping_wrong", field)
    assert finding.message.startswith("Mapping file, line 3: ")
    assert said in finding.message


@pytest.mark.parametrize(
    ("sobject", "field"), [(ORDER, "Note__c"), (CUSTOMER, "Page__c"), (DETAIL, "Note__c"), (ORDER, FROZEN)]
)
def test_a_text_that_can_be_updated(sobject: str, field: str) -> None:
    mapping = parse_mapping(
        f"fields:\n  {sobject}:\n    {field}: rewrite_links\n", Path("mapping.yaml"), Place(Path())
    )

    assert check_mapping(mapping, orgs(), orgs()) == []


def test_a_field_is_an_id_or_has_links() -> None:
    text_of_the_file = (
        f"fields:\n  {ORDER}:\n    Note__c: rewrite_links\nid_fields: {{{ORDER}: {{Note__c: {ORDER}}}}}\n"
    )

    (finding,) = check_mapping(
        parse_mapping(text_of_the_file, Path("mapping.yaml"), Place(Path())), orgs(), orgs()
    )

    assert "line 4: Note__c cannot have rewrite_links" in finding.message
