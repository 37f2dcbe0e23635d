"""What a run tells OpenLineage: which fields came from where, and what the proof found.

Airflow's OpenLineage provider sends the events by its own configuration; without the provider, or without a transport,
nothing is computed. Datasets are `salesforce://<host of the org>`, `<API name of the sObject>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from coa.staging.runs import Run

Counts = dict[str, int]


@dataclass(frozen=True)
class Told:
    """Plain data: the provider turns it into events in a process of its own.

    `columns`: the lineage of `plan.json`. `objects`: counts of `summary.json` by sObject. `wrote`: the run has begun
    to load. `proved`: its proof ran to the end.
    """

    source: str
    target: str
    columns: tuple[dict[str, Any], ...]
    objects: dict[str, Counts]
    received_dates: Counts
    wrote: bool
    proved: bool


def enabled() -> bool:
    """Whether the provider is there and would send something."""
    try:
        from airflow.providers.openlineage import conf
    except ImportError:
        return False
    return not conf.is_disabled()


def tell(run: Run) -> Told | None:
    """What there is to tell of a run that is over; None where nobody listens, or for runs that reached no orgs."""
    if run.record.pair_id is None or not run.record.source_org or not enabled():
        return None
    from coa.codes import RunMode
    from coa.fields.lineage import lineage
    from coa.mapping.store import mapping_of
    from coa.model import LOADED
    from coa.policies import Policies
    from coa.report.summary import objects_of
    from coa.staging.tables import Table

    summary = run.record.summary or {}
    migrates, wrote = (
        run.record.mode not in (RunMode.ROLLBACK, RunMode.RELINK),
        run.record.loaded_at is not None,
    )
    return Told(
        source=namespace(run.record.source_org),
        target=namespace(run.record.target_org),
        columns=tuple(lineage(run, mapping_of(run))) if migrates and wrote else (),
        objects=objects_of(summary),
        # Dates that a policy gave up are no fault.
        received_dates=summary.get("received_dates", {})
        if Policies(run.params).restores_received_dates
        else {},
        wrote=wrote,
        proved=migrates and all(run.has_table(Table.EXPECTED, name) for name in LOADED),
    )


def namespace(org: dict[str, Any]) -> str:
    """
    >>> namespace({"instance_url": "https://acme.my.salesforce.com"})
    'salesforce://acme.my.salesforce.com'
    """
    return f"salesforce://{urlsplit(str(org.get('instance_url', ''))).netloc}"


def operator_lineage(told: Told) -> Any:
    """Inputs, outputs and facets as the provider takes them."""
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.generated.column_lineage_dataset import ColumnLineageDatasetFacet
    from openlineage.client.generated.data_quality_assertions_dataset import DataQualityAssertionsDatasetFacet
    from openlineage.client.generated.output_statistics_output_dataset import (
        OutputStatisticsOutputDatasetFacet,
    )

    inputs = [InputDataset(told.source, name) for name in told.objects if told.source != told.target]
    outputs = []
    if told.proved:
        inputs += [
            InputDataset(
                told.target,
                name,
                inputFacets={
                    "dataQualityAssertions": DataQualityAssertionsDatasetFacet(_assertions(told, name))
                },
            )
            for name in told.objects
        ]
    if told.wrote:
        outputs = [
            OutputDataset(
                told.target,
                name,
                facets={"columnLineage": ColumnLineageDatasetFacet(fields)}
                if (fields := _fields(told, name))
                else {},
                outputFacets={
                    "outputStatistics": OutputStatisticsOutputDatasetFacet(
                        rowCount=sum(
                            counts.get(n, 0) for n in ("inserted", "updated", "deleted", "restored", "set")
                        )
                    )
                },
            )
            for name, counts in told.objects.items()
        ]
    return OperatorLineage(inputs=inputs, outputs=outputs)


def _fields(told: Told, sobject: str) -> dict[str, Any]:
    from openlineage.client.generated.column_lineage_dataset import Fields, InputField, Transformation

    return {
        one["field"]: Fields(
            [
                InputField(
                    told.source,
                    sobject,
                    name,
                    [
                        Transformation(
                            "DIRECT",
                            "IDENTITY" if one["as_is"] else "TRANSFORMATION",
                            one["rule"],
                            masking=False,
                        )
                    ],
                )
                for name in one["sources"]
            ]
        )
        for one in told.columns
        if one["sobject"] == sobject
    }


def _assertions(told: Told, sobject: str) -> list[Any]:
    """The proof as assertions: each moved record is there, once, and equal."""
    from openlineage.client.generated.data_quality_assertions_dataset import Assertion

    from coa.model import ORDER, RECEIVED_AT

    counts = told.objects[sobject]
    made = [
        Assertion(assertion=name, success=not counts[count], actual=str(counts[count]), expected="0")
        for name, count in (
            ("every moved record is there", "missing"),
            ("every moved record is there once", "duplicated"),
            ("every carried field is equal", "different"),
        )
    ]
    if sobject == ORDER and told.received_dates.get("expected"):
        dates = told.received_dates
        made.append(
            Assertion(
                assertion="received dates are equal to the second",
                success=not dates["different"],
                column=RECEIVED_AT,
                expected=str(dates["expected"]),
                actual=str(dates["equal"]),
            )
        )
    return made
