"""Counters and timers of a run, by Airflow's own metrics (StatsD, Datadog or OpenTelemetry, as configured there)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk.observability.stats import Stats

COUNTED = ("inserted", "updated", "deleted", "restored", "set", "blocked", "held", "rejected", "verified", "different",
           "missing", "duplicated")  # fmt: skip
"""Counts of `summary.json` that are counters of their own."""


def of_run(summary: dict[str, Any], dag_id: str) -> None:
    """Tells what a run that is over did. Names begin with `coa.`; Airflow puts its own prefix before them.

    What distinguishes a metric stands in its name, because plain StatsD drops tags; `dag_id`, `sobject` and `org` are
    tags. A count that is 0 is not sent.
    """
    from coa.report.summary import objects_of

    tags = {"dag_id": dag_id}
    Stats.incr(f"coa.runs.{summary['state']}", tags=tags)
    for sobject, counts in objects_of(summary).items():
        for name in COUNTED:
            if counts[name]:
                Stats.incr(f"coa.records.{name}", counts[name], tags={**tags, "sobject": sobject})
    for org, calls in summary.get("api_calls", {}).items():
        if calls:
            Stats.incr(f"coa.api_calls.{org}", calls, tags=tags)
    for stage, seconds in summary.get("seconds", {}).items():
        Stats.timing(f"coa.seconds.{stage}", timedelta(seconds=seconds), tags=tags)
    if "draft_exposure" in summary:
        Stats.gauge("coa.left_draft", summary["draft_exposure"]["left_draft"], tags=tags)
