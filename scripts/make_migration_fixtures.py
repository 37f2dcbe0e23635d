"""Fixtures of the staging database as one version left it: later versions take them over in tests/migrations.

    python scripts/make_migration_fixtures.py NAME      e.g. 0.1.0, the version that is being left

Run once a version, by that version, before its schema changes. Makes tests/migrations/fixtures/NAME/finished (a run
that ended verified) and .../killed (a run killed in mid-load: customers and orders created as Draft, a job of details
submitted whose results nobody has read). Each holds `staging.sql.gz` and a snapshot of both orgs.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "include")]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.harness import Migrator

ORGS: dict[str, Any] = {"orders": 20, "seed": 11, "job_delay": 0.02}
PARAMS = {"chunk_size": 12, "lanes": 1}
#: Seconds that a job stands in each state, long enough to kill the process that waits for it.
SLOW = 0.5


@contextmanager
def migrator(folder: Path) -> Iterator[Migrator]:
    from tests.engine.harness import Migrator

    from coa.staging.database import Database
    from coa.staging.embedded import EmbeddedPostgres
    from orgsim.launch import running_pair

    with EmbeddedPostgres(folder / "postgres").in_use() as server, running_pair(**ORGS) as (source, target):
        import psycopg

        with psycopg.connect(server.admin_url(), autocommit=True) as admin:
            admin.execute("CREATE DATABASE fixture OWNER coa")
        database = Database(server.url("fixture"))
        yield Migrator(database, source, target, folder / "artifacts")
        database.dispose()


def keep(made: Migrator, folder: Path, run_id: str) -> None:
    from sqlalchemy import make_url

    from coa.staging.postgres_programs import binaries

    folder.mkdir(parents=True, exist_ok=True)
    address = make_url(made.db.url)
    command = [
        str(binaries() / "pg_dump"), "--no-owner", "--no-privileges", "--inserts", "--rows-per-insert=100",
        # The password is in the environment: whoever lists processes sees arguments.
        "--host", str(address.host), "--port", str(address.port), "--username", str(address.username),
        str(address.database),
    ]  # fmt: skip
    environment = {**os.environ, "PGPASSWORD": str(address.password)}
    dumped = subprocess.run(command, check=True, capture_output=True, env=environment).stdout
    # psql's own commands (\restrict ...) are no SQL.
    text = b"\n".join(line for line in dumped.split(b"\n") if not line.startswith(b"\\"))
    (folder / "staging.sql.gz").write_bytes(gzip.compress(text, 9, mtime=0))
    (folder / "source.zip").write_bytes(made.source.snapshot())
    (folder / "target.zip").write_bytes(made.target.snapshot())
    (folder / "fixture.json").write_text(json.dumps({"run_id": run_id}) + "\n")


def finished(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch, migrator(Path(scratch)) as made:
        migration = made.migrate(**PARAMS)
        assert migration.state == "verified", migration.error
        keep(made, folder, migration.run.run_id)


def killed(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch, migrator(Path(scratch)) as made:
        made.target.control("PATCH", "settings", {"job_delay": SLOW})
        command = [
            sys.executable, "-m", "tests.engine.child", made.db.url, made.source.url, made.target.url,
            str(made.artifacts), json.dumps(PARAMS),
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'include'}"}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        run_id = process.stdout.readline().split()[1]
        deadline = time.monotonic() + 300
        while not made.db.value(
            "SELECT count(*) FROM coa.job WHERE step = 'details' AND state = 'submitted'"
        ):
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline, "the moment did not come"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
        # The org goes on with what it was given; nobody reads the results.
        time.sleep(4 * SLOW)
        made.target.control("PATCH", "settings", {"job_delay": ORGS["job_delay"]})
        assert made.target.control("GET", "drafts")["count"] > 0
        keep(made, folder, run_id)


if __name__ == "__main__":
    where = ROOT / "tests" / "migrations" / "fixtures" / sys.argv[1]
    finished(where / "finished")
    killed(where / "killed")
    for file in sorted(where.rglob("*.*")):
        print(f"{file.stat().st_size:9,} {file.relative_to(ROOT)}")
