"""Where our engine's time goes: statement times of PostgreSQL, and samples of our threads.

    python -m bench.profile --orders 10000

Prints both tables, and before them how many rows each table was given and how much write-ahead log that took: these two
say the same on a busy machine as on a quiet one. Nothing is kept. The server runs with pg_stat_statements, which costs
it a little.
"""

from __future__ import annotations

import argparse
import json
import re
from contextlib import closing
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from bench import run, scene
from bench.subjects import SUBJECTS
from coa.staging.embedded import EmbeddedPostgres

EXTENSION = "pg_stat_statements"


def instrumented(folder: Path) -> EmbeddedPostgres:
    """A server of its own that counts what each statement takes."""
    counting = {
        "shared_preload_libraries": EXTENSION,
        f"{EXTENSION}.track": "all",
        "track_io_timing": "on",
    }
    server = EmbeddedPostgres(folder, counting)
    server.start()
    with closing(psycopg.connect(server.admin_url(), autocommit=True)) as db:
        db.execute(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION}")
        db.execute(f"SELECT {EXTENSION}_reset()")
    return server


def statements(server: EmbeddedPostgres, limit: int) -> list[str]:
    """The costliest statements, top level only, as lines."""
    with closing(psycopg.connect(server.admin_url(), row_factory=dict_row)) as db:
        found = db.execute(
            f"""SELECT regexp_replace(query, '\\s+', ' ', 'g') AS query, calls, rows,
                       total_exec_time / 1000 AS seconds, max_exec_time / 1000 AS longest,
                       100 * total_exec_time / sum(total_exec_time) OVER () AS share
                FROM {EXTENSION} WHERE toplevel ORDER BY total_exec_time DESC LIMIT %s""",
            [limit],
        ).fetchall()
    return [
        f"{one['seconds']:8.2f} s {one['share']:5.1f} % {one['calls']:7} x {one['rows']:9} rows, longest "
        f"{one['longest']:6.2f} s: {shorten(one['query'])}"
        for one in found
    ]


WRITES = re.compile(
    r"""^\s*(?:WITH\b.*?\)\s*)?(?P<verb>INSERT\ INTO|UPDATE|DELETE\ FROM|COPY|CREATE\ TABLE)\s+
        (?P<table>(?:"[^"]+"\.)?"[^"]+"|[a-z_.]+)""",
    re.VERBOSE | re.DOTALL,
)
PART = re.compile(r"_\d+x?__|_canary__")


def written(server: EmbeddedPostgres, records: int) -> list[str]:
    """Rows written by table and verb, temporary tables too, as lines; then their sum a record, and all of the log.

    A row that a statement changes beside its main one (a data-modifying WITH) is not counted.
    """
    with closing(psycopg.connect(server.admin_url(), row_factory=dict_row)) as db:
        found = db.execute(
            f"""SELECT query, calls, rows, wal_bytes FROM {EXTENSION}
                WHERE toplevel AND query NOT ILIKE '%%CREATE DATABASE%%' AND query NOT ILIKE '%%DROP DATABASE%%'"""
        ).fetchall()
    by_table: dict[tuple[str, str], list[int]] = {}
    log = 0
    for one in found:
        log += int(one["wal_bytes"])
        match = WRITES.match(one["query"])
        if match is None or " TO STDOUT" in one["query"]:
            continue
        table = PART.sub("__", shorten(match["table"]).replace('"', ""))
        sums = by_table.setdefault((table, match["verb"]), [0, 0, 0])
        for n, value in enumerate((one["rows"], one["calls"], one["wal_bytes"])):
            sums[n] += int(value)
    lines = [
        f"{rows:9} rows {rows / records:6.2f} a record, {calls:5} x, {wal / 1e6:8.2f} MB of log: {verb} {table}"
        for (table, verb), (rows, calls, wal) in sorted(by_table.items(), key=lambda one: -one[1][0])
        if rows >= records / 100
    ]
    rows = sum(sums[0] for sums in by_table.values())
    return [*lines, f"{rows:9} rows {rows / records:6.2f} a record, {log / 1e6:.1f} MB of log in all"]


def shorten(query: str, length: int = 260) -> str:
    """Without the names of a run's schema and the package's namespace, which say nothing."""
    query = re.sub(r'"run_[0-9a-z_-]+"\.', "", query).replace("channel_orders__", "")
    return query.replace("CHANNEL_ORDERS__", "")[:length]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--top", type=int, default=30)
    parser.add_argument("--poll-seconds", type=float, default=0.5)
    parser.add_argument("--work", type=Path, default=scene.PROJECT / ".local" / "bench")
    asked = parser.parse_args()
    server = instrumented(asked.work / "profile" / "postgres")
    try:
        record = run.one(
            asked.work, SUBJECTS["engine"], asked.orders, asked.poll_seconds, server, sample=True
        )
        print(json.dumps({k: v for k, v in record.items() if k != "verdict"}, indent=1))
        print("\n".join(written(server, int(record["orders"]) + int(record["details"]))))
        print("\n".join(statements(server, asked.top)))
        samples = json.loads((asked.work / "runs" / f"engine-{asked.orders}" / "samples.json").read_text())
        for place, waits, seconds in samples[: asked.top]:
            print(f"{seconds:8.2f} s {place}, waits for {waits}")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
