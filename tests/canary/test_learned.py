"""By what was learnt, or the careful way: the same target, whatever its automation does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from coa import mending, pipeline
from coa.load import corrections
from coa.load.canary_state import much_mended_before
from coa.load.learned import is_learned
from coa.model import (
    CLONED_FROM,
    CUSTOMER,
    DETAIL,
    DETAIL_ORDER,
    LOADED,
    NS,
    ORDER,
    ORDER_CUSTOMER,
    SOURCE_ID,
)
from coa.plan.expected_corrections import COPIED_PRICE
from coa.staging.database import Database
from tests.engine.checker import check
from tests.engine.harness import Migration, Migrator
from tests.reconcile.pairs import edit, plan_rows, table, two_orgs

LINKS = {ORDER_CUSTOMER: CUSTOMER, CLONED_FROM: ORDER, DETAIL_ORDER: ORDER}
LINE = NS + "Product_Line_Description__c"
COMMENT = NS + "Error_Comment__c"
# Its own in each org, or in each load.
OWN = {"Id", "Name", "LastModifiedDate", "SystemModstamp", "CreatedDate"}

AUTOMATION: dict[str, dict[str, Any]] = {
    "the package's alone": {},
    "a stamp at each change of status": {"partner_trigger": True},
    "details that are described on insert": {"overwrite_on_insert": [f"{DETAIL}.{LINE}=by a trigger"]},
    "orders that are commented on insert": {"overwrite_on_insert": [f"{ORDER}.{COMMENT}=by a flow"]},
    "no rule for prices": {"workflow_off": ["pricing"]},
    "no rule for received dates": {"workflow_off": ["received"]},
    "no rule at all": {"workflow_off": ["draft", "received", "pricing", "contract_key"]},
}


def meaning(pair: Migrator) -> dict[str, dict[str, dict[str, Any]]]:
    """What was moved, by source id; links as the source ids of what they lead to."""
    tables = {name: table(pair.target, name) for name in LOADED}
    return {
        name: {
            r[SOURCE_ID]: {
                field: tables[LINKS[field]][value].get(SOURCE_ID) if field in LINKS and value else value
                for field, value in r.items()
                if field not in OWN
            }
            for r in records.values()
            if r[SOURCE_ID]
        }
        for name, records in tables.items()
    }


@contextmanager
def counting_reads() -> Iterator[list[int]]:
    """Records that the load asks for again before it corrects them."""
    asked: list[int] = []
    reread = corrections.reread

    def counted(*args: Any, **more: Any) -> int:
        asked.append(reread(*args, **more))
        return asked[-1]

    with patch.object(corrections, "reread", counted):
        yield asked


def migrated(database: Database, folder: Path, way: str, **switches: Any) -> tuple[Migration, Any, int]:
    with two_orgs(database, folder, orders=90, target=switches) as pair, counting_reads() as asked:
        result = pair.migrate(learned_passes=way)
        assert result.state == "verified", result.error
        left_out = {i for (_, i), r in plan_rows(result.run).items() if r["action"] in ("blocked", "held")}
        verdict = check(pair.source, pair.target, left_out)
        assert verdict.clean, str(verdict)
        return result, meaning(pair), sum(asked)


@pytest.mark.lane
@pytest.mark.parametrize("automation", AUTOMATION)
def test_both_ways_end_in_the_same_target(database: Database, tmp_path: Path, automation: str) -> None:
    switches = AUTOMATION[automation]
    _, careful, all_read = migrated(database, tmp_path / "careful", "ignore", **switches)

    _, learned, read = migrated(database, tmp_path / "learned", "use", **switches)

    assert learned == careful
    assert read < all_read


@pytest.mark.lane
def test_what_the_canary_did_not_show_is_mended_before_the_proof(pair: Migrator) -> None:
    run = pair.start()
    pair.plan(run)
    pair.waive(run)
    source, target = pair.orgs()
    lanes = pipeline.prepare_load(run, source, target)
    assert pipeline.load_canary(run, target)
    pair.target.control(
        "PATCH", "settings", {"overwrite_on_insert": [f"{DETAIL}.{LINE}=by a trigger of today"]}
    )
    with counting_reads() as asked:
        pipeline.load_customers(run, target)
        pipeline.load_lanes(run, target, lanes)
        pipeline.load_links(run, target)
    details = [r for r in table(pair.target, DETAIL).values() if r[SOURCE_ID]]
    assert sum(asked) < len(details) / 2
    assert any(r[LINE] == "by a trigger of today" for r in details)

    mended = pipeline.mend(run, target)
    pair.verify(run)
    result = pair.finish(run)

    assert result.state == "verified", result.error
    assert 0 < mended < len(details)
    told = run.db.row("SELECT * FROM coa.finding WHERE run_id = %s AND code = 'mended'", [run.run_id])
    assert told is not None
    assert told["count"] == mended
    assert LINE in told["message"]
    document = json.loads((result.folder / "observed.json").read_text())
    assert document["mended"] == [
        {"sobject": DETAIL, "field": LINE, "cause": "unforeseen", "records": mended}
    ]
    assert "Mended before the proof" in (result.folder / "report.html").read_text()
    # More than a hundredth: nothing of it is used for what would be left, nor learnt in the next run.
    assert not is_learned(run, DETAIL, 0)
    later = pair.start()
    pair.walk(later).do("preflight")
    assert much_mended_before(later) == {DETAIL}
    left_out = {i for (_, i), r in plan_rows(run).items() if r["action"] in ("blocked", "held")}
    assert check(pair.source, pair.target, left_out).clean


@pytest.mark.lane
def test_what_somebody_else_changed_is_left_and_told(pair: Migrator) -> None:
    run = pair.start()
    pair.plan(run)
    pair.waive(run)
    with patch.object(mending, "may_need_mending", lambda _: False):
        pair.load(run)
    one = next(r for r in table(pair.target, DETAIL).values() if r[SOURCE_ID] and r[COPIED_PRICE])
    # Stamps are of whole seconds: as if our last write had been settled a minute before this change.
    run.db.execute(
        "UPDATE coa.job SET updated_at = updated_at - interval '1 minute' WHERE run_id = %s", [run.run_id]
    )
    edit(pair.target, DETAIL, one["Id"], **{COPIED_PRICE: 7.5})

    assert pipeline.mend(run, pair.orgs()[1]) == 0
    pair.verify(run)

    assert pair.finish(run).state == "differences"
    assert table(pair.target, DETAIL)[one["Id"]][COPIED_PRICE] == 7.5
