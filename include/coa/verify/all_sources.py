"""One proof over all sources of a target: everything that they contain is in the target, or its absence is
explained.

Each source is verified by a run of its own, field by field. Here their sums are compared with one reading of
the target; no record of the target may belong to no source, or to two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from coa.codes import MIGRATING, SURPLUS
from coa.config import RunParams
from coa.findings.finding import Finding, finding
from coa.model import DETAIL, DETAIL_ORDER, LOADED, ORDER, SOURCE_ID
from coa.plan.amounts import money_of
from coa.staging.fragments import list_of
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table
from coa.states import RunState

PROOF = "all_sources"
"""Event of a verification; its data: `sources`, `records`, `values`, `equal` (see `sum_up`)."""


@dataclass(frozen=True)
class OtherSource:
    """A source from which records came to the run's target, and the connection that its last migration used."""

    pair_id: int
    org: dict[str, Any]
    target_org: dict[str, Any]
    connection: str


def other_sources(run: Run) -> list[OtherSource]:
    """Those whose records are in the target, beside the run's own source; oldest pair first."""
    rows = run.db.rows(
        sql.SQL(
            """SELECT DISTINCT ON (p.pair_id) p.pair_id, r.source_org, r.target_org,
                      r.params ->> 'source_conn_id' AS conn
               FROM coa.org_pair mine JOIN coa.org_pair p USING (target_org_id) JOIN coa.run r ON r.pair_id = p.pair_id
               WHERE mine.pair_id = %s AND p.pair_id <> mine.pair_id AND r.loaded_at IS NOT NULL
                 AND r.mode IN {migrating}
                 AND EXISTS (SELECT FROM coa.ledger l WHERE l.pair_id = p.pair_id AND l.origin = 'inserted')
               ORDER BY p.pair_id, r.run_id DESC"""
        ).format(migrating=list_of(MIGRATING)),
        [run.pair_id],
    )
    return [
        OtherSource(r["pair_id"], r["source_org"], r["target_org"], r["conn"] or RunParams().source_conn_id)
        for r in rows
    ]


def sum_up(run: Run, others: Sequence[Run]) -> dict[str, Any]:
    """Writes what does not add up to `coa.difference`, the proof to the run's events; the proof.

    `sources`: org id, name, connection, run, state and artifacts of each verification. `records`, one row an sObject:
    `sources` (records in all of them) = `target` (records with a migration key) + `matched` + `left` (not moved) -
    `gone` (deleted in a source since) + `unexplained`. `values`, one row a currency, as text: `target` = `sources` +
    `explained` (differences that the verifications list) + `unexplained`.
    """
    runs = [run, *others]
    _list_strays(run, runs)
    records = [_records(run, runs, sobject) for sobject in LOADED]
    values = _values(run, runs)
    proof: dict[str, Any] = {
        "sources": [
            {
                "org_id": one.record.source_org["id"],
                "name": one.record.source_org.get("name", ""),
                "connection": one.params.source_conn_id,
                "run_id": one.run_id,
                # This run has no end yet: its own differences decide its state.
                "state": one.record.state or "",
                "artifacts": one.record.artifacts,
            }
            for one in runs
        ],
        "records": records,
        "values": values,
        "equal": not any(row["unexplained"] for row in records)
        and not any(float(row["unexplained"]) for row in values)
        and all(one.record.state == RunState.VERIFIED for one in others),
    }
    run.events.add(PROOF, **proof)
    run.findings.replace("verify_sources", [] if proof["equal"] else [_finding(proof)])
    return proof


def proof_of(run: Run) -> dict[str, Any] | None:
    """The proof as it was last made; None for a run that looks at one source."""
    found: dict[str, Any] | None = run.db.value(
        "SELECT data FROM coa.event WHERE run_id = %s AND event = %s ORDER BY event_id DESC LIMIT 1",
        [run.run_id, PROOF],
    )
    return found


def _finding(proof: dict[str, Any]) -> Finding:
    off = [row["sobject"] for row in proof["records"] if row["unexplained"]]
    off += [f"the amounts in {row['currency']}" for row in proof["values"] if float(row["unexplained"])]
    told = [f"the sums of {', '.join(off)} differ"] if off else []
    told += [
        f"the verification {one['run_id']} of source {one['org_id']} ended as {one['state']}"
        for one in proof["sources"][1:]
        if one["state"] != RunState.VERIFIED
    ]
    return finding("warning", "sources_do_not_add_up", what="; ".join(told))


def _pairs(runs: Sequence[Run]) -> sql.Literal:
    return sql.Literal([one.pair_id for one in runs])


def _list_strays(run: Run, runs: Sequence[Run]) -> None:
    """Records with a migration key that the ledger of no source has, and those that two sources have."""
    for sobject in LOADED:
        run.db.execute(
            sql.SQL(
                """INSERT INTO coa.difference (run_id, sobject, target_id, field, target_value, kind, reason)
                   SELECT {run}, {sobject}, t."Id", {name}, t.{key},
                          CASE WHEN o.sources IS NULL THEN 'unexpected' ELSE 'duplicate' END,
                          CASE WHEN o.sources IS NULL THEN 'it has a migration key, and no ledger of this staging '
                               || 'database knows it' ELSE 'two sources have it as theirs' END
                   FROM {verify} t LEFT JOIN LATERAL (
                     SELECT count(*) AS n, min(l.source_id) AS sources FROM coa.ledger l WHERE l.pair_id = ANY ({pairs})
                       AND l.sobject = {sobject} AND l.target_id = t."Id" AND l.origin = 'inserted') o ON true
                   WHERE NULLIF(t.{key}, '') IS NOT NULL AND o.n <> 1
                     AND NOT EXISTS (SELECT FROM coa.difference x WHERE x.run_id = {run} AND x.target_id = t."Id"
                                       AND x.kind IN {surplus})"""
            ).format(
                run=sql.Literal(run.run_id),
                sobject=sql.Literal(sobject),
                name=sql.Literal(SOURCE_ID),
                key=sql.Identifier(SOURCE_ID),
                verify=run.table(Table.VERIFY, sobject),
                pairs=_pairs(runs),
                surplus=list_of(SURPLUS),
            )
        )


def _records(run: Run, runs: Sequence[Run], sobject: str) -> dict[str, Any]:
    found: dict[str, Any] = {"sobject": sobject, "sources": 0, "matched": 0, "left": 0, "gone": 0}
    for one in runs:
        row = run.db.row(
            sql.SQL(
                """SELECT count(*) FILTER (WHERE s."Id" IS NOT NULL) AS sources,
                          count(*) FILTER (WHERE s."Id" IS NOT NULL AND l.origin = 'matched') AS matched,
                          count(*) FILTER (WHERE s."Id" IS NOT NULL AND l.origin IS DISTINCT FROM 'matched'
                                             AND t."Id" IS NULL) AS left,
                          count(*) FILTER (WHERE s."Id" IS NULL AND t."Id" IS NOT NULL) AS gone
                   FROM {source} s
                   FULL JOIN (SELECT * FROM coa.ledger WHERE pair_id = {pair} AND sobject = {sobject}) l
                     ON l.source_id = s."Id"
                   LEFT JOIN {verify} t ON t."Id" = l.target_id AND l.origin = 'inserted'"""
            ).format(
                source=one.table(SOURCE, sobject),
                pair=sql.Literal(one.pair_id),
                sobject=sql.Literal(sobject),
                verify=run.table(Table.VERIFY, sobject),
            )
        )
        assert row is not None
        for name in ("sources", "matched", "left", "gone"):
            found[name] += int(row[name])
    found["target"] = int(
        run.db.value(
            sql.SQL("SELECT count(*) FROM {} WHERE NULLIF({}, '') IS NOT NULL").format(
                run.table(Table.VERIFY, sobject), sql.Identifier(SOURCE_ID)
            )
        )
    )
    explained = found["matched"] + found["left"] - found["gone"]
    found["unexplained"] = found["sources"] - found["target"] - explained
    return found


def _values(run: Run, runs: Sequence[Run]) -> list[dict[str, str]]:
    """The sources by the totals of their verifications, the target by the one reading of this run."""
    currency, value = money_of(run, Table.VERIFY)
    orders = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT target_id FROM {}").format(one.table(Table.EXPECTED, ORDER)) for one in runs
    )
    rows = run.db.rows(
        sql.SQL(
            """WITH by_run AS (
                 SELECT currency, sum(value) FILTER (WHERE side = 'source') AS sources,
                        sum(value) FILTER (WHERE side = 'target') AS target
                 FROM coa.total WHERE run_id = ANY (%s) AND dimension = 'all' AND currency <> '' GROUP BY 1),
               read AS (
                 SELECT {currency} AS currency, sum({value}) AS target FROM {details} x
                 WHERE x.{parent} IN ({orders}) AND {currency} <> '' GROUP BY 1)
               SELECT currency, COALESCE(b.sources, 0) AS sources, COALESCE(r.target, 0) AS target,
                      COALESCE(b.target, 0) - COALESCE(b.sources, 0) AS explained
               FROM by_run b FULL JOIN read r USING (currency) ORDER BY 1"""
        ).format(
            currency=currency,
            value=value,
            details=run.table(Table.VERIFY, DETAIL),
            parent=sql.Identifier(DETAIL_ORDER),
            orders=orders,
        ),
        [[one.run_id for one in runs]],
    )
    return [
        {
            **{name: str(row[name]) for name in ("currency", "sources", "target", "explained")},
            "unexplained": str(row["target"] - row["sources"] - row["explained"]),
        }
        for row in rows
    ]
