"""Two orgs and a staging database as they stand after something long, made once a session and copied for each test.

Orgs come back from snapshots, the database by CREATE DATABASE ... TEMPLATE: a tenth of what a migration costs.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres
from coa.staging.runs import Run
from orgsim.launch import running_pair
from tests import databases
from tests.engine.harness import FAST, Migrator

Pair = tuple[Migrator, Run]
SMALL: dict[str, Any] = {"orders": 40, "seed": 7, "job_delay": 0.0}


@dataclass(frozen=True)
class Scene:
    """What stands at the beginning of a test: `prepare` leads two fresh orgs to it, and returns the run it made."""

    name: str
    prepare: Callable[[Migrator], Run]
    switches: dict[str, Any] = field(default_factory=lambda: SMALL)


def _planned(pair: Migrator) -> Run:
    run = pair.start()
    pair.plan(run)
    return run


def _moved(pair: Migrator) -> Run:
    first = pair.migrate()
    assert first.state == "verified", first.error
    return first.run


PLANNED = Scene("planned", _planned)
"""The plan of a first run, which nobody has answered yet."""
MOVED = Scene("moved", _moved)
"""A first run that is verified."""


@contextmanager
def restored(scene: Scene, server: EmbeddedPostgres, kept: Path, artifacts: Path) -> Iterator[Pair]:
    """The scene, and its run; `kept` is a folder that all workers of the session see."""
    folder = kept / f"scene_{scene.name}"
    with (kept / f"scene_{scene.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "run").exists():
            _make(scene, server, folder)
    run_id = (folder / "run").read_text()
    target = {"restore": str(folder / "target.zip")}
    with (
        databases.fresh(server, _template(scene)) as url,
        running_pair(**scene.switches, restore=str(folder / "source.zip"), target=target) as orgs,
    ):
        database = Database(url)
        yield Migrator(database, *orgs, artifacts), Run.load(database, FAST, run_id)
        database.dispose()


def _template(scene: Scene) -> str:
    return f"coa_scene_{scene.name}"


def _make(scene: Scene, server: EmbeddedPostgres, folder: Path) -> None:
    folder.mkdir()
    with (
        databases.fresh(server) as url,
        running_pair(**scene.switches) as (source, target),
    ):
        pair = Migrator(Database(url), source, target, folder / "artifacts")
        run = scene.prepare(pair)
        pair.db.dispose()
        (folder / "source.zip").write_bytes(source.snapshot())
        (folder / "target.zip").write_bytes(target.snapshot())
        databases.keep(server, url, _template(scene))
    (folder / "run").write_text(run.run_id)
