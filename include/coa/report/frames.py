"""A run's artifacts as pandas DataFrames, for analysts: see docs/notebooks.

The totals are those of the report: `totals.csv` has them as the report shows them, `totals_by` makes them anew from
the single orders.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coa.report.csv_files import original
from coa.tabular import Kind, can_write_parquet
from coa.verify.totals import ORDER_KINDS

if TYPE_CHECKING:
    from pandas import DataFrame

SIDES = ("source", "target")
NUMBERS = tuple(name for name, kind in ORDER_KINDS.items() if kind in (Kind.WHOLE, Kind.NUMBER))
DATES = tuple(name for name, kind in ORDER_KINDS.items() if kind is Kind.MOMENT)


@dataclass(frozen=True)
class Frames:
    """`summary` as it stands in summary.json; each frame has the columns of its CSV file (docs/report.md)."""

    summary: dict[str, Any]
    orders: DataFrame
    totals: DataFrame
    rejected: DataFrame
    differences: DataFrame


def read_run(folder: str | Path) -> Frames:
    """Reads the artifacts folder of a run. Raises `FileNotFoundError` where a file is missing."""
    from pandas import to_numeric

    place = Path(folder)
    totals = _read(place / "totals.csv")
    for name in totals.columns:
        if name.startswith(SIDES):
            totals[name] = to_numeric(totals[name])
    return Frames(
        json.loads((place / "summary.json").read_text("utf-8")),
        _orders(place),
        totals,
        _read(place / "rejected_rows.csv"),
        _read(place / "differences.csv"),
    )


def _orders(place: Path) -> DataFrame:
    """From `orders.parquet`, whose columns have their types, where the run wrote it and we can read it;
    else the CSV."""
    from pandas import read_parquet, to_datetime, to_numeric

    if (place / "orders.parquet").exists() and can_write_parquet():
        orders = read_parquet(place / "orders.parquet", engine="pyarrow")
        texts = [name for name, kind in ORDER_KINDS.items() if kind is Kind.TEXT]
        orders[texts] = orders[texts].fillna("")
        return orders
    orders = _read(place / "orders.csv")
    for name in NUMBERS:
        orders[name] = to_numeric(orders[name])
    for name in DATES:
        # Two orgs may write the same moment in two ways. Milliseconds, as in Parquet and as in Salesforce.
        orders[name] = to_datetime(orders[name], utc=True, format="ISO8601").dt.as_unit("ms")
    return orders


def _read(file: Path) -> DataFrame:
    """All cells as text, as they were before a spreadsheet's formulas were made harmless; empty ones stay empty."""
    from pandas import read_csv

    return read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig").map(original)


def totals_by(orders: DataFrame, dimension: str) -> DataFrame:
    """Orders, details, quantity and value by `status`, `order_type`, `contract` or `year` and currency.

    Columns `source_<measure>` and `target_<measure>`, as in `totals.csv`; only orders whose details have a currency.
    """
    from pandas import concat

    priced = orders[orders["currency"] != ""]
    sides = [
        priced[priced["side"] == side]
        .groupby([dimension, "currency"])
        .agg(
            orders=("source_id", "nunique"),
            details=("details", "sum"),
            quantity=("quantity", "sum"),
            value=("value", "sum"),
        )
        .add_prefix(f"{side}_")
        for side in SIDES
    ]
    return concat(sides, axis=1).fillna(0).reset_index().rename(columns={dimension: "label"})


def before_and_after(orders: DataFrame, column: str) -> DataFrame:
    """One row an order: `source`, `target` and whether they are `equal`, for one column of `orders`."""
    once = orders.drop_duplicates(["source_id", "side"]).pivot(
        index="source_id", columns="side", values=column
    )
    wide = once.reindex(columns=list(SIDES))
    both_empty = wide["source"].isna() & wide["target"].isna()
    return wide.assign(equal=(wide["source"] == wide["target"]) | both_empty)
