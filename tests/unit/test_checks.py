"""What describes and versions tell before any data is read: each in the first task, with one next step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coa.extract.changed_since import _questions
from coa.model import (
    LOADED,
    MIGRATION_FIELDS,
    ORDER,
    ORDER_CUSTOMER,
    ORIGINAL_RECEIVED_AT,
    SOURCE_ID,
    SOURCE_NUMBER,
)
from coa.preflight.checks import check_api_version, check_migration_fields, check_structure_writeable
from coa.salesforce.describe import Describe
from tests.unit.describes import FieldData, any_field, describe, read_only, reference, text

KEY = text(SOURCE_ID, 18, externalId=True, unique=True)
NUMBER = text(SOURCE_NUMBER, 80)
RECEIVED = any_field(ORIGINAL_RECEIVED_AT, "datetime")


def target(*fields: FieldData) -> dict[str, Describe]:
    return {sobject: describe(sobject, *fields) for sobject in LOADED}


def test_the_migration_fields_as_we_deploy_them_pass() -> None:
    assert check_migration_fields(target(KEY, NUMBER, RECEIVED)) == []


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (any_field(ORIGINAL_RECEIVED_AT, "date"), ORIGINAL_RECEIVED_AT),
        (text(ORIGINAL_RECEIVED_AT, 80), ORIGINAL_RECEIVED_AT),
        (text(SOURCE_NUMBER, 20), SOURCE_NUMBER),
        (any_field(SOURCE_NUMBER, "double"), SOURCE_NUMBER),
        (text(SOURCE_ID, 15, externalId=True, unique=True), SOURCE_ID),
    ],
)
def test_a_migration_field_of_another_type_or_length_is_a_blocker(wrong: FieldData, name: str) -> None:
    good = {f["name"]: f for f in (KEY, NUMBER, RECEIVED)} | {name: wrong}
    assert set(good) == set(MIGRATION_FIELDS)
    found = check_migration_fields(target(*good.values()))
    assert {(f.code, f.field, f.severity) for f in found} == {("migration_field_type", name, "blocker")}
    assert {f.sobject for f in found} == set(LOADED)


def test_a_link_that_may_not_be_written_is_found_before_the_data_is_read() -> None:
    link = reference(ORDER_CUSTOMER, "CHANNEL_ORDERS__Customer__c")
    assert check_structure_writeable({ORDER: describe(ORDER, link)}) == []
    found = check_structure_writeable({ORDER: describe(ORDER, read_only(link))})
    assert [(f.code, f.field) for f in found] == [("field_not_writeable", ORDER_CUSTOMER)]


@pytest.mark.parametrize(
    ("version", "blocked"), [("46.0", True), ("31.0", True), ("47.0", False), ("67.0", False)]
)
def test_an_org_without_bulk_queries_is_refused(version: str, blocked: bool) -> None:
    found = check_api_version("target", version)
    assert [f.code for f in found] == (["connection_target"] if blocked else [])
    assert all("47.0" in f.message for f in found)


def test_a_hold_back_looks_back_as_far_as_a_transaction_may_last() -> None:
    newest = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    _, window, deleted = _questions(ORDER, newest, timedelta(seconds=900))
    for read in (window, deleted):
        assert "SystemModstamp >= 2026-03-01T11:45:00.000Z" in read.soql
