"""The analyst's notebook runs from top to bottom on the artifacts of a run, and its totals are the report's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pandas.testing import assert_frame_equal
from tests.engine.harness import Migration

from coa.model import ORDER
from coa.report import frames
from coa.report.totals import totals_of


@pytest.fixture(scope="module")
def ran(reported: Migration, project: Path) -> dict[str, Any]:
    """The names that the notebook has at its end."""
    notebook = json.loads((project / "docs/notebooks/run.ipynb").read_text("utf-8"))
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COA_RUN", str(reported.folder))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    return names


def test_its_totals_are_those_of_the_report(ran: dict[str, Any], reported: Migration) -> None:
    assert ran["checked"] == dict.fromkeys(("status", "order_type", "contract", "year"), True)
    told = {
        (t["label"], t["currency"]): (t["source_value"], t["target_value"])
        for t in totals_of(reported.run, "status")
        if t["currency"]
    }
    made = ran["totals_by"](ran["run"].orders, "status").set_index(["label", "currency"])
    assert set(made.index) == set(told)
    for key, (source, target) in told.items():
        assert made.loc[key, "source_value"] == pytest.approx(float(source))
        assert made.loc[key, "target_value"] == pytest.approx(float(target))


def test_parquet_and_csv_hold_the_same_orders(
    ran: dict[str, Any], reported: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "can_write_parquet", lambda: False)
    from_csv = frames.read_run(reported.folder).orders

    assert_frame_equal(from_csv, ran["run"].orders, check_dtype=False)


def test_it_shows_orders_and_dates_before_and_after(ran: dict[str, Any], reported: Migration) -> None:
    moved = reported.summary["objects"][ORDER]
    dates = reported.summary["received_dates"]

    assert ran["by_status"]["source"].sum() == moved["inserted"]
    assert (len(ran["received"]), int(ran["received"]["equal"].sum())) == (dates["expected"], dates["equal"])
    # One order was damaged in the target after the load.
    assert ran["by_status"].loc["Draft", "target"] == ran["by_status"].loc["Draft", "source"] + 1
