"""The tasks of the DAGs: each finds its run and calls one function of `coa.pipeline`.

Imports of the engine stay inside the tasks: DAG files are parsed again and again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from coa.config import ALL_SOURCES, Settings
from coa.kinds import kind_of
from coa_airflow.approvers import who_triggers
from coa_airflow.canary_gate import refuse_asking_nobody
from coa_airflow.deployment import bundle_of, origin_of
from coa_airflow.environment import HEADLESS, artifacts_of, org, settings, staging
from coa_airflow.gate import keep_page
from coa_airflow.notify.watch import tell_drafts
from coa_airflow.pair import Pair, chosen
from coa_airflow.params import given
from coa_airflow.retries import PREFLIGHT_POLICY
from coa_airflow.running import record_failure, run_id_of, task_run
from coa_airflow.waiting import waiting_task

if TYPE_CHECKING:
    from coa.mapping.place import NamedBy
    from coa.staging.origin import Origin
    from coa.staging.runs import Run

log = logging.getLogger(__name__)


def _under_grant(raw: dict[str, Any], conf: dict[str, Any], orgs: dict[str, str]) -> dict[str, Any]:
    """The params of the standing approval for these connections, and over them what the trigger said itself."""
    from coa.approval.terms import granted_params

    granted = granted_params(staging(), orgs["source_conn_id"], orgs["target_conn_id"])
    if not granted:
        return raw
    asked = {name: raw[name] for name in conf if name in raw}
    return {**granted, "mode": "delta", "dry_run": bool(raw.get("dry_run")), **asked}


def _named_by(mapping: str, of_params: str) -> NamedBy:
    """Whose word the path of a mapping file is; `of_params`: what the run's own params say.

    In a headless run the params are those of whoever started the process. A variable is anybody's who may edit
    variables, there as well: those of a served Airflow are copied for it.
    """
    from coa.mapping.place import NamedBy

    of_deployment = (
        Settings.from_environment("mapping").mapping,
        os.environ.get("AIRFLOW_VAR_COA_MAPPING", "").strip(),
    )
    if mapping in of_deployment:
        return NamedBy.DEPLOYMENT
    return NamedBy.DEPLOYMENT if os.environ.get(HEADLESS) and mapping == of_params else NamedBy.AIRFLOW


@task
def start(
    only_plan: bool = False, connections: dict[str, str] | None = None, under_grant: bool = False
) -> str:
    """Creates the run: checks the params, gives it its id, opens its tables.

    `connections`: the connections that the DAG names, by param (`Pair.params`). `under_grant`: params come from the
    standing approval; what a trigger says otherwise stands, and is refused before the first write.
    """
    context = get_current_context()
    ti, dag_run = context["ti"], context["dag_run"]
    raw = given(context["params"])
    if only_plan:
        raw["dry_run"] = True
    of_params = str(raw.get("mapping") or "")
    if "mapping" in raw and not of_params:
        from coa_airflow.environment import setting

        raw["mapping"] = setting("mapping")
    # Before the run exists: with a row that holds a forbidden name, whoever marks this task as success could use it.
    orgs = chosen(raw, connections or Pair().params())
    if under_grant:
        raw = _under_grant(raw, dag_run.conf or {}, orgs)
    raw |= orgs
    refuse_asking_nobody(raw, kind_of(ti.dag_id))
    return _started(
        bundle=bundle_of(ti),
        dag_id=ti.dag_id,
        airflow_run_id=ti.run_id,
        triggered_by=who_triggers(dag_run),
        raw_params=raw,
        mapping_named_by=_named_by(str(raw.get("mapping") or ""), of_params),
        origin=origin_of(dag_run, staging()),
    )


def _started(*, bundle: str, dag_id: str, airflow_run_id: str, origin: Origin, **row: Any) -> str:
    """The id of the run of this Airflow run. Params or a mapping file that nobody can use end it here, at once."""
    from coa import pipeline
    from coa.errors import InvalidParams
    from coa.staging.runs import Run

    db = staging()
    try:
        run = pipeline.start(
            db, settings(), dag_id=dag_id, airflow_run_id=airflow_run_id, origin=origin, **row
        )
    except InvalidParams as unusable:
        run = Run.load(db, settings(), run_id_of(db, origin.deployment, dag_id, airflow_run_id), ending=True)
        run.update(artifacts=str(artifacts_of(run.run_id)), dag_bundle=bundle)
        # The tasks that follow are not run; `report` and `verdict` tell it where people look.
        record_failure(run, "start", unusable)
        raise AirflowFailException(str(unusable)) from None
    run.update(artifacts=str(artifacts_of(run.run_id)), dag_bundle=bundle)
    return run.run_id


@task(retry_policy=PREFLIGHT_POLICY)
def check() -> None:
    """In seconds: do both orgs let us in, and are app, fields and rights there? Names all that is wrong at once."""
    from coa_airflow.connection_check import check_run

    with task_run() as run:
        for item in check_run(run, lambda role: org(run, role)):
            log.info(str(item))


@task(retry_policy=PREFLIGHT_POLICY)
def preflight() -> None:
    """Are these two different orgs, with the app, the fields and the rights that a run needs?"""
    from coa import pipeline
    from coa_airflow.holder import lease_holder_ended

    with task_run() as run:
        pipeline.preflight(run, org(run, "source"), org(run, "target"), lease_holder_ended=lease_holder_ended)


@waiting_task
def extract(role: str) -> None:
    """Every record of one org's COA objects, streamed into staging as Salesforce gave it."""
    from coa import pipeline
    from coa_airflow.together import extract_together

    with task_run() as run:
        if os.environ.get(HEADLESS):
            extract_together(run, lambda one: org(run, one), role)
        else:
            pipeline.extract(run, org(run, role, deferrable=True), role)


@task
def transform() -> None:
    """What each record should look like in the target, and what stands against it."""
    from coa import pipeline

    with task_run() as run:
        pipeline.transform(run)


@task
def reconcile() -> None:
    """Exactly one action for each source record."""
    from coa import pipeline

    with task_run() as run:
        pipeline.reconcile(run)


@task
def plan() -> None:
    """The plan and its hash, as a page for the approver and as plan.json."""
    from coa import pipeline

    with task_run() as run:
        keep_page(run, pipeline.plan(run, artifacts_of(run.run_id)))


@task
def prepare() -> list[list[int]]:
    """Checks the approval, takes the pair of orgs, holds back what changed since the plan.

    Returns the lanes of each mapped task: one a task, all in one where tasks run one after another.
    Never an empty list: Airflow would skip the mapped task, and with it all that follows.
    Skipped (`AirflowSkipException`) in a dry run.
    """
    from coa import pipeline

    with task_run() as run:
        if run.params.dry_run:
            raise AirflowSkipException("Dry run: nothing is written.")
        lanes = pipeline.prepare_load(run, org(run, "source"), org(run, "target"))
        together = os.environ.get(HEADLESS) or not lanes
        return [lanes] if together else [[number] for number in lanes]


@contextmanager
def _approved_run() -> Iterator[Run]:
    """Each task that writes asks again: one before it may have been marked as success by hand."""
    from coa.approval import record as approval

    with task_run() as run:
        approval.require(run, str(run.record.plan_hash or ""))
        tell_drafts(run)
        yield run


@waiting_task
def canary() -> None:
    """Loads a few orders, watches what the target does with them, and proves them, before all others.

    What follows is skipped (`AirflowSkipException`) when the run is to end with its canary.
    """
    from coa import pipeline

    with _approved_run() as run:
        if not pipeline.load_canary(run, org(run, "target", deferrable=True)):
            raise AirflowSkipException("The run ends with its canary: canary_gate is only.")


@waiting_task
def customers() -> None:
    """Inserts the customers that the target does not have."""
    from coa import pipeline
    from coa.policies import Policies

    with _approved_run() as run:
        if Policies(run.params).asks_after_canary:
            pipeline.go_on(run, org(run, "source"), org(run, "target"))
        pipeline.load_customers(run, org(run, "target", deferrable=True))


@waiting_task(
    map_index_template="{{ lane_name }}",
    # A mapped task does not take it from the docstring.
    doc_md="Takes chunks of orders, one after another, through all their steps.",
)
def lane(lanes: list[int]) -> None:
    """Takes chunks of orders, one after another, through all their steps."""
    from coa import pipeline

    context: Any = get_current_context()
    context["lane_name"] = "lane " + ", ".join(str(number) for number in lanes)
    with _approved_run() as run:
        pipeline.load_lanes(run, org(run, "target", deferrable=True), lanes)


@waiting_task
def links() -> None:
    """Sets the links from cloned orders to their originals in any chunk; then carries files and activities."""
    from coa import pipeline

    with _approved_run() as run:
        pipeline.load_links(run, org(run, "target", deferrable=True), org(run, "source"))


@waiting_task
def mend() -> None:
    """Puts right what the target changed although the canary had not shown it; nothing where all was looked at."""
    from coa import pipeline

    with _approved_run() as run:
        pipeline.mend(run, org(run, "target", deferrable=True))


@waiting_task
def verify() -> None:
    """Reads everything back from the target and compares it field by field."""
    from coa import pipeline

    with task_run() as run:
        pipeline.verify(run, org(run, "target", deferrable=True), org(run, "source"))


@task
def freeze_check() -> None:
    """Has the source stood still, and is nothing of ours about to be sent? Findings if so; the run's result stands."""
    from coa import pipeline

    with task_run() as run:
        pipeline.freeze_check(run, org(run, "source"), org(run, "target"))


@waiting_task(retry_policy=PREFLIGHT_POLICY)
def verify_migrated() -> None:
    """Reads both orgs anew and compares everything that was migrated, or what one run moved."""
    from coa import pipeline

    with task_run() as run:
        found = pipeline.verify_run(
            run, org(run, "source", deferrable=True), org(run, "target", deferrable=True)
        )
        run.events.add("verified_migrated", differences=found)
        if run.params.run_id == ALL_SOURCES:
            pipeline.verify_all_sources(run, org, artifacts_of)


@task(trigger_rule="all_done")
def report() -> None:
    """Writes the artifacts, whatever became of the run."""
    from coa import pipeline

    with task_run(ending=True) as run:
        pipeline.report(run, artifacts_of(run.run_id))
