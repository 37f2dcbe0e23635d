"""Roll-up summaries of the service order: kept up to date with each write of a detail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from orgsim.rows import Row
from orgsim.schema.coa import DETAIL, NS, ORDER
from orgsim.schema.formulas import detail_value
from orgsim.schema.model import SObject
from orgsim.soql.scope import Scope

if TYPE_CHECKING:
    from orgsim.org import Org

PARENT = NS + "Partner_Order__c"


class Rollups:
    """Order_Total_Value__c, Total_Quantity__c and Product_Lines__c, stored on the order."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._update = ""
        if org.schema.get(DETAIL) is not None:
            scope = Scope(org.schema, org.schema[DETAIL], org.clock, alias="d", trusted=True)
            value = detail_value(scope)
            if org.settings.multi_currency:
                # A detail's amount counts in its order's currency, by the rates of today (Salesforce Help, "Roll-up
                # summary field": amounts are converted to the currency of the master record).
                rate = 'SELECT r."ConversionRate" FROM "CurrencyType" r WHERE r."IsoCode" ='
                value += f' * ({rate} "{ORDER}"."CurrencyIsoCode") / ({rate} d."CurrencyIsoCode")'
            self._update = (
                f'UPDATE "{ORDER}" SET ("{NS}Order_Total_Value__c", "{NS}Total_Quantity__c", "{NS}Product_Lines__c") ='
                f' (SELECT COALESCE(ROUND(SUM({value}), 2), 0.0), COALESCE(SUM(d."{NS}Quantity__c"), 0.0),'
                " COUNT(*) * 1.0"
                f' FROM "{DETAIL}" d WHERE d."{PARENT}" = "{ORDER}"."Id" AND d."IsDeleted" = 0)'
            )

    def parents_of(self, sobject: SObject, ids: Sequence[str]) -> set[str]:
        """Orders whose totals depend on these details."""
        if sobject.name != DETAIL or not ids:
            return set()
        marks = ",".join("?" * len(ids))
        sql = f'SELECT DISTINCT "{PARENT}" FROM "{DETAIL}" WHERE "Id" IN ({marks})'
        return {row[0] for row in self._org.store.all(sql, list(ids))}

    def after_write(self, sobject: SObject, rows: Sequence[Row]) -> None:
        if sobject.name == DETAIL:
            self.refresh({row.values[PARENT] for row in rows})

    def refresh(self, orders: Iterable[str]) -> None:
        """Recompute these orders. Saving a detail re-saves its order: the modification stamps move (facts, 2.4)."""
        ids = sorted(orders)
        now = self._org.clock.stamp()
        stamps = f", \"SystemModstamp\" = '{now}', \"LastModifiedDate\" = '{now}'"
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            marks = ",".join("?" * len(part))
            self._org.store.execute(f'{self._update}{stamps} WHERE "Id" IN ({marks})', part)

    def refresh_all(self) -> None:
        """After seeding: every order at once, stamps untouched."""
        if self._update:
            self._org.store.execute(self._update)
