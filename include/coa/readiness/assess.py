"""Applies the rules to each customer and product: rows of `gtm_readiness.csv`, and their counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from psycopg import sql

from coa.readiness.contracts import contracts, has_orders
from coa.readiness.rules import FIELDS, Meaning, Rules, shipped_rules
from coa.staging.runs import Run

READINESS_COLUMNS = (
    "customer_org_id",
    "customer",
    "country",
    "product_id",
    "product",
    "contract",
    "contract_state",
    "contract_start",
    "contract_length_months",
    "renewal_months",
    "auto_renew",
    "contract_end",
    "cancel_by",
    "currency",
    "pricing",
    "pricing_unit",
    "orders",
    "open_orders",
    "order_number",
    "verdict",
    "rules",
    "why",
    "sources",
    "notes",
    "customer_id",
)
NO_OBSTACLE = "no_obstacle_in_data"


def snapshot_day(run: Run) -> date:
    """The day that the run's snapshot is of (UTC)."""
    started = run.record.started_at
    assert isinstance(started, datetime)
    return started.astimezone(UTC).date()


def readiness_rows(run: Run, day: date | None = None, rules: Rules | None = None) -> Iterable[dict[str, Any]]:
    """One row a customer and product, as of `day` (default: of the snapshot); none for a run without an extract.

    `verdict`: `no_obstacle_in_data`, `after <date>` or `stays`. `rules`, `why`, `sources`:
    of the rules that decided it.
    """
    if not has_orders(run):
        return []
    return run.db.stream(
        sql.SQL("{} ORDER BY customer, customer_org_id, product_id, customer_id").format(
            _assessed(run, day or snapshot_day(run), rules or shipped_rules())
        )
    )


def readiness_counts(run: Run) -> list[dict[str, Any]]:
    """How many customers and products there are of each verdict, by the rules that decided it; as of the snapshot.

    Columns: verdict (`after` without its date), rules, why, rows, customers, from_day, to_day (of `after`).
    """
    if not has_orders(run):
        return []
    return run.db.rows(
        sql.SQL(
            """SELECT split_part(verdict, ' ', 1) AS verdict, rules, why, count(*) AS rows,
                      count(DISTINCT customer_id) AS customers,
                      min(contract_end) FILTER (WHERE verdict LIKE 'after%') AS from_day,
                      max(contract_end) FILTER (WHERE verdict LIKE 'after%') AS to_day
               FROM ({}) r GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2"""
        ).format(_assessed(run, snapshot_day(run), shipped_rules()))
    )


def _assessed(run: Run, day: date, rules: Rules) -> sql.Composed:
    """SQL for the rows. `stays` is stronger than `after`, and `after` than nothing."""
    otherwise = rules.otherwise
    return sql.SQL(
        """SELECT {columns}, CASE WHEN h.stays IS NOT NULL THEN {stays} WHEN h.after IS NOT NULL
                                  THEN 'after ' || a.contract_end ELSE {no_obstacle} END AS verdict,
                  COALESCE(h.stays, h.after, '') AS rules, COALESCE(h.stays_why, h.after_why, {otherwise}) AS why,
                  COALESCE(h.stays_sources, h.after_sources, {otherwise_source}) AS sources,
                  COALESCE(h.notes, '') AS notes
           FROM ({contracts}) a CROSS JOIN LATERAL (
             SELECT {told}, string_agg(r.says, ' ' ORDER BY r.nth) FILTER (WHERE r.means = {note}) AS notes
             FROM (VALUES {fields}) v (field, value)
             JOIN (VALUES {rules}) r (nth, id, field, inside, listed, means, says, source)
               ON r.field = v.field AND (lower(btrim(COALESCE(v.value, ''))) = ANY (r.listed::text[])) = r.inside) h"""
    ).format(
        columns=sql.SQL(", ").join(
            sql.Identifier("a", name)
            for name in READINESS_COLUMNS
            if name not in ("verdict", "rules", "why", "sources", "notes")
        ),
        stays=sql.Literal(Meaning.STAYS.value),
        no_obstacle=sql.Literal(NO_OBSTACLE),
        note=sql.Literal(Meaning.NOTE.value),
        otherwise=sql.Literal(otherwise.says),
        otherwise_source=sql.Literal(str(rules.sources[otherwise.source])),
        contracts=contracts(run, day, rules.least_notice_days),
        told=sql.SQL(", ").join(_told(meaning) for meaning in (Meaning.STAYS, Meaning.AFTER)),
        fields=sql.SQL(", ").join(
            sql.SQL("({}, {}::text)").format(sql.Literal(name), sql.Identifier("a", name)) for name in FIELDS
        ),
        rules=_rule_values(rules),
    )


def _told(meaning: Meaning) -> sql.Composed:
    """SQL for ids, sentences and sources of the rules that apply with this meaning; NULL where none does."""
    return sql.SQL(
        """string_agg(r.id, '; ' ORDER BY r.nth) FILTER (WHERE {of_it}) AS {ids},
           string_agg(r.says, ' ' ORDER BY r.nth) FILTER (WHERE {of_it}) AS {why},
           string_agg(DISTINCT r.source, '; ') FILTER (WHERE {of_it}) AS {sources}"""
    ).format(
        of_it=sql.SQL("r.means = {}").format(sql.Literal(meaning.value)),
        ids=sql.Identifier(meaning.value),
        why=sql.Identifier(f"{meaning}_why"),
        sources=sql.Identifier(f"{meaning}_sources"),
    )


def _rule_values(rules: Rules) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("({})").format(
            sql.SQL(", ").join(
                map(
                    sql.Literal,
                    (
                        nth,
                        rule.id,
                        rule.field,
                        rule.inside,
                        list(rule.values),
                        rule.means.value,
                        rule.says + (" (inferred)" if rule.inferred else ""),
                        str(rules.sources[rule.source]),
                    ),
                )
            )
        )
        for nth, rule in enumerate(rules.rules)
    )
