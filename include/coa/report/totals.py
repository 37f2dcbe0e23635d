"""The control totals of a verification, source beside target."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from coa.staging.runs import Run

DIMENSIONS = {
    "all": "All moved orders",
    "status": "Order status",
    "order_type": "Order type",
    "contract": "Contract (the target's name)",
    "year": "Year",
    "record_currency": "Currency of the order (the column is that of its contract)",
}
MEASURES = ("orders", "details", "quantity", "value")


TOTAL_COLUMNS = ("dimension", "label", "currency", *(f"{side}_{m}" for m in MEASURES for side in ("source", "target")),
                 "equal")  # fmt: skip
"""Columns of `totals.csv`."""


def total_rows(run: Run) -> Iterator[dict[str, Any]]:
    """Every total of the report, one list."""
    for dimension in DIMENSIONS:
        for row in totals_of(run, dimension):
            yield {**row, "dimension": dimension, "equal": "yes" if row["equal"] else "no"}


def totals_of(run: Run, dimension: str) -> list[dict[str, Any]]:
    """Rows with label, currency, `<side>_<measure>` for each measure, and `equal`."""
    rows = run.db.rows(
        """SELECT label, currency,
                  COALESCE(s.orders, 0) AS source_orders, COALESCE(t.orders, 0) AS target_orders,
                  COALESCE(s.details, 0) AS source_details, COALESCE(t.details, 0) AS target_details,
                  COALESCE(s.quantity, 0) AS source_quantity, COALESCE(t.quantity, 0) AS target_quantity,
                  s.value AS source_value, t.value AS target_value
           FROM (SELECT * FROM coa.total WHERE run_id = %(run)s AND dimension = %(d)s AND side = 'source') s
           FULL JOIN (SELECT * FROM coa.total WHERE run_id = %(run)s AND dimension = %(d)s AND side = 'target') t
             USING (label, currency) ORDER BY label, currency""",
        {"run": run.run_id, "d": dimension},
    )
    for row in rows:
        if row["currency"]:
            for side in ("source", "target"):
                row[f"{side}_value"] = row[f"{side}_value"] or Decimal(0)
        row["equal"] = all(row[f"source_{m}"] == row[f"target_{m}"] for m in MEASURES)
    return rows
