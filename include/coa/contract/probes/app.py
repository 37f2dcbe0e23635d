"""What the Channel Order App does to orders, details and contract terms."""

from __future__ import annotations

from typing import Any

from coa.contract.fact import NotAskable
from coa.contract.probe_org import ProbeOrg
from coa.contract.probes.registry import Access, probe
from coa.contract.stage import CATALOG_PRICE, FIXED_PRICE, PRICING_TYPE, Stage
from coa.model import (
    CONTRACT,
    DETAIL,
    DETAIL_CONTRACT,
    DETAIL_PRODUCT,
    DRAFT,
    NS,
    ORDER,
    ORDER_CONTRACT,
    ORDER_TYPE,
    QUANTITY,
    RECEIVED_AT,
    STATUS,
)

LONG_AGO = "2019-03-04T05:06:07.000Z"
OTHER_DAY = "2018-02-03T04:05:06.000Z"
SUBMITTED_AT = NS + "Order_Submitted__c"
VERSION = NS + "Version__c"
EXTERNAL_ID = NS + "Partner_Contract_Term_External_ID__c"
SPECIAL_TERMS = NS + "Product_Special_Terms__c"
TOTAL_QUANTITY = NS + "Total_Quantity__c"
ONE_ORDER = {ORDER: 1}
ORDER_AND_DETAIL = {ORDER: 1, DETAIL: 1}


def same_second(found: Any, sent: str) -> bool:
    """Whether a date-time of an org is the one that was sent, whatever its milliseconds."""
    return str(found or "")[:19] == sent[:19]


def _date_after(found: Any, sent: str, *, otherwise: str = "stamped_over") -> str:
    if same_second(found, sent):
        return "kept"
    return otherwise if found else "emptied"


# ---- orders ------------------------------------------------------------------------------------
@probe("order.insert.status", Access.STATUS, ONE_ORDER)
def status_of_a_new_order(org: ProbeOrg, stage: Stage) -> str:
    sent = org.value_of(ORDER, STATUS, "Provisioned")
    found = org.read(ORDER, stage.order(**{STATUS: sent}), STATUS)[STATUS]
    return {DRAFT: "reset_to_draft", sent: "as_sent"}.get(found, "other")


@probe("order.insert.received-date", Access.WRITE, ONE_ORDER)
def received_date_of_a_new_order(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, RECEIVED_AT)
    order = stage.order(**{RECEIVED_AT: LONG_AGO})
    return _date_after(org.read(ORDER, order, RECEIVED_AT)[RECEIVED_AT], LONG_AGO)


@probe("order.insert.received-stamp", Access.STATUS, ONE_ORDER)
def stamp_of_a_new_received_order(org: ProbeOrg, stage: Stage) -> str:
    order = stage.order(**{STATUS: org.value_of(ORDER, STATUS, "Received")})
    return "stamped" if org.read(ORDER, order, RECEIVED_AT)[RECEIVED_AT] else "not_stamped"


def _order_in(org: ProbeOrg, stage: Stage, status: str, **values: Any) -> str:
    """A Draft that is then updated to the status and the values. Raises `NotAskable` when that is refused."""
    order = stage.order()
    saved = org.update(ORDER, order, {STATUS: org.value_of(ORDER, STATUS, status), **values})
    if saved.code:
        raise NotAskable(f"the org refused to make a Draft {status}: {saved.code}")
    return order


@probe("order.update.received-stamp", Access.STATUS, ONE_ORDER)
def date_that_goes_along_to_received(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, RECEIVED_AT, update=True)
    order = _order_in(org, stage, "Received", **{RECEIVED_AT: LONG_AGO})
    return _date_after(org.read(ORDER, order, RECEIVED_AT)[RECEIVED_AT], LONG_AGO)


@probe("order.update.date-only", Access.STATUS, ONE_ORDER)
def date_alone_on_a_received_order(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, RECEIVED_AT, update=True)
    order = _order_in(org, stage, "Received")
    saved = org.update(ORDER, order, {RECEIVED_AT: LONG_AGO})
    if saved.code:
        return saved.word
    return _date_after(org.read(ORDER, order, RECEIVED_AT)[RECEIVED_AT], LONG_AGO)


@probe("order.update.other-status", Access.STATUS, ONE_ORDER)
def date_on_the_way_to_activated(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, RECEIVED_AT, update=True)
    order = _order_in(org, stage, "Activated", **{RECEIVED_AT: LONG_AGO})
    return _date_after(org.read(ORDER, order, RECEIVED_AT)[RECEIVED_AT], LONG_AGO)


@probe("order.update.direct-status", Access.STATUS, ONE_ORDER)
def straight_to_provisioned(org: ProbeOrg, stage: Stage) -> str:
    status = org.value_of(ORDER, STATUS, "Provisioned")
    order = stage.order()
    saved = org.update(ORDER, order, {STATUS: status})
    if saved.code:
        return saved.word
    return "accepted" if org.read(ORDER, order, STATUS)[STATUS] == status else "altered"


@probe("order.insert.submitted-date", Access.WRITE, ONE_ORDER)
def submitted_date_of_a_new_order(org: ProbeOrg, stage: Stage) -> str:
    org.need(ORDER, SUBMITTED_AT)
    order = stage.order(**{SUBMITTED_AT: OTHER_DAY})
    return _date_after(org.read(ORDER, order, SUBMITTED_AT)[SUBMITTED_AT], OTHER_DAY)


@probe("order.insert.version-stamp", Access.WRITE, ONE_ORDER)
def version_of_a_new_order(org: ProbeOrg, stage: Stage) -> str:
    org.field(ORDER, VERSION)
    return "stamped" if org.read(ORDER, stage.order(), VERSION)[VERSION] else "not_stamped"


@probe("order.insert.bare", Access.WRITE, ONE_ORDER)
def order_of_contract_and_type_alone(org: ProbeOrg, stage: Stage) -> str:
    usual = stage.order_values()
    (saved,) = org.insert(
        ORDER, {name: usual[name] for name in (ORDER_CONTRACT, ORDER_TYPE) if name in usual}
    )
    return saved.word


def _order_without(org: ProbeOrg, stage: Stage, name: str) -> str:
    values = {key: value for key, value in stage.order_values().items() if key != name}
    (saved,) = org.insert(ORDER, values)
    return saved.word


@probe("order.insert.blank-contract", Access.WRITE, ONE_ORDER)
def order_without_contract(org: ProbeOrg, stage: Stage) -> str:
    return _order_without(org, stage, ORDER_CONTRACT)


@probe("order.insert.blank-type", Access.WRITE, ONE_ORDER)
def order_without_type(org: ProbeOrg, stage: Stage) -> str:
    return _order_without(org, stage, ORDER_TYPE)


@probe("order.insert.number", Access.WRITE, ONE_ORDER)
def order_with_a_number(org: ProbeOrg, stage: Stage) -> str:
    (saved,) = org.insert(ORDER, {**stage.order_values(), "Name": "SO-00000001"})
    return saved.word


@probe("order.rollups", Access.WRITE, ORDER_AND_DETAIL)
def rollups_after_a_detail(org: ProbeOrg, stage: Stage) -> str:
    org.field(ORDER, TOTAL_QUANTITY)
    order = stage.order()
    stage.detail(order, stage.fixed_product())
    return "follow_at_once" if org.read(ORDER, order, TOTAL_QUANTITY)[TOTAL_QUANTITY] == 2 else "late"


# ---- details -----------------------------------------------------------------------------------
@probe("detail.insert.fixed-price", Access.WRITE, ORDER_AND_DETAIL)
def price_of_a_new_detail(org: ProbeOrg, stage: Stage) -> str:
    org.need(DETAIL, FIXED_PRICE, PRICING_TYPE)
    detail = stage.detail(stage.order(), stage.fixed_product(), **{FIXED_PRICE: 77.5, PRICING_TYPE: "FIXED"})
    found = org.read(DETAIL, detail, FIXED_PRICE)[FIXED_PRICE]
    return {77.5: "as_sent", CATALOG_PRICE: "catalog_price"}.get(found, "other")


@probe("detail.update.fixed-price", Access.WRITE, ORDER_AND_DETAIL)
def price_written_afterwards(org: ProbeOrg, stage: Stage) -> str:
    org.need(DETAIL, FIXED_PRICE, update=True)
    detail = stage.detail(stage.order(), stage.fixed_product())
    saved = org.update(DETAIL, detail, {FIXED_PRICE: 77.5})
    if saved.code:
        return saved.word
    found = org.read(DETAIL, detail, FIXED_PRICE)[FIXED_PRICE]
    return {77.5: "kept", CATALOG_PRICE: "catalog_price"}.get(found, "other")


PC_FIELDS = {NS + "pc_PNR__c": 12.5, NS + "pc_Floor_Price__c": 3.5, NS + "pc_Product_ID__c": "COAPRB-pc"}


@probe("detail.insert.pc-fields-sent", Access.WRITE, ORDER_AND_DETAIL)
def pc_fields_that_are_sent(org: ProbeOrg, stage: Stage) -> str:
    org.need(DETAIL, *PC_FIELDS)
    detail = stage.detail(stage.order(), stage.share_product(), **PC_FIELDS)
    found = org.read(DETAIL, detail, *PC_FIELDS)
    return "kept" if all(found[name] == value for name, value in PC_FIELDS.items()) else "changed"


@probe("detail.insert.pc-fields-not-sent", Access.WRITE, ORDER_AND_DETAIL)
def pc_fields_that_are_not_sent(org: ProbeOrg, stage: Stage) -> str:
    for name in PC_FIELDS:
        org.field(DETAIL, name)
    found = org.read(DETAIL, stage.detail(stage.order(), stage.share_product()), *PC_FIELDS)
    return "empty" if all(found[name] is None for name in PC_FIELDS) else "filled"


def _detail_without(org: ProbeOrg, stage: Stage, name: str) -> str:
    values = stage.detail_values(stage.order(), stage.fixed_product())
    (saved,) = org.insert(DETAIL, {key: value for key, value in values.items() if key != name})
    return saved.word


@probe("detail.insert.blank-contract", Access.WRITE, ORDER_AND_DETAIL)
def detail_without_contract(org: ProbeOrg, stage: Stage) -> str:
    return _detail_without(org, stage, DETAIL_CONTRACT)


@probe("detail.insert.blank-product", Access.WRITE, ORDER_AND_DETAIL)
def detail_without_product(org: ProbeOrg, stage: Stage) -> str:
    return _detail_without(org, stage, DETAIL_PRODUCT)


@probe("detail.insert.blank-quantity", Access.WRITE, ORDER_AND_DETAIL)
def detail_without_quantity(org: ProbeOrg, stage: Stage) -> str:
    return _detail_without(org, stage, QUANTITY)


@probe("detail.insert.other-contract", Access.WRITE, ORDER_AND_DETAIL)
def product_of_another_contract(org: ProbeOrg, stage: Stage) -> str:
    (saved,) = org.insert(DETAIL, stage.detail_values(stage.order(), stage.product_of_other_contract()))
    return saved.word


@probe("detail.insert.released-order", Access.STATUS, ORDER_AND_DETAIL)
def detail_under_a_released_order(org: ProbeOrg, stage: Stage) -> str:
    order = _order_in(org, stage, "Provisioned")
    (saved,) = org.insert(DETAIL, stage.detail_values(order, stage.fixed_product()))
    return saved.word


@probe("detail.update.frozen-terms", Access.STATUS, ORDER_AND_DETAIL)
def special_terms_of_a_released_order(org: ProbeOrg, stage: Stage) -> str:
    org.need(DETAIL, SPECIAL_TERMS, update=True)
    order = stage.order()
    detail = stage.detail(order, stage.fixed_product())
    released = org.update(ORDER, order, {STATUS: org.value_of(ORDER, STATUS, "Provisioned")})
    if released.code:
        raise NotAskable(f"the org refused to make a Draft Provisioned: {released.code}")
    return org.update(DETAIL, detail, {SPECIAL_TERMS: "special terms of a probe"}).word


# ---- contract terms ----------------------------------------------------------------------------
@probe("contract.insert.external-id", Access.WRITE, {CONTRACT: 1})
def external_id_of_new_contract_terms(org: ProbeOrg, _stage: Stage) -> str:
    org.need(CONTRACT, EXTERNAL_ID)
    found = org.read(CONTRACT, org.new(CONTRACT, {EXTERNAL_ID: "COAPRB-sent"}), "Name", EXTERNAL_ID)
    if not found[EXTERNAL_ID]:
        return "empty"
    return {found["Name"]: "name_copied", "COAPRB-sent": "as_sent"}.get(found[EXTERNAL_ID], "other")
