"""Lost answers, refused calls and kills at every step of the passage: what hangs on the records is there once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coa.attachments import ledger
from coa.staging.database import Database
from tests.attachments.orgs import ATTACHMENT, CARRY, TOGETHER, VERSION, around, lose_calls, planted_of
from tests.engine.harness import FAST, Migrator
from tests.reconcile.pairs import two_orgs

# Links, notes, tasks, events and e-mails go in one call each, in this order.
STEPS: dict[str, dict[str, Any]] = {
    "first_version": {"path": VERSION, "skip": 0},
    "further_version": {"path": VERSION, "skip": 7},
    "links": {"path": TOGETHER, "skip": 0},
    "attachment": {"path": ATTACHMENT, "skip": 1},
    "notes": {"path": TOGETHER, "skip": 1},
    "tasks": {"path": TOGETHER, "skip": 2},
    "events": {"path": TOGETHER, "skip": 3},
    "emails": {"path": TOGETHER, "skip": 4},
}


@pytest.fixture
def migrator(database: Database, tmp_path: Path) -> Iterator[Migrator]:
    # The largest file goes as multipart, and so does the empty one; all others in base64.
    settings = FAST.model_copy(update={"lost_call_seconds": 0.0, "file_base64_bytes": 50_000})
    with two_orgs(database, tmp_path, settings=settings, orders=12, planted=False, attachments=True) as pair:
        yield pair


def check(migrator: Migrator) -> None:
    source, target = around(migrator.source), around(migrator.target)
    planted = planted_of(migrator)
    for record in planted["orders"]:
        assert target.of(target.counterpart(record)) == source.of(record)
    moved = [target.counterpart(record) for record in planted["orders"]]
    # One document for all the records that share it, and none beside those that hang on records.
    assert len(set.intersection(*(target.documents(record) for record in moved[:3]))) == 1
    linked = {
        link["ContentDocumentId"] for link in target.links if not link["LinkedEntityId"].startswith("005")
    }
    assert set(target.versions) == linked


@pytest.mark.parametrize(
    "kind",
    [
        # Answers that are lost after their call: `test_carry` runs with them as well.
        pytest.param("reset_after", marks=pytest.mark.lane),
        pytest.param("reset_before", marks=pytest.mark.lane),
        pytest.param("error_after", marks=pytest.mark.lane),
    ],
)
def test_lost_answers_at_every_step_lose_and_double_nothing(
    migrator: Migrator, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several pages of each kind, and the versions of one document on two of them.
    monkeypatch.setattr(ledger, "PAGE", 2)
    lose_calls(migrator, kind)

    migration = migrator.migrate(**CARRY)

    assert migration.state == "verified", migration.run.record.message
    assert all(rule["fired"] for rule in migrator.target.control("GET", "faults"))
    check(migrator)


@pytest.mark.lane
def test_a_file_that_breaks_off_is_read_again(migrator: Migrator) -> None:
    migrator.source.control(
        "POST", "faults", {"kind": "truncate", "fraction": 0.5, "path": "/VersionData$", "times": 3}
    )

    assert migrator.migrate(**CARRY).state == "verified"

    check(migrator)


def _child(migrator: Migrator, run_id: str = "") -> subprocess.Popen[str]:
    command = [
        *(sys.executable, "-m", "tests.attachments.child", migrator.db.url),
        *(migrator.source.url, migrator.target.url, str(migrator.artifacts)),
    ]
    return subprocess.Popen(
        [*command, run_id] if run_id else command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


@pytest.mark.parametrize(
    ("step", "by"),
    [
        pytest.param(
            step, by, marks=() if (step, by) == ("further_version", "next_run") else pytest.mark.lane
        )
        for step in STEPS
        for by in ("retry", "next_run")
    ],
)
def test_a_kill_at_any_step_loses_and_doubles_nothing(migrator: Migrator, step: str, by: str) -> None:
    held_up = {"kind": "slow", "seconds": 0.5, "times": 1, "method": "POST", **STEPS[step]}
    migrator.target.control("POST", "faults", [held_up])
    process = _child(migrator)
    assert process.stdout is not None
    run_id = process.stdout.readline().split()[1]
    deadline = time.monotonic() + 90
    while not migrator.target.control("GET", "faults")[0]["fired"]:
        assert process.poll() is None, "the migration ended before the moment came"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    if by == "next_run":
        for table in ("lease", "target_lease"):
            migrator.db.execute(f"UPDATE coa.{table} SET expires_at = now() WHERE run_id = '{run_id}'")

    printed, _ = _child(migrator, run_id if by == "retry" else "").communicate(timeout=120)

    assert printed.split()[-1] == "verified"
    check(migrator)
