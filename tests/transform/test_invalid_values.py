"""Values that the target's types refuse are foreseen; the org itself, which refuses them, is the yardstick."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from coa.config import Settings
from coa.fields.field_map import FieldMapping
from coa.fields.refused import refused
from coa.fields.text_length import cut, text_length
from coa.mapping.model import FieldRule
from coa.model import CUSTOMER_ORG_ID, DETAIL, NS, ORDER, SOURCE_ID
from coa.salesforce.describe import Field
from coa.staging.database import Database
from orgsim.values import is_email
from tests.engine.harness import Migrator
from tests.preflight.pair import Pair, clean_pair
from tests.unit.describes import FieldData, any_field, number

EMAIL = NS + "Submitted_By_Email__c"
START = NS + "Service_Start_Date__c"
LICENSES = NS + "Current_Licenses__c"
NOTE = NS + "Invoice_Description__c"


def refuses(database: Database, target: FieldData, value: str, source: FieldData | None = None) -> bool:
    one = FieldMapping(Field(target), Field(source) if source else None, "value", FieldRule())
    found = refused(one, sql.SQL("v.value"))
    if found is None:
        return False
    return bool(
        database.value(
            sql.SQL("SELECT {} FROM (VALUES ({}::text)) v (value)").format(found[0], sql.Literal(value))
        )
    )


# Salesforce Help 000384328: what it allows beyond the RFC, and what it does not.
@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("a..a@test.jp", True),
        ("a..@test.jp", True),
        (".a@test.jp", False),
        ("john.doe@(comment)example.com", True),
        ("用户@例子.广告", True),
        ("o'brien+x@mail.acme.example", True),
        ("acme", False),
        ("acme@", False),
        ("@acme.example", False),
        ("a@b@acme.example", False),
        ("a b@acme.example", False),
        ("a@acme", False),
        ("a@acme..example", False),
        ("a@-acme.example", False),
        ("a@acme-.example", False),
        ("a@ac-me.example", True),
        ("a@acme.example, b@acme.example", False),
        ("a@acme.example;", False),
        ("A <a@acme.example>", False),
    ],
)
def test_an_address_is_taken_as_salesforce_documents(database: Database, address: str, taken: bool) -> None:
    assert refuses(database, any_field("E__c", "email"), address) is not taken


PIECES = st.sampled_from(["a", "b", ".", "-", "@", "_", " ", ",", "é", "1", "com", "<", "\\", "+", ";", "\n"])


@settings(max_examples=300, deadline=None)
@given(text=st.lists(PIECES, min_size=1, max_size=9).map("".join))
def test_what_is_foreseen_of_an_address_is_what_the_org_says(module_database: Database, text: str) -> None:
    assert refuses(module_database, any_field("E__c", "email"), text) is not is_email(text)


@pytest.mark.parametrize(
    ("kind", "value", "taken"),
    [
        ("date", "1699-12-31", False),
        ("date", "1700-01-01", True),
        ("date", "4000-12-31", True),
        ("date", "4001-01-01", False),
        ("date", "12024-01-01", False),
        ("datetime", "1650-01-01T00:00:00.000Z", False),
        ("datetime", "2024-01-01T00:00:00.000Z", True),
        ("url", "no address at all", True),
        ("phone", "ask for Zoë", True),
    ],
)
def test_dates_have_a_range_and_phones_and_addresses_of_pages_no_form(
    database: Database, kind: str, value: str, taken: bool
) -> None:
    assert refuses(database, any_field("F__c", kind), value) is not taken


@pytest.mark.parametrize(
    ("value", "taken"),
    [("999.99", True), ("999.994", True), ("999.995", False), ("-1000", False), ("0", True)],
)
def test_digits_before_the_point_count_after_rounding(database: Database, value: str, taken: bool) -> None:
    assert refuses(database, number("N__c", 5, 2), value, number("N__c", 18, 4)) is not taken


def test_a_field_as_wide_as_the_source_s_is_not_looked_at() -> None:
    one = FieldMapping(Field(number("N__c", 8, 2)), Field(number("N__c", 8, 2)), "value", FieldRule())
    assert refused(one, sql.SQL("v")) is None


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.sampled_from("ab\U0001f680é\u0301"), max_size=12), length=st.integers(1, 8))
@pytest.mark.parametrize("counted", ["utf16", "code_points"])
def test_texts_are_measured_and_cut_as_the_org_counts(
    module_database: Database, counted: str, text: str, length: int
) -> None:
    def size(value: str) -> int:
        return len(value.encode("utf-16-le")) // 2 if counted == "utf16" else len(value)

    value = sql.SQL("{}::text").format(sql.Literal(text))
    settings = Settings.model_validate({"text_length": counted})
    said = module_database.row(
        sql.SQL("SELECT {} AS size, {} AS cut").format(
            text_length(value, settings),
            cut(value, length, settings),
        )
    )
    longest = max((text[:n] for n in range(len(text) + 1) if size(text[:n]) <= length), key=len)
    assert said == {"size": size(text), "cut": longest}


class Planted:
    """A pair whose source holds values from before Salesforce checked them."""

    def __init__(self, pair: Pair, migrator: Migrator) -> None:
        self.pair, self.migrator = pair, migrator
        orders = [r["Id"] for r in pair.take(ORDER, 4)]
        (detail,) = pair.take(DETAIL, 1)
        self.bad = {
            (ORDER, orders[0], EMAIL): "old address",
            (ORDER, orders[1], START): "1650-06-01",
            (DETAIL, detail["Id"], LICENSES): 123456.0,
        }
        for (sobject, record, field), value in self.bad.items():
            pair.set(pair.source, sobject, record, **{field: value})
        # Twelve characters of Unicode, 24 of UTF-16, in a field of twenty.
        self.rocket = orders[2]
        for order in pair.table(pair.source, ORDER):
            pair.set(pair.source, ORDER, order["Id"], **{NOTE: None})
        pair.set(pair.source, ORDER, self.rocket, **{NOTE: "\U0001f680" * 12})
        pair.field(pair.target, f"{ORDER}.{NOTE}", length=20)
        pair.field(pair.target, f"{DETAIL}.{LICENSES}", precision=5)

    def planned(self, **params: Any) -> dict[tuple[str, str, str], str]:
        """(sObject, record, field) -> reason of each record that a plan blocks for itself."""
        run = self.migrator.start(dry_run=True, **params)
        self.migrator.plan(run)
        rows = self.migrator.db.rows(
            f"SELECT sobject, source_id, field, reason_code FROM {run.schema}.problem WHERE field <> ''"
        )
        self.migrator.finish(run)
        return {(r["sobject"], r["source_id"], r["field"]): r["reason_code"] for r in rows}


@pytest.fixture(scope="module")
def planted(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    with clean_pair(orders=20, job_delay=0.01, utf16_lengths=True) as pair:
        yield Planted(
            pair, Migrator(module_database, pair.source, pair.target, tmp_path_factory.mktemp("runs"))
        )


def test_each_is_blocked_with_its_reason(planted: Planted) -> None:
    expected = dict.fromkeys(planted.bad, "value_invalid") | {(ORDER, planted.rocket, NOTE): "value_too_long"}
    found = planted.planned()
    assert {key: code for key, code in found.items() if code in set(expected.values())} == expected


def test_the_run_stops_where_the_policy_says_so(planted: Planted) -> None:
    done = planted.migrator.migrate(invalid_values="stop")
    assert done.state == "blocked"
    assert "value_invalid" in (done.folder / "plan.json").read_text()
    assert not any(r[SOURCE_ID] for r in planted.pair.table(planted.pair.target, ORDER))


def test_what_is_blanked_arrives_empty_and_is_told(planted: Planted) -> None:
    done = planted.migrator.migrate(invalid_values="blank", too_long_policy="truncate")
    assert done.state == "verified", done.error
    there = {
        (sobject, r[SOURCE_ID]): r
        for sobject in (ORDER, DETAIL)
        for r in planted.pair.table(planted.pair.target, sobject)
    }
    for sobject, record, field in planted.bad:
        assert there[sobject, record][field] is None, field
    assert there[ORDER, planted.rocket][NOTE] == "\U0001f680" * 10
    told = (done.folder / "differences.csv").read_text()
    assert told.count("invalid_values blank") == len(planted.bad)
    assert json.loads((done.folder / "summary.json").read_text())["objects"][ORDER]["blocked"] == 0


def test_a_key_is_never_blanked() -> None:
    from coa.config import RunParams
    from coa.transform.desired import may_blank_invalid

    def may(data: FieldData) -> bool:
        one = FieldMapping(Field(data), None, "value", FieldRule())
        return may_blank_invalid(one, RunParams(invalid_values="blank"))

    assert may(any_field("E__c", "email"))
    assert not may(any_field("E__c", "email", nillable=False))
    assert not may(any_field("E__c", "email", unique=True))
    assert not may(any_field("E__c", "email", externalId=True))
    assert not any(
        may(any_field(name))
        for name in (CUSTOMER_ORG_ID, NS + "Service_Order_Status__c", NS + "Order_Type__c")
    )
