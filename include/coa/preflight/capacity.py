"""Whether the two orgs have room for the run: API calls, Bulk jobs, data storage.

What the target holds already by our migration key is not counted again, so that a run that goes on,
or a delta, is not stopped for what an earlier one did.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from coa.findings.finding import Finding, finding
from coa.model import CUSTOMER, DETAIL, LOADED, ORDER, SOURCE_ID
from coa.policies import Policies
from coa.preflight.checks import check_allowance
from coa.preflight.probe import Probe
from coa.salesforce.describe import Describe
from coa.staging.runs import SOURCE, Run

KB_A_RECORD = 2
"""Salesforce counts nearly every record as 2 KB of data storage (Salesforce Help,
*Data and File Storage Allocations*)."""
READING_CALLS = 100


@dataclass(frozen=True)
class Volume:
    """Records of the source that the target does not have yet, by sObject."""

    orders: int
    details: int
    customers: int

    @property
    def megabytes(self) -> int:
        """Data storage that they take, in MB, rounded up."""
        return math.ceil((self.orders + self.details + self.customers) * KB_A_RECORD / 1024)


def expected_calls(orders: int, details: int, chunk_size: int, rows_per_job: int) -> int:
    """API calls on the target that a migration of so many records needs, without faults.

    A chunk costs three jobs (orders, details, statuses) and two re-reads with up to three correcting
    jobs; a job about eight calls, a query about five; forty more for describes, extracts and proof.
    """
    chunks = max(1, math.ceil(orders / chunk_size))
    detail_jobs = max(chunks, math.ceil(details / rows_per_job))
    return READING_CALLS + chunks * (5 * 8 + 2 * 5) + detail_jobs * 8


def moved_before(target: Probe, described: dict[str, Describe]) -> dict[str, int]:
    """sObject -> records that the target has by our migration key."""
    return {
        name: (target.count("records moved before", name, f"{SOURCE_ID} != null") or 0)
        if SOURCE_ID in described[name].fields
        else 0
        for name in LOADED
    }


def volume_of(source: Probe, target: Probe, described: dict[str, Describe], where: str) -> Volume:
    """Counts both orgs. `where` narrows the orders; their details are taken in the same proportion."""
    quiet = source.quiet()
    asked = {name: quiet.count("", name) for name in LOADED}
    # Without these counts nothing can be said: a refusal is raised.
    counts = {name: source.org.count(name) if count is None else count for name, count in asked.items()}
    moved = moved_before(target, described)
    if where and counts[ORDER]:
        chosen = source.org.count(ORDER, where)
        share = chosen / counts[ORDER]
        counts = {name: math.ceil(number * share) for name, number in counts.items()} | {ORDER: chosen}
    left = {name: max(0, counts[name] - moved[name]) for name in LOADED}
    return Volume(left[ORDER], left[DETAIL], left[CUSTOMER])


def check_capacity(run: Run, probe: Probe, volume: Volume) -> list[Finding]:
    """Findings on API calls, Bulk batches and storage: what the org has left against what `volume` needs."""
    limits = probe.get("API limits and storage", "/limits", "limits")
    if limits is None:
        return []
    if probe.role == SOURCE:
        return check_allowance(SOURCE, limits, READING_CALLS, run.settings.api_reserve)
    if Policies(run.params).hanging:
        # How much is needed beside the records is known when the source was read.
        files, calls = _entry(limits, "FileStorageMB"), _entry(limits, "DailyApiRequests")
        run.learn(
            probe.role,
            **({"file_storage_mb": files[0]} if files else {}),
            **({"api_calls_left": calls[0]} if calls else {}),
        )
    chunk = run.params.orders_a_chunk(volume.orders)
    needed = expected_calls(volume.orders, volume.details, chunk, run.settings.rows_per_job)
    return [
        *check_allowance(probe.role, limits, needed, run.settings.api_reserve),
        *_storage(limits, volume),
        *_batches(limits, volume, chunk),
    ]


def _entry(limits: dict[str, Any], name: str) -> tuple[int, int] | None:
    """(remaining, maximum) of a limit, None when the org does not tell."""
    entry = limits.get(name)
    if not isinstance(entry, dict) or "Remaining" not in entry:
        return None
    return int(entry["Remaining"]), int(entry.get("Max") or 0)


def _storage(limits: dict[str, Any], volume: Volume) -> list[Finding]:
    room = _entry(limits, "DataStorageMB")
    if room is None or room[0] >= volume.megabytes:
        return []
    return [finding("blocker", "data_storage", count=volume.megabytes, left=room[0])]


def _batches(limits: dict[str, Any], volume: Volume, chunk_size: int) -> list[Finding]:
    """A Bulk job of up to 10,000 rows is one batch of the day's allowance; a chunk has about six jobs."""
    room = _entry(limits, "DailyBulkApiBatches")
    needed = 6 * max(1, math.ceil(volume.orders / chunk_size)) + math.ceil(volume.details / 9500) + 1
    if room is None or room[1] == 0 or room[0] >= needed:
        return []
    return [finding("blocker", "bulk_allowance", count=room[0], allowed=room[1], needed=needed)]
