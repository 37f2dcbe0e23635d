"""What becomes of values on their way in and out."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from coa.contract.fact import NotAskable
from coa.contract.probe_org import FAILED, SUCCESSFUL, BulkRows, ProbeOrg
from coa.contract.probes.app import LONG_AGO, PC_FIELDS, same_second
from coa.contract.probes.registry import Access, probe
from coa.contract.stage import Stage
from coa.model import (
    COA_OBJECTS,
    CONTRACT,
    CUSTOMER,
    CUSTOMER_ORG_ID,
    DETAIL,
    NS,
    ORDER,
    ORDER_TYPE,
    ORIGINAL_RECEIVED_AT,
)

ONE_CUSTOMER = {CUSTOMER: 1}
ONE_ORDER = {ORDER: 1}
ORDER_AND_DETAIL = {ORDER: 1, DETAIL: 1}
STREET = NS + "Customer_Street__c"
COMMENT = NS + "Error_Comment__c"
SPECIAL_TERMS = NS + "Product_Special_Terms__c"
AUTO_RENEW = NS + "Auto_Renew__c"
SHARE = NS + "SFDC_Price__c"
EXTERNAL_ID = NS + "Partner_Contract_Term_External_ID__c"
LARGE = "12345678.5"
LARGE_AS_JAVA = "1.23456785E7"
EMOJI = "\U0001f600"


# ---- audit fields and owners ---------------------------------------------------------------------
@probe("audit.describe", Access.READ)
def describe_of_audit_fields(org: ProbeOrg, _stage: Stage) -> str:
    found = org.field(ORDER, "CreatedDate")
    if found.updateable:
        return "updateable"
    return "createable" if found.createable else "not_createable"


@probe("audit.insert.created-date", Access.WRITE, ONE_ORDER)
def created_date_of_a_new_order(org: ProbeOrg, stage: Stage) -> str:
    (saved,) = org.insert(ORDER, {**stage.order_values(), "CreatedDate": LONG_AGO})
    if saved.code:
        return saved.word
    return (
        "kept"
        if same_second(org.read(ORDER, saved.id, "CreatedDate")["CreatedDate"], LONG_AGO)
        else "ignored"
    )


@probe("audit.update.created-date", Access.WRITE, ONE_ORDER)
def created_date_changed_afterwards(org: ProbeOrg, stage: Stage) -> str:
    order = stage.order()
    saved = org.update(ORDER, order, {"CreatedDate": LONG_AGO})
    if saved.code:
        return saved.word
    changed = same_second(org.read(ORDER, order, "CreatedDate")["CreatedDate"], LONG_AGO)
    return "changed" if changed else "ignored"


@probe("audit.upsert.new", Access.WRITE, ONE_CUSTOMER)
def created_date_in_an_upsert_that_inserts(org: ProbeOrg, stage: Stage) -> str:
    key = org.marked(CUSTOMER, {})[CUSTOMER_ORG_ID]
    saved = org.upsert(CUSTOMER, CUSTOMER_ORG_ID, key, {**stage.customer_values(), "CreatedDate": LONG_AGO})
    if saved.code:
        return saved.word
    found = org.read(CUSTOMER, saved.id, "CreatedDate")["CreatedDate"]
    return "kept" if same_second(found, LONG_AGO) else "ignored"


@probe("audit.upsert.known", Access.WRITE, {CUSTOMER: 2})
def created_date_in_an_upsert_that_updates(org: ProbeOrg, stage: Stage) -> str:
    key = org.marked(CUSTOMER, {})[CUSTOMER_ORG_ID]
    org.new(CUSTOMER, {**stage.customer_values(), CUSTOMER_ORG_ID: key})
    saved = org.upsert(CUSTOMER, CUSTOMER_ORG_ID, key, {"CreatedDate": LONG_AGO})
    if saved.code:
        return saved.word
    found = org.read(CUSTOMER, saved.id, "CreatedDate")["CreatedDate"]
    return "changed" if same_second(found, LONG_AGO) else "ignored"


@probe("audit.insert.modified-before-created", Access.WRITE, ONE_ORDER)
def modified_before_created(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, "CreatedDate", "LastModifiedDate")
    dates = {"CreatedDate": LONG_AGO, "LastModifiedDate": "2018-02-03T04:05:06.000Z"}
    (saved,) = org.insert(ORDER, {**stage.order_values(), **dates})
    return "refused" if saved.code else "accepted"


def _inactive_user(org: ProbeOrg) -> str:
    found = org.query("SELECT Id FROM User WHERE IsActive = false AND UserType = 'Standard' LIMIT 1")
    if not found:
        raise NotAskable("the org has no inactive user")
    return str(found[0]["Id"])


@probe("audit.insert.inactive-creator", Access.WRITE, ONE_ORDER)
def creator_who_is_not_active(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, "CreatedById")
    user = _inactive_user(org)
    (saved,) = org.insert(ORDER, {**stage.order_values(), "CreatedById": user})
    if saved.code:
        return saved.word
    return "kept" if org.read(ORDER, saved.id, "CreatedById")["CreatedById"] == user else "changed"


@probe("owner.inactive", Access.WRITE, ONE_ORDER)
def owner_who_is_not_active(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, "OwnerId")
    (saved,) = org.insert(ORDER, {**stage.order_values(), "OwnerId": _inactive_user(org)})
    return saved.word


# ---- texts ---------------------------------------------------------------------------------------
def _text_after(found: str | None, sent: str) -> str:
    if found == sent:
        return "kept"
    if not found:
        return "emptied"
    if found == sent.replace("\r\n", "\n").replace("\r", "\n"):
        return "line_feeds"
    if found == sent.strip():
        return "trimmed"
    return "changed"


def _by_rest(org: ProbeOrg, stage: Stage, sobject: str, name: str, text: str) -> str:
    """What a text of an order or a customer has become after an insert by REST."""
    org.need(sobject, name)
    values = stage.order_values() if sobject == ORDER else stage.customer_values()
    (saved,) = org.insert(sobject, {**values, name: text})
    if saved.code:
        return saved.word
    return _text_after(org.read(sobject, saved.id, name)[name], text)


@probe("text.rest.crlf", Access.WRITE, ONE_ORDER)
def crlf_by_rest(org: ProbeOrg, stage: Stage) -> str:
    return _by_rest(org, stage, ORDER, COMMENT, "one\r\ntwo")


@probe("text.rest.cr", Access.WRITE, ONE_ORDER)
def lone_cr_by_rest(org: ProbeOrg, stage: Stage) -> str:
    return _by_rest(org, stage, ORDER, COMMENT, "one\rtwo")


@probe("text.leading-blanks", Access.WRITE, ONE_CUSTOMER)
def leading_blanks(org: ProbeOrg, stage: Stage) -> str:
    return _by_rest(org, stage, CUSTOMER, STREET, "  probe")


@probe("text.trailing-blanks", Access.WRITE, ONE_CUSTOMER)
def trailing_blanks(org: ProbeOrg, stage: Stage) -> str:
    return _by_rest(org, stage, CUSTOMER, STREET, "probe  ")


@probe("text.emoji", Access.WRITE, ONE_CUSTOMER)
def emoji(org: ProbeOrg, stage: Stage) -> str:
    return _by_rest(org, stage, CUSTOMER, STREET, f"probe {EMOJI}")


@probe("text.long", Access.WRITE, ORDER_AND_DETAIL)
def long_text(org: ProbeOrg, stage: Stage) -> str:
    org.need(DETAIL, SPECIAL_TERMS)
    text = "x" * org.field(DETAIL, SPECIAL_TERMS).length
    values = stage.detail_values(stage.order(), stage.fixed_product())
    (saved,) = org.insert(DETAIL, {**values, SPECIAL_TERMS: text})
    if saved.code:
        return saved.word
    found = str(org.read(DETAIL, saved.id, SPECIAL_TERMS)[SPECIAL_TERMS] or "")
    return "kept" if found == text else "cut" if len(found) < len(text) else "changed"


@probe("text.length-unit", Access.WRITE, ONE_CUSTOMER)
def unit_of_lengths(org: ProbeOrg, stage: Stage) -> str:
    org.need(CUSTOMER, STREET)
    text = "x" * (org.field(CUSTOMER, STREET).length - 1) + EMOJI
    (saved,) = org.insert(CUSTOMER, {**stage.customer_values(), STREET: text})
    if saved.code == "STRING_TOO_LONG":
        return "utf16"
    return saved.word if saved.code else "code_points"


def _in_bulk(org: ProbeOrg, stage: Stage, values: dict[str, str]) -> tuple[BulkRows, str]:
    """A new order by a Bulk job, and its id if it was made."""
    usual = {key: _as_text(value) for key, value in stage.order_values().items()}
    done = org.bulk(ORDER, "insert", [{**org.marked(ORDER, {}), **usual, **values}])
    rows = done.rows(SUCCESSFUL)
    return done, rows[0]["sf__Id"] if rows else ""


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refusal(done: BulkRows) -> str:
    """`job_failed`, or `refused:CODE` of the one row."""
    failed = done.rows(FAILED)
    if not failed:
        return "job_failed"
    code = failed[0].get("sf__Error", "").partition(":")[0]
    return f"refused:{code}" if re.fullmatch(r"[A-Z_]+", code) else "refused"


@probe("text.bulk.crlf", Access.WRITE, ONE_ORDER)
def crlf_by_bulk(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, COMMENT)
    text = "one\r\ntwo"
    done, order = _in_bulk(org, stage, {COMMENT: text})
    return _text_after(org.read(ORDER, order, COMMENT)[COMMENT], text) if order else _refusal(done)


def _updated_in_bulk(org: ProbeOrg, stage: Stage, value: str) -> str:
    """What a comment of an order becomes by a Bulk update to `value`."""
    org.need(ORDER, COMMENT, update=True)
    order = stage.order(**{COMMENT: "before"})
    done = org.bulk(ORDER, "update", [{"Id": order, COMMENT: value}])
    if not done.rows(SUCCESSFUL):
        return _refusal(done)
    found = org.read(ORDER, order, COMMENT)[COMMENT]
    return {None: "emptied", "": "emptied", "before": "kept", value: "as_sent"}.get(found, "changed")


@probe("text.bulk.hash-na", Access.WRITE, ONE_ORDER)
def hash_na_by_bulk(org: ProbeOrg, stage: Stage) -> str:
    return _updated_in_bulk(org, stage, "#N/A")


@probe("text.bulk.empty-cell-update", Access.WRITE, ONE_ORDER)
def empty_cell_in_an_update(org: ProbeOrg, stage: Stage) -> str:
    return _updated_in_bulk(org, stage, "")


@probe("text.bulk.empty-cell-insert", Access.WRITE, ONE_ORDER)
def empty_cell_in_an_insert(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, AUTO_RENEW)
    if org.field(ORDER, AUTO_RENEW).raw.get("defaultValue") is not True:
        raise NotAskable(f"the field {ORDER}.{AUTO_RENEW} has another default")
    done, order = _in_bulk(org, stage, {AUTO_RENEW: ""})
    if not order:
        return _refusal(done)
    return "default" if org.read(ORDER, order, AUTO_RENEW)[AUTO_RENEW] else "false"


@probe("text.bulk.boolean-digits", Access.WRITE, ONE_ORDER)
def digits_as_booleans(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, AUTO_RENEW)
    _, order = _in_bulk(org, stage, {AUTO_RENEW: "0"})
    if not order:
        return "refused"
    return "accepted" if org.read(ORDER, order, AUTO_RENEW)[AUTO_RENEW] is False else "ignored"


# ---- numbers and dates -----------------------------------------------------------------------------
def _printed(text: str) -> str:
    if text == LARGE_AS_JAVA:
        return "java"
    return {LARGE: "plain", LARGE + "0": "plain"}.get(text, "other")


@probe("number.bulk-query", Access.WRITE, ORDER_AND_DETAIL)
def large_number_in_a_bulk_query(org: ProbeOrg, stage: Stage) -> str:
    org.need(DETAIL, SHARE)
    detail = stage.detail(stage.order(), stage.share_product(), **{SHARE: float(LARGE)})
    _, page, _ = org.bulk_query(f"SELECT {SHARE} FROM {DETAIL} WHERE Id = '{detail}'")
    return _printed(csv_rows(page)[0][SHARE])


@probe("number.bulk-results", Access.WRITE, ORDER_AND_DETAIL)
def large_number_in_ingest_results(org: ProbeOrg, stage: Stage) -> str:
    org.need(DETAIL, SHARE)
    usual = {
        key: str(value) for key, value in stage.detail_values(stage.order(), stage.share_product()).items()
    }
    done = org.bulk(DETAIL, "insert", [{**org.marked(DETAIL, {}), **usual, SHARE: LARGE}])
    rows = done.rows(SUCCESSFUL)
    if not rows:
        raise NotAskable(f"the org refused a detail that the probe needs: {_refusal(done)}")
    echoed = rows[0].get(SHARE, "")
    return "as_sent" if echoed == LARGE else _printed(echoed)


@probe("number.scale", Access.WRITE, ORDER_AND_DETAIL)
def digits_beyond_the_scale(org: ProbeOrg, stage: Stage) -> str:
    name = next(iter(PC_FIELDS))
    org.need(DETAIL, name)
    values = stage.detail_values(stage.order(), stage.share_product())
    (saved,) = org.insert(DETAIL, {**values, name: 10.125})
    if saved.code:
        return "refused"
    found = org.read(DETAIL, saved.id, name)[name]
    return {10.13: "rounded_up", 10.12: "rounded_down", 10.125: "kept"}.get(found, "other")


@probe("datetime.milliseconds", Access.WRITE, ONE_ORDER)
def milliseconds(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, ORIGINAL_RECEIVED_AT)
    order = stage.order(**{ORIGINAL_RECEIVED_AT: LONG_AGO.replace(".000Z", ".789Z")})
    found = str(org.read(ORDER, order, ORIGINAL_RECEIVED_AT)[ORIGINAL_RECEIVED_AT] or "")
    if not same_second(found, LONG_AGO):
        raise NotAskable(f"automation of this org sets {ORIGINAL_RECEIVED_AT} to another date")
    return {".000": "dropped", ".789": "kept"}.get(found[19:23], "other")


@probe("datetime.bulk-query", Access.READ)
def date_time_in_a_bulk_query(org: ProbeOrg, _stage: Stage) -> str:
    _, page, _ = org.bulk_query("SELECT CreatedDate FROM User LIMIT 1")
    printed = csv_rows(page)[0]["CreatedDate"]
    return "zulu_milliseconds" if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", printed) else "other"


def csv_rows(text: str) -> list[dict[str, str]]:
    """Rows of a CSV by name of their column. Raises `NotAskable` where there is none."""
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    if not rows:
        raise NotAskable("the org has no record to ask with")
    return rows


# ---- picklists, keys, fields -------------------------------------------------------------------------
@probe("picklist.restricted", Access.WRITE, ONE_ORDER)
def value_that_a_picklist_lacks(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, ORDER_TYPE)
    (saved,) = org.insert(ORDER, {**stage.order_values(), ORDER_TYPE: "COAPRB no such type"})
    return saved.word


@probe("currency.unknown-code", Access.WRITE, ONE_ORDER)
def currency_that_the_org_lacks(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, "CurrencyIsoCode")
    (saved,) = org.insert(ORDER, {**stage.order_values(), "CurrencyIsoCode": "XTS"})
    return saved.word


@probe("key.unique", Access.WRITE, {CUSTOMER: 2})
def second_customer_of_an_org_id(org: ProbeOrg, stage: Stage) -> str:
    values = org.marked(CUSTOMER, stage.customer_values())
    org.new(CUSTOMER, values)
    (saved,) = org.insert(CUSTOMER, values)
    return saved.word


@probe("key.case", Access.WRITE, {CUSTOMER: 2})
def org_ids_that_differ_in_case(org: ProbeOrg, stage: Stage) -> str:
    values = org.marked(CUSTOMER, stage.customer_values())
    org.new(CUSTOMER, {**values, CUSTOMER_ORG_ID: values[CUSTOMER_ORG_ID] + "a"})
    (saved,) = org.insert(CUSTOMER, {**values, CUSTOMER_ORG_ID: values[CUSTOMER_ORG_ID] + "A"})
    return saved.word


def _upserted(org: ProbeOrg, *rows: dict[str, str]) -> BulkRows:
    return org.bulk(CUSTOMER, "upsert", rows, key_field=CUSTOMER_ORG_ID)


@probe("key.upsert", Access.WRITE, {CUSTOMER: 2})
def upsert_twice(org: ProbeOrg, stage: Stage) -> str:
    row = org.marked(CUSTOMER, stage.customer_values())
    first, second = _upserted(org, row).rows(SUCCESSFUL), _upserted(org, row).rows(SUCCESSFUL)
    if not first or not second:
        return "refused"
    said = first[0]["sf__Created"], second[0]["sf__Created"]
    same = first[0]["sf__Id"] == second[0]["sf__Id"]
    return "insert_then_update" if said == ("true", "false") and same else "other"


@probe("key.upsert-twice", Access.WRITE, {CUSTOMER: 2})
def key_that_comes_twice(org: ProbeOrg, stage: Stage) -> str:
    row = org.marked(CUSTOMER, stage.customer_values())
    done = _upserted(org, row, row)
    return {2: "both_refused", 1: "one_refused", 0: "both_taken"}[len(done.rows(FAILED))]


@probe("key.several-matches", Access.WRITE, {CONTRACT: 2})
def key_that_several_records_have(org: ProbeOrg, _stage: Stage) -> str:
    org.need(CONTRACT, EXTERNAL_ID)
    values = org.marked(CONTRACT, {})
    # Where the package copies the name, both get it; elsewhere both have what was sent.
    values[EXTERNAL_ID] = values["Name"]
    org.new(CONTRACT, values)
    org.new(CONTRACT, values)
    path = f"{org.org.data_path}/sobjects/{CONTRACT}/{EXTERNAL_ID}/{values['Name']}"
    ((status, body),) = org.together(("GET", path.removeprefix(org.org.data_path)))
    addresses = isinstance(body, list) and all(isinstance(one, str) and "/sobjects/" in one for one in body)
    return f"{status}_with_addresses" if status == 300 and addresses else str(status)


@probe("field.masked", Access.READ)
def value_of_an_encrypted_field(org: ProbeOrg, _stage: Stage) -> str:
    for sobject in COA_OBJECTS:
        for one in org.describe(sobject).fields.values():
            if one.maskable:
                return _masked(org, sobject, one.name)
    raise NotAskable("no field of the package's objects is under classic encryption")


def _masked(org: ProbeOrg, sobject: str, name: str) -> str:
    # Encrypted fields cannot be filtered by: some records, of which one may have a value.
    values = [str(r[name]) for r in org.query(f"SELECT {name} FROM {sobject} LIMIT 200") if r.get(name)]
    if not values:
        raise NotAskable("no record has a value in the encrypted field")
    return "masked" if all(re.search(r"\*{3}|X{4}", value) for value in values) else "clear"


@probe("field.hidden", Access.READ)
def field_that_is_not_there(org: ProbeOrg, _stage: Stage) -> str:
    reply = org.call("GET", "/query", params={"q": f"SELECT COA_No_Such_Field__c FROM {ORDER} LIMIT 1"})
    return f"refused:{reply.code}" if reply.refused else "accepted"
