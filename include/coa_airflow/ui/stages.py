"""The way of the data as a row of stages, from the run's events. Pure functions on plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from coa.kinds import kind_of


@dataclass(frozen=True)
class Stage:
    """One box of the row; `parts` are the engine's stages that it stands for, in their order."""

    key: str
    label: str
    parts: tuple[str, ...] = ()


PLANNING = (
    Stage("preflight", "Check", ("preflight",)),
    Stage("extract_source", "Read source", ("extract_source",)),
    Stage("extract_target", "Read target", ("extract_target",)),
    Stage("transform", "Transform", ("transform",)),
    Stage("reconcile", "Match", ("reconcile",)),
    Stage("plan", "Plan", ("plan",)),
)
WRITING = (
    Stage("approve", "Approve"),
    Stage("load", "Load", ("prepare_load", "load_customers", "load_lanes", "load_links")),
    Stage("verify", "Verify", ("extract_verify", "verify")),
)
REPORT = Stage("report", "Report")

WHOLE = (*PLANNING, *WRITING, REPORT)
ROWS = {"preflight": (*PLANNING, REPORT), "migrate": WHOLE, "sync": WHOLE}


@dataclass
class Times:
    """When an engine stage began and ended: several times, when tasks were tried again or ran side by side."""

    started: list[datetime] = field(default_factory=list)
    ended: list[datetime] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        return bool(self.started)

    @property
    def over(self) -> bool:
        """The last thing that happened to it is an end."""
        return bool(self.ended) and max(self.ended) >= max(self.started, default=max(self.ended))


def stage_row(
    run: dict[str, Any], events: list[dict[str, Any]], approval: str, now: datetime, over: bool
) -> list[dict[str, Any]]:
    """`[{key, label, state, seconds}]`; state: waiting, running, asking, done, failed or skipped.

    `run`: row of `coa.run`; `events`: rows (event, stage, at) of starts and ends; `approval`: see
    `approval_state`; `over`: nothing works on the run any more.
    """
    times: dict[str, Times] = {}
    for event in events:
        one = times.setdefault(str(event["stage"]), Times())
        (one.started if event["event"] == "stage_started" else one.ended).append(event["at"])
    return [
        _box(stage, times, approval, run["state"] is not None, now, over) for stage in _stages(run, times)
    ]


def _stages(run: dict[str, Any], times: dict[str, Times]) -> list[Stage]:
    known = ROWS.get(kind_of(run["dag_id"]))
    if known is None:
        # Other DAGs (verify, rollback): what they have done so far, in that order.
        order = sorted(times, key=lambda name: min(times[name].started + times[name].ended))
        labels = {part: stage for stage in WHOLE for part in stage.parts if part == stage.key}
        found = [labels.get(n, Stage(n, n.replace("_", " ").capitalize(), (n,))) for n in order]
        return [*found, REPORT]
    if run["params"].get("dry_run"):
        return [*PLANNING, REPORT]
    return list(known)


def _box(
    stage: Stage, times: dict[str, Times], approval: str, decided: bool, now: datetime, over: bool
) -> dict[str, Any]:
    parts = [times[name] for name in stage.parts if name in times]
    state = _state(stage, times, parts, approval, decided, over)
    seconds = None
    if any(part.begun for part in parts):
        first = min(min(part.started) for part in parts if part.begun)
        ends = [max(part.ended) for part in parts if part.ended]
        # Of lanes side by side one may have ended while others go on.
        last = now if state == "running" else max(ends, default=first)
        seconds = max(0.0, (last - first).total_seconds())
    return {
        "key": stage.key,
        "label": stage.label,
        "state": state,
        "seconds": seconds,
    }


def _state(
    stage: Stage, times: dict[str, Times], parts: list[Times], approval: str, decided: bool, over: bool
) -> str:
    if stage.key == "report":
        return "done" if decided else "failed" if over else "waiting"
    if stage.key == "approve":
        state = {"asked": "asking", "approved": "done", "waived": "done", "refused": "failed"}.get(approval)
        return state or ("skipped" if over else "waiting")
    last = times.get(stage.parts[-1])
    if last is not None and last.over and all(part.over for part in parts):
        return "done"
    if any(part.begun for part in parts):
        return "failed" if over else "running"
    return "skipped" if over else "waiting"


def approval_state(asked: bool, answers: list[dict[str, Any]], finished: bool) -> str:
    """`none`, `asked`, `approved`, `waived` or `refused`; `answers`: rows of `coa.approval`, newest last."""
    if answers:
        last = answers[-1]
        if not last["approved"]:
            return "refused"
        return "approved" if last["kind"] == "approval" else "waived"
    return "asked" if asked and not finished else "none"
