"""The template of the mapping file is a YAML document in which names of the orgs are data, whatever they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from coa.mapping.file import parse_mapping
from coa.mapping.model import FieldRule, Mapping
from coa.mapping.place import Place
from coa.model import DETAIL, ORDER
from coa.transform.template import template_text

HOSTILE = st.sampled_from(
    ["x\u2028custom:\u2028  Service_Order__c: evil.py:f", "a\x85b: c", "a\u2029# b", '"', "'", "\\", "a: b", "# a",
     "\ufeffa", "- a", "&a *b", "!!python/object", "%YAML", "---", "{a", "\t", "\r\nversion: 2", "null", "=1+1",
     "😀" * 150]
)  # fmt: skip
# What PostgreSQL keeps: any character but NUL.
NAMES = HOSTILE | st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=40
)


@given(
    st.dictionaries(NAMES, st.tuples(st.none() | NAMES, st.lists(NAMES, max_size=3)), max_size=5),
    st.dictionaries(NAMES, st.lists(st.tuples(NAMES, st.lists(NAMES, max_size=3)), max_size=3), max_size=3),
)
@example({"x\u2028y: z": ("a\u2028b: c", [])}, {"k\u2028custom: {}": [("p\u2028q: r", ["c\u2028d: e"])]})
def test_names_stay_names(
    contracts: dict[str, tuple[str | None, list[str]]], products: dict[str, list[tuple[str, list[str]]]]
) -> None:
    rows: list[dict[str, Any]] = [
        {"name": name, "target": target, "rule": "name", "choices": choices}
        for name, (target, choices) in contracts.items()
    ]
    lost: list[dict[str, Any]] = [
        {"contract": contract, "product": product, "target": None, "rule": None, "choices": choices}
        for contract, found in sorted(products.items())
        for product, choices in found
    ]

    people: list[dict[str, Any]] = [
        {"key": name, "name": name, "records": 2, "inactive": n % 2 == 1, "target": name}
        for n, name in enumerate(contracts)
    ]

    text = template_text(rows, lost, people)

    read = yaml.safe_load(text)
    found = {name: target for name, (target, _) in contracts.items() if target is not None}
    assert set(read) == {"version", "contracts", "products", "owners"}
    # An owner is never found: each is a comment, for a person to fill in.
    assert not read["owners"]
    assert sum(line.startswith("  # ") for line in text.split("owners:")[1].splitlines()) == len(people)
    assert (read["version"], read["contracts"] or {}) == (1, found)
    # Products that were not found are comments below the contract that they belong to.
    assert (read["products"] or {}) == {name: None for name, rows in products.items() if rows}
    assert parse_mapping(text, Path("mapping_template.yaml"), Place(Path())).contracts == found


def test_texts_with_links_are_rules_once_their_signs_are_taken_away() -> None:
    texts = [
        {"sobject": DETAIL, "field": "Note__c", "records": 3},
        {"sobject": ORDER, "field": "Page__c", "records": 1},
        {"sobject": ORDER, "field": "Text__c", "records": 12},
    ]

    text = template_text([], [], [], texts)

    def read(document: str) -> Mapping:
        return parse_mapping(document, Path("mapping_template.yaml"), Place(Path()))

    assert read(text).fields == {}
    head, _, rules = text.partition("# fields:")
    rule = FieldRule(rewrite_links=True)
    assert read(head + ("# fields:" + rules).replace("# ", "", 1).replace("\n# ", "\n")).fields == {
        DETAIL: {"Note__c": rule},
        ORDER: {"Page__c": rule, "Text__c": rule},
    }


def test_of_one_source_among_several_it_is_a_section_that_the_common_file_takes(tmp_path: Path) -> None:
    contracts: list[dict[str, Any]] = [
        {"name": "Old: terms", "target": "Terms", "rule": "name", "choices": []},
        {"name": "Lost", "target": None, "rule": None, "choices": ["Terms"]},
    ]
    texts = [{"sobject": ORDER, "field": "Note__c", "records": 3}]

    text = template_text(contracts, [], [], texts, source="00D000000000001AAA")
    uncommented = text.replace("# fields", "fields").replace("#   ", "  ").replace("#     ", "    ")

    for file in (text, uncommented):
        own = parse_mapping(file, tmp_path / "mapping.yaml", Place(tmp_path)).of_source(
            "00D000000000001", "any"
        )
        assert own.contracts == {"Old: terms": "Terms"}
    assert own.rule(ORDER, "Note__c").rewrite_links
