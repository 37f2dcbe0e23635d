"""One measurement: a subject, a size, a fresh pair of orgs; what it cost and whether the target is right."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import dropwhile
from pathlib import Path
from typing import Any

from bench import measure, ours, phases, scene
from bench.check import DETAIL, check
from bench.scene import Scene
from bench.subjects import Subject
from coa.config import Settings
from coa.staging.embedded import EmbeddedPostgres
from orgsim.launch import RunningOrg

LIMIT = 4 * 3600.0
Record = dict[str, Any]


@contextmanager
def staged(
    work: Path,
    subject: Subject,
    orders: int,
    poll_seconds: float,
    server: EmbeddedPostgres,
    *,
    both: dict[str, Any],
    source: dict[str, Any],
) -> Iterator[Scene]:
    """Orgs, folder and, for ours, a staging database; `both` are settings of both orgs."""
    folder = work / "runs" / f"{subject.name}-{orders}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (work / "tools").mkdir(exist_ok=True)
    subject.install(work / "tools")
    database = scene.staging_database(server) if subject.staging else nullcontext("")
    settings = ({**both, **subject.source, **source}, {**both, **subject.target})
    with database as url, scene.orgs(folder, orders, *settings) as pair:
        yield Scene(pair[0], pair[1], folder, work / "tools", pair[2], poll_seconds, url, own_pace=bool(both))


def one(
    work: Path,
    subject: Subject,
    orders: int,
    poll_seconds: float,
    server: EmbeddedPostgres,
    *,
    sample: bool = False,
    both: dict[str, Any] | None = None,
    **source: Any,
) -> Record:
    """Measures once; `source` are settings of the source org, `both` of both.

    Raises `RuntimeError` when the command failed. With settings of both, how long jobs take is part of what is
    measured: ours then looks at them at its own pace.
    """
    with staged(work, subject, orders, poll_seconds, server, both=both or {}, source=source) as at:
        command, environment = subject.command(at)
        if sample:
            environment["BENCH_SAMPLE"] = "1"
        pair = (at.source, at.target)
        details = at.source.count(f"SELECT COUNT() FROM {DETAIL}")
        for org in pair:
            org.control("POST", "reset-counters")
        before = [len(org.control("GET", "stats")["jobs"]) for org in pair]
        busy = [scene.processor_seconds(org) for org in pair]
        postmaster = server.postmaster()
        used = measure.run(
            command,
            environment=environment,
            folder=at.folder,
            log=at.folder / "log.txt",
            limit=LIMIT,
            servers={"postgres": postmaster.pid} if subject.staging and postmaster else {},
        )
        busy = [scene.processor_seconds(org) - was for org, was in zip(pair, busy, strict=True)]
        stats = [org.control("GET", "stats") for org in pair]
        said = (at.folder / "log.txt").read_text("utf-8", "replace")
        if used.status or subject.says not in said:
            raise RuntimeError(f"{subject.name} did not succeed, exit status {used.status}:\n{said[-3000:]}")
        new_jobs = [of["jobs"][was:] for of, was in zip(stats, before, strict=True)]
        jobs = [*new_jobs[0], *new_jobs[1]]
        record = {
            "subject": subject.name,
            "orders": orders,
            "details": details,
            **(costs := _costs(used)),
            "orgs_seconds": [round(one, 2) for one in busy],
            "others_seconds": round(
                max(0.0, used.machine_seconds - costs["seconds"] - costs["database_seconds"] - sum(busy)), 1
            ),
            "calls": [of["calls"].get("api", 0) for of in stats],
            "bytes_to_orgs": sum(of["bytes"].get("in", 0) for of in stats),
            "bytes_from_orgs": sum(of["bytes"].get("out", 0) for of in stats),
            "bulk_jobs": len(jobs),
            "bulk_job_seconds": _seconds(jobs),
            "read_job_seconds": _seconds(new_jobs[0]),
            "load_job_seconds": _seconds(job for job in new_jobs[1] if "Ingest" in job["kind"]),
            "rows_read_back": rows_read_back(new_jobs[1]),
            "rows_loaded": sum(job["processed"] for job in new_jobs[1] if "Ingest" in job["kind"]),
            "writes": [
                [job["object"], job["operation"], job["processed"]]
                for job in new_jobs[1]
                if "Ingest" in job["kind"]
            ],
            "phases": phases.read(at.folder),
        }
        if subject.staging:
            record["run"] = _own(at, jobs, at.source)
            record["phases"] = ours.phases(record["run"].get("stages", {}))
        started = time.perf_counter()
        record["verdict"] = check(at.source, at.target, at.folder / "check.sqlite").as_dict()
        record["check_seconds"] = round(time.perf_counter() - started, 1)
    return record


def rows_read_back(jobs: Iterable[Record]) -> int:
    """Rows that Bulk queries gave out after the first write, from the target's jobs in their order.

    What was read before it is the target's own; a few records looked up or sampled by REST are not counted.
    """
    since = dropwhile(lambda job: "Ingest" not in job["kind"], jobs)
    return sum(job["processed"] for job in since if "Query" in job["kind"])


def _seconds(jobs: Iterable[Record]) -> float:
    """What the org worked on these Bulk jobs, each by itself, also where they ran side by side."""
    return round(sum(float(job["milliseconds"]) for job in jobs) / 1000, 2)


def _costs(used: measure.Usage) -> Record:
    database = used.beside.get("postgres", (0.0, 0, 0))
    return {
        "wall": round(used.wall, 2),
        "seconds": round(used.seconds, 2),
        "peak_process": used.tree.largest.peak,
        "peaks": used.tree.by_name(),
        "peak_all": max(used.tree.peak_share, used.tree.largest.peak),
        "database_seconds": round(database[0], 2),
        "database_peak_process": database[1],
        "database_peak_all": database[2],
    }


def _own(at: Scene, jobs: list[Record], source: RunningOrg) -> Record:
    facts = ours.facts(at.staging_url)
    page_rows = Settings().result_page_rows
    least = ours.minimum(jobs, facts.get("api", {}), page_rows, at.poll_seconds, source.settings.job_delay)
    return {**facts, "minimum": {**vars(least), "calls": least.calls, "excess": round(least.excess, 4)}}
