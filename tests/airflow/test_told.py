"""What the end of a run tells Airflow: the asset, metrics, and lineage with the proof."""

from __future__ import annotations

from typing import Any

import pytest
from tests.airflow.conftest import Stage

from coa.model import CUSTOMER, DETAIL, LOADED, NS, ORDER, RECEIVED_AT
from coa.report.summary import COUNTS
from coa_airflow import metrics
from coa_airflow.openlineage import Told, operator_lineage

pytestmark = pytest.mark.airflow

PRICE = NS + "pc_Fixed_Price__c"


def told(**changes: Any) -> Told:
    objects = {name: dict.fromkeys((*COUNTS, "deleted", "restored"), 0) for name in LOADED}
    objects[ORDER] |= {"inserted": 7, "updated": 2}
    column = {"sobject": ORDER, "field": RECEIVED_AT, "source": RECEIVED_AT, "sources": [RECEIVED_AT]}
    fallback = {"sobject": DETAIL, "field": PRICE, "source": "", "sources": [PRICE, "Old__c"]}
    usual: dict[str, Any] = {
        "source": "salesforce://old.my.salesforce.com",
        "target": "salesforce://new.my.salesforce.com",
        "columns": (
            {**column, "rule": "written last", "as_is": False},
            {**fallback, "rule": "as in the source", "as_is": True},
        ),
        "objects": objects,
        "received_dates": {"expected": 9, "equal": 9, "different": 0},
        "wrote": True,
        "proved": True,
    }
    return Told(**{**usual, **changes})


def test_each_field_names_the_fields_that_it_comes_from_and_the_rule() -> None:
    outputs = {one.name: one for one in operator_lineage(told()).outputs}

    assert set(outputs) == set(LOADED)
    received = outputs[ORDER].facets["columnLineage"].fields[RECEIVED_AT].inputFields
    assert [(one.namespace, one.name, one.field) for one in received] == [
        ("salesforce://old.my.salesforce.com", ORDER, RECEIVED_AT)
    ]
    assert (received[0].transformations[0].subtype, received[0].transformations[0].description) == (
        "TRANSFORMATION",
        "written last",
    )
    price = outputs[DETAIL].facets["columnLineage"].fields[PRICE].inputFields
    assert [one.field for one in price] == [PRICE, "Old__c"]
    assert {one.transformations[0].subtype for one in price} == {"IDENTITY"}
    assert outputs[ORDER].outputFacets["outputStatistics"].rowCount == 9
    assert outputs[CUSTOMER].facets == {}


def test_the_proof_is_told_as_assertions_about_the_target() -> None:
    objects = told().objects
    objects[ORDER] |= {"missing": 1}

    inputs = operator_lineage(
        told(objects=objects, received_dates={"expected": 9, "equal": 8, "different": 1})
    )

    proved = {one.name: one for one in inputs.inputs if one.namespace.endswith("new.my.salesforce.com")}
    found = {a.assertion: a for a in proved[ORDER].inputFacets["dataQualityAssertions"].assertions}
    assert {name: one.success for name, one in found.items()} == {
        "every moved record is there": False,
        "every moved record is there once": True,
        "every carried field is equal": True,
        "received dates are equal to the second": False,
    }
    assert (found["every moved record is there"].actual, found["every moved record is there"].expected) == (
        "1",
        "0",
    )


def test_a_run_that_wrote_and_proved_nothing_tells_only_what_it_read() -> None:
    said = operator_lineage(told(wrote=False, proved=False))

    assert said.outputs == []
    assert {one.namespace for one in said.inputs} == {"salesforce://old.my.salesforce.com"}


class Sink:
    """Keeps what Airflow's metrics are given."""

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}

    def incr(self, name: str, count: int = 1, tags: dict[str, str] | None = None) -> None:
        self.sent[name] = self.sent.get(name, 0) + count

    def timing(self, name: str, value: Any, tags: dict[str, str] | None = None) -> None:
        self.sent[name] = value.total_seconds()

    def gauge(self, name: str, value: float, tags: dict[str, str] | None = None) -> None:
        self.sent[name] = value


def test_counters_and_timers_go_by_airflows_own_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    monkeypatch.setattr("airflow.sdk._shared.observability.metrics.stats._backend", sink)
    summary = {
        "state": "verified",
        "objects": {ORDER: {"inserted": 5, "blocked": 2, "rejected": 0}, CUSTOMER: {"inserted": 3}},
        "api_calls": {"source": 4, "target": 0},
        "seconds": {"plan": 1.5, "total": 20.0},
        "draft_exposure": {"max_seconds": 1.0, "left_draft": 0},
    }

    metrics.of_run(summary, "coa_migrate")

    assert sink.sent == {
        "coa.runs.verified": 1,
        "coa.records.inserted": 8,
        "coa.records.blocked": 2,
        "coa.api_calls.source": 4,
        "coa.seconds.plan": 1.5,
        "coa.seconds.total": 20.0,
        "coa.left_draft": 0,
    }


def asset_events(airflow_run_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Assets that an Airflow run updated, with what it said of them."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == airflow_run_id))
        return [(event.asset.uri, dict(event.extra)) for event in found]


@pytest.mark.lane
def test_the_asset_is_updated_by_verified_migrations_alone(stage: Stage) -> None:
    dry = stage.migrate(dry_run=True)
    moved = stage.migrate()
    looked_at = stage.run("coa_verify")

    assert (dry.state, moved.state, looked_at.state) == ("dry_run", "verified", "verified")
    assert asset_events(dry.row["airflow_run_id"]) == asset_events(looked_at.row["airflow_run_id"]) == []
    [(uri, extra)] = asset_events(moved.row["airflow_run_id"])
    assert uri == f"coa://{moved.row['target_org']['id']}/orders"
    assert extra["run_id"] == moved.row["run_id"]
    assert extra["plan_hash"] == moved.row["plan_hash"]
    assert extra["written"][ORDER] == moved.objects["Service_Order__c"]["inserted"]
