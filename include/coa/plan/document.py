"""The plan as data: its hash, `plan.json`, and the page that whoever approves reads."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import Any

from psycopg import sql

from coa.codes import LEFT_OUT, Action
from coa.config import RunParams
from coa.fields.customers import customer_called
from coa.model import CUSTOMER, DETAIL, DETAIL_ORDER, LOADED, NS, ORDER, ORDER_CUSTOMER, ORDER_TYPE, STATUS
from coa.plan.amounts import amounts, amounts_markdown
from coa.plan.deletions import deletion_counts, deletion_rows
from coa.plan.reconcile import action_counts
from coa.staging.fragments import list_of, most_severe_first
from coa.staging.runs import Run
from coa.staging.tables import Table
from coa.wording import escape_markdown

GROUP_ROWS = 10_000
ACTIONS = tuple(Action)

LISTED_DELETIONS = 10_000
"""So many deletions stand in `plan.json`; the counts are of all."""

# Params that change what is written for one and the same set of actions.
HASHED_PARAMS = (
    "received_dates",
    "created_dates",
    "on_row_failure",
    "deletions",
)
HASHED_UNLESS_DEFAULT = ("canary", "canary_gate", "learned_passes", "attachments", "activities")
"""Params that came later: with their defaults a plan keeps the hash that the version before gave it."""


def plan_hash(run: Run) -> str:
    """SHA-256 over every action with the values it writes; the same inputs give the same hash.

    The values are read from `desired` each time: what is approved is what will be sent, not a note of it.
    Hashed in groups of rows, so that memory does not grow with the plan.
    """
    values = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {} AS sobject, d.source_id, md5(d::text) AS value_hash FROM {} d").format(
            sql.Literal(name), run.table(Table.DESIRED, name)
        )
        for name in LOADED
    )
    groups = run.db.rows(
        sql.SQL(
            """SELECT g, md5(string_agg(concat_ws('|', sobject, source_id, target_id, action, reason_code,
                       array_to_string(changed, ','), value_hash), E'\\n' ORDER BY sobject, source_id)) AS h
               FROM (SELECT p.*, v.value_hash,
                            (row_number() OVER (ORDER BY p.sobject, p.source_id)) / {size} AS g
                     FROM {plan} p LEFT JOIN ({values}) v USING (sobject, source_id)) n
               GROUP BY g ORDER BY g"""
        ).format(size=sql.Literal(GROUP_ROWS), plan=run.table(Table.PLAN), values=values)
    )
    digest = sha256()
    digest.update(str(run.pair_id and _orgs(run)).encode())
    digest.update(hashed_params(run.params).encode())
    for group in groups:
        digest.update(group["h"].encode())
    digest.update(_links_in_texts(run).encode())
    digest.update(_hanging(run).encode())
    for row in deletion_rows(run):
        digest.update("|".join(str(row[k]) for k in ("sobject", "target_id", "action")).encode())
    return digest.hexdigest()


def hashed_params(params: RunParams) -> str:
    """The part of the params that a plan's hash covers, as JSON.

    >>> hashed_params(RunParams(canary=10))
    '{"canary": 10, "created_dates": "required", "deletions": "report", "on_row_failure": "stop", "received_dates": "restore"}'
    """  # noqa: E501
    defaults = RunParams()
    covered = {name: getattr(params, name) for name in HASHED_PARAMS}
    covered |= {
        name: value
        for name in HASHED_UNLESS_DEFAULT
        if (value := getattr(params, name)) != getattr(defaults, name)
    }
    return json.dumps(covered, sort_keys=True)


def _links_in_texts(run: Run) -> str:
    """Hash of the texts that are not written as they stand in `desired`; empty where no link is rewritten."""
    if not run.has_table(Table.TEXT_LINK):
        return ""
    found = run.db.value(
        sql.SQL(
            """SELECT md5(string_agg(h, E'\\n' ORDER BY sobject, field, source_id)) FROM (
                 SELECT sobject, field, source_id,
                        md5(string_agg(concat_ws('|', literal, record_sobject, record_id, before, id_length),
                                       E'\\n' ORDER BY nth)) AS h
                 FROM {} WHERE fits GROUP BY 1, 2, 3) t"""
        ).format(run.table(Table.TEXT_LINK))
    )
    return str(found or "")


def _hanging(run: Run) -> str:
    """Hash of what is carried beside the records; empty where nothing is."""
    if not run.has_table(Table.ATTACHED):
        return ""
    found = run.db.value(
        sql.SQL(
            """SELECT md5(string_agg(concat_ws('|', sobject, source_id, parent_id, action, md5(data::text)), E'\\n'
                        ORDER BY sobject, source_id)) FROM {}"""
        ).format(run.table(Table.ATTACHED))
    )
    return str(found or "")


def _orgs(run: Run) -> tuple[str, str]:
    return run.record.source_org["id"], run.record.target_org["id"]


def plan_document(run: Run) -> dict[str, Any]:
    """What `plan.json` holds: counts by object, action, status, order type, currency and value, and findings."""
    return {
        "run_id": run.run_id,
        "plan_hash": run.record.plan_hash,
        "source_org": run.record.source_org,
        "target_org": run.record.target_org,
        "params": run.record.params,
        "objects": action_counts(run),
        "reasons": _rows(
            run,
            """SELECT sobject, action, reason_code, count(*) AS records FROM {plan}
               WHERE reason_code <> '' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
        ),
        "changed_fields": _rows(
            run,
            """SELECT sobject, f AS field, count(*) AS records FROM {plan}, unnest(changed) f
               WHERE action = 'update' GROUP BY 1, 2 ORDER BY 1, 2""",
        ),
        "orders": _orders_by_status(run),
        "amounts": amounts(run),
        "deletions": {"counts": deletion_counts(run), "records": list(deletion_rows(run, LISTED_DELETIONS))},
        "findings": run.db.rows(
            sql.SQL(
                """SELECT severity AS grade, code, sobject, field, count, examples, message, next_step FROM coa.finding
                   WHERE run_id = %s ORDER BY {order}, code, sobject"""
            ).format(order=most_severe_first()),
            [run.run_id],
        ),
    }


def _rows(run: Run, query: str) -> list[dict[str, Any]]:
    return run.db.rows(sql.SQL(query).format(plan=run.table(Table.PLAN)))


def _orders_by_status(run: Run) -> list[dict[str, Any]]:
    """Orders by action, status, type and currency, with quantity and value of their details in the source."""
    columns = set(run.columns(Table.SOURCE, DETAIL))
    value, quantity, currency = (NS + n for n in ("Order_Detail_Value__c", "Quantity__c", "pct_Currency__c"))

    def total(name: str) -> sql.Composable:
        if name not in columns:
            return sql.SQL("NULL::numeric")
        return sql.SQL("sum(NULLIF(x.{}, '')::numeric)").format(sql.Identifier(name))

    money = (
        sql.SQL("string_agg(DISTINCT NULLIF(x.{}, ''), '+')").format(sql.Identifier(currency))
        if currency in columns
        else sql.SQL("NULL::text")
    )
    return run.db.rows(
        sql.SQL(
            """WITH totals AS (SELECT x.{parent} AS order_id, {quantity} AS quantity, {value} AS value,
                                      {money} AS currency FROM {details} x GROUP BY 1)
               SELECT p.action, o.{status} AS status, o.{type} AS order_type, t.currency, count(*) AS orders,
                      sum(t.quantity)::text AS quantity, sum(t.value)::text AS value
               FROM {plan} p JOIN {orders} o ON o."Id" = p.source_id
               LEFT JOIN totals t ON t.order_id = p.source_id
               WHERE p.sobject = %s GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
        ).format(
            parent=sql.Identifier(DETAIL_ORDER),
            quantity=total(quantity),
            value=total(value),
            money=money,
            details=run.table(Table.SOURCE, DETAIL),
            status=sql.Identifier(STATUS),
            type=sql.Identifier(ORDER_TYPE),
            plan=run.table(Table.PLAN),
            orders=run.table(Table.SOURCE, ORDER),
        ),
        [ORDER],
    )


def plan_markdown(run: Run, afterwards: str = "") -> str:
    """The approval page: a table of actions, what is blocked and why, warnings. Only counts and names.

    `afterwards`: Markdown about what follows the planned writes.
    """
    counts = action_counts(run)
    source, target = run.record.source_org, run.record.target_org
    lines = [
        f"Move orders from **{_text(source['name'])}** ({source['id']}) to **{_text(target['name'])}** "
        f"({target['id']}), mode {run.params.mode}, run `{run.run_id}`.",
        "",
        "| sObject | " + " | ".join(ACTIONS) + " |",
        "|---|" + "---:|" * len(ACTIONS),
    ]
    for name in LOADED:
        lines.append(
            f"| {_label(name)} | " + " | ".join(f"{counts[name].get(a, 0):,}" for a in ACTIONS) + " |"
        )
    going = {name: c["to_delete"] for name, c in deletion_counts(run).items() if c["to_delete"]}
    if going:
        told = ", ".join(f"{n:,} {_label(name)}" for name, n in going.items())
        lines += ["", f"**Deleted in the target** because they are gone from the source: {told}."]
    lines += amounts_markdown(amounts(run))
    if afterwards:
        lines += ["", afterwards]
    lines += _terms(run)
    lines += _left_out(run)
    findings = run.db.rows(
        sql.SQL(
            """SELECT severity, message, next_step FROM coa.finding WHERE run_id = %s AND severity <> 'note'
               ORDER BY {order}, code LIMIT 20"""
        ).format(order=most_severe_first()),
        [run.run_id],
    )
    if findings:
        lines += ["", "**Findings**", ""]
        lines += [
            f"- {f['severity']}: {_text(_without_ids(f['message']))} *Next step: {_text(f['next_step'])}*"
            for f in findings
        ]
    lines += ["", f"Plan hash `{run.record.plan_hash}`: what is approved is this plan and no other."]
    return "\n".join(lines)


def _terms(run: Run) -> list[str]:
    """Under which policies and which mapping the plan was made."""
    defaults = RunParams()
    chosen = [
        f"`{name}` {_text(value)}"
        for name, value in run.params.model_dump().items()
        if value != getattr(defaults, name) and name not in ("mode", "mapping")
    ]
    name, digest = run.record.mapping_name, run.record.mapping_sha256
    mapping = f"{_text(name)} (SHA-256 `{digest[:12]}`)" if digest else "none"
    told = f"{', '.join(chosen)}; all others as by default" if chosen else "all as by default"
    return ["", f"**Policies:** {told}. **Mapping file:** {mapping}."]


LISTED_REASONS = 20
EXAMPLES = 3


def _left_out(run: Run) -> list[str]:
    """What stays behind and why, with order numbers and customers instead of record ids."""
    reasons = run.db.rows(
        sql.SQL(
            """SELECT p.sobject, p.action, p.reason_code, min(p.reason) AS reason, count(*) AS n,
                      (array_agg(DISTINCT concat_ws(', ', o."Name", {called})))[1:{examples}] AS examples
               FROM {plan} p
               LEFT JOIN {orders} o ON o."Id" = CASE p.sobject WHEN {order} THEN p.source_id
                                                     WHEN {detail} THEN p.parent_id END
               LEFT JOIN {customers} c ON c."Id" = CASE p.sobject WHEN {customer} THEN p.source_id
                                                        ELSE o.{of_customer} END
               WHERE p.reason_code <> '' AND p.action IN {left_out} GROUP BY 1, 2, 3
               ORDER BY 5 DESC, 1, 3 LIMIT {listed}"""
        ).format(
            called=customer_called(run, "c"),
            examples=sql.Literal(EXAMPLES),
            listed=sql.Literal(LISTED_REASONS),
            plan=run.table(Table.PLAN),
            orders=run.table(Table.SOURCE, ORDER),
            customers=run.table(Table.SOURCE, CUSTOMER),
            order=sql.Literal(ORDER),
            detail=sql.Literal(DETAIL),
            customer=sql.Literal(CUSTOMER),
            of_customer=sql.Identifier(ORDER_CUSTOMER),
            left_out=list_of(LEFT_OUT),
        )
    )
    if not reasons:
        return []
    lines = [
        "",
        "**Left out**",
        "",
        "| sObject | action | why | records | for example |",
        "|---|---|---|---:|---|",
    ]
    for r in reasons:
        examples = "; ".join(_text(one) for one in r["examples"] if one)
        lines.append(
            f"| {_label(r['sobject'])} | {r['action']} | {_text(r['reason'])} (`{r['reason_code']}`) | {r['n']:,} "
            f"| {examples} |"
        )
    return lines


def _without_ids(message: str) -> str:
    """A finding without its examples, which are record ids: people know order numbers, which stand above."""
    return re.sub(r" Examples: [^.]*\.", "", message)


def _label(sobject: str) -> str:
    return sobject.removeprefix(NS).removesuffix("__c").replace("_", " ")


def _text(value: Any) -> str:
    """Names come from outside: no Markdown of theirs takes effect, and no line break of any kind ends a row."""
    return escape_markdown(" ".join(str(value).splitlines()))
