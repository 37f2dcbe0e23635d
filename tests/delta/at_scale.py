"""1 % of the orders changed, added and deleted, two of them with the watermark's own stamp: a delta writes those.

A test runs it at a small size. By hand at any other, with the figures for docs/sync.md:

    python -m tests.delta.at_scale --orders 100000
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from coa.model import CLONED_FROM, DETAIL, DETAIL_ORDER, NS, ORDER
from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres
from tests.engine.harness import Migration, Migrator
from tests.reconcile.pairs import actions, create, delete, edit, like, table, two_orgs

COMMENT = NS + "Error_Comment__c"
LINE = NS + "Product_Line_Description__c"
Records = set[tuple[str, str]]


@dataclass
class Expected:
    """(sObject, source id) of what a delta has to write, and nothing else."""

    updated: Records = field(default_factory=set)
    inserted: Records = field(default_factory=set)
    deleted: Records = field(default_factory=set)


def change_one_percent(pair: Migrator, first: Migration) -> Expected:
    """Changes 1 % of the moved orders: half edited (every other one in a detail), a quarter added, a quarter deleted;
    two more are changed so that they bear the watermark's own stamp. The source empties the links of clones of the
    deleted orders by itself, so these are updated as well."""
    orders, details = table(pair.source, ORDER), table(pair.source, DETAIL)
    lines: dict[str, list[str]] = {}
    for i, r in details.items():
        lines.setdefault(r[DETAIL_ORDER], []).append(i)
    newest = max(str(r["SystemModstamp"]) for r in orders.values())
    moved = [
        i for (s, i), (a, _) in actions(first.run).items() if s == ORDER and a == "insert" and lines.get(i)
    ]
    quarter = max(1, len(moved) // 400)
    step = max(1, len(moved) // (4 * quarter + 2))
    chosen = iter(moved[::step])
    expected = Expected()
    for n in range(2 * quarter):
        order = next(chosen)
        if n % 2:
            edit(pair.source, DETAIL, lines[order][0], **{LINE: "changed"})
            expected.updated.add((DETAIL, lines[order][0]))
        else:
            edit(pair.source, ORDER, order, **{COMMENT: "changed"})
            expected.updated.add((ORDER, order))
    for _ in range(quarter):
        twin = next(chosen)
        added = create(pair.source, ORDER, **like(orders[twin]))
        line = create(pair.source, DETAIL, **like(details[lines[twin][0]], **{DETAIL_ORDER: added}))
        expected.inserted |= {(ORDER, added), (DETAIL, line)}
    for _ in range(quarter):
        gone = next(chosen)
        delete(pair.source, ORDER, gone)
        expected.deleted |= {(ORDER, gone), *((DETAIL, i) for i in lines[gone])}
    for _ in range(2):
        order = next(chosen)
        # Behind the rules' back: a save of the very second up to which the last run has read.
        pair.source.control(
            "PATCH", f"records/{ORDER}/{order}?raw=true", {COMMENT: "same second", "SystemModstamp": newest}
        )
        expected.updated.add((ORDER, order))
    gone_orders = {i for s, i in expected.deleted if s == ORDER}
    clones = {i for i in moved if orders[i][CLONED_FROM] in gone_orders}
    expected.updated |= {(ORDER, i) for i in clones - gone_orders}
    return expected


def written(result: Migration) -> Expected:
    """What the run sent to the target, by its plan's action; the work list has every row that was sent."""
    if not result.run.has_table("work"):
        return Expected()
    rows = result.run.db.rows(
        sql.SQL(
            """SELECT DISTINCT w.sobject, w.source_id,
                      CASE WHEN w.step = 'deletions' THEN 'delete' ELSE p.action END AS action
               FROM {} w LEFT JOIN {} p ON p.sobject = w.sobject AND p.source_id = w.source_id
               WHERE w.state = 'accepted'"""
        ).format(result.run.table("work"), result.run.table("plan"))
    )
    by_action: dict[str, Records] = {"insert": set(), "update": set(), "delete": set()}
    for r in rows:
        by_action[r["action"]].add((r["sobject"], r["source_id"]))
    return Expected(by_action["update"], by_action["insert"], by_action["delete"])


def figures(result: Migration, seconds: float) -> dict[str, Any]:
    sent = written(result)
    return {
        "state": result.state,
        "seconds": round(seconds, 1),
        "api_calls": result.summary["api_calls"],
        "updated": len(sent.updated),
        "inserted": len(sent.inserted),
        "deleted": len(sent.deleted),
        "error": result.error,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--chunk-size", type=int, default=2000)
    orders, chunk_size = vars(parser.parse_args()).values()
    logging.disable(logging.WARNING)

    def run(name: str, pair: Migrator, **params: Any) -> Migration:
        started = time.monotonic()
        result = pair.migrate(deletions="carry", chunk_size=chunk_size, **params)
        print(json.dumps({"run": name, **figures(result, time.monotonic() - started)}), flush=True)
        return result

    with tempfile.TemporaryDirectory() as name, EmbeddedPostgres(Path(name) / "pg").in_use() as server:
        with closing(psycopg.connect(server.admin_url(), autocommit=True)) as admin:
            admin.execute("CREATE DATABASE at_scale OWNER coa")
        database = Database(server.url("at_scale"))
        with two_orgs(database, Path(name), orders=orders) as pair:
            first = run("full", pair)
            run("delta right after the load, nothing changed", pair, mode="delta")
            expected = change_one_percent(pair, first)
            second = run("delta, 1 % changed", pair, mode="delta")
            print(json.dumps({"exactly those": written(second) == expected}), flush=True)
            run("delta, nothing changed", pair, mode="delta")
        database.dispose()


if __name__ == "__main__":
    main()
