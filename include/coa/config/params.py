"""The params of a run (DESIGN §2), all that there is to say of each in one place.

Params arrive as the JSON of a DAG run. `RunParams.parse` checks all of them and reports every fault in one
`InvalidParams`; `coa_airflow.params` makes the trigger forms of the same model.
"""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import ErrorDetails

from coa.config.checked import bounds, usable, whole, words
from coa.config.shown import MIGRATION, Shown
from coa.errors import InvalidParams
from coa.soql_condition import NoCondition, check_condition

MOST_ORDERS_A_CHUNK = 10_000
ALL_SOURCES = "all_sources"
"""What `coa_verify` takes as its param `run_id` to prove all sources of the target together."""

DATES = "Dates"
WHICH_ORDERS = "Which orders"
NO_FIT = "When values do not fit"
NO_MATCH = "When nothing matches"
ALREADY_THERE = "When the target already has something"
HANGING = "What is attached to the orders"
UNSEEN = "What we cannot see"
CANARY = "Canary"
SIZE = "Size and files"
"""Sections of the form."""

STOP = {"stop": "Stop the run"}
LEAVE_BEHIND = {"block_record": "Leave the record behind"}
BLANK = {"blank": "Leave the field blank"}


# ---- kinds of values -------------------------------------------------------------------------------
def _not_none(value: Any) -> Any:
    return "" if value is None else value


def _condition(value: str) -> str:
    if value:
        try:
            check_condition(value)
        except NoCondition as fault:
            raise ValueError(f"orders_where is not a SOQL condition: {fault}") from None
    return value


def _owner(value: str) -> str:
    if not value:
        raise ValueError("owner_policy: empty; use running_user, stop or a user name")
    return value


def _number_or_share(value: Any) -> int | str | None:
    """A number of records or a percentage, both perhaps as text; None for what is neither."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"\d+", text):
        return int(text)
    share = re.fullmatch(r"(\d+(\.\d+)?)%", text)
    return text if share and float(share[1]) <= 100 else None


def _max_blocked(value: Any) -> int | str | None:
    if value is None or value == "":
        return None
    read = _number_or_share(value)
    if read is None:
        raise ValueError(
            f'max_blocked: {value!r} is neither a number of records nor a percentage such as "2%"'
        )
    return read


def _sample(value: Any) -> int | str:
    read = _number_or_share(value)
    if read is None:
        raise ValueError(
            f'verify_sample: {value!r} is neither a number of records nor a percentage such as "1%"'
        )
    return 0 if isinstance(read, str) and float(read.rstrip("%")) == 0 else read


Text = Annotated[
    str,
    BeforeValidator(_not_none),
    AfterValidator(str.strip),
    WithJsonSchema({"type": ["null", "string"]}),
]
"""A form sends null for a field that was emptied."""
Amount = Annotated[
    int | str | None,
    BeforeValidator(_max_blocked),
    WithJsonSchema({"type": ["null", "integer", "string"]}),
]
Sample = Annotated[int | str, BeforeValidator(_sample), WithJsonSchema({"type": ["integer", "string"]})]

_WAIVED = (
    "Ask a person before the first write",
    "Off: the waiver is recorded with your name and the plan's hash.",
)


class RunParams(BaseModel):
    """The params of a run, checked. Their order is that of the form; defaults are those of `coa_migrate`."""

    # Strict: JSON has numbers and booleans of its own, and "no" is neither.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    run_id: Annotated[
        Text,
        Shown(
            "Run",
            "The run that is meant.",
            kinds=("verify", "rollback", "relink"),
            code=True,
            elsewhere={
                "verify": (
                    "Run",
                    "The run to verify, such as `20261123T144200Z-a1b2c3`, or the id of its Airflow run. Empty: all "
                    f"that was migrated between the two orgs. `{ALL_SOURCES}`: that, and every other source of the "
                    "target, added up.",
                ),
                "rollback": (
                    "Run to undo",
                    "Its id, such as `20261123T144200Z-a1b2c3`, as in the names of the artifacts folders, or the id of "
                    "its Airflow run.",
                ),
                "relink": (
                    "Migration",
                    "Only lookups to records that this migration inserted: its id, or that of its Airflow run. Empty: "
                    "to all that was moved between the two orgs.",
                ),
            },
        ),
    ] = ""
    role: Annotated[
        Literal["target", "source"],
        Shown(
            "Which org",
            "`target` is asked everything; `source` is only read.",
            kinds=("contract",),
            words={"target": "The target", "source": "The source"},
        ),
    ] = "target"
    dry_run: Annotated[
        bool,
        Shown(
            "Dry run",
            "Everything up to the plan; writes nothing to any org.",
            kinds=("migrate", "rollback", "relink"),
            elsewhere=dict.fromkeys(
                ("rollback", "relink"), ("Dry run", "Makes the plan and writes nothing.")
            ),
        ),
    ] = False
    force: Annotated[
        bool,
        Shown(
            "Also what was changed since",
            "Rolls back records of the run that somebody changed in the target since. Records that the run did not "
            "insert are never deleted.",
            kinds=("rollback",),
        ),
    ] = False
    allow_production: Annotated[
        bool,
        Shown(
            "Also an org that is no sandbox",
            "Off: such an org is refused before anything is written.",
            kinds=("contract",),
        ),
    ] = False
    status_probes: Annotated[
        bool,
        Shown(
            "Questions about statuses",
            "For some questions an order is made Received, Activated or Provisioned, looked at and deleted. The "
            "approver confirms it once more.",
            kinds=("contract",),
        ),
    ] = False
    require_approval: Annotated[
        bool,
        Shown(
            "Ask a person before the first write",
            "Off: the waiver is recorded with your name and the plan's hash, and no blocked record is tolerated unless "
            "*Blocked records allowed* says so.",
            kinds=("migrate", "rollback", "relink", "contract", "setup_target"),
            elsewhere=dict.fromkeys(("rollback", "relink", "contract", "setup_target"), _WAIVED),
        ),
    ] = True
    mode: Annotated[
        Literal["full", "delta"],
        Shown(
            "Mode",
            "`full` reads everything; `delta` only what changed since the last run of this pair of orgs.",
            words={"full": "Read everything", "delta": "Read what changed since the last run"},
            elsewhere={"sync": ("Mode", "What changed since the last run of this pair of orgs.")},
            offers={"sync": ("delta",)},
        ),
    ] = "full"
    on_row_failure: Annotated[
        Literal["stop", "continue"],
        Shown(
            "When the org refuses a row",
            "`stop` ends the load at the first refused row; `continue` loads the rest. Either way the run ends as "
            "`rows_rejected`.",
            words={"stop": "End the load at the first refused row", "continue": "Load the rest"},
        ),
    ] = "stop"
    received_dates: Annotated[
        Literal["restore", "accept_reset"],
        Shown(
            "Received dates",
            "`restore` writes Date Service Order Received back after the package stamped it; "
            "`accept_reset` leaves the stamp.",
            DATES,
            words={"restore": "Write the source's dates back", "accept_reset": "Leave the package's stamp"},
        ),
    ] = "restore"
    created_dates: Annotated[
        Literal["required", "auto", "off"],
        Shown(
            "Created dates (audit fields)",
            "`required` stops when the target does not let us set CreatedDate and CreatedById; `auto` sets them if it "
            "does; `off` never.",
            DATES,
            words={
                "required": "Set them, or stop",
                "auto": "Set them if the target allows it",
                "off": "Do not set them",
            },
        ),
    ] = "required"
    draft_orders: Annotated[
        Literal["hold", "load"],
        Shown(
            "Draft orders",
            "`hold` leaves Drafts in the source: in the target they could be submitted by anybody; `load` moves them.",
            WHICH_ORDERS,
            words={"hold": "Leave them in the source", "load": "Move them"},
        ),
    ] = "hold"
    in_flight_orders: Annotated[
        Literal["load", "hold"],
        Shown(
            "Orders in flight",
            "Submitted, Received and In Process: `load` moves them, `hold` leaves them until they are settled.",
            WHICH_ORDERS,
            words={"load": "Move them", "hold": "Leave them until they are settled"},
        ),
    ] = "load"
    incomplete_orders: Annotated[
        Literal["block", "load"],
        Shown(
            "Orders with a blocked detail",
            "`block` holds back the complete order; `load` moves it without the blocked details.",
            WHICH_ORDERS,
            words={"block": "Hold back the complete order", "load": "Move it without the blocked details"},
        ),
    ] = "block"
    picklist_policy: Annotated[
        Literal["stop", "blank", "block_record"],
        Shown(
            "Value missing in a restricted picklist",
            "`stop` the run, leave the field `blank`, or `block_record`. Status and order type always block.",
            NO_FIT,
            words={**STOP, **BLANK, **LEAVE_BEHIND},
        ),
    ] = "stop"
    too_long_policy: Annotated[
        Literal["stop", "truncate", "block_record"],
        Shown(
            "Text longer than the target's field",
            "`stop` the run, `truncate` (the cut text is kept in the report), or `block_record`. "
            "Ids and keys are never cut.",
            NO_FIT,
            words={**STOP, "truncate": "Cut the text off", **LEAVE_BEHIND},
        ),
    ] = "stop"
    invalid_values: Annotated[
        Literal["block_record", "blank", "stop"],
        Shown(
            "Value that the target's field type refuses",
            "Old e-mail addresses, dates out of range, numbers with too many digits: `block_record`, leave the field "
            "`blank`, or `stop` the run. Required fields, keys, status and order type are never left blank: "
            "they block.",
            NO_FIT,
            words={**LEAVE_BEHIND, **BLANK, **STOP},
        ),
    ] = "block_record"
    unmatched_contract_policy: Annotated[
        Literal["stop", "block_record"],
        Shown(
            "Contract terms not found in the target",
            "`stop` the run, or `block_record`: the orders under them stay behind.",
            NO_MATCH,
            words={**STOP, "block_record": "Leave their orders behind"},
        ),
    ] = "stop"
    unmatched_product_policy: Annotated[
        Literal["block_record", "stop"],
        Shown(
            "Product not found in the target",
            "`block_record`: the details stay behind; or `stop` the run.",
            NO_MATCH,
            words={"block_record": "Leave their details behind", **STOP},
        ),
    ] = "block_record"
    unmatched_lookup_policy: Annotated[
        Literal["blank", "block_record"],
        Shown(
            "Account, opportunity or other lookup not found",
            "leave it `blank` (listed in the report), or `block_record`.",
            NO_MATCH,
            words={"blank": "Leave the lookup blank", **LEAVE_BEHIND},
        ),
    ] = "blank"
    possible_duplicates: Annotated[
        Literal["block_record", "load"],
        Shown(
            "Orders that look like one in the target",
            "`block_record`: a person decides, in the mapping file; `load`: loads them anyway.",
            ALREADY_THERE,
            words={"block_record": "Leave them for a person to decide", "load": "Move them anyway"},
        ),
    ] = "block_record"
    conflict_policy: Annotated[
        Literal["block_record", "source_wins", "target_wins"],
        Shown(
            "Record changed in the target since we wrote it",
            "`block_record`, or `source_wins`, or `target_wins`.",
            ALREADY_THERE,
            words={
                "block_record": "Leave it unchanged, and list it",
                "source_wins": "Write the source's values over it",
                "target_wins": "Keep the target's values",
            },
        ),
    ] = "block_record"
    learned_passes: Annotated[
        Literal["use", "ignore"],
        Shown(
            "What the canary showed",
            "`use`: where the canary showed only what the plan expects, new records are corrected without being read "
            "back first; `ignore`: all are read back. The proof reads everything in either case.",
            CANARY,
            words={
                "use": "Use it: read back only where needed",
                "ignore": "Ignore it: read everything back",
            },
        ),
    ] = "use"
    canary_gate: Annotated[
        Literal["continue", "ask", "only"],
        Shown(
            "After the canary",
            "`continue` loads the rest once the canary is proved; `ask` shows a person what was learned and asks "
            "first; `only` ends the run after the canary.",
            CANARY,
            words={
                "continue": "Load the rest when the canary is proved",
                "ask": "Ask a person first",
                "only": "End the run there",
            },
            # Nobody is there to be asked.
            offers={"sync": ("continue", "only")},
        ),
    ] = "continue"
    deletions: Annotated[
        Literal["report", "carry"],
        Shown(
            "Record deleted in the source since we moved it",
            "`report` it, or `carry` the deletion to the target.",
            ALREADY_THERE,
            words={"report": "List them", "carry": "Delete them in the target"},
        ),
    ] = "report"
    attachments: Annotated[
        Literal["report", "carry"],
        Shown(
            "Files, attachments and notes",
            "`report`: counted and listed; `carry`: moved with the orders, each proved by its SHA-256.",
            HANGING,
            words={"report": "Count and list them", "carry": "Move them"},
        ),
    ] = "report"
    activities: Annotated[
        Literal["report", "carry"],
        Shown(
            "Tasks, events and e-mails",
            "`report`: counted and listed; `carry`: moved with the orders.",
            HANGING,
            words={"report": "Count and list them", "carry": "Move them"},
        ),
    ] = "report"
    history: Annotated[
        Literal["off", "archive"],
        Shown(
            "Field history",
            "`off`, or `archive`: as files in the artifacts. No API can insert it.",
            HANGING,
            words={"off": "Leave it", "archive": "Archive it in the artifacts"},
        ),
    ] = "off"
    hidden_fields: Annotated[
        Literal["stop", "report"],
        Shown(
            "Field that the user of an org cannot see",
            "`stop` the run, or `report` the field and move the records without its values. Required, money and date "
            "fields always stop the run.",
            UNSEEN,
            words={**STOP, "report": "Move the records without these values"},
        ),
    ] = "stop"
    masked_values: Annotated[
        Literal["block_record", "stop"],
        Shown(
            "Encrypted value that the org shows masked",
            "`block_record`: the record stays behind; or `stop` the run. A masked value is never written.",
            UNSEEN,
            words={**LEAVE_BEHIND, **STOP},
        ),
    ] = "block_record"
    blank_contract: Annotated[
        Literal["from_order", "block_record"],
        Shown(
            "Detail without contract terms (written by an app before 2.x)",
            "take them `from_order` (listed as explained), or `block_record`.",
            NO_FIT,
            words={"from_order": "Take the order's contract terms", **LEAVE_BEHIND},
        ),
    ] = "from_order"
    max_blocked: Annotated[
        Amount,
        Shown(
            "Blocked records allowed",
            "A number or a percentage such as `2%`. More than that ends the run as `blocked`. Empty: no limit when a "
            "person approves, 0 when nobody does. Held records do not count.",
        ),
    ] = None
    owner_policy: Annotated[
        str,
        BeforeValidator(_not_none),
        AfterValidator(str.strip),
        AfterValidator(_owner),
        Shown(
            "Owner not found, or inactive",
            "`running_user`, `stop`, or the user name of an active user of the target.",
            NO_MATCH,
            schema={"minLength": 1, "examples": ["running_user", "stop"]},
        ),
    ] = "running_user"
    accept_submit_jobs: Annotated[
        bool,
        Shown(
            "Accept jobs that could submit Drafts",
            "While they are loaded, orders are Drafts for a short time. The run stops if scheduled jobs or flows in "
            "the target could submit Drafts. Tick this once you have made sure that they do no harm.",
            WHICH_ORDERS,
            kinds=(*MIGRATION, "contract"),
            elsewhere={
                "contract": (
                    "Statuses although an order could be sent",
                    "Off: where a job, flow or trigger could submit orders, or the app's connection is live, no order "
                    "is made anything but Draft unless the approver confirms that too.",
                )
            },
        ),
    ] = False
    orders_where: Annotated[
        Text,
        AfterValidator(_condition),
        Shown(
            "Only orders where",
            "SOQL condition on the source's Service Orders, such as `CreatedDate >= 2020-01-01T00:00:00Z`. Only the "
            "customers that these orders use are moved.",
        ),
    ] = ""
    canary: Annotated[
        int,
        Field(ge=0, le=500),
        Shown(
            "Orders of the canary",
            "How many orders, of every kind in the plan, are loaded first, watched at each step and proved before "
            "anything else is written. 0: none. A plan with at most twice as many new orders has no canary.",
            CANARY,
        ),
    ] = 25
    chunk_size: Annotated[
        int | None,
        Field(ge=1, le=MOST_ORDERS_A_CHUNK),
        Shown(
            "Orders per chunk",
            "A chunk goes through all its steps before the next one starts. Empty: a third of the orders, 250 to "
            "2,000, and from 40,000 orders on a twentieth of them, 10,000 at most.",
            SIZE,
        ),
    ] = None
    lanes: Annotated[
        int,
        Field(ge=1, le=16),
        Shown("Lanes", "How many chunks are loaded at the same time, each lane in its own task.", SIZE),
    ] = 3
    mapping: Annotated[
        Text,
        Shown(
            "Mapping file",
            "Path of a YAML file. Empty: the variable `coa_mapping`, else the environment's `COA_MAPPING`.",
            kinds=(*MIGRATION, "relink"),
        ),
    ] = ""
    verify_sample: Annotated[
        Sample,
        Shown(
            "Sample that is read twice",
            "How much of each sObject is read a second time, by REST, and compared by separate code: a percentage such "
            "as `1%`, or a number of records; at least 200, and every record that differs. `0`: none.",
            SIZE,
            kinds=(*MIGRATION, "verify"),
        ),
    ] = "1%"
    source_conn_id: Annotated[
        Text,
        Shown(
            "Connection of the source",
            "Airflow connection of the source org; others than the DAG's own are offered when the deployment lists "
            "them in `COA_CONNECTIONS`.",
            kinds=(*MIGRATION, "verify", "relink", "contract", "setup_target"),
            code=True,
            schema={"type": "string"},
        ),
    ] = "coa_source"
    target_conn_id: Annotated[
        Text,
        Shown(
            "Connection of the target",
            "Airflow connection of the target org; others than the DAG's own are offered when the deployment lists "
            "them in `COA_CONNECTIONS`.",
            kinds=(*MIGRATION, "verify", "rollback", "relink", "contract", "setup_target"),
            code=True,
            schema={"type": "string"},
        ),
    ] = "coa_target"

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> RunParams:
        """Checks params of a run; unknown names and bad values are reported together.

        Raises `InvalidParams`.
        """
        read, refused = usable(cls, raw)
        faults = [_sentence(name, raw[name], refused[name]) for name in sorted(refused)]
        if read.canary == 0 and read.canary_gate != "continue":
            faults.append(f"canary_gate: {read.canary_gate!r} needs a canary, and canary is 0")
        if faults:
            raise InvalidParams(
                "The params of the run are not usable: " + "; ".join(faults) + ".",
                next_step="correct them and trigger the run again; the DAG's form lists the allowed values.",
            )
        return read

    @classmethod
    def usable(cls, raw: dict[str, Any]) -> RunParams:
        """Those of the params that can be used: for what is still told of a run that the others have ended."""
        return usable(cls, raw)[0]

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


# ---- what follows from the model -------------------------------------------------------------------
def _shown() -> dict[str, Shown]:
    return {
        name: next(one for one in field.metadata if isinstance(one, Shown))
        for name, field in RunParams.model_fields.items()
    }


SHOWN = _shown()
"""How each param is shown. A param without it is a mistake that ends the import."""

CHOICES = {
    name: words(field)
    for name, field in RunParams.model_fields.items()
    if words(field) and "migrate" in SHOWN[name].kinds
}
"""The choices of `coa_migrate`: their values, default first."""

FREE_TEXTS = tuple(
    name for name, field in RunParams.model_fields.items() if field.annotation is str and not SHOWN[name].code
)
"""Params that somebody writes: a condition, a path, a user name. The others are words of ours, numbers or ids."""


def _sentence(name: str, value: Any, error: ErrorDetails) -> str:
    """What is wrong with a param, and what was probably meant."""
    if error["type"] == "extra_forbidden":
        return f"unknown param {name!r}" + _meant(name, tuple(RunParams.model_fields))
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    field = RunParams.model_fields[name]
    if words(field):
        return f"{name}: {value!r} is not one of {', '.join(words(field))}" + _meant(str(value), words(field))
    if field.annotation is bool:
        return f"{name}: {value!r} is not true or false"
    if whole(field):
        limits = bounds(field)
        return f"{name}: {value!r} is not a whole number from {limits['ge']} to {limits['le']}"
    return f"{name}: {value!r} is not text"


def _meant(word: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(word, known, 1)
    return f" (is {close[0]!r} meant?)" if close else ""


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


def refuse_asking(raw: dict[str, Any], *, nobody: str) -> None:
    """Raises `InvalidParams` when the params want an answer to the canary where there is `nobody` to give one."""
    if raw.get("canary_gate") == "ask":
        raise InvalidParams(
            f"canary_gate is ask, and {nobody}.",
            next_step="set it to only, look at what the canary shows, and run again with continue.",
        )
