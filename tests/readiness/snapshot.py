"""A run with a hand-filled snapshot of the source: no org, no extract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from psycopg import sql

from coa.model import (
    CONTRACT,
    CUSTOMER,
    DETAIL,
    DETAIL_ORDER,
    DETAIL_PRODUCT,
    NS,
    ORDER,
    ORDER_CONTRACT,
    ORDER_CUSTOMER,
    ORDER_TYPE,
    PRODUCT,
    STATUS,
)
from coa.staging import tables
from coa.staging.database import Database
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table
from tests.engine.harness import FAST

Record = dict[str, str]
USUAL = {"auto": "No", "renewal": "", "notice": "", "country": "US", "currency": "USD", "unit": "User"}


@dataclass
class Snapshot:
    """What the source is to hold. A customer and a product are made once for each id that an order names."""

    customers: dict[str, Record] = field(default_factory=dict)
    products: dict[str, Record] = field(default_factory=dict)
    orders: list[Record] = field(default_factory=list)
    details: list[Record] = field(default_factory=list)

    def order(
        self,
        start: str,
        months: object = "12",
        *,
        customer: str = "c1",
        product: str = "p1",
        type: str = "Initial",
        status: str = "Activated",
        **terms: object,
    ) -> None:
        """An order of one detail; `terms` as in `USUAL`."""
        said = {name: str(value) for name, value in {**USUAL, **terms}.items()}
        assert set(said) == set(USUAL)
        number = len(self.orders) + 1
        self.customers[customer] = {
            "Id": customer,
            NS + "Customer_Org_ID__c": f"00D{customer}",
            NS + "Customer_Company_Name__c": f"Company {customer}",
            NS + "Customer_Country__c": said["country"],
        }
        self.products[product] = {
            "Id": product,
            "Name": f"Product {product}",
            NS + "Product_ID__c": f"01t{product}",
            NS + "Pricing_Unit__c": said["unit"],
        }
        self.orders.append(
            {
                "Id": f"o{number}",
                "Name": f"SO-{number}",
                ORDER_CUSTOMER: customer,
                ORDER_CONTRACT: "k1",
                ORDER_TYPE: type,
                STATUS: status,
                NS + "Service_Start_Date__c": start,
            }
        )
        self.details.append(
            {
                "Id": f"d{number}",
                DETAIL_ORDER: f"o{number}",
                DETAIL_PRODUCT: product,
                NS + "pct_Currency__c": said["currency"],
                NS + "pc_Pricing_Type__c": "PNR",
                NS + "pc_Contract_Length__c": str(months),
                NS + "pc_Renewal_Terms__c": said["renewal"],
                NS + "pc_Contract_Auto_Renew__c": said["auto"],
                NS + "pc_Cancellation_Terms__c": said["notice"],
            }
        )

    def stage(self, database: Database, **columns: Any) -> Run:
        """A run whose source tables hold these records. `columns`: of its row in `coa.run`."""
        run = Run.start(
            database,
            FAST,
            dag_id="coa_migrate",
            airflow_run_id=uuid4().hex,
            triggered_by="test",
            raw_params={},
        )
        if columns:
            run.update(**columns)
        fill(run, SOURCE, CUSTOMER, list(self.customers.values()))
        fill(run, SOURCE, PRODUCT, list(self.products.values()))
        fill(run, SOURCE, CONTRACT, [{"Id": "k1", "Name": "Terms 1"}])
        fill(run, SOURCE, ORDER, self.orders)
        fill(run, SOURCE, DETAIL, self.details)
        return run


def fill(run: Run, kind: str, sobject: str, records: Sequence[Record]) -> None:
    """A table of records, all with the fields of the first."""
    fields = list(records[0])
    with run.db.transaction() as connection:
        name = tables.create(connection, run, Table(kind), sobject, fields=fields)
        for one in records:
            connection.execute(
                sql.SQL("INSERT INTO {} VALUES ({})").format(
                    name, sql.SQL(", ").join(sql.Placeholder() * len(fields))
                ),
                [one[f] for f in fields],
            )
