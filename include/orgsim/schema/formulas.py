"""The package's formula fields as SQL expressions (channel-order-app facts, section 13: formulaSummary).

Each takes a scope, which resolves a field path to SQL and joins parents as needed.
Display formulas read the catalog and the contract as they are *today*: that is why history shifts with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orgsim.soql.scope import Scope

NS = "CHANNEL_ORDERS__"
Formula = Callable[["Scope"], str]


def path(*parts: str) -> Formula:
    """The value of a field reached through parents."""

    def expression(scope: Scope) -> str:
        return scope.column(*(NS + part if part.endswith(("__c", "__r")) else part for part in parts))

    return expression


def constant(value: str) -> Formula:
    quoted = "'" + value.replace("'", "''") + "'"
    return lambda _scope: quoted


def _price_text(column: str, kind: str) -> Formula:
    def expression(scope: Scope) -> str:
        price, pricing = (
            path("Product_Name__r", column)(scope),
            path("Product_Name__r", "Pricing_Type__c")(scope),
        )
        return f"CASE WHEN {pricing} = '{kind}' THEN printf('%.2f', {price}) END"

    return expression


def detail_value(scope: Scope) -> str:
    """Order_Detail_Value__c; also what the roll-up Order_Total_Value__c sums."""
    quantity, kind = path("Quantity__c")(scope), path("pc_Pricing_Type__c")(scope)
    fixed, per_month = path("pc_Fixed_Price__c")(scope), path("Customer_Price_Per_Month__c")(scope)
    return f"ROUND(CASE WHEN {kind} = 'FIXED' THEN {quantity} * {fixed} ELSE {quantity} * {per_month} END, 2)"


def _estimated(scope: Scope) -> str:
    quantity, price = path("Quantity__c")(scope), path("Customer_Price__c")(scope)
    rate, floor = path("pc_PNR__c")(scope), path("pc_Floor_Price__c")(scope)
    return (
        f"CASE WHEN {path('pc_Pricing_Type__c')(scope)} = 'PNR'"
        f" THEN MAX({quantity} * {price} * {rate} / 100, COALESCE({floor}, 0))"
        f" ELSE {path('pc_Fixed_Price__c')(scope)} END"
    )


def _expired(scope: Scope) -> str:
    start, months = (
        path("Partner_Order__r", "Service_Start_Date__c")(scope),
        path("pc_Contract_Length__c")(scope),
    )
    return (
        f"CASE WHEN {path('pc_Contract_Auto_Renew__c')(scope)} = 'Yes' OR {start} IS NULL OR {months} IS NULL THEN 0"
        f" ELSE date({start}, '+' || CAST({months} AS INTEGER) || ' months') < '{scope.today()}' END"
    )


def _company(scope: Scope) -> str:
    name, legacy = path("Customer__r", "Customer_Company_Name__c")(scope), path("Customer_Name__c")(scope)
    link = path("Customer__c")(scope)
    anchor = f"'<a href=\"/' || {link} || '\" target=\"_self\">' || {name} || '</a>'"
    return f"COALESCE({anchor}, {legacy})"


def _full_company(scope: Scope) -> str:
    name, legacy = path("Customer__r", "Customer_Company_Name__c")(scope), path("Customer_Name__c")(scope)
    return f"CASE WHEN {path('Created_with_new_COA__c')(scope)} = 1 THEN {name} ELSE {legacy} END"


def _order_type(scope: Scope) -> str:
    kind = path("Order_Type__c")(scope)
    return (
        f"CASE {kind} WHEN 'Upgrade - Partner App' THEN 'Renewal'"
        f" WHEN 'Upgrade - Org Edition' THEN 'Upgrade' ELSE {kind} END"
    )


def _actions(scope: Scope) -> str:
    return f"CASE WHEN {path('Service_Order_Status__c')(scope)} = 'Received' THEN 'Clone Recall' ELSE 'Clone' END"


def _renewal_warning(scope: Scope) -> str:
    renewal = path("Renewal_Date__c")(scope)
    image = '<img src="/img/msg_icons/warning16.png"/>'
    return f"CASE WHEN {renewal} <= date('{scope.today()}', '+45 days') THEN '{image}' END"


def _unit_price(scope: Scope) -> str:
    return (
        f"CASE WHEN {path('Pricing_Type__c')(scope)} = 'FIXED' THEN printf('%.2f', {path('Fixed_Price__c')(scope)})"
        " ELSE 'Percent Net Revenue' END"
    )


_FORMULAS: dict[tuple[str, str], Formula] = {
    ("Customer__c", "Status__c"): _renewal_warning,
    ("Partner_Product_Catalog__c", "Partner_Price_Book_Entry_Id__c"): path(
        "Standard_Partner_Pricebook_Entry__r", "Pricebook_Entry_Id__c"
    ),
    ("Partner_Product_Catalog__c", "Partner_Product_Name__c"): path(
        "Standard_Partner_Pricebook_Entry__r", "Product_Name__c"
    ),
    ("Partner_Product_Catalog__c", "Unit_Price_Formula__c"): _unit_price,
    ("Service_Order__c", "Billing_Currency__c"): path(
        "Partner_Contract_Rules__r", "Default_Contract_Currency__c"
    ),
    ("Service_Order__c", "Custom_Actions__c"): _actions,
    ("Service_Order__c", "Customer_Company_Name_Formula__c"): _company,
    ("Service_Order__c", "Default_Auto_Renew_Policy__c"): path(
        "Partner_Contract_Rules__r", "Default_Auto_Renew_Policy__c"
    ),
    ("Service_Order__c", "Default_Contract_Length_Policy_Months__c"): path(
        "Partner_Contract_Rules__r", "Default_Contract_Length_Months__c"
    ),
    ("Service_Order__c", "Full_Customer_Company_Name__c"): _full_company,
    ("Service_Order__c", "Note__c"): constant("Changes to a submitted order need a new order."),
    ("Service_Order__c", "Order_Type_Formula__c"): _order_type,
    ("Service_Order__c", "Service_Order_Status1__c"): path("Service_Order_Status__c"),
    ("Service_Order_Detail__c", "Currency__c"): path(
        "Partner_Order__r", "Partner_Contract_Rules__r", "Default_Contract_Currency__c"
    ),
    ("Service_Order_Detail__c", "Estimated_SFDC_Price_Per_Month__c"): _estimated,
    ("Service_Order_Detail__c", "Fixed_Price__c"): _price_text("Fixed_Price__c", "FIXED"),
    ("Service_Order_Detail__c", "Floor_Price__c"): _price_text("Floor_Price__c", "PNR"),
    ("Service_Order_Detail__c", "Is_Expired__c"): _expired,
    ("Service_Order_Detail__c", "Order_Detail_Value__c"): detail_value,
    ("Service_Order_Detail__c", "PNR__c"): path("Product_Name__r", "PNR__c"),
    ("Service_Order_Detail__c", "Partner_Contract_Term__c"): path(
        "Partner_Order__r", "Partner_Contract_Rules__r", "Name"
    ),
    ("Service_Order_Detail__c", "Pricing_Type__c"): path("Product_Name__r", "Pricing_Type__c"),
    ("Service_Order_Detail__c", "Product_ID__c"): path("Product_Name__r", "Product_ID__c"),
    ("Customer_Order_Product_History__c", "Customer_Name__c"): path(
        "Customer__r", "Customer_Company_Name__c"
    ),
    ("Customer_Order_Product_History__c", "Product_Name__c"): path(
        "Partner_Pricebook_Entry__r", "Product_Name__c"
    ),
    ("Customer_Order_Product_History__c", "Standard_Product_Name__c"): path(
        "Standard_Partner_Pricebook_Entry__r", "Product_Name__c"
    ),
}


def for_field(object_name: str, field_name: str) -> Formula:
    """The formula of one package field, names without namespace."""
    return _FORMULAS[object_name, field_name]
