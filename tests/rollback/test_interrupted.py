"""kill -9 in the middle of a roll-back: its retry, or the next roll-back of the same run, ends it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.engine.kept import Pair
from tests.engine.killing import kill_while
from tests.engine.undo import approve, begin, roll_back
from tests.reconcile.pairs import create, dump, edit, like, table

from coa import pipeline
from coa.model import NS, ORDER, SOURCE_ID, STATUS
from coa.staging.runs import Run

COMMENT = NS + "Error_Comment__c"
MOMENTS: dict[str, dict[str, Any]] = {
    "restores_closing": {"method": "PATCH", "path": r"/jobs/ingest/", "skip": 0},
    "dates_uploading": {"method": "PUT", "path": r"/batches", "skip": 1},
    "details_created": {"method": "POST", "path": r"/jobs/ingest/?$", "skip": 2},
    "orders_results": {"method": "GET", "path": r"/successfulResults", "skip": 3},
}


@pytest.mark.parametrize(
    ("moment", "how"),
    [
        pytest.param("restores_closing", "retried", marks=pytest.mark.lane),
        pytest.param("dates_uploading", "triggered again", marks=pytest.mark.lane),
        pytest.param("details_created", "retried", marks=pytest.mark.lane),
        ("orders_results", "triggered again"),
    ],
)
def test_an_interrupted_roll_back_goes_on_and_ends_as_if_nothing_had_happened(
    moved_pair: Pair, moment: str, how: str
) -> None:
    pair, _ = moved_pair
    orders = table(pair.source, ORDER)
    sources = [r[SOURCE_ID] for r in table(pair.target, ORDER).values() if r[SOURCE_ID]]
    changed = next(i for i in sources if orders[i][STATUS] == "Provisioned")
    edit(pair.source, ORDER, changed, **{COMMENT: "changed", STATUS: "Received"})
    edit(
        pair.source,
        ORDER,
        next(i for i in sources if orders[i][STATUS] == "Received"),
        **{STATUS: "Activated"},
    )
    added = create(pair.source, ORDER, **like(orders[changed]))
    line = next(
        r
        for r in table(pair.source, NS + "Service_Order_Detail__c").values()
        if r[NS + "Partner_Order__c"] == changed
    )
    create(pair.source, NS + "Service_Order_Detail__c", **like(line, **{NS + "Partner_Order__c": added}))
    before = dump(pair.target)
    delta = pair.migrate()
    assert delta.state == "verified", delta.error

    run = begin(pair, delta.run)
    approve(run)
    kill_while(pair, run, "rollback_load", MOMENTS[moment])
    if how == "retried":
        run = Run.load(pair.db, pair.settings, run.run_id)
        pipeline.rollback_load(run, pair.orgs()[1])
        pipeline.rollback_verify(run, pair.orgs()[1])
        result = pair.finish(run)
    else:
        run.update(state="failed")
        result = roll_back(pair, delta.run)
    assert result.state == "verified", (result.error, result.summary["objects"])
    assert dump(pair.target) == before
