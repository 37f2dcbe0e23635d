"""When the contract of each customer and product ends, computed from the source's orders in one SQL query.

An order counts as a contract once it was submitted: the GTM app does not expand what was ordered through the COA. The
last day of a term is start + months, as in the app's own formula `Is_Expired__c` (expired when start + length <
TODAY()). A start on the last day of a month stays on last days, as Salesforce's ADDMONTHS has it (*inferred* for that
formula). A contract that renews by itself ends with its first term whose end can still be given notice of. A processed
cancellation ends the renewals (*inferred*). Where several orders make up a contract, add-ons for instance, the latest
end counts (*inferred*; Salesforce's own order history has the last word).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from psycopg import sql

from coa.model import (
    CONTRACT,
    CUSTOMER,
    CUSTOMER_ORG_ID,
    DETAIL,
    DETAIL_ORDER,
    DETAIL_PRODUCT,
    DRAFT,
    IN_FLIGHT,
    NS,
    ORDER,
    ORDER_CONTRACT,
    ORDER_CUSTOMER,
    ORDER_TYPE,
    PRODUCT,
    PRODUCT_ID,
    STATUS,
)
from coa.plan.amounts import money_of
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table

START = NS + "Service_Start_Date__c"
CANCELLATION = "Cancellation Order"
ERROR, RECALLED = "Error", "Recalled"
PROCESSED = ("Activated", "Provisioned")
NOT_SUBMITTED = (DRAFT, ERROR, RECALLED)
OPEN = (DRAFT, ERROR, *IN_FLIGHT)
NEEDED = (CUSTOMER, ORDER, DETAIL)


class ContractState(StrEnum):
    """Where the contract of a customer and product stands on a day."""

    NONE = "none"
    """Nothing was ever submitted."""
    ENDED = "ended"
    ACTIVE = "active"
    RENEWING = "renewing"
    """Active, and goes on by itself unless it is cancelled."""
    EVERGREEN = "evergreen"
    """Renews by itself, and names no length."""
    UNKNOWN = "unknown"
    """Start or length is missing."""


def has_orders(run: Run) -> bool:
    """Whether the run holds the source's customers, orders and details."""
    return all(run.has_table(SOURCE, name) for name in NEEDED)


def contracts(run: Run, day: date, least_notice_days: int) -> sql.Composed:
    """SQL with one row a customer and product of the source, as of `day`.

    Columns: customer_id, customer_org_id, customer, country, product_id, product, contract, contract_start (date),
    contract_length_months, renewal_months, auto_renew, contract_end (date; its last day), cancel_by (date),
    contract_state, currency, pricing, pricing_unit, orders, open_orders, order_number. Customers without orders have
    no row. Ask `has_orders` first.
    """
    return sql.SQL(
        """WITH line AS MATERIALIZED ({lines}),
        cancelled AS (
          SELECT customer_id, product_id, max(start) AS cancelled_on FROM line
          WHERE type = {cancellation} AND status = ANY ({processed}) GROUP BY 1, 2),
        term AS (
          SELECT l.*, COALESCE(c.cancelled_on >= l.start, false) AS cancelled,
                 l.auto_renew = 'Yes' AS renews, GREATEST(l.cancellation_days, {least}) AS notice,
                 CASE WHEN c.cancelled_on >= l.start THEN c.cancelled_on
                      ELSE {day} + GREATEST(l.cancellation_days, {least}) END AS reached
          FROM line l LEFT JOIN cancelled c USING (customer_id, product_id)),
        ending AS (
          SELECT t.*, t.submitted AND t.type <> {cancellation} AS counts,
                 CASE WHEN t.renews THEN r.ends ELSE {first_end} END AS ends
          FROM term t CROSS JOIN LATERAL ({renewed}) r),
        governing AS (
          SELECT DISTINCT ON (customer_id, product_id) * FROM ending
          ORDER BY customer_id, product_id, counts DESC, submitted DESC, ends DESC NULLS FIRST,
                   start DESC NULLS LAST, order_id DESC, detail_id DESC),
        counted AS (
          SELECT customer_id, product_id, count(DISTINCT order_id) AS orders,
                 count(DISTINCT order_id) FILTER (WHERE status = ANY ({open})) AS open_orders
          FROM line GROUP BY 1, 2)
        SELECT g.customer_id, g.customer_org_id, g.customer, g.country, g.product_id, g.product, g.contract,
               g.start AS contract_start, g.months AS contract_length_months, g.renewal AS renewal_months, g.auto_renew,
               CASE WHEN g.counts THEN g.ends END AS contract_end,
               CASE WHEN s.state = {renewing} THEN g.ends - g.notice END AS cancel_by,
               s.state AS contract_state, g.currency, g.pricing, g.pricing_unit, n.orders, n.open_orders, g.order_number
        FROM governing g JOIN counted n USING (customer_id, product_id)
        CROSS JOIN LATERAL (SELECT {state} AS state) s"""
    ).format(
        lines=_lines(run),
        cancellation=sql.Literal(CANCELLATION),
        processed=sql.Literal(list(PROCESSED)),
        open=sql.Literal(list(OPEN)),
        least=sql.Literal(least_notice_days),
        day=sql.SQL("{}::date").format(sql.Literal(day)),
        first_end=add_months("t.start", "t.months"),
        renewed=_renewed(),
        state=_state(day),
        renewing=sql.Literal(ContractState.RENEWING.value),
    )


def add_months(start: str, months: str) -> sql.Composed:
    """SQL for a date so many months after another: shortened to the month's length, from a last day to a last day."""
    return sql.SQL(
        """CASE WHEN extract(day FROM {start} + 1) = 1
                THEN (date_trunc('month', {start}::timestamp) + make_interval(months => ({months})::int + 1))::date - 1
                ELSE ({start} + make_interval(months => ({months})::int))::date END"""
    ).format(start=sql.SQL(start), months=sql.SQL(months))


def _renewed() -> sql.Composed:
    """SQL for the first end of a term on or after the day `reached`, of one line `t`; NULL where it does not renew.

    Every term is counted from the start, so that an end does not drift: 31 January + 1 + 1 months is 31 March. The
    whole months passed say which term it is, up to a last day of a month: hence the one before and the one after.
    """
    return sql.SQL(
        """SELECT min(e.ends) FILTER (WHERE e.ends >= t.reached) AS ends
           FROM (SELECT COALESCE(t.renewal, t.months) AS step,
                        (extract(year FROM age(t.reached, t.start)) * 12
                         + extract(month FROM age(t.reached, t.start)))::int - t.months AS passed
                 WHERE t.renews) p
           CROSS JOIN generate_series(-1, 1) AS beside
           CROSS JOIN LATERAL (SELECT GREATEST(0, p.passed / p.step + beside) * p.step + t.months AS months) m
           CROSS JOIN LATERAL (SELECT {ends} AS ends) e"""
    ).format(ends=add_months("t.start", "m.months"))


def _state(day: date) -> sql.Composed:
    return sql.SQL(
        """CASE WHEN NOT g.submitted THEN {none}
                WHEN NOT g.counts THEN {unknown}
                WHEN g.renews AND g.months IS NULL AND NOT g.cancelled THEN {evergreen}
                WHEN g.ends IS NULL THEN {unknown}
                WHEN g.renews AND NOT g.cancelled THEN {renewing}
                WHEN g.ends >= {day} THEN {active}
                ELSE {ended} END"""
    ).format(day=sql.Literal(day), **{one.name.lower(): sql.Literal(one.value) for one in ContractState})


def _lines(run: Run) -> sql.Composed:
    """One row a detail, with what its order, customer, product and contract terms say."""
    product, contract = run.has_table(SOURCE, PRODUCT), run.has_table(SOURCE, CONTRACT)
    text = _Columns(run)
    # On an order of an app before 2.x the terms stand on the order alone.
    months = sql.SQL("COALESCE({}, {})").format(
        text.months("x", DETAIL, "pc_Contract_Length__c"), text.months("o", ORDER, "Contract_Length__c")
    )
    renewal = sql.SQL("COALESCE({}, {})").format(
        text.months("x", DETAIL, "pc_Renewal_Terms__c"), text.months("o", ORDER, "Renewal_Terms__c")
    )
    currency = money_of(run, Table.SOURCE)[0]
    return sql.SQL(
        """SELECT x."Id" AS detail_id, o."Id" AS order_id, o."Name" AS order_number, c."Id" AS customer_id,
                  {org} AS customer_org_id, {customer} AS customer, {country} AS country,
                  COALESCE({catalog_id}, {detail_id}, {product_record}, '') AS product_id,
                  COALESCE({product_name}, '') AS product, COALESCE({contract_name}, '') AS contract,
                  {start}::date AS start, {months} AS months, {renewal} AS renewal,
                  COALESCE({auto_renew}, '') AS auto_renew,
                  COALESCE({cancellation}::numeric::int, 0) AS cancellation_days,
                  COALESCE({status}, '') AS status, COALESCE({type}, '') AS type,
                  COALESCE({status}, '') <> ALL ({not_submitted}) AS submitted,
                  COALESCE(NULLIF({currency}, ''), {contract_currency}, '') AS currency,
                  COALESCE({pricing}, '') AS pricing, COALESCE({catalog_unit}, {detail_unit}, '') AS pricing_unit
           FROM {details} x JOIN {orders} o ON o."Id" = x.{parent} JOIN {customers} c ON c."Id" = o.{of_customer}
           {join_product} {join_contract}"""
    ).format(
        org=text("c", CUSTOMER, CUSTOMER_ORG_ID),
        customer=text("c", CUSTOMER, NS + "Customer_Company_Name__c"),
        country=text("c", CUSTOMER, NS + "Customer_Country__c"),
        catalog_id=text("p", PRODUCT, PRODUCT_ID),
        detail_id=text("x", DETAIL, NS + "pc_Product_ID__c"),
        product_record=text("x", DETAIL, DETAIL_PRODUCT),
        product_name=text("p", PRODUCT, "Name"),
        contract_name=text("k", CONTRACT, "Name"),
        start=text("o", ORDER, START),
        months=months,
        renewal=renewal,
        auto_renew=text("x", DETAIL, NS + "pc_Contract_Auto_Renew__c"),
        cancellation=text("x", DETAIL, NS + "pc_Cancellation_Terms__c"),
        status=text("o", ORDER, STATUS),
        type=text("o", ORDER, ORDER_TYPE),
        not_submitted=sql.Literal(list(NOT_SUBMITTED)),
        currency=currency,
        contract_currency=text("k", CONTRACT, NS + "Default_Contract_Currency__c"),
        pricing=text("x", DETAIL, NS + "pc_Pricing_Type__c"),
        catalog_unit=text("p", PRODUCT, NS + "Pricing_Unit__c"),
        detail_unit=text("x", DETAIL, NS + "pc_Pricing_Unit__c"),
        details=run.table(SOURCE, DETAIL),
        orders=run.table(SOURCE, ORDER),
        customers=run.table(SOURCE, CUSTOMER),
        parent=sql.Identifier(DETAIL_ORDER),
        of_customer=sql.Identifier(ORDER_CUSTOMER),
        join_product=_joined(run, PRODUCT, "p", "x", DETAIL_PRODUCT) if product else sql.SQL(""),
        join_contract=_joined(run, CONTRACT, "k", "o", ORDER_CONTRACT) if contract else sql.SQL(""),
    )


def _joined(run: Run, sobject: str, alias: str, child: str, lookup: str) -> sql.Composed:
    return sql.SQL('LEFT JOIN {} {a} ON {a}."Id" = {}').format(
        run.table(SOURCE, sobject), sql.Identifier(child, lookup), a=sql.Identifier(alias)
    )


class _Columns:
    """SQL for a field of the source's extract; NULL for an empty one, and for one that the org or the user lacks."""

    def __init__(self, run: Run) -> None:
        self._present = {
            sobject: set(run.columns(SOURCE, sobject)) for sobject in (*NEEDED, PRODUCT, CONTRACT)
        }

    def __call__(self, alias: str, sobject: str, field: str) -> sql.Composable:
        if field not in self._present[sobject]:
            return sql.SQL("NULL::text")
        return sql.SQL("NULLIF({}, '')").format(sql.Identifier(alias, field))

    def months(self, alias: str, sobject: str, field: str) -> sql.Composable:
        """A length in months; none is none, and so is zero."""
        return sql.SQL("CASE WHEN {0}::numeric >= 1 THEN {0}::numeric::int END").format(
            self(alias, sobject, NS + field)
        )
