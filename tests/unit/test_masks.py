"""Masks: the same text the same mask, lengths and shapes as they are, nothing of a name left."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest

from coa.errors import IncompleteExtract
from coa.masking.masks import MASKS, email, mask_for, shaped, url
from coa.masking.of_run import masked_csv, masked_record, stays
from coa.salesforce.describe import Field

KEY, OTHER = b"a" * 32, b"b" * 32
NAMES = [
    "Ada Lovelace",
    "Zoë Müller-Lüdenscheidt",
    "O'Neill & Söhne GmbH",
    "12 Rue de l'Église\r\n75001 Paris",
    "李小龍",
]


@pytest.mark.parametrize("text", NAMES)
def test_a_mask_has_length_and_shape_and_nothing_of_the_name(text: str) -> None:
    masked = shaped(KEY, text)

    assert len(masked) == len(text)
    assert [c.isupper() for c in masked] == [c.isupper() for c in text]
    assert [c.isdigit() for c in masked] == [c.isdigit() for c in text]
    assert [c for c in masked if not c.isalnum()] == [c for c in text if not c.isalnum()]
    words = [word for word in text.replace("-", " ").split() if len(word) > 3]
    assert not [word for word in words if word in masked]


def test_masks_join_what_the_values_join_and_follow_from_the_key() -> None:
    assert shaped(KEY, "Ada Lovelace") == shaped(KEY, "Ada Lovelace") != shaped(OTHER, "Ada Lovelace")
    assert shaped(KEY, "ADA") == shaped(KEY, "ada").upper()
    assert len({shaped(KEY, f"customer {n}") for n in range(2000)}) == 2000


def test_addresses_lead_nowhere() -> None:
    masked = email(KEY, "ada.lovelace@acme.example")
    assert (masked.count("@"), masked[-8:], len(masked)) == (1, ".zzzzzzz", 25)
    assert "acme" not in masked
    assert email(KEY, "no address") == shaped(KEY, "no address")
    assert url(KEY, "https://acme.example/ada").startswith("https://")


def test_what_is_no_text_and_what_records_are_found_by_stays() -> None:
    assert mask_for(KEY, "double") is None
    assert {"id", "reference", "date", "datetime", "boolean", "currency", "picklist"}.isdisjoint(MASKS)
    assert stays(Field({"name": "CHANNEL_ORDERS__Customer_Org_ID__c"}), frozenset())
    assert stays(Field({"name": "Name", "autoNumber": True}), frozenset())
    assert stays(Field({"name": "Country__c"}), {"Country__c"})
    assert not stays(Field({"name": "Name"}), frozenset())


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    yield from (data[n : n + size] for n in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 3, 4096])
def test_a_stream_is_masked_wherever_it_is_cut(size: int) -> None:
    body = '"1","Zoë ""Z"" O\'Neill","a,b\r\nc",""\n"2","","\\.","9"\n'.encode()

    masked = b"".join(
        masked_csv(
            "org", "Thing", ["Id", "Name", "Note", "No"], pieces(body, size), {"Name": lambda t: t.upper()}
        )
    )

    assert list(csv.reader(io.StringIO(masked.decode(), newline=""))) == [
        ["1", 'ZOË "Z" O\'NEILL', "a,b\r\nc", ""],
        ["2", "", "\\.", "9"],
    ]


def test_a_stream_that_ends_in_a_value_is_not_taken_for_whole() -> None:
    with pytest.raises(IncompleteExtract, match="broken CSV"):
        list(masked_csv("org", "Thing", ["Id"], iter([b'"1']), {}))


def test_a_record_of_rest_is_masked_as_a_line_of_bulk_is() -> None:
    masked = masked_record(
        {"Id": "1", "Name": "Ada", "Note": None, "Price": 2.5}, {"Name": str.upper, "Note": str.upper}
    )

    assert masked == {"Id": "1", "Name": "ADA", "Note": None, "Price": 2.5}
