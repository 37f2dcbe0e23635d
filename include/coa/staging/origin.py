"""Where a run came from: which Airflow, and which of its runs.

Airflow allows an id to be used again once its run was deleted, and gives tasks no other key of a run. So a run
is identified by everything that a task is told and that does not change: when it was created, what it was
triggered with and by whom, and, until it is cleared, when it began. If one of these differs, it is another run,
whatever its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from coa.staging.record import RunRecord


@dataclass(frozen=True)
class Origin:
    """How a run came about, as it is kept with it; all empty for one that no Airflow made."""

    deployment: str = ""
    """The Airflow: an id that is made once for each of its metadata databases."""
    airflow_version: str = ""
    born: str = ""
    """When Airflow made its run."""
    airflow_started_at: datetime | None = None
    """When it began; another one after it was cleared."""
    airflow_clears: int = 0
    """How often it was cleared."""
    conf_sha256: str = ""
    """Of what it was triggered with."""
    headless_token: str = ""
    """Names the lock that the process of a headless run holds as long as it lives (`coa_airflow.headless_token`)."""
    triggered_for: str = ""
    """What COA_TRIGGERED_BY said: a note, no identity."""


NO_AIRFLOW = Origin()


def foreign(record: RunRecord, origin: Origin, triggered_by: str) -> list[str]:
    """What shows that this Airflow run is not the one that the record was made for, in words; empty when it is.

    Facts that the record lacks, because an earlier version made it, show nothing.
    """
    return list(_foreign(record, origin, triggered_by))


def _foreign(record: RunRecord, origin: Origin, triggered_by: str) -> Iterator[str]:
    if record.deployment and record.deployment != origin.deployment:
        yield "it belongs to another Airflow"
    if record.born and record.born != origin.born:
        yield "it was made at another time"
    if record.conf_sha256 and record.conf_sha256 != origin.conf_sha256:
        yield "it was triggered with other params"
    if record.triggered_by != triggered_by:
        yield f"it was triggered by {triggered_by or 'nobody'}, not by {record.triggered_by or 'nobody'}"
    if record.airflow_started_at is None:
        return
    if origin.airflow_clears < record.airflow_clears:
        yield "it was cleared less often"
    elif (
        origin.airflow_clears == record.airflow_clears
        and origin.airflow_started_at != record.airflow_started_at
    ):
        yield "it began at another time"
