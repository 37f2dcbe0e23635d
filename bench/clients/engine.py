"""Our engine in a process of its own: the stages of `coa_migrate` one after another, without Airflow.

    python -m bench.clients.engine SOURCE_URL TARGET_URL STAGING_URL FOLDER

Writes `engine.json` into FOLDER, and `samples.json` if BENCH_SAMPLE is set. Both orgs are extracted at the
same time, as the DAG does it.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from uuid import uuid4

from bench.sampling import GAP, sampled
from coa import pipeline
from coa.approval import record as approval
from coa.config import Settings
from coa.salesforce.session import Org, OrgConnection
from coa.stages import EXTRACT
from coa.staging.database import Database
from coa.staging.runs import Run

PARAMS = {"require_approval": False, "max_blocked": "100%", "draft_orders": "load"}
"""Defaults but for the approval, which nobody is there to give, and the drafts, which the others move as well."""


def migrate(source_url: str, target_url: str, staging_url: str, folder: Path) -> tuple[Run, str]:
    """(run, state at its end)."""
    settings = Settings.from_environment()
    run = pipeline.start(
        Database(staging_url),
        settings,
        dag_id="coa_migrate",
        airflow_run_id=f"bench-{uuid4().hex}",
        triggered_by="bench",
        raw_params=PARAMS,
    )

    def org(name: str, url: str) -> Org:
        return Org(
            OrgConnection(name=name, login_url=url, consumer_key="coa", consumer_secret="secret"), settings
        )

    walk = pipeline.Walk(
        run,
        org("coa_source", source_url),
        org("coa_target", target_url),
        folder,
        approve=lambda: approval.record(
            run,
            kind="waiver",
            approved=True,
            answered_by="bench",
            plan_hash=str(run.record.plan_hash),
            reason="",
        ),
    )
    for group, stages in groupby(pipeline.STAGES, lambda stage: stage.group):
        names = [stage.name for stage in stages if stage.name != "freeze_check"]
        with ThreadPoolExecutor(len(names) if group == EXTRACT else 1) as pool:
            for done in [pool.submit(walk.do, name) for name in names]:
                done.result()
    return run, pipeline.finish(run, folder, None)


def main(source_url: str, target_url: str, staging_url: str, folder: str) -> int:
    with sampled() if os.environ.get("BENCH_SAMPLE") else nullcontext() as samples:
        run, state = migrate(source_url, target_url, staging_url, Path(folder))
    if samples:
        found = [[*place, looks * GAP] for place, looks in samples.counts.most_common()]
        (Path(folder) / "samples.json").write_text(json.dumps(found))
    (Path(folder) / "engine.json").write_text(json.dumps({"run_id": run.run_id, "state": state}))
    print(state)
    return 0 if state == "verified" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
