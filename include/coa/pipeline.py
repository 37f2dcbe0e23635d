"""What each task of the DAGs does, as one function each. All state is in the staging database; a task only
needs the run id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coa import canary as canary_stage
from coa import mending, stages
from coa.approval.record import require as require_approval
from coa.attachments import carry as carry_stage
from coa.attachments import history, inventory, planned, reread, undo
from coa.attachments import proof as attachments_proof
from coa.codes import RunMode
from coa.config import Settings
from coa.contract import run as contract_stage
from coa.contract.report import facts_of_contract
from coa.decide import decide
from coa.errors import CoaError, RunStopped
from coa.evidence import bundle as evidence
from coa.evidence.signing import check_key
from coa.extract.extract import extract_org
from coa.extract.inbound_references import extract_pointing
from coa.failures import classified
from coa.fields.lineage import lineage
from coa.fields.saved import saved_carried, saved_describes
from coa.findings.finding import Finding
from coa.kinds import kind_of
from coa.load import load as load_stage
from coa.load.jobs import settle_jobs_of_other_runs
from coa.load.observed import expected_canary_markdown
from coa.mapping.place import NamedBy
from coa.mapping.store import freeze as freeze_mapping
from coa.mapping.store import mapping_of
from coa.model import LOADED, ORDER
from coa.plan import document as plan_stage
from coa.plan.amounts import PLAN_AMOUNTS
from coa.plan.counts import count_plan
from coa.plan.expected_corrections import expect_corrections
from coa.plan.one_pass import one_pass_markdown
from coa.plan.reconcile import action_counts, check_plan, run_reconcile
from coa.plan.rules_off import rules_document, rules_off_markdown
from coa.policies import Policies
from coa.preflight.check import run_preflight
from coa.preflight.orgs import bind
from coa.relink import carry_out as relink_stage
from coa.relink import plan as relink_plan_stage
from coa.relink import scope as relink_scope
from coa.relink.report import write_relink_artifacts
from coa.relink.template import relink_template
from coa.report import corrections
from coa.report.contract import write_contract_artifacts
from coa.report.csv_files import write_csv_file
from coa.report.facts import facts_of
from coa.report.tables import forget_kept
from coa.report.write import Folder, write_artifacts, write_json, write_text
from coa.retention.idle_syncs import drop_idle_syncs
from coa.rollback import plan as rollback_plan_stage
from coa.rollback import roll_back as rollback_stage
from coa.rollback import scope as rollback_scope
from coa.rollback.report import write_rollback_artifacts
from coa.salesforce.session import Org
from coa.salesforce.usage import count_calls
from coa.staging.database import Database
from coa.staging.lease import HolderEnded
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table
from coa.states import GOOD_STATES, RunState
from coa.target_fields import stage as setup_stage
from coa.transform.template import mapping_template
from coa.transform.transform import run_transform
from coa.verify import freeze_check as freeze
from coa.verify import verify_migrated as migrated
from coa.verify.all_sources import OtherSource, other_sources, sum_up
from coa.verify.licenses import extract_licenses, lma_is_seen
from coa.verify.second_reading import read_again
from coa.verify.verify import read_for_proof, run_verify

log = logging.getLogger(__name__)


@contextmanager
def _stage(run: Run, name: str, **orgs: Org) -> Iterator[None]:
    """Times a stage, records its API calls, and notes by which rule a run was stopped.

    `orgs` by role: each is bound to the org that the run was made for, whoever opened it.
    """
    for role, org in orgs.items():
        bind(run, role, org)
    forget_kept(run)
    with run.stage(name):
        run.events.add("stage_started", stage=name)
        try:
            yield
        except RunStopped as stopped:
            run.events.add(
                "run_stopped", level="warning", stage=name, state=stopped.state, message=stopped.message
            )
            run.update(message=str(stopped), stopped_state=stopped.state)
            raise
        except CoaError:
            raise
        except Exception as error:
            known = classified(error, f"Stage {name} of run {run.run_id}")
            if known is None:
                raise
            raise known from error
        finally:
            for role, org in orgs.items():
                count_calls(run, role, org)
    run.events.add("stage_ended", stage=name)


def start(
    db: Database, settings: Settings, *, mapping_named_by: NamedBy = NamedBy.DEPLOYMENT, **asked: Any
) -> Run:
    """The run of an Airflow run, with params and mapping file frozen for all that follows; `asked` as `Run.start` says.

    A retried call gives the same run with the same inputs. Raises `InvalidParams` for a param or a mapping file that
    nobody can use, and `ConfigurationError` as `Run.start` does; after `InvalidParams` the run's row exists.
    """
    run = Run.start(db, settings, **asked)
    if run.record.mode not in (RunMode.ROLLBACK, RunMode.CONTRACT, RunMode.SETUP_TARGET):
        # A roll-back goes by what the run that it undoes was told, a contract and a set-up move no record.
        freeze_mapping(run, mapping_named_by)
    return run


def preflight(run: Run, source: Org, target: Org, lease_holder_ended: HolderEnded | None = None) -> None:
    """Orgs, rights, fields, allowance; takes the pair's lease. Raises `RunStopped` (blocked)."""
    with _stage(run, "preflight", source=source, target=target):
        check_key()
        run_preflight(run, source, target, mapping_of(run), lease_holder_ended)


def _plan_is_fixed(run: Run, stage: str) -> bool:
    """Whether the run has begun to load: then clearing earlier tasks changes nothing, since the plan was
    approved as it is.
    """
    if run.record.loaded_at is None:
        return False
    log.info("%s: run %s began to load at %s; its plan is fixed.", stage, run.run_id, run.record.loaded_at)
    return True


def extract(run: Run, org: Org, role: str) -> None:
    """All that is needed of one org; `role` is `source` or `target`."""
    if _plan_is_fixed(run, f"extract_{role}"):
        return
    with _stage(run, f"extract_{role}", **{role: org}):
        if role == TARGET:
            settle_jobs_of_other_runs(run, org)
        for sobject, rows in extract_org(run, org, role, mapping_of(run)).items():
            run.events.add("extracted", org=role, sobject=sobject, rows=rows)
        if role == SOURCE:
            extract_pointing(run, org, saved_describes(run, SOURCE))
            for sobject, rows in inventory.read_source(run, org).items():
                run.events.add("extracted", org=role, sobject=sobject, rows=rows)
            history.read_history(run, org)
        if lma_is_seen(run, role):
            extract_licenses(run, org, role)


def transform(run: Run) -> None:
    """What each record should look like in the target, and what prevents it."""
    if _plan_is_fixed(run, "transform"):
        return
    with _stage(run, "transform"):
        run_transform(run, mapping_of(run))


def reconcile(run: Run) -> None:
    """Gives each record exactly one action."""
    if _plan_is_fixed(run, "reconcile"):
        return
    with _stage(run, "reconcile"):
        mapping = mapping_of(run)
        run_reconcile(run, mapping)
        expect_corrections(run, saved_carried(run, mapping))


def plan(run: Run, artifacts: Folder) -> str:
    """Hashes the plan, writes `plan.json` and `corrections.csv`, and gives the approval page as Markdown.

    Raises `RunStopped` (blocked) for blocking findings and when more is blocked than allowed.
    """
    if _plan_is_fixed(run, "plan"):
        return _plan_page(run)
    with _stage(run, "plan"):
        planned.decide(run)
        run.update(plan_hash=plan_stage.plan_hash(run))
        count_plan(run)
        folder = artifacts
        folder.mkdir(parents=True, exist_ok=True)
        document = plan_stage.plan_document(run)
        run.events.add(PLAN_AMOUNTS, plan_hash=run.record.plan_hash, amounts=document["amounts"])
        document["rehearsal"] = corrections.expected_corrections_document(run)
        document["workflow_rules"] = rules_document(run)
        document["attached"] = planned.document(run)
        write_json(folder, "plan.json", document | {"lineage": lineage(run, mapping_of(run))})
        write_csv_file(
            folder, "corrections.csv", corrections.COLUMNS, corrections.expected_corrections_rows(run)
        )
        write_text(folder, "mapping_template.yaml", mapping_template(run))
        check_plan(run)
        return _plan_page(run)


def _plan_page(run: Run) -> str:
    """The approval page, as Markdown."""
    orders = {f.name: f for f in saved_carried(run, mapping_of(run))[ORDER]}
    new_orders = action_counts(run)[ORDER].get("insert", 0)
    afterwards = (
        planned.markdown(run),
        expected_canary_markdown(run, new_orders),
        one_pass_markdown(run, orders),
        rules_off_markdown(run),
        corrections.expected_corrections_markdown(run),
    )
    return plan_stage.plan_markdown(run, "\n\n".join(part for part in afterwards if part))


def prepare_load(run: Run, source: Org, target: Org) -> list[int]:
    """Lane numbers, after the approval and the orgs were checked; raises `RunStopped` otherwise."""
    with _stage(run, "prepare_load", source=source, target=target):
        return load_stage.prepare_load(run, source, target, mapping_of(run))


def load_canary(run: Run, target: Org) -> bool:
    """Loads and proves the run's canary; whether the load goes on with the rest.

    Raises `RunStopped` (differences) when the proof fails, `RowsRejected` when the org refused a row of it and
    `on_row_failure` is stop.
    """
    with _stage(run, "load_canary", target=target):
        return canary_stage.load_canary(run, target, mapping_of(run))


def go_on(run: Run, source: Org, target: Org) -> None:
    """After a person's answer to the canary: what stood before its first write is checked again.

    Call it before `load_customers` where `canary_gate` is ask. Raises as `prepare_load` does.
    """
    with _stage(run, "go_on", source=source, target=target):
        canary_stage.go_on(run, source, target)


def load_customers(run: Run, target: Org) -> None:
    """New customers, then what automation changed on them. Raises `RowsRejected` as `on_row_failure` says."""
    with _stage(run, "load_customers", target=target):
        load_stage.load_customers(run, target, mapping_of(run))


def load_lanes(run: Run, target: Org, lanes: list[int]) -> None:
    """The chunks of these lanes, through all their steps."""
    with _stage(run, "load_lanes", target=target):
        load_stage.load_lanes(run, target, mapping_of(run), lanes)


def load_links(run: Run, target: Org, source: Org | None = None) -> None:
    """Sets links between records of different chunks, then carries deletions, then files and activities,
    where a param asks for them.

    Only the last needs the `source`. Raises `RowsRejected` as `on_row_failure` says.
    """
    with _stage(run, "load_links", target=target):
        load_stage.load_links(run, target, mapping_of(run))
    if source is not None and Policies(run.params).hanging:
        with _stage(run, "load_attachments", source=source, target=target):
            carry_stage.carry(run, source, target)
            load_stage.stop_if_rejected(run)


def mend(run: Run, target: Org) -> int:
    """Corrects what differs although the canary did not show it; how many records. A part of the load, before `verify`.

    Asks the org nothing where every record was looked at before it was corrected.
    """
    if not mending.may_need_mending(run):
        with _stage(run, "mend"):
            return 0
    with _stage(run, "mend", target=target):
        return mending.mend(run, target, mapping_of(run))


def verify(run: Run, target: Org, source: Org | None = None) -> None:
    """Reads the target anew and compares; then a sample once more by another path (of the source too,
    if it is given)."""
    with _stage(run, "extract_verify", target=target):
        read_for_proof(run, target)
    with _stage(run, "verify"):
        run_verify(run, mapping_of(run))
    if Policies(run.params).hanging:
        with _stage(
            run, "verify_attachments", target=target, **({} if source is None else {"source": source})
        ):
            attachments_proof.prove(run, source, target)
    orgs = {"target": target} if source is None else {"target": target, "source": source}
    with _stage(run, "verify_sample", **orgs):
        read_again(run, mapping_of(run), target, source)


def verify_run(run: Run, source: Org, target: Org) -> dict[str, int]:
    """What was migrated on this pair of orgs, read anew from both and compared; nothing is written to either.

    Returns unexplained differences by cause: `migration` (an error of it), `source`, `target`, `both` (drift
    since), `unknown`. The run's param `run_id` restricts it to what that run inserted.
    Raises `ConfigurationError` when nothing was migrated between these orgs.
    """
    with _stage(run, "begin", source=source, target=target):
        check_key()
        of_run = migrated.begin(run, source, target)
    with _stage(run, "extract", source=source, target=target):
        migrated.extract_both(run, source, target, mapping_of(run))
    with _stage(run, "verify"):
        migrated.compare_migrated(run, mapping_of(run), of_run)
    with _stage(run, "verify_attachments", target=target):
        reread.read_carried(run, target, of_run)
    with _stage(run, "verify_sample", source=source, target=target):
        read_again(run, mapping_of(run), target, source)
    return migrated.causes(run)


def verify_all_sources(
    run: Run, org_of: Callable[[Run, str], Org], folder_of: Callable[[str], Folder]
) -> dict[str, Any]:
    """After `verify_run`, with the param `run_id` `all_sources`: verifies every other source of the target, by a run of
    its own, with report and artifacts, and adds all of them up (`coa.verify.all_sources.sum_up`).

    `org_of`: the org of a run in a role. A retried call takes up the runs of the earlier one. Raises what `verify_run`
    raises; `WrongOrg` when the connection of a source leads to another org by now.
    """
    others = [_verify_other(run, source, org_of, folder_of) for source in other_sources(run)]
    with _stage(run, "verify_sources"):
        return sum_up(run, others)


def _verify_other(
    run: Run, source: OtherSource, org_of: Callable[[Run, str], Org], folder_of: Callable[[str], Folder]
) -> Run:
    other = start(
        run.db,
        run.settings,
        dag_id=run.record.dag_id,
        airflow_run_id=f"{run.run_id} {source.org['id']}",
        triggered_by=run.record.triggered_by,
        raw_params={
            "source_conn_id": source.connection,
            "target_conn_id": run.params.target_conn_id,
            "verify_sample": run.params.verify_sample,
        },
    )
    # Known before it begins: a connection that leads to another org by now is refused.
    other.update(
        pair_id=source.pair_id,
        source_org=source.org,
        target_org=source.target_org,
        artifacts=str(folder_of(other.run_id)),
    )
    with other.at_work():
        verify_run(other, org_of(other, SOURCE), org_of(other, TARGET))
        finish(other, folder_of(other.run_id), None)
    run.events.add("source_verified", source=source.org["id"], run=other.run_id, state=other.record.state)
    return other


def freeze_check(run: Run, source: Org, target: Org | None = None) -> list[Finding]:
    """Has the source changed since the run read it, and could one of our orders in the target be submitted?

    What changed and what is dangerous is recorded as findings of the run.
    """
    orgs = {"source": source} | ({"target": target} if target is not None else {})
    with _stage(run, "freeze_check", **orgs):
        return freeze.freeze_check(run, source, target)


def rollback_begin(run: Run, target: Org, lease_holder_ended: HolderEnded | None = None) -> None:
    """Can the run that the param `run_id` names be undone? Takes its pair's lease."""
    with _stage(run, "preflight", target=target):
        rollback_scope.begin(run, target, lease_holder_ended)


def rollback_extract(run: Run, target: Org) -> None:
    """The target's customers, orders and details as they are now."""
    if _plan_is_fixed(run, "extract_target"):
        return
    with _stage(run, "extract_target", target=target):
        settle_jobs_of_other_runs(run, target)
        rollback_scope.snapshot(run, target, TARGET)
        undo.plan(run, rollback_scope.original_of(run), target)


def rollback_plan(run: Run, artifacts: Folder) -> str:
    """What is deleted, restored and left, its hash, `plan.json`; gives the approval page as Markdown."""
    if _plan_is_fixed(run, "plan"):
        return rollback_plan_stage.plan_markdown(run)
    with _stage(run, "plan"):
        mapping = mapping_of(rollback_scope.original_of(run))
        run.update(plan_hash=rollback_plan_stage.make_plan(run, mapping))
        artifacts.mkdir(parents=True, exist_ok=True)
        write_json(artifacts, "plan.json", rollback_plan_stage.plan_document(run))
        return rollback_plan_stage.plan_markdown(run)


def rollback_load(run: Run, target: Org) -> None:
    """Restores and deletes, after the approval was checked."""
    with _stage(run, "load_rollback", target=target):
        rollback_stage.carry_out(run, target, mapping_of(rollback_scope.original_of(run)))


def rollback_verify(run: Run, target: Org) -> None:
    """Reads the target again and compares it with what the plan wanted."""
    with _stage(run, "verify", target=target):
        rollback_stage.read_back(run, target, mapping_of(rollback_scope.original_of(run)))


def relink_begin(
    run: Run, source: Org, target: Org, artifacts: Folder, lease_holder_ended: HolderEnded | None = None
) -> None:
    """Can the rules of the mapping file be followed? Takes the pair's lease; writes `relink_template.yaml`."""
    with _stage(run, "preflight", source=source, target=target):
        relink_scope.begin(run, source, target, lease_holder_ended)
        artifacts.mkdir(parents=True, exist_ok=True)
        write_text(artifacts, "relink_template.yaml", relink_template(run, target))
        relink_scope.check(run, target)


def relink_extract(run: Run, target: Org) -> None:
    """The records of the target that the rules look at, as they are now."""
    if _plan_is_fixed(run, "extract_target"):
        return
    with _stage(run, "extract_target", target=target):
        settle_jobs_of_other_runs(run, target)
        relink_scope.snapshot(run, target, relink_scope.rules_of(run), TARGET)


def relink_plan(run: Run, artifacts: Folder) -> str:
    """Which lookups are set, its hash, `plan.json`; the Markdown for whoever approves."""
    if _plan_is_fixed(run, "plan"):
        return relink_plan_stage.plan_markdown(run)
    with _stage(run, "plan"):
        run.update(plan_hash=relink_plan_stage.make_plan(run, relink_scope.rules_of(run)))
        artifacts.mkdir(parents=True, exist_ok=True)
        write_json(artifacts, "plan.json", relink_plan_stage.plan_document(run))
        return relink_plan_stage.plan_markdown(run)


def relink_load(run: Run, target: Org) -> None:
    """Sets the lookups, after the approval was checked."""
    with _stage(run, "load_relink", target=target):
        relink_stage.carry_out(run, target, relink_scope.rules_of(run))


def relink_verify(run: Run, target: Org) -> None:
    """Reads the records again and compares them with what the plan wanted."""
    with _stage(run, "verify", target=target):
        relink_stage.read_back(run, target, relink_scope.rules_of(run))


def contract_begin(run: Run, org: Org, lease_holder_ended: HolderEnded | None = None) -> None:
    """Takes the org that the param `role` names, and deletes what a contract that was killed has left in it."""
    with _stage(run, "preflight", **{run.params.role: org}):
        contract_stage.begin(run, org, lease_holder_ended)


def contract_plan(run: Run, artifacts: Folder) -> str:
    """Counts the records that will be made, hashes the plan, writes `plan.json`; gives the approval page as
    Markdown.
    """
    with _stage(run, "plan"):
        run.update(plan_hash=contract_stage.plan_hash(run))
        artifacts.mkdir(parents=True, exist_ok=True)
        write_json(artifacts, "plan.json", contract_stage.plan_document(run))
        return contract_stage.plan_markdown(run)


def contract_ask(run: Run, org: Org) -> dict[str, int]:
    """Asks, under the approval; deletes all its records and proves that none is left. Gives counts of
    answers by state.
    """
    with _stage(run, "load_contract", **{run.params.role: org}):
        return contract_stage.ask(run, org)


def setup_begin(
    run: Run,
    target: Org,
    sources: Sequence[str] = (),
    not_compared: str = "",
    lease_holder_ended: HolderEnded | None = None,
) -> None:
    """May fields and permission set be deployed to this org? Takes the org;
    arguments as `target_fields.stage.begin`."""
    with _stage(run, "preflight", target=target):
        setup_stage.begin(run, target, sources, not_compared, lease_holder_ended)


def setup_plan(run: Run, artifacts: Folder) -> str:
    """What is to be deployed and assigned, its hash, `plan.json`; the Markdown for whoever approves."""
    with _stage(run, "plan"):
        run.update(plan_hash=setup_stage.plan_hash(run, setup_stage.todo_of(run)))
        artifacts.mkdir(parents=True, exist_ok=True)
        write_json(artifacts, "plan.json", setup_stage.plan_document(run))
        return setup_stage.plan_markdown(run)


def setup_deploy(run: Run, target: Org, metadata: Path) -> str:
    """Deploys and assigns under the approval; nothing where nothing is missing. `metadata`: its folder."""
    with _stage(run, "load_setup", target=target):
        if setup_stage.todo_of(run):
            require_approval(run, setup_stage.current_hash(run, target))
        return setup_stage.carry_out(run, target, metadata)


def report(run: Run, artifacts: Folder) -> None:
    """All artifacts as the run stands now; works for a run that stopped anywhere, unless it was purged."""
    run.refresh()
    run.require_data()
    state = run.record.state or "running"
    _write_artifacts(run, artifacts, state)
    evidence.seal(run, artifacts, state)


def _write_artifacts(run: Run, artifacts: Folder, state: str, *, at_the_end: bool = False) -> dict[str, Any]:
    if run.record.mode == RunMode.ROLLBACK:
        return write_rollback_artifacts(run, artifacts, state)
    if run.record.mode == RunMode.RELINK:
        return write_relink_artifacts(run, artifacts, state)
    if run.record.mode == RunMode.CONTRACT:
        return write_contract_artifacts(run, artifacts, state)
    if run.record.mode == RunMode.SETUP_TARGET:
        summary = setup_stage.summarize_setup(run, state)
        artifacts.mkdir(parents=True, exist_ok=True)
        write_json(artifacts, "summary.json", summary)
        return summary
    return write_artifacts(run, artifacts, state, at_the_end=at_the_end)


def _proof_of(run: Run) -> tuple[Table, tuple[str, ...]]:
    """The tables that stand once a run is proved: a roll-back and a re-linking read the target again."""
    if run.record.mode == RunMode.ROLLBACK:
        return Table.VERIFY, rollback_scope.undone_objects(run)
    if run.record.mode == RunMode.RELINK:
        return Table.VERIFY, relink_scope.objects_of(run)
    return Table.EXPECTED, tuple(LOADED)


def finish(run: Run, artifacts: Folder, error: str | None, *, crashed: bool | None = None) -> RunState:
    """Decides the state of a run that is over, writes the artifacts, releases the pair; gives the state.

    `error`: message of the tasks that failed, None when none did. `crashed`: one of them failed for another
    reason than a rule of ours or refused rows; if it is not given, any error counts as such. Raises
    `ConfigurationError` for a run that was purged.
    """
    run.refresh()
    run.require_data()
    crashed = error is not None if crashed is None else crashed
    stopped_as = run.record.stopped_state
    if run.record.mode == RunMode.CONTRACT:
        facts = facts_of_contract(run, crashed=crashed, stopped_as=stopped_as)
    elif run.record.mode == RunMode.SETUP_TARGET:
        facts = setup_stage.facts_of_setup(run, crashed=crashed, stopped_as=stopped_as)
    else:
        proof, objects = _proof_of(run)
        facts = facts_of(run, crashed=crashed, stopped_as=stopped_as, proof=proof, objects=objects)
    state = decide(facts)
    told = run.record.message
    if error and not told:
        run.update(message=error)
    elif error and crashed and error not in told:
        run.update(message=f"{error} {told}")
    with run.stage("evidence"):
        evidence.write_records(run, artifacts, state)
    run.update(finished_at=datetime.now(UTC), stage="finished")
    summary = _write_artifacts(run, artifacts, state.value, at_the_end=True)
    evidence.seal(run, artifacts, state)
    # State and summary together: whoever watches must never see a state beside the counts of an earlier end.
    run.update(state=state.value, summary=summary)
    run.events.add("run_finished", level="info" if state in GOOD_STATES else "error", state=state.value)
    if kind_of(run.record.dag_id) == "sync" and state == RunState.VERIFIED:
        drop_idle_syncs(run.db, run.pair_id, run.run_id)
    run.lease.release()
    return state


@dataclass
class Walk:
    """One migration outside Airflow: what its stages need, and what they pass on.

    `approve` is called where a person would be asked.
    """

    run: Run
    source: Org
    target: Org
    artifacts: Folder
    approve: Callable[[], object]
    lanes: list[int] = field(default_factory=list)
    answer_canary: Callable[[], object] = lambda: None
    """Called where a person would be asked about the canary."""
    ends_with_canary: bool = False

    def do(self, name: str) -> None:
        """One stage, by its name in `coa.stages`; nothing, when the run ended with its canary before it."""
        if not (self.ends_with_canary and name in AFTER_CANARY):
            _DO[name](self)

    def canary(self) -> None:
        """Loads the canary."""
        self.ends_with_canary = not load_canary(self.run, self.target)

    def customers(self) -> None:
        """Loads the customers that the canary did not need."""
        if Policies(self.run.params).asks_after_canary:
            go_on(self.run, self.source, self.target)
        load_customers(self.run, self.target)

    def prepare(self) -> None:
        """Prepares the load of the orders and keeps its number of lanes."""
        self.lanes = prepare_load(self.run, self.source, self.target)


_DO: dict[str, Callable[[Walk], object]] = {
    "preflight": lambda w: preflight(w.run, w.source, w.target),
    "extract_source": lambda w: extract(w.run, w.source, SOURCE),
    "extract_target": lambda w: extract(w.run, w.target, TARGET),
    "transform": lambda w: transform(w.run),
    "reconcile": lambda w: reconcile(w.run),
    "plan": lambda w: plan(w.run, w.artifacts),
    "approve": lambda w: w.approve(),
    "prepare_load": Walk.prepare,
    "load_canary": Walk.canary,
    "approve_canary": lambda w: w.answer_canary(),
    "load_customers": Walk.customers,
    "load_lanes": lambda w: load_lanes(w.run, w.target, w.lanes),
    "load_links": lambda w: load_links(w.run, w.target, w.source),
    "mend": lambda w: mend(w.run, w.target),
    "verify": lambda w: verify(w.run, w.target, w.source),
    "freeze_check": lambda w: freeze_check(w.run, w.source),
}
STAGES = tuple(stage for stage in stages.STAGES if stage.name in _DO)
"""The stages that `Walk.do` takes, in their order; `start`, `report` and `verdict` frame them."""
AFTER_CANARY = frozenset(s.name for s in STAGES[STAGES.index(stages.APPROVE_CANARY) :])
"""What a run that ends with its canary does not come to."""
