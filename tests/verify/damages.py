"""The kinds of damage that verification must find: changed values as a table, changed records as functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.verify.scene import Found, Record, Scene, equals, has

from coa.model import (
    CLONED_FROM,
    CUSTOMER,
    CUSTOMER_ORG_ID,
    DETAIL,
    DETAIL_CONTRACT,
    DETAIL_ORDER,
    DETAIL_PRODUCT,
    NS,
    ORDER,
    ORDER_CONTRACT,
    ORDER_CUSTOMER,
    ORDER_TYPE,
    ORIGINAL_RECEIVED_AT,
    QUANTITY,
    RECEIVED_AT,
    SOURCE_ID,
    SOURCE_NUMBER,
    STATUS,
)

NAME = NS + "Customer_Company_Name__c"
STREET = NS + "Customer_Street__c"
NOTE = NS + "Invoice_Description__c"
TERMS = NS + "Product_Special_Terms__c"
LINE = NS + "Product_Line_Description__c"
FIXED = NS + "pc_Fixed_Price__c"
PRICING = NS + "pc_Pricing_Type__c"
STAMP = "%Y-%m-%dT%H:%M:%S.000Z"


def moved(**by: float) -> Callable[[str], str]:
    """A date-time (or date) moved by so much."""

    def change(value: str) -> str:
        if len(value) == 10:
            return f"{datetime.fromisoformat(value) + timedelta(**by):%Y-%m-%d}"
        return (datetime.fromisoformat(value).astimezone(UTC) + timedelta(**by)).strftime(STAMP)

    return change


def to(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


@dataclass(frozen=True)
class Damage:
    """One value of one record changed behind the tool's back.

    `text`: put into the field in the source before the migration, so that there is something to lose.
    """

    name: str
    sobject: str
    field: str
    change: Callable[[Any], Any]
    kind: str = "field"
    when: tuple[Callable[[Record], bool], ...] = ()
    text: str = ""

    def plant(self, scene: Scene) -> set[Found]:
        there = () if self.when else (has(self.field),)
        text = (equals(self.field, self.text),) if self.text else ()
        record = scene.take(self.sobject, *self.when, *there, *text)
        value = self.change(record[self.field])
        assert value != record[self.field], f"{self.name} changes nothing"
        scene.edit(self.sobject, record, **{self.field: value})
        if self.sobject == DETAIL:
            scene.totals_follow([record[DETAIL_ORDER]])
        return {(self.sobject, record["Id"], self.field, self.kind)}


def empty(name: str) -> tuple[Callable[[Record], bool], ...]:
    return (lambda record: record.get(name) in (None, ""),)


def upper(value: str) -> str:
    return value.upper() if value != value.upper() else value.lower()


VALUES = [
    # text, byte for byte
    Damage("customer renamed", CUSTOMER, NAME, lambda v: v[:-1] + "#"),
    Damage("case changed", CUSTOMER, NAME, upper),
    Damage("trailing blank added", CUSTOMER, NAME, lambda v: v + " "),
    Damage("city lost", CUSTOMER, NS + "Customer_City__c", to(None)),
    Damage("country changed", CUSTOMER, NS + "Customer_Country__c", lambda v: v + "X"),
    Damage("case of an org id", CUSTOMER, CUSTOMER_ORG_ID, lambda v: v.swapcase()),
    Damage("line break of an address", CUSTOMER, STREET, lambda v: v.replace("\n", " "), text="Main 1\nHof 2"),
    Damage("emoji lost", ORDER, NOTE, lambda v: v.replace("\U0001f680", "?"), text="launch \U0001f680 now"),
    Damage("half of an emoji", ORDER, NOTE, lambda v: v.replace("\u200d\U0001f4bb", ""), text="\U0001f469\u200d\U0001f4bb"),
    Damage("line break lost", ORDER, NOTE, lambda v: v.replace("\n", ""), text="first\nsecond"),
    Damage("trailing line break lost", ORDER, NOTE, lambda v: v.rstrip("\n"), text="last line\n"),
    Damage("leading blank trimmed", ORDER, NOTE, str.lstrip, text="  indented"),
    Damage("trailing blank trimmed", ORDER, NOTE, str.rstrip, text="padded  "),
    Damage("two blanks become one", ORDER, NOTE, lambda v: v.replace("  ", " "), text="a  b"),
    Damage("tab becomes a blank", ORDER, NOTE, lambda v: v.replace("\t", " "), text="a\tb"),
    Damage("no-break space becomes a blank", ORDER, NOTE, lambda v: v.replace("\u00a0", " "), text="10\u00a0EUR"),
    Damage("zero-width space lost", ORDER, NOTE, lambda v: v.replace("\u200b", ""), text="zero\u200bwidth"),
    Damage("letters composed", ORDER, NOTE, to("caf\u00e9"), text="cafe\u0301"),
    Damage("quotes doubled", ORDER, NOTE, lambda v: v.replace('"', '""'), text='he said "no"'),
    Damage("quote lost", ORDER, NOTE, lambda v: v.strip('"'), text='"quoted"'),
    Damage("backslash doubled", ORDER, NOTE, lambda v: v.replace("\\", "\\\\"), text="a\\b"),
    Damage("markup escaped", ORDER, NOTE, lambda v: v.replace("&", "&amp;"), text="R&D"),
    Damage("umlaut garbled", ORDER, NOTE, lambda v: v.encode().decode("latin-1"), text="Müller"),
    Damage("dash replaced", ORDER, NOTE, lambda v: v.replace("–", "-"), text="2019–2020"),
    Damage("leading zeros lost", DETAIL, LINE, to("12"), text="0012"),
    Damage("last character cut", DETAIL, TERMS, lambda v: v[:-1], text="t" * 900 + "!"),
    Damage("text cut at 255", DETAIL, TERMS, lambda v: v[:255], text="0123456789" * 40),
    Damage("text appeared", ORDER, NS + "Error_Comment__c", to("new"), when=empty(NS + "Error_Comment__c")),
    Damage("text lost", ORDER, NOTE, to(None), text="will be gone"),
    Damage("text null written out", ORDER, NOTE, to("null"), when=empty(NOTE)),
    Damage("e-mail changed", ORDER, NS + "Submitted_By_Email__c", lambda v: v.upper()),
    # dates
    Damage("received a second later", ORDER, RECEIVED_AT, moved(seconds=1), "received_date"),
    Damage("received a day earlier", ORDER, RECEIVED_AT, moved(days=-1), "received_date"),
    Damage("received in another time zone", ORDER, RECEIVED_AT, moved(hours=8), "received_date"),
    Damage("received date lost", ORDER, RECEIVED_AT, to(None), "received_date"),
    Damage("received date reset to now", ORDER, RECEIVED_AT, lambda _: datetime.now(UTC).strftime(STAMP), "received_date"),
    Damage("received date invented", ORDER, RECEIVED_AT, to("2020-01-01T00:00:00.000Z"), "received_date", when=empty(RECEIVED_AT)),
    Damage("original received date moved", ORDER, ORIGINAL_RECEIVED_AT, moved(seconds=-1), "received_date"),
    Damage("created a second earlier", ORDER, "CreatedDate", moved(seconds=-1), "created_date"),
    Damage("created at the import", ORDER, "CreatedDate", lambda _: datetime.now(UTC).strftime(STAMP), "created_date"),
    Damage("detail created a day later", DETAIL, "CreatedDate", moved(days=1), "created_date"),
    Damage("customer created a month later", CUSTOMER, "CreatedDate", moved(days=30), "created_date"),
    Damage("start date a day off", ORDER, NS + "Service_Start_Date__c", moved(days=1)),
    Damage("start date lost", ORDER, NS + "Service_Start_Date__c", to(None)),
    Damage("customer's order date a year off", ORDER, NS + "Date_Partner_Received_Customer_Order__c", moved(days=365)),
    Damage("submitted a second later", ORDER, NS + "Order_Submitted__c", moved(seconds=1)),
    # numbers, prices, checkboxes
    Damage("price rounded", DETAIL, FIXED, lambda v: round(v) + (round(v) == v), "price"),
    Damage("price off by a cent", DETAIL, FIXED, lambda v: round(v + 0.01, 2), "price"),
    Damage("today's catalog price", DETAIL, FIXED, lambda v: v * 1.1 + 1, "price"),
    Damage("price lost", DETAIL, FIXED, to(None), "price"),
    Damage("customer price changed", DETAIL, NS + "Customer_Price_Per_Month__c", lambda v: v + 1, "price"),
    Damage("pricing switched to fixed", DETAIL, PRICING, to("FIXED"), "price", when=(equals(PRICING, "PNR"),)),
    Damage("price sign turned", DETAIL, FIXED, lambda v: -v, "price", when=(lambda r: (r[FIXED] or 0) > 0,)),
    Damage("quantity off by one", DETAIL, QUANTITY, lambda v: v + 1),
    Damage("quantity off by a hundredth", DETAIL, QUANTITY, lambda v: round(v + 0.01, 2)),
    Damage("contract length changed", ORDER, NS + "Contract_Length__c", lambda v: v + 12),
    Damage("number lost", ORDER, NS + "Billing_Frequency__c", to(None)),
    Damage("zero instead of a number", ORDER, NS + "Renewal_Terms__c", to(0)),
    Damage("terms of a detail changed", DETAIL, NS + "pc_Renewal_Terms__c", lambda v: v + 1),
    Damage("checkbox turned", ORDER, NS + "Auto_Renew__c", lambda v: 1 - v),
    Damage("auto-renew flag turned", ORDER, NS + "Processed_By_AutoRenew__c", lambda v: 1 - v),
    Damage("order value off by a cent", ORDER, NS + "Order_Total_Value__c", lambda v: v + 0.01, "rollup"),
    Damage("number of lines off", ORDER, NS + "Product_Lines__c", lambda v: v + 1, "rollup"),
    Damage("total quantity halved", ORDER, NS + "Total_Quantity__c", lambda v: v / 2, "rollup"),
    # picklists
    Damage("status changed", ORDER, STATUS, to("Provisioned"), "status", when=(equals(STATUS, "Activated"),)),
    Damage("status fell back to Draft", ORDER, STATUS, to("Draft"), "status", when=(equals(STATUS, "Activated"),)),
    Damage("status went on", ORDER, STATUS, to("Activated"), "status", when=(equals(STATUS, "In Process"),)),
    Damage("order type changed", ORDER, ORDER_TYPE, to("Add-On"), when=(equals(ORDER_TYPE, "Initial"),)),
    Damage("order type lost", ORDER, ORDER_TYPE, to(None)),
    Damage("currency of a detail changed", DETAIL, NS + "pct_Currency__c", lambda v: "JPY" if v != "JPY" else "EUR"),
    # links, owners, keys
    Damage("clone link lost", ORDER, CLONED_FROM, to(None), "clone_link"),
    Damage("opportunity lost", ORDER, NS + "Related_Opportunity__c", to(None), "link"),
    Damage("product lost", DETAIL, DETAIL_PRODUCT, to(None), "link"),
    Damage("contract of a detail lost", DETAIL, DETAIL_CONTRACT, to(None), "link"),
    Damage("migration key lost", ORDER, SOURCE_ID, to(None)),
    Damage("old number changed", ORDER, SOURCE_NUMBER, lambda v: v + "0"),
    Damage("old number of a detail lost", DETAIL, SOURCE_NUMBER, to(None)),
    Damage("old number of a customer lost", CUSTOMER, SOURCE_NUMBER, to(None)),
]  # fmt: skip


# ---- damage to records and to links between them ------------------------------------------------------


def wrong_clone(scene: Scene) -> set[Found]:
    order = scene.take(ORDER, has(CLONED_FROM))
    other = next(i for i in scene.records[ORDER] if i not in (order[CLONED_FROM], order["Id"]))
    scene.edit(ORDER, order, **{CLONED_FROM: other})
    return {(ORDER, order["Id"], CLONED_FROM, "clone_link")}


def clone_link_invented(scene: Scene) -> set[Found]:
    order = scene.take(ORDER, *empty(CLONED_FROM))
    scene.edit(ORDER, order, **{CLONED_FROM: next(iter(scene.records[ORDER]))})
    return {(ORDER, order["Id"], CLONED_FROM, "clone_link")}


def customers_swapped(scene: Scene) -> set[Found]:
    one = scene.take(ORDER)
    two = scene.take(ORDER, lambda r: r[ORDER_CUSTOMER] != one[ORDER_CUSTOMER])
    scene.edit(ORDER, one, **{ORDER_CUSTOMER: two[ORDER_CUSTOMER]})
    scene.edit(ORDER, two, **{ORDER_CUSTOMER: one[ORDER_CUSTOMER]})
    return {(ORDER, r["Id"], ORDER_CUSTOMER, "link") for r in (one, two)}


def parents_swapped(scene: Scene) -> set[Found]:
    one, two = scene.take(DETAIL), scene.take(DETAIL)
    scene.edit(DETAIL, one, **{DETAIL_ORDER: two[DETAIL_ORDER]})
    scene.edit(DETAIL, two, **{DETAIL_ORDER: one[DETAIL_ORDER]})
    scene.totals_follow([one[DETAIL_ORDER], two[DETAIL_ORDER]])
    return {(DETAIL, r["Id"], DETAIL_ORDER, "link") for r in (one, two)}


def contract_changed(scene: Scene) -> set[Found]:
    one = scene.take(ORDER)
    two = next(
        r for r in scene.records[ORDER].values() if r[ORDER_CONTRACT] not in (None, one[ORDER_CONTRACT])
    )
    scene.edit(ORDER, one, **{ORDER_CONTRACT: two[ORDER_CONTRACT]})
    return {(ORDER, one["Id"], ORDER_CONTRACT, "link")}


def product_changed(scene: Scene) -> set[Found]:
    one = scene.take(DETAIL, has(DETAIL_PRODUCT))
    two = next(
        r for r in scene.records[DETAIL].values() if r[DETAIL_PRODUCT] not in (None, one[DETAIL_PRODUCT])
    )
    scene.edit(DETAIL, one, **{DETAIL_PRODUCT: two[DETAIL_PRODUCT]})
    scene.totals_follow([one[DETAIL_ORDER]])
    return {(DETAIL, one["Id"], DETAIL_PRODUCT, "link")}


def owner_changed(scene: Scene) -> set[Found]:
    one = scene.take(ORDER)
    two = next(r for r in scene.records[ORDER].values() if r["OwnerId"] != one["OwnerId"])
    scene.edit(ORDER, one, OwnerId=two["OwnerId"])
    return {(ORDER, one["Id"], "OwnerId", "owner")}


def creator_changed(scene: Scene) -> set[Found]:
    one = scene.take(ORDER)
    two = next(r for r in scene.records[ORDER].values() if r["CreatedById"] != one["CreatedById"])
    scene.edit(ORDER, one, CreatedById=two["CreatedById"])
    return {(ORDER, one["Id"], "CreatedById", "owner")}


def keys_swapped(scene: Scene) -> set[Found]:
    one, two = scene.take(ORDER), scene.take(ORDER)
    scene.edit(ORDER, one, **{SOURCE_ID: None})
    scene.edit(ORDER, two, **{SOURCE_ID: one[SOURCE_ID]})
    scene.edit(ORDER, one, **{SOURCE_ID: two[SOURCE_ID]})
    return {(ORDER, r["Id"], SOURCE_ID, kind) for r in (one, two) for kind in ("field", "duplicate")}


def detail_missing(scene: Scene) -> set[Found]:
    detail = scene.take(DETAIL)
    scene.delete(DETAIL, detail)
    scene.totals_follow([detail[DETAIL_ORDER]])
    return {(DETAIL, detail["Id"], "", "missing")}


def order_missing(scene: Scene) -> set[Found]:
    order = scene.take(ORDER)
    scene.delete(ORDER, order)
    # What was cloned from it loses its link.
    for clone in scene.records[ORDER].values():
        if clone[CLONED_FROM] == order["Id"]:
            scene.consequences.add((ORDER, clone["Id"], CLONED_FROM, "clone_link"))
    return {(ORDER, order["Id"], "", "missing")} | {
        (DETAIL, d["Id"], "", "missing") for d in scene.details_of(order["Id"])
    }


def customer_missing(scene: Scene) -> set[Found]:
    customer = scene.take(CUSTOMER)
    orders = [o for o in scene.records[ORDER].values() if o[ORDER_CUSTOMER] == customer["Id"]]
    scene.delete(CUSTOMER, customer)
    scene.used |= {order["Id"] for order in orders}  # an org refuses a copy that names a deleted customer
    for order in orders:
        scene.consequences.add((ORDER, order["Id"], ORDER_CUSTOMER, "link"))
    return {(CUSTOMER, customer["Id"], "", "missing")}


def order_twice_by_key(scene: Scene) -> set[Found]:
    """A second record with the 15-character form of the key, which the unique index lets pass."""
    order = scene.take(ORDER)
    extra = scene.copy(ORDER, order, **{SOURCE_ID: order[SOURCE_ID][:15]})
    return {(ORDER, extra, SOURCE_ID, "duplicate")}


def order_twice_without_key(scene: Scene) -> set[Found]:
    """Entered again by hand, with all its lines."""
    order = scene.take(ORDER, lambda r: bool(scene.details_of(r["Id"])))
    extra = scene.copy(ORDER, order)
    for detail in scene.details_of(order["Id"]):
        scene.copy(DETAIL, detail, **{DETAIL_ORDER: extra})
    return {(ORDER, extra, "", "duplicate")}


def order_header_twice(scene: Scene) -> set[Found]:
    order = scene.take(ORDER)
    return {(ORDER, scene.copy(ORDER, order), "", "duplicate")}


def detail_twice(scene: Scene) -> set[Found]:
    detail = scene.take(DETAIL)
    scene.totals_follow([detail[DETAIL_ORDER]])
    return {(DETAIL, scene.copy(DETAIL, detail), "", "duplicate")}


def detail_unexpected(scene: Scene) -> set[Found]:
    detail = scene.take(DETAIL)
    scene.totals_follow([detail[DETAIL_ORDER]])
    return {(DETAIL, scene.copy(DETAIL, detail, **{QUANTITY: 4711}), "", "unexpected")}


def customer_twice(scene: Scene) -> set[Found]:
    """One org, named by 15 and by 18 characters."""
    customer = scene.take(CUSTOMER, lambda r: len(r[CUSTOMER_ORG_ID]) in (15, 18))
    org_id = customer[CUSTOMER_ORG_ID]
    other = org_id[:15] if len(org_id) == 18 else org_id + "AAA"
    extra = scene.copy(CUSTOMER, customer, **{CUSTOMER_ORG_ID: other})
    return {(CUSTOMER, extra, CUSTOMER_ORG_ID, "duplicate")}


def order_of_unknown_key(scene: Scene) -> set[Found]:
    order = scene.take(ORDER)
    extra = scene.copy(
        ORDER, order, **{SOURCE_ID: "a0X000000000000AAA", NS + "Service_Start_Date__c": "2031-01-01"}
    )
    return {(ORDER, extra, SOURCE_ID, "unexpected")}


RECORDS: list[Callable[[Scene], set[Found]]] = [
    wrong_clone, clone_link_invented, customers_swapped, parents_swapped, contract_changed, product_changed,
    owner_changed, creator_changed, keys_swapped, detail_missing, order_missing, customer_missing,
    order_twice_by_key, order_twice_without_key, order_header_twice, detail_twice, detail_unexpected,
    customer_twice, order_of_unknown_key,
]  # fmt: skip
