"""A copy in the target is known by its path or by being equal, and each is the copy of one."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import pytest

from coa.attachments.copies import LONGEST_PATH, differing, key_in, pair_equal, path_of
from coa.attachments.transfer import Body, Spooled
from coa.hanging import KIND
from coa.salesforce.session import Org

NOTE = KIND["Note"]
NO_ORG: Org = None  # type: ignore[assignment]  # Notes have no bytes: nothing is asked.


def note(record_id: str, title: str, parent: str = "order") -> dict[str, Any]:
    return {"Id": record_id, "ParentId": parent, "Title": title, "Body": None}


def pair(wanted: Iterable[tuple[str, str]], there: list[dict[str, Any]], taken: str = "") -> dict[str, str]:
    found = pair_equal(
        NO_ORG,
        NOTE,
        [(source_id, "order", {"Title": title}, "", 0) for source_id, title in wanted],
        there,
        lambda record_id: record_id == taken,
    )
    return {source_id: record["Id"] for source_id, record in found.items()}


def test_two_equal_ones_have_two_copies_and_a_third_has_none() -> None:
    there = [note("1", "Call"), note("2", "Call"), note("3", "Other")]

    assert pair([("a", "Call"), ("b", "Call"), ("c", "Call")], there) == {"a": "1", "b": "2"}


def test_what_is_the_copy_of_something_else_or_hangs_elsewhere_is_not_taken() -> None:
    assert pair([("a", "Call")], [note("1", "Call"), note("2", "Call", "other order")], taken="1") == {}


def test_values_are_compared_by_what_they_say() -> None:
    assert (
        differing(
            {"At": "2019-05-01T08:15:30.000+0000", "Size": 2, "Text": "a\r\nb", "Private": False},
            {"At": "2019-05-01T08:15:30.000Z", "Size": 2.0, "Text": "a\r\nb", "Private": False},
        )
        == []
    )
    assert differing({"Text": "a ", "Private": True}, {"Text": "a", "Private": False}) == ["Text", "Private"]


@pytest.mark.parametrize("name", ["Offer.pdf", "x" * 600 + ".pdf", "a/b\\c.pdf", ""])
def test_a_path_holds_its_key_whatever_the_file_is_called(name: str) -> None:
    path = path_of("00D000000000001AAA", "068000000000001AAA", name)

    assert len(path) <= LONGEST_PATH
    assert key_in(path, "00D000000000001AAA") == "068000000000001AAA"
    assert key_in(path, "00D000000000002AAA") == ""
    assert path.endswith(".pdf") == name.endswith(".pdf")


def test_a_body_has_its_length_and_can_be_sent_again() -> None:
    spooled = Spooled(io.BytesIO(b"x" * 700_000), 700_000, "", "")
    body = Body(b"head", spooled, b"tail")
    first = b"".join(iter(lambda: body.read(1024), b""))
    body.seek(0)

    assert first == b"head" + b"x" * 700_000 + b"tail" == b"".join(body)
    assert len(body) == len(first)
