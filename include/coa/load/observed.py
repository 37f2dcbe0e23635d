"""What was learnt of the target: the effects on the canary's records, summed up, beside what the plan expected.

Table `coa.observed`, artifact `observed.json`: one row an sObject, field, step and effect. `surprise` is empty for what
happened as expected, `unexpected`, or `did_not_happen`. An sObject with a surprise is loaded the careful way.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from psycopg import sql

from coa.fields.bulk_values import is_text
from coa.fields.field_map import FieldMapping
from coa.findings.finding import Finding, finding
from coa.load.canary_choice import has_canary
from coa.load.canary_state import canary_of, counts
from coa.load_steps import CUSTOMERS, DETAILS, ORDERS, ORDERS_ONE_PASS, STATUSES
from coa.model import CUSTOMER, DETAIL, NS, ORDER
from coa.plan.expected_corrections import DEFAULT_FILLED, DRAFT_RESET, PRICE_COPIED, RECEIVED_STAMPED
from coa.staging.database import Row
from coa.staging.fragments import ledger_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

UNEXPECTED = "unexpected"
DID_NOT_HAPPEN = "did_not_happen"
CREATED_BY = {CUSTOMER: CUSTOMERS.name, ORDER: ORDERS.name, DETAIL: DETAILS.name}
"""The step in which an effect on a new record is expected; the stamp of received dates follows the statuses."""


def sum_up(run: Run, carried: dict[str, list[FieldMapping]]) -> list[Row]:
    """Fills `coa.observed` and the findings anew from the run's effects; the rows."""
    texts = [
        f.name for fields in carried.values() for f in fields if is_text(f) and f.target.type != "picklist"
    ]
    with run.db.transaction() as connection:
        connection.execute("DELETE FROM coa.observed WHERE run_id = %s", [run.run_id])
        connection.execute(
            sql.SQL(
                """INSERT INTO coa.observed (run_id, sobject, field, step, effect, surprise, records, becomes, example)
                   SELECT %(run)s, sobject, field, step, name, surprise, count(*),
                          -- A text of a record is nobody's rule, and may be about a person.
                          CASE WHEN count(DISTINCT becomes) = 1 AND NOT field = ANY (%(texts)s) THEN min(becomes) END,
                          min(source_id)
                   FROM (SELECT *, CASE WHEN foreseen THEN effect WHEN becomes IS NULL THEN 'emptied'
                                        WHEN wanted IS NULL THEN 'filled' ELSE 'changed' END AS name,
                                CASE WHEN foreseen THEN '' ELSE %(unexpected)s END AS surprise FROM {}) e
                   GROUP BY 2, 3, 4, 5, 6"""
            ).format(run.table(Table.EFFECT)),
            {"run": run.run_id, "texts": texts, "unexpected": UNEXPECTED},
        )
        connection.execute(*_stayed_away(run))
    rows = observed(run)
    run.findings.replace("load_canary", _findings(rows))
    return rows


def _stayed_away(run: Run) -> tuple[sql.Composed, dict[str, Any]]:
    """Effects of rules that were expected on records of the canary and did not happen."""
    query = sql.SQL(
        """INSERT INTO coa.observed (run_id, sobject, field, step, effect, surprise, records, example)
           SELECT %(run)s, x.sobject, x.field,
                  CASE WHEN x.effect = %(stamped)s THEN %(statuses)s ELSE %(created)s::jsonb ->> x.sobject END,
                  x.effect, %(missing)s, count(*), min(x.source_id)
           FROM {expected} x JOIN {canary} c ON {c_is_x}
           JOIN coa.ledger l ON {ledger}
           WHERE l.target_id IS NOT NULL
             AND (x.effect = ANY (%(rules)s) OR (x.effect = %(default)s AND x.becomes IS NOT NULL)
                  OR (x.effect = %(stamped)s AND x.step <> '' AND EXISTS (
                        SELECT FROM {work} w WHERE w.step = %(statuses)s AND {w_is_x} AND w.state = 'accepted')))
             AND NOT (x.effect = %(reset)s AND EXISTS (
                        SELECT FROM {work} w WHERE w.step = %(as_it_is)s AND {w_is_x} AND w.state = 'accepted'))
             AND NOT EXISTS (SELECT FROM {effect} e WHERE {e_is_x}
                               AND e.field = x.field AND e.effect = x.effect AND e.foreseen)
           GROUP BY 2, 3, 4, 5"""
    ).format(
        expected=run.table(Table.EXPECTED_CORRECTIONS),
        canary=run.table(Table.CANARY),
        work=run.table(Table.WORK),
        effect=run.table(Table.EFFECT),
        ledger=ledger_of(run.pair_id, "x"),
        c_is_x=same_record("c", "x"),
        w_is_x=same_record("w", "x"),
        e_is_x=same_record("e", "x"),
    )
    return query, {
        "run": run.run_id,
        "stamped": RECEIVED_STAMPED,
        "statuses": STATUSES.name,
        "rules": [DRAFT_RESET, PRICE_COPIED],
        "default": DEFAULT_FILLED,
        "reset": DRAFT_RESET,
        "as_it_is": ORDERS_ONE_PASS.name,
        "missing": DID_NOT_HAPPEN,
        "created": json.dumps(CREATED_BY),
    }


def observed(run: Run, run_id: str = "") -> list[Row]:
    """The rows of `coa.observed` of a run, in a fixed order; `run_id`: of another one."""
    return run.db.rows(
        """SELECT sobject, field, step, effect, surprise, records, becomes, example FROM coa.observed
           WHERE run_id = %s ORDER BY sobject, field, step, effect, surprise""",
        [run_id or run.run_id],
    )


def observed_hash(rows: list[Row]) -> str:
    """SHA-256 of what was observed. The answer after the canary is bound to it."""
    return sha256(json.dumps([list(r.values()) for r in rows]).encode()).hexdigest()


def careful_objects(rows: list[Row]) -> list[str]:
    """sObjects for which the canary showed a surprise."""
    return sorted({str(r["sobject"]) for r in rows if r["surprise"]})


def observed_document(run: Run) -> dict[str, Any] | None:
    """What `observed.json` holds; None for a run without a canary."""
    rows = observed(run)
    canary = canary_of(run)
    if canary is None:
        return None
    return {
        "run_id": run.run_id,
        "canary": counts(run),
        "reused_from": canary["reused_from"],
        "careful": sorted({*careful_objects(rows), *canary["careful"]}),
        "observed": [{**r, "expected": not r["surprise"]} for r in rows],
    }


def observed_markdown(run: Run) -> str:
    """What the canary showed, for the person who decides about the rest; no values of records."""
    found = counts(run)
    rows = observed(run)
    lines = [
        f"**{found['orders']} orders** with {found['details']} details and {found['customers']} customers were loaded "
        "and proved equal, field by field; nothing else is written yet.",
        "",
        *_table(rows),
    ]
    return "\n".join(lines)


def expected_canary_markdown(run: Run, new_orders: int) -> str:
    """Part of the approval page: whether the load begins with a canary, and what the last canary of this
    pair showed.
    """
    if not has_canary(new_orders, run.params.canary):
        return (
            f"**No canary:** the plan has {new_orders:,} new orders, and the canary {run.params.canary}; all records "
            "are read back before they are corrected."
        )
    lines = [
        f"**Canary:** the load begins with up to {run.params.canary} orders of every kind, with their details and "
        f"customers, and proves them first; then: `{run.params.canary_gate}`. Kinds of orders that a canary of the "
        f"last {run.settings.canary_days} days held under the very same conditions are not tried again."
    ]
    last = run.db.row(
        """SELECT c.run_id FROM coa.canary c JOIN coa.run r USING (run_id)
           WHERE r.pair_id = %s AND c.run_id <> %s AND c.reused_from IS NULL AND c.proved IS NOT NULL
           ORDER BY c.ended_at DESC LIMIT 1""",
        [run.pair_id, run.run_id],
    )
    rows = observed(run, str(last["run_id"])) if last else []
    if last and rows:
        lines += ["", f"What the canary of run `{last['run_id']}` saw this target do:", "", *_table(rows)]
    return "\n".join(lines)


def _table(rows: list[Row]) -> list[str]:
    lines = [
        "| sObject | field | step | effect | as expected | records |",
        "|---|---|---|---|---|---:|",
    ]
    lines += [
        f"| {r['sobject'].removeprefix(NS)} | {r['field'].removeprefix(NS)} | {r['step']} | {r['effect']} "
        f"| {'yes' if not r['surprise'] else '**' + r['surprise'].replace('_', ' ') + '**'} | {r['records']:,} |"
        for r in rows
    ]
    return lines


def _findings(rows: list[Row]) -> list[Finding]:
    """A warning for each field that surprised; its steps and effects in one sentence."""
    surprises: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row["surprise"]:
            surprises.setdefault((row["surprise"], row["sobject"], row["field"]), []).append(row)
    return [
        _finding(kind, sobject, field, found) for (kind, sobject, field), found in sorted(surprises.items())
    ]


def _finding(kind: str, sobject: str, field: str, found: list[Row]) -> Finding:
    return finding(
        "warning",
        "canary_unexpected" if kind == UNEXPECTED else "canary_did_not_happen",
        sobject=sobject,
        field=field,
        count=sum(int(r["records"]) for r in found),
        examples=[str(r["example"]) for r in found],
        short=sobject.removeprefix(NS),
        effects="; ".join(f"{r['effect']} in step {r['step']} ({r['records']} records)" for r in found),
    )
