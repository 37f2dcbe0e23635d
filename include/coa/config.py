"""What a user can set: the params of a run, and the settings of the engine with their reasons.

Params arrive as the JSON of a DAG run (DESIGN §2). `RunParams.parse` checks all of them and
reports every fault in one `InvalidParams`.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, fields
from typing import Any

from coa.errors import InvalidParams

CHOICES: dict[str, tuple[str, ...]] = {
    "mode": ("full", "delta"),
    "on_row_failure": ("stop", "continue"),
    "received_dates": ("restore", "accept_reset"),
    "created_dates": ("required", "auto", "off"),
    "draft_orders": ("hold", "load"),
    "in_flight_orders": ("load", "hold"),
    "incomplete_orders": ("block", "load"),
    "picklist_policy": ("stop", "blank", "block_record"),
    "too_long_policy": ("stop", "truncate", "block_record"),
    "unmatched_contract_policy": ("stop", "block_record"),
    "unmatched_product_policy": ("block_record", "stop"),
    "unmatched_lookup_policy": ("blank", "block_record"),
    "possible_duplicates": ("block_record", "load"),
    "conflict_policy": ("block_record", "source_wins", "target_wins"),
    "deletions": ("report", "carry"),
}
"""Allowed values of each choice, default first."""

MOST_ORDERS_A_CHUNK = 10_000


@dataclass(frozen=True)
class RunParams:
    """The params of `coa_migrate` (DESIGN §2), checked. Defaults are the documented ones."""

    mode: str = "full"
    dry_run: bool = False
    require_approval: bool = True
    max_blocked: int | str | None = None
    """Records that may be blocked: a number, a percentage such as "2%", None for the default."""
    on_row_failure: str = "stop"
    received_dates: str = "restore"
    created_dates: str = "required"
    draft_orders: str = "hold"
    in_flight_orders: str = "load"
    incomplete_orders: str = "block"
    picklist_policy: str = "stop"
    too_long_policy: str = "stop"
    owner_policy: str = "running_user"
    """`running_user`, `stop`, or the user name of an active user of the target."""
    unmatched_contract_policy: str = "stop"
    unmatched_product_policy: str = "block_record"
    unmatched_lookup_policy: str = "blank"
    possible_duplicates: str = "block_record"
    conflict_policy: str = "block_record"
    deletions: str = "report"
    accept_submit_jobs: bool = False
    orders_where: str = ""
    chunk_size: int | None = None
    """Orders a chunk; None: see `orders_a_chunk`."""
    lanes: int = 3
    mapping: str = ""
    run_id: str = ""
    """`coa_verify` and `coa_rollback`: the run that is meant."""
    force: bool = False
    """`coa_rollback`: also what was changed in the target since."""

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> RunParams:
        """Checks params of a run; unknown names and bad values are reported together.

        Raises `InvalidParams`.
        """
        faults: list[str] = []
        known = {f.name for f in fields(cls)}
        for name in sorted(set(raw) - known):
            faults.append(f"unknown param {name!r}")
        values: dict[str, Any] = {}
        for name in known & set(raw):
            try:
                values[name] = _check(name, raw[name])
            except ValueError as error:
                faults.append(str(error))
        if faults:
            raise InvalidParams(
                "The params of the run are not usable: " + "; ".join(faults) + ".",
                next_step="correct them and trigger the run again; the DAG's form lists the allowed values.",
            )
        return cls(**values)

    def orders_a_chunk(self, orders: int) -> int:
        """`chunk_size`, or what suits a run with work on so many orders.

        A chunk costs about six jobs and its orders stand as Draft while it is on its way: small ones are safer,
        large ones cost fewer API calls. So 2,000, and from 40,000 orders on a twentieth of them, 10,000 at most.
        """
        if self.chunk_size is not None:
            return self.chunk_size
        return min(MOST_ORDERS_A_CHUNK, max(2000, math.ceil(orders / 20)))

    def blocked_limit(self, records: int) -> int | None:
        """How many of `records` may be blocked; None means no limit."""
        limit = self.max_blocked
        if limit is None:
            return None if self.require_approval else 0
        if isinstance(limit, str):
            return int(records * float(limit.rstrip("%")) / 100)
        return limit


def _check(name: str, value: Any) -> Any:
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise ValueError(f"{name}: {value!r} is not one of {', '.join(CHOICES[name])}")
        return value
    if name in ("dry_run", "require_approval", "accept_submit_jobs", "force"):
        if not isinstance(value, bool):
            raise ValueError(f"{name}: {value!r} is not true or false")
        return value
    if name == "max_blocked":
        return _check_max_blocked(value)
    if name == "chunk_size" and value is None:
        return None
    if name in ("chunk_size", "lanes"):
        top = MOST_ORDERS_A_CHUNK if name == "chunk_size" else 16
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= top:
            raise ValueError(f"{name}: {value!r} is not a whole number from 1 to {top}")
        return value
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name}: {value!r} is not text")
    if name == "owner_policy" and not value:
        raise ValueError("owner_policy: empty; use running_user, stop or a user name")
    return value.strip()


def _check_max_blocked(value: Any) -> int | str | None:
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"\d+", value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?%", value) and float(value[:-1]) <= 100:
        return value
    raise ValueError(f'max_blocked: {value!r} is neither a number of records nor a percentage such as "2%"')


def _number(name: str, default: float) -> float:
    raw = os.environ.get(name, "")
    if not raw:
        return default
    try:
        value = float(raw)
    except ValueError:
        value = -1.0
    if value < 0:
        raise InvalidParams(
            f"The environment variable {name} is {raw!r}.", next_step="set it to a number of 0 or more."
        )
    return value


def _embedded_cr() -> str:
    value = os.environ.get("COA_EMBEDDED_CR", "") or "rest"
    if value not in ("rest", "bulk"):
        raise InvalidParams(
            f"The environment variable COA_EMBEDDED_CR is {value!r}.", next_step="set it to rest or bulk."
        )
    return value


@dataclass(frozen=True)
class Settings:
    """Knobs of the engine; each can be set by the environment variable beside it."""

    connect_timeout: float = 10.0
    """COA_CONNECT_TIMEOUT, seconds. An org answers a TCP connect in well under a second."""
    read_timeout: float = 120.0
    """COA_READ_TIMEOUT, seconds between two bytes. Salesforce cuts a query off after 120."""
    request_retries: int = 6
    """COA_REQUEST_RETRIES: tries of a request that is safe to repeat (1 + 2 + 4 ... seconds apart)."""
    retry_first_seconds: float = 1.0
    """COA_RETRY_FIRST_SECONDS: the first gap of the back-off."""
    retry_max_seconds: float = 60.0
    """COA_RETRY_MAX_SECONDS: its ceiling."""
    poll_first_seconds: float = 1.0
    """COA_POLL_FIRST_SECONDS: small jobs end within a second or two."""
    poll_max_seconds: float = 20.0
    """COA_POLL_MAX_SECONDS: each poll is an API call; large jobs run for minutes."""
    stall_seconds: float = 1800.0
    """COA_STALL_SECONDS: no progress for so long is reported. Salesforce retries a batch up to 20 times 5 minutes."""
    rows_per_job: int = 9500
    """COA_ROWS_PER_JOB: below Salesforce's internal batch of 10,000, so that no two batches of one job run in
    parallel on one parent."""
    bytes_per_job: int = 80_000_000
    """COA_BYTES_PER_JOB: Salesforce takes 150 MB after base64, that is 100 MB raw."""
    row_attempts: int = 6
    """COA_ROW_ATTEMPTS: how often a row that met a transient error (a lock) is sent."""
    extract_threads: int = 4
    """COA_EXTRACT_THREADS: sObjects of one org extracted at once."""
    result_page_rows: int = 50_000
    """COA_RESULT_PAGE_ROWS: rows asked for in one page of a query's result. A result that is larger is fetched
    in pages of the org's own size, several at a time, where the org offers that (API 58)."""
    page_threads: int = 3
    """COA_PAGE_THREADS: result pages of one query fetched at once."""
    hold_worker_seconds: float = 60.0
    """COA_HOLD_WORKER_SECONDS: how long a task itself waits for a Bulk job. Then Airflow's triggerer waits, and the
    worker is free; a kill of any process meanwhile costs no try of the task."""
    delta_overlap_seconds: float = 900.0
    """COA_DELTA_OVERLAP_SECONDS: how far before its watermark a delta reads again. A record's stamp is set before
    its transaction commits; Salesforce ends a transaction after 10 minutes at the latest."""
    delta_rest_rows: int = 1000
    """COA_DELTA_REST_ROWS: up to so many changed records come by one REST query instead of a Bulk job."""
    api_reserve: int = 1000
    """COA_API_RESERVE: calls of the daily allowance that are left to others."""
    lease_seconds: float = 900.0
    """COA_LEASE_SECONDS: how long a run that shows no life keeps a pair of orgs to itself."""
    embedded_cr: str = "rest"
    """COA_EMBEDDED_CR, `rest` or `bulk`: how text with carriage returns travels. Whether a CRLF inside a quoted
    value survives a Bulk job with LF line ends is disputed, so by default such values follow by REST."""
    newest_api_version: float = 67.0
    """The newest API version this release was tested with."""

    @classmethod
    def from_environment(cls) -> Settings:
        values: dict[str, Any] = {}
        for f in fields(cls):
            if f.name == "newest_api_version":
                continue
            if f.name == "embedded_cr":
                values[f.name] = _embedded_cr()
                continue
            number = _number("COA_" + f.name.upper(), f.default)  # type: ignore[arg-type]
            values[f.name] = int(number) if isinstance(f.default, int) else number
        return cls(**values)
