"""The mapping file: what it may say, and that every fault is named with its line, all at once."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from coa.errors import InvalidParams
from coa.mapping.file import parse_mapping, read_mapping
from coa.mapping.model import CustomRule, FieldRule, Mapping
from coa.mapping.place import Place
from coa.model import DETAIL, ORDER
from coa.preflight.mapping_check import check_sections

EXAMPLE = """
version: 1
orders_where: CreatedDate >= 2015-01-01T00:00:00Z
fields:
  Service_Order__c:
    CHANNEL_ORDERS__Order_Type__c:
      values: {New Cloud: Initial, No: "Yes"}
      default: Initial
    CHANNEL_ORDERS__Invoice_Description__c: truncate
    Old__c: drop
    Renamed__c: {source: Former__c}
    Stamp__c: {constant: 0012}
    Linked__c: rewrite_links
    Also_Linked__c: {source: Former__c, rewrite_links: true}
contracts: {ISVforce Agreement 2012: a0B000000000001}
products:
  ISVforce Agreement 2012: {P-01-001: P-01-002}
owners: {jane@old.example: jane@new.example}
owners_file: owners.csv
lookups:
  Account: [AccountNumber, Name+Type]
  License__c: sfLma__Package_License_ID__c
records:
  Account: {001000000000001: 001000000000002AAA}
id_fields:
  Service_Order__c: {LOD_Salesforce_Id__c: Service_Order__c}
duplicates: {a0X000000000001: load, a0X000000000002: a0Y000000000001}
custom: {Service_Order_Detail__c: "rules.py:tidy"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "owners.csv").write_text("source,target\njoe@old.example,joe@new.example\n")
    (tmp_path / "rules.py").write_text("def tidy(desired, source):\n    return desired\n")
    return tmp_path


def read(text: str, folder: Path) -> Mapping:
    return parse_mapping(text, folder / "m.yaml", Place(folder, custom_rules=True))


def test_a_file_can_say_everything(folder: Path) -> None:
    mapping = read(EXAMPLE, folder)
    rules = mapping.fields[ORDER]
    assert rules["CHANNEL_ORDERS__Order_Type__c"] == FieldRule(
        values={"New Cloud": "Initial", "No": "Yes"}, default="Initial"
    )
    assert rules["CHANNEL_ORDERS__Invoice_Description__c"].truncate
    assert rules["Old__c"].drop
    assert rules["Linked__c"] == FieldRule(rewrite_links=True)
    assert rules["Also_Linked__c"] == FieldRule(source="Former__c", rewrite_links=True)
    assert rules["Renamed__c"].source == "Former__c"
    assert rules["Stamp__c"].constant == "0012"
    assert mapping.owners == {
        "joe@old.example": "joe@new.example",
        "jane@old.example": "jane@new.example",
    }
    assert mapping.lookups["Account"] == ("AccountNumber", "Name+Type")
    assert mapping.id_fields[ORDER] == {"LOD_Salesforce_Id__c": ORDER}
    assert mapping.duplicates["a0X000000000001"] == "load"
    assert mapping.custom[DETAIL].function == "tidy"
    assert mapping.line("fields", ORDER, "Renamed__c") == 11


def test_what_is_kept_with_a_run_is_what_was_read(folder: Path) -> None:
    mapping = read(EXAMPLE, folder)
    assert Mapping.from_data(json.loads(json.dumps(mapping.as_data()))) == mapping
    assert isinstance(mapping.custom[DETAIL], CustomRule)


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    assert read("# nothing\n", tmp_path) == Mapping()


def test_the_editors_schema_accepts_the_example_and_knows_the_same_sections(project: Path) -> None:
    schema = json.loads((project / "include/coa/mapping.schema.json").read_text())
    data = yaml.load(EXAMPLE.replace("version: 1", 'version: "1"'), Loader=yaml.BaseLoader)
    jsonschema.validate(data, schema)
    assert set(schema["properties"]) == {
        "version", "fields", "contracts", "products", "owners", "owners_file", "lookups", "records",
        "id_fields", "duplicates", "orders_where", "custom", "sources", "relink",
    }  # fmt: skip


BAD = {
    "tabs": ("fields:\n\tService_Order__c: {}\n", "line 2"),
    "open bracket": ("contracts: {A: B\n", "not valid YAML: line"),
    "a list at the top": ("- fields\n", "line 1, column 1: the file must be `key: value` pairs, not a list"),
    "plain text": ("just words\n", "must be `key: value` pairs"),
    "unknown section": ("feilds: {}\n", "line 1, column 1: an unknown key of the file (is 'fields' meant?)"),
    "section twice": ("owners: {a: b}\nowners: {c: d}\n", "line 2, column 1: a key of the file stands twice"),
    "field twice": (
        "fields:\n  Service_Order__c:\n    A__c: drop\n    A__c: drop\n",
        "line 4, column 5: a key of fields/CHANNEL_ORDERS__Service_Order__c stands twice",
    ),
    "wrong version": ("version: 2\n", "version must be 1"),
    "fields as a list": (
        "fields: [Service_Order__c]\n",
        "line 1, column 9: fields must be `key: value` pairs, not a list",
    ),
    "object that is not moved": (
        "fields:\n  Account: {}\n",
        "line 2, column 12: fields: this is none of the moved objects",
    ),
    "unknown rule": (
        "fields:\n  Service_Order__c:\n    A__c: {from: B__c}\n",
        "line 3, column 12: an unknown key of fields/CHANNEL_ORDERS__Service_Order__c; known are source",
    ),
    "rule as a word": (
        "fields:\n  Service_Order__c:\n    A__c: keep\n",
        "must be `drop`, `truncate`, `rewrite_links` or pairs",
    ),
    "links in a constant": (
        "fields:\n  Service_Order__c:\n    A__c: {constant: x, rewrite_links: true}\n",
        "line 3, column 11: fields/CHANNEL_ORDERS__Service_Order__c has a constant: no link",
    ),
    "flag that is none": (
        "fields:\n  Service_Order__c:\n    A__c: {drop: yes please}\n",
        "must be true or false",
    ),
    "drop with more": (
        "fields:\n  Service_Order__c:\n    A__c: {drop: true, default: x}\n",
        "is dropped and cannot have other rules",
    ),
    "constant with values": (
        "fields:\n  Service_Order__c:\n    A__c: {constant: x, values: {a: b}}\n",
        "has a constant: source, values and default would have no effect",
    ),
    "values as a list": (
        "fields:\n  Service_Order__c:\n    A__c: {values: [a, b]}\n",
        "column 20: fields/CHANNEL_ORDERS__Service_Order__c must be `key: value` pairs, not a list",
    ),
    "nested value": ("contracts: {A: {B: C}}\n", "line 1, column 16: contracts must be text, not pairs"),
    "empty contract": ("contracts: {A: }\n", "contracts is empty"),
    "products without contract": ("products: {P-1: P-2}\n", "products must be `key: value` pairs"),
    "lookup key with a blank": (
        "lookups: {Account: [Account Number]}\n",
        "neither a field nor fields joined",
    ),
    "lookup without key": ("lookups: {Account: []}\n", "lookups names no field"),
    "record id too short": ("records: {Account: {001A: 001000000000001}}\n", "no record id of 15 or 18"),
    "decision unknown": (
        "duplicates: {a0X000000000001: skip}\n",
        "a decision is neither load nor a record id",
    ),
    "owners file missing": ("owners_file: none.csv\n", "owners_file cannot be read"),
    "owners file with one column": ("owners_file: one.csv\n", "row 2 of owners_file has no two values"),
    "custom without function": ("custom: {Service_Order__c: rules.py}\n", "not of the form file.py:function"),
    "custom function missing": (
        "custom: {Service_Order__c: 'rules.py:other'}\n",
        "does not define the function",
    ),
    "custom file broken": ("custom: {Service_Order__c: 'broken.py:f'}\n", "is no Python, line 1"),
    "python object": ("owners: !!python/object:os.system {a: b}\n", None),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_gives_one_clear_message(kind: str, folder: Path) -> None:
    text, expected = BAD[kind]
    (folder / "one.csv").write_text("source,target\njoe@old.example\n")
    (folder / "broken.py").write_text("def f(:\n")
    if expected is None:
        assert read(text, folder).owners == {"a": "b"}, "tags make no objects"
        return
    with pytest.raises(InvalidParams) as failure:
        read(text, folder)
    assert expected in failure.value.message
    assert "Traceback" not in str(failure.value)
    assert failure.value.next_step


def test_all_faults_come_together_in_the_order_of_the_file(folder: Path) -> None:
    text = "feilds: {}\ncontracts: [a]\nowners: {a: }\nversion: 3\n"
    with pytest.raises(InvalidParams) as failure:
        read(text, folder)
    message = failure.value.message
    positions = [message.index(f"line {n},") for n in (1, 2, 3, 4)]
    assert positions == sorted(positions)


def test_a_file_that_is_not_there_says_where_it_is_named() -> None:
    with pytest.raises(InvalidParams) as failure:
        read_mapping("missing.yaml", Place(Path("mappings"), confined=False))
    assert "cannot be read" in failure.value.message
    assert "COA_MAPPING" in failure.value.next_step


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidParams, match="UTF-8"):
        read_mapping("m.yaml", Place(tmp_path))


OF_TWO = """version: 1
contracts: {Common: Merged, Both: Merged}
sources:
  00D000000000001:
    contracts: {Both: First}
    products: {Common: {P-1: P-9}}
    fields:
      Service_Order__c:
        CurrencyIsoCode: {constant: EUR}
  coa_second:
    contracts: {Both: Second}
"""


def test_what_is_said_of_one_source_is_laid_over_what_holds_for_all(tmp_path: Path) -> None:
    mapping = read(OF_TWO, tmp_path)
    kept = Mapping.from_data(json.loads(json.dumps(mapping.as_data())))

    first = kept.of_source("00D000000000001EAA", "coa_source")
    second = kept.of_source("00D000000000002EAA", "coa_second")
    third = kept.of_source("00D000000000003EAA", "coa_source")

    assert first.contracts == {"Common": "Merged", "Both": "First"}
    assert first.rule(ORDER, "CurrencyIsoCode").constant == "EUR"
    assert (first.line("contracts", "Both"), first.line("contracts", "Common")) == (5, 2)
    assert second.contracts == {"Common": "Merged", "Both": "Second"}
    assert not second.products
    assert third.contracts == {"Common": "Merged", "Both": "Merged"}
    assert first.of_source("00D000000000001EAA", "coa_source") == first


def test_the_org_beats_the_connection_that_leads_to_it(tmp_path: Path) -> None:
    mapping = read("sources:\n  00D000000000001: {owners: {a: b}}\n  one: {owners: {a: c, d: e}}\n", tmp_path)

    assert mapping.of_source("00D000000000001EAA", "one").owners == {"a": "b", "d": "e"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "sources:\n  my secret org: {}\n",
            "line 2, column 18: sources: a key is neither the id of an org nor",
        ),
        ("sources:\n  a: {orders_where: Name != null}\n", "line 2, column 7: an unknown key of sources"),
        (
            "sources:\n  a:\n    contracts: [b]\n",
            "line 3, column 16: sources/contracts must be `key: value` pairs",
        ),
        (
            "sources:\n  a:\n    duplicates: {secret: load}\n",
            "line 3, column 26: sources/duplicates: no record id",
        ),
        ("sources:\n  00D000000000001: {}\n  00D000000000001EAA: {}\n", "an org stands twice"),
    ],
)
def test_a_fault_in_a_section_of_a_source_has_its_line_and_quotes_nothing(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(InvalidParams) as refused:
        read(text, tmp_path)

    assert told in refused.value.message
    assert "secret" not in refused.value.message


def test_a_file_without_a_section_of_this_source_is_told(tmp_path: Path) -> None:
    mapping = read(OF_TWO, tmp_path)

    found = check_sections(mapping, "00D000000000009EAA", "coa_source")

    assert [(f.severity, f.code) for f in found] == [("warning", "mapping_without_source")]
    assert "line 3" in found[0].message
    assert check_sections(mapping, "00D000000000001EAA", "coa_source") == []
    assert check_sections(Mapping(), "00D000000000009EAA", "coa_source") == []
