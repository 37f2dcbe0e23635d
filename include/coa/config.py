"""What a user can set: the params of a run, and the settings of the engine with their reasons.

Params arrive as the JSON of a DAG run (DESIGN §2). `RunParams.parse` checks all of them and
reports every fault in one `InvalidParams`.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from coa.errors import InvalidParams
from coa.soql_condition import NoCondition, check_condition

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
    "invalid_values": ("block_record", "blank", "stop"),
    "unmatched_contract_policy": ("stop", "block_record"),
    "unmatched_product_policy": ("block_record", "stop"),
    "unmatched_lookup_policy": ("blank", "block_record"),
    "possible_duplicates": ("block_record", "load"),
    "conflict_policy": ("block_record", "source_wins", "target_wins"),
    "deletions": ("report", "carry"),
    "attachments": ("report", "carry"),
    "activities": ("report", "carry"),
    "history": ("off", "archive"),
    "hidden_fields": ("stop", "report"),
    "masked_values": ("block_record", "stop"),
    "blank_contract": ("from_order", "block_record"),
    "learned_passes": ("use", "ignore"),
    "canary_gate": ("continue", "ask", "only"),
}
"""Allowed values of each choice, default first."""

MOST_ORDERS_A_CHUNK = 10_000
OTHER_CHOICES: dict[str, tuple[str, ...]] = {"role": ("target", "source")}
"""Choices that `coa_migrate` does not have."""
SWITCHES = frozenset(
    {"dry_run", "require_approval", "accept_submit_jobs", "force", "allow_production", "status_probes"}
)
"""Params that are true or false."""
COUNTS = {"chunk_size": (1, MOST_ORDERS_A_CHUNK), "lanes": (1, 16), "canary": (0, 500)}
"""Params that are a whole number: the least and the most of each."""


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
    invalid_values: str = "block_record"
    """Values that the target's types refuse: see `coa.fields.refused`."""
    owner_policy: str = "running_user"
    """`running_user`, `stop`, or the user name of an active user of the target."""
    unmatched_contract_policy: str = "stop"
    unmatched_product_policy: str = "block_record"
    unmatched_lookup_policy: str = "blank"
    possible_duplicates: str = "block_record"
    conflict_policy: str = "block_record"
    deletions: str = "report"
    attachments: str = "report"
    """Files with their versions, attachments and notes of the records that are moved."""
    activities: str = "report"
    """Tasks, events and e-mails of the records that are moved."""
    history: str = "off"
    """Field history of the records that are moved, as an archive: no API can insert it."""
    verify_sample: int | str = "1%"
    """Records of each sObject that the proof reads again by REST: a percentage or a number; 0: none."""
    hidden_fields: str = "stop"
    masked_values: str = "block_record"
    blank_contract: str = "from_order"
    accept_submit_jobs: bool = False
    orders_where: str = ""
    canary: int = 25
    """Orders that are loaded and proved before all others; 0: none."""
    canary_gate: str = "continue"
    """Whether a proved canary is followed by the rest: at once, when a person has said yes, or not at all."""
    learned_passes: str = "use"
    """Whether what the canary showed spares the reading back of all others before they are corrected."""
    chunk_size: int | None = None
    """Orders a chunk; None: see `orders_a_chunk`."""
    lanes: int = 3
    mapping: str = ""
    run_id: str = ""
    """`coa_verify` and `coa_rollback`: the run that is meant."""
    force: bool = False
    """`coa_rollback`: also what was changed in the target since."""
    role: str = "target"
    """`coa_contract`: which connection is asked, `target`, or `source`, which is only read."""
    allow_production: bool = False
    """`coa_contract`: ask an org that is no sandbox."""
    status_probes: bool = False
    """`coa_contract`: questions for which an order is made something else than Draft."""
    source_conn_id: str = "coa_source"
    """Airflow connection of the source; `coa_airflow.pair` says which may be named."""
    target_conn_id: str = "coa_target"

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> RunParams:
        """Checks params of a run; unknown names and bad values are reported together.

        Raises `InvalidParams`.
        """
        values, faults = _checked(raw, [f.name for f in fields(cls)])
        if values.get("canary") == 0 and values.get("canary_gate", "continue") != "continue":
            faults.append(f"canary_gate: {values['canary_gate']!r} needs a canary, and canary is 0")
        if faults:
            raise InvalidParams(
                "The params of the run are not usable: " + "; ".join(faults) + ".",
                next_step="correct them and trigger the run again; the DAG's form lists the allowed values.",
            )
        return cls(**values)

    @classmethod
    def usable(cls, raw: dict[str, Any]) -> RunParams:
        """Those of the params that can be used: for what is still told of a run that the others have ended."""
        return cls(**_checked(raw, [f.name for f in fields(cls)])[0])

    def orders_a_chunk(self, orders: int) -> int:
        """`chunk_size`, or what suits a run with work on so many orders.

        A chunk costs about six jobs and its orders stand as Draft while it is on its way: small ones are safer,
        large ones cost fewer API calls. So 2,000, and from 40,000 orders on a twentieth of them, 10,000 at most. Of
        fewer than 6,000 orders a third, 250 at least: an org that takes its time works on several chunks side by side.
        """
        if self.chunk_size is not None:
            return self.chunk_size
        return min(MOST_ORDERS_A_CHUNK, max(250, min(2000, math.ceil(orders / 3)), math.ceil(orders / 20)))

    def blocked_limit(self, records: int) -> int | None:
        """How many of `records` may be blocked; None means no limit."""
        limit = self.max_blocked
        if limit is None:
            return None if self.require_approval else 0
        if isinstance(limit, str):
            return int(records * float(limit.rstrip("%")) / 100)
        return limit


ALL_SOURCES = "all_sources"
"""What `coa_verify` takes as its param `run_id` to prove all sources of the target together."""

OF_A_VERIFICATION = ("run_id", "verify_sample", "source_conn_id", "target_conn_id")
"""What `coa_verify` decides itself; what may differ on purpose, the migration decided."""
NOT_OF_POLICIES = (*OF_A_VERIFICATION, "mode", "dry_run", "orders_where")


def verification_params(own: dict[str, Any], migration: dict[str, Any]) -> dict[str, Any]:
    """Params that a verification goes by: the policies of the migration, and its own choice of what is looked at.

    >>> verification_params({"run_id": ""}, {"mode": "delta", "received_dates": "accept_reset"})
    {'received_dates': 'accept_reset', 'run_id': ''}
    """
    return {
        **{name: value for name, value in migration.items() if name not in NOT_OF_POLICIES},
        **{name: value for name, value in own.items() if name in OF_A_VERIFICATION},
    }


def _checked(raw: dict[str, Any], known: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The values that can be used, and what is wrong with the others."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name in sorted(raw):
        if name not in known:
            close = get_close_matches(name, known, 1)
            faults.append(f"unknown param {name!r}" + (f" (is {close[0]!r} meant?)" if close else ""))
            continue
        try:
            values[name] = _check(name, raw[name])
        except ValueError as error:
            faults.append(str(error))
    return values, faults


def _check_choice(name: str, value: Any) -> Any:
    allowed = (CHOICES | OTHER_CHOICES)[name]
    if value not in allowed:
        close = get_close_matches(str(value), allowed, 1)
        meant = f" (is {close[0]!r} meant?)" if close else ""
        raise ValueError(f"{name}: {value!r} is not one of {', '.join(allowed)}{meant}")
    return value


def refuse_asking(raw: dict[str, Any], *, nobody: str) -> None:
    """Raises `InvalidParams` when the params want an answer to the canary where there is `nobody` to give one."""
    if raw.get("canary_gate") == "ask":
        raise InvalidParams(
            f"canary_gate is ask, and {nobody}.",
            next_step="set it to only, look at what the canary shows, and run again with continue.",
        )


def _check(name: str, value: Any) -> Any:
    if name in CHOICES or name in OTHER_CHOICES:
        return _check_choice(name, value)
    if name in SWITCHES:
        if not isinstance(value, bool):
            raise ValueError(f"{name}: {value!r} is not true or false")
        return value
    if name == "max_blocked":
        return _check_max_blocked(value)
    if name == "verify_sample":
        return _check_sample(value)
    if name == "chunk_size" and value is None:
        return None
    if name in COUNTS:
        least, most = COUNTS[name]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{name}: {value!r} is not a whole number from {least} to {most}")
        return value
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name}: {value!r} is not text")
    if name == "orders_where" and value.strip():
        try:
            check_condition(value)
        except NoCondition as fault:
            raise ValueError(f"orders_where is no SOQL condition: {fault}") from None
    if name == "owner_policy" and not value:
        raise ValueError("owner_policy: empty; use running_user, stop or a user name")
    return value.strip()


def _check_sample(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"\d+", value.strip()):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?%", value.strip()):
        share = float(value.strip().rstrip("%"))
        if share <= 100:
            return value.strip() if share else 0
    raise ValueError(f'verify_sample: {value!r} is neither a number of records nor a percentage such as "1%"')


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


AT_LEAST_ONE = frozenset(
    {
        "request_retries",
        "rows_per_job",
        "bytes_per_job",
        "row_attempts",
        "extract_threads",
        "result_page_rows",
        "page_threads",
        "file_threads",
    }
)
"""Settings that count something of which none would leave nothing to do: rows of a job, tries, threads."""
ABOVE_ZERO = frozenset({"connect_timeout", "read_timeout", "stall_seconds", "lease_seconds"})
"""Settings in seconds of which none would end every call, job or run before it begins."""


def _number(name: str, default: float) -> float:
    """The setting `name` from its environment variable; a whole number where the default is one.

    Raises `InvalidParams`, which names the variable and what it takes, never a `ValueError`.
    """
    variable = "COA_" + name.upper()
    raw = os.environ.get(variable, "").strip()
    if not raw:
        return default
    whole = isinstance(default, int)
    kind = "whole number" if whole else "number"
    takes = (
        f"a {kind} of 1 or more"
        if name in AT_LEAST_ONE
        else f"a {kind} above 0"
        if name in ABOVE_ZERO
        else f"a {kind} of 0 or more"
    )
    try:
        value = float(raw)
    except ValueError:
        value = math.nan
    # Neither `nan` nor `inf` is a time that can be waited for or a number that can be counted to.
    usable = math.isfinite(value) and (not whole or value.is_integer())
    if usable:
        usable = value >= 1 if name in AT_LEAST_ONE else value > 0 if name in ABOVE_ZERO else value >= 0
    if not usable:
        raise InvalidParams(
            f"The environment variable {variable} is {raw!r}.", next_step=f"set it to {takes}."
        )
    return int(value) if whole else value


def _one_of(name: str, *allowed: str) -> str:
    """A setting that takes one of a few words, the first by default. Raises `InvalidParams`."""
    variable = "COA_" + name.upper()
    value = os.environ.get(variable, "").strip() or allowed[0]
    if value not in allowed:
        raise InvalidParams(
            f"The environment variable {variable} is {value!r}.",
            next_step=f"set it to {' or '.join(allowed)}.",
        )
    return value


WORDS: dict[str, tuple[str, ...]] = {
    "embedded_cr": ("rest", "bulk"),
    "text_length": ("utf16", "code_points"),
}
"""Settings that take a word: what they take, default first."""


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
    """COA_POLL_FIRST_SECONDS: the first look at a job while nothing is learnt of this org: see `coa.salesforce.pace`."""
    poll_max_seconds: float = 20.0
    """COA_POLL_MAX_SECONDS: the longest gap between two looks; each is an API call, and large jobs run for minutes."""
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
    """COA_DELTA_REST_ROWS: up to so many records, changed ones or read back after a step, come by REST, not by a Bulk job."""
    extract_rest_rows: int = 1000
    """COA_EXTRACT_REST_ROWS: sObjects that are only looked up come by REST, not by a Bulk query, up to so many records."""
    api_reserve: int = 1000
    """COA_API_RESERVE: calls of the daily allowance that are left to others."""
    canary_days: int = 30
    """COA_CANARY_DAYS: how long a proved canary may stand for that of a later run; 0: never."""
    lease_seconds: float = 900.0
    """COA_LEASE_SECONDS: how long a run that shows no life keeps a pair of orgs to itself."""
    embedded_cr: str = "rest"
    """COA_EMBEDDED_CR, `rest` or `bulk`: how text with carriage returns travels. Whether a CRLF inside a quoted
    value survives a Bulk job with LF line ends is disputed, so by default such values follow by REST."""
    text_length: str = "utf16"
    """COA_TEXT_LENGTH, `utf16` or `code_points`: what the target counts where its field is shorter than the source's.
    Apex counts "16-bit Unicode characters" (Apex Reference, String.length), an emoji as two; that the database behind a
    field does too is not documented, so the count that never lets a refused value through is the default."""
    file_threads: int = 3
    """COA_FILE_THREADS: files on their way at once; each is kept on this machine's disk while it is."""
    file_base64_bytes: int = 0
    """COA_FILE_BASE64_BYTES: files up to so many bytes are sent in base64 within JSON, at most 37.5 MB; 0: none. For a
    proxy that lets no multipart through: multipart takes 2 GB, needs a third less, and takes files without a byte."""
    lost_call_seconds: float = 600.0
    """COA_LOST_CALL_SECONDS: after so long a call without an answer is over in the org for certain, and what it sent may
    be sent again if it is not there. Salesforce ends a REST call after 10 minutes."""
    newest_api_version: float = 67.0
    """The newest API version this release was tested with."""

    @classmethod
    def from_environment(cls) -> Settings:
        """Raises `InvalidParams` with one sentence that names the variable."""
        values: dict[str, Any] = {}
        for f in fields(cls):
            if f.name == "newest_api_version":
                continue
            if f.name in WORDS:
                values[f.name] = _one_of(f.name, *WORDS[f.name])
                continue
            values[f.name] = _number(f.name, f.default)  # type: ignore[arg-type]
        return cls(**values)
