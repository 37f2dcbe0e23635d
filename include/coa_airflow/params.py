"""The params of the DAGs as Airflow's trigger form shows them. Checked again by `coa.config.RunParams`."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from coa.config import ALL_SOURCES, CHOICES, COUNTS, MOST_ORDERS_A_CHUNK, RunParams
from coa_airflow.choice_words import values_display
from coa_airflow.pair import OTHERS, ROLES, allowed

_DEFAULTS = RunParams()
OPEN_SECTION = "Run Parameters"
"""The one section that Airflow's form opens by itself; by this name, in every language (`ConfigForm` of 3.3)."""

_CHOICE_TEXTS: dict[str, tuple[str, str, str]] = {
    # name: (section, title, description)
    "mode": (
        OPEN_SECTION,
        "Mode",
        "`full` reads everything; `delta` only what changed since the last run of this pair of orgs.",
    ),
    "on_row_failure": (
        OPEN_SECTION,
        "When the org refuses a row",
        "`stop` ends the load at the first refused row; `continue` loads the rest. Either way the run "
        "ends as `rows_rejected`.",
    ),
    "received_dates": (
        "Dates",
        "Received dates",
        "`restore` writes Date Service Order Received back after the package stamped it; `accept_reset` "
        "leaves the stamp.",
    ),
    "created_dates": (
        "Dates",
        "Created dates (audit fields)",
        "`required` stops when the target does not let us set CreatedDate and CreatedById; `auto` sets them "
        "if it does; `off` never.",
    ),
    "draft_orders": (
        "Which orders",
        "Draft orders",
        "`hold` leaves Drafts in the source: in the target they could be submitted by anybody; `load` moves them.",
    ),
    "in_flight_orders": (
        "Which orders",
        "Orders in flight",
        "Submitted, Received and In Process: `load` moves them, `hold` leaves them until they are settled.",
    ),
    "incomplete_orders": (
        "Which orders",
        "Orders with a blocked detail",
        "`block` holds the whole order back; `load` moves it without the blocked details.",
    ),
    "picklist_policy": (
        "When values do not fit",
        "Value missing in a restricted picklist",
        "`stop` the run, leave the field `blank`, or `block_record`. Status and order type always block.",
    ),
    "too_long_policy": (
        "When values do not fit",
        "Text longer than the target's field",
        "`stop` the run, `truncate` (the cut text is kept in the report), or `block_record`. "
        "Ids and keys are never cut.",
    ),
    "invalid_values": (
        "When values do not fit",
        "Value that the target's field type refuses",
        "Old e-mail addresses, dates out of range, numbers with too many digits: `block_record`, leave the field "
        "`blank`, or `stop` the run. Required fields, keys, status and order type are never left blank: they block.",
    ),
    "unmatched_contract_policy": (
        "When nothing matches",
        "Contract terms not found in the target",
        "`stop` the run, or `block_record`: the orders under them stay behind.",
    ),
    "unmatched_product_policy": (
        "When nothing matches",
        "Product not found in the target",
        "`block_record`: the details stay behind; or `stop` the run.",
    ),
    "unmatched_lookup_policy": (
        "When nothing matches",
        "Account, opportunity or other lookup not found",
        "leave it `blank` (listed in the report), or `block_record`.",
    ),
    "possible_duplicates": (
        "When the target already has something",
        "Orders that look like one in the target",
        "`block_record`: a person decides, in the mapping file; `load`: loads them anyway.",
    ),
    "conflict_policy": (
        "When the target already has something",
        "Record changed in the target since we wrote it",
        "`block_record`, or `source_wins`, or `target_wins`.",
    ),
    "learned_passes": (
        "Canary",
        "What the canary showed",
        "`use`: where the canary showed only what the plan expects, new records are corrected without being read back "
        "first; `ignore`: all are read back. The proof reads everything in either case.",
    ),
    "canary_gate": (
        "Canary",
        "After the canary",
        "`continue` loads the rest once the canary is proved; `ask` shows a person what was learnt and asks first; "
        "`only` ends the run after the canary.",
    ),
    "deletions": (
        "When the target already has something",
        "Record deleted in the source since we moved it",
        "`report` it, or `carry` the deletion to the target.",
    ),
    "attachments": (
        "What hangs on the orders",
        "Files, attachments and notes",
        "`report`: counted and listed; `carry`: moved with the orders, each proved by its SHA-256.",
    ),
    "activities": (
        "What hangs on the orders",
        "Tasks, events and e-mails",
        "`report`: counted and listed; `carry`: moved with the orders.",
    ),
    "history": (
        "What hangs on the orders",
        "Field history",
        "`off`, or `archive`: as files in the artifacts. No API can insert it.",
    ),
    "hidden_fields": (
        "What we cannot see",
        "Field that the user of an org cannot see",
        "`stop` the run, or `report` the field and move the records without its values. Required, money and date "
        "fields always stop the run.",
    ),
    "masked_values": (
        "What we cannot see",
        "Encrypted value that the org shows masked",
        "`block_record`: the record stays behind; or `stop` the run. A masked value is never written.",
    ),
    "blank_contract": (
        "When values do not fit",
        "Detail without contract terms (written by an app before 2.x)",
        "take them `from_order` (listed as explained), or `block_record`.",
    ),
}


def policy_params() -> dict[str, Param]:
    """What `coa_migrate`, `coa_preflight` and `coa_sync` have in common."""
    params = {
        name: Param(
            CHOICES[name][0],
            type="string",
            enum=list(CHOICES[name]),
            values_display=values_display(name),
            title=title,
            description_md=description,
            section=section,
        )
        for name, (section, title, description) in _CHOICE_TEXTS.items()
    }
    params["max_blocked"] = Param(
        None,
        type=["null", "integer", "string"],
        title="Blocked records allowed",
        description_md="A number or a percentage such as `2%`. More than that ends the run as `blocked`. "
        "Empty: no limit when a person approves, 0 when nobody does. Held records do not count.",
        section=OPEN_SECTION,
    )
    params["owner_policy"] = Param(
        _DEFAULTS.owner_policy,
        type="string",
        minLength=1,
        title="Owner not found, or inactive",
        description_md="`running_user`, `stop`, or the user name of an active user of the target.",
        section="When nothing matches",
        examples=["running_user", "stop"],
    )
    params["accept_submit_jobs"] = Param(
        False,
        type="boolean",
        title="Accept jobs that could submit Drafts",
        description_md="While they are loaded, orders are Drafts for a short time. The run stops if scheduled jobs or "
        "flows in the target could submit Drafts. Tick this once you have made sure that they do no harm.",
        section="Which orders",
    )
    params["orders_where"] = Param(
        "",
        type=["null", "string"],
        title="Only orders where",
        description_md="SOQL condition on the source's Service Orders, such as `CreatedDate >= 2020-01-01T00:00:00Z`. "
        "Only the customers that these orders use are moved.",
        section=OPEN_SECTION,
    )
    params["canary"] = Param(
        _DEFAULTS.canary,
        type="integer",
        minimum=COUNTS["canary"][0],
        maximum=COUNTS["canary"][1],
        title="Orders of the canary",
        description_md="How many orders, of every kind in the plan, are loaded first, watched at each step and proved "
        "before anything else is written. 0: none. A plan with at most twice as many new orders has no canary.",
        section="Canary",
    )
    params["chunk_size"] = Param(
        _DEFAULTS.chunk_size,
        type=["null", "integer"],
        minimum=1,
        maximum=MOST_ORDERS_A_CHUNK,
        title="Orders per chunk",
        description_md="A chunk goes through all its steps before the next one starts. Empty: a third of the "
        "orders, 250 to 2,000, and from 40,000 orders on a twentieth of them, 10,000 at most.",
        section="Size and files",
    )
    params["lanes"] = Param(
        _DEFAULTS.lanes,
        type="integer",
        minimum=1,
        maximum=16,
        title="Lanes",
        description_md="How many chunks are loaded at the same time, each lane in its own task.",
        section="Size and files",
    )
    params["mapping"] = Param(
        "",
        type=["null", "string"],
        title="Mapping file",
        description_md="Path of a YAML file. Empty: the variable `coa_mapping`, else the environment's `COA_MAPPING`.",
        section=OPEN_SECTION,
    )
    params["verify_sample"] = _verify_sample()
    return params


def _verify_sample() -> Param:
    return Param(
        _DEFAULTS.verify_sample,
        type=["integer", "string"],
        title="Sample that is read twice",
        description_md="How much of each sObject is read a second time, by REST, and compared by separate code: a "
        "percentage such as `1%`, or a number of records; at least 200, and every record that differs. `0`: none.",
        section="Size and files",
    )


def migrate_params() -> dict[str, Param]:
    first = {
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description_md="Everything up to the plan; writes nothing to any org.",
            section=OPEN_SECTION,
        ),
        "require_approval": Param(
            True,
            type="boolean",
            title="Ask a person before the first write",
            description_md="Off: the waiver is recorded with your name and the plan's hash, and no blocked record is "
            "tolerated unless *Blocked records allowed* says so.",
            section=OPEN_SECTION,
        ),
    }
    return {**first, **policy_params()}


def verify_params() -> dict[str, Param]:
    return {
        "run_id": Param(
            "",
            type=["null", "string"],
            title="Run",
            description_md="The run to verify, such as `20261123T144200Z-a1b2c3`, or the id of its Airflow run. Empty: "
            f"all that was migrated between the two orgs. `{ALL_SOURCES}`: that, and every other source of the target, "
            "added up.",
        ),
        "verify_sample": _verify_sample(),
    }


def connection_params(named: dict[str, str]) -> dict[str, Param]:
    """The params for the trigger form, which offers only what is allowed."""
    return {
        name: Param(
            value,
            type="string",
            enum=allowed(value),
            title=f"Connection of the {ROLES[name]}",
            description_md=f"Airflow connection of the {ROLES[name]} org; others than `{value}` are offered when "
            f"the deployment lists them in `{OTHERS}`.",
            section=OPEN_SECTION,
        )
        for name, value in named.items()
    }


NO_TEXT = frozenset({"max_blocked", "chunk_size"})
"""Params of which an emptied field is no value instead of empty text."""


def given(params: Any) -> dict[str, Any]:
    """The values of a task's `params`, as plain data; an emptied text field counts as empty text."""
    values = dict(params.dump() if hasattr(params, "dump") else params)
    return {name: "" if value is None and name not in NO_TEXT else value for name, value in values.items()}
