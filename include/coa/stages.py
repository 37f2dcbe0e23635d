"""The stages of a migration in their order: for the DAGs, the engine, the page and the terminal.

Light to import: DAG files are parsed again and again. `coa.pipeline.STAGES` has what each one does. To add a stage:
a row here, its function there, its task in `coa_airflow.tasks`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from coa.load_steps import EXTRACT_SOURCE, EXTRACT_TARGET, EXTRACT_VERIFY

EXTRACT = "extract"
LOAD = "load"


@dataclass(frozen=True)
class Stage:
    """One stage; `name` is that of its times (`coa.stage_time`) and events.

    `label`: in the page's row of boxes. `title`: in full, in the terminal. `group`: the Airflow task group that it
    stands in; those of `extract` run side by side, all others one after another. `timed`: names of its times, where
    they are not its own alone.
    """

    name: str
    label: str
    title: str
    group: str = ""
    timed: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Names under which its times are kept."""
        return self.timed or (self.name,)


START = Stage("start", "Start", "Start")
APPROVE = Stage("approve", "Approve", "Approve the plan")
APPROVE_CANARY = Stage("approve_canary", "Load", "Approve what the canary showed", LOAD)
REPORT = Stage("report", "Report", "Report")
VERDICT = Stage("verdict", "Verdict", "Decide the run's state")

STAGES: tuple[Stage, ...] = (
    START,
    Stage("preflight", "Check", "Check both orgs"),
    Stage("extract_source", "Read source", EXTRACT_SOURCE.label, EXTRACT),
    Stage("extract_target", "Read target", EXTRACT_TARGET.label, EXTRACT),
    Stage("transform", "Transform", "Transform"),
    Stage("reconcile", "Match", "Match and decide"),
    Stage("plan", "Plan", "Plan"),
    APPROVE,
    Stage("prepare_load", "Load", "Prepare the load", LOAD),
    Stage("load_canary", "Load", "Load and prove the canary", LOAD),
    APPROVE_CANARY,
    Stage("load_customers", "Load", "Write customers", LOAD),
    Stage("load_lanes", "Load", "Write orders in lanes", LOAD),
    Stage("load_links", "Load", "Write links and deletions", LOAD, timed=("load_links", "load_attachments")),
    Stage("mend", "Load", "Correct what differs", LOAD),
    Stage(
        "verify",
        "Verify",
        "Compare field by field",
        timed=(EXTRACT_VERIFY.name, "verify", "verify_attachments", "verify_sample"),
    ),
    Stage("freeze_check", "Source still?", "Did the source stand still?"),
    REPORT,
    VERDICT,
)
BY_NAME = {stage.name: stage for stage in STAGES}


def members(group: str) -> list[Stage]:
    """The stages of a group, in their order."""
    return [stage for stage in STAGES if stage.group == group]


def in_order(names: Iterable[str]) -> list[str]:
    """Names of stages or groups as they follow one another. Raises `ValueError` for one that the table lacks.

    >>> in_order(["plan", "extract", "preflight"])
    ['preflight', 'extract', 'plan']
    """
    order = list(dict.fromkeys(stage.group or stage.name for stage in STAGES))
    wanted = list(names)
    if unknown := sorted(set(wanted) - set(order)):
        raise ValueError(f"no stage or group is called {', '.join(unknown)}")
    return sorted(wanted, key=order.index)
