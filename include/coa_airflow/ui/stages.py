"""The way of the data as a row of stages, from the run's events. Pure functions on plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from coa import stages
from coa.kinds import kind_of
from coa.states import RunState


@dataclass(frozen=True)
class Box:
    """One box of the row; `parts` are the engine's times that it stands for, in their order."""

    key: str
    label: str
    parts: tuple[str, ...] = ()


def _boxes(found: tuple[stages.Stage, ...]) -> list[Box]:
    """A box a stage, and one for the whole load."""
    keys: dict[str, list[stages.Stage]] = {}
    for stage in found:
        keys.setdefault(stages.LOAD if stage.group == stages.LOAD else stage.name, []).append(stage)
    return [
        Box(key, some[0].label, tuple(part for one in some for part in one.parts))
        for key, some in keys.items()
    ]


# The freeze check says something of the source, and `verdict` closes what `report` shows.
SHOWN = tuple(s for s in stages.STAGES if s.name not in ("start", "freeze_check", "verdict"))
WHOLE = _boxes(SHOWN)
PLANNING = _boxes(SHOWN[: SHOWN.index(stages.APPROVE)])
REPORT = WHOLE[-1]
CANARY = Box(stages.LOAD, "Load the canary", ("prepare_load", "load_canary"))
"""The load of a run that ended there; its proof is part of it."""
ROWS = {"preflight": [*PLANNING, REPORT], "migrate": WHOLE, "sync": WHOLE}


@dataclass
class Times:
    """When an engine stage began and ended: several times, when tasks were tried again or ran side by side."""

    started: list[datetime] = field(default_factory=list)
    ended: list[datetime] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether the stage has begun."""
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


def _stages(run: dict[str, Any], times: dict[str, Times]) -> list[Box]:
    known = ROWS.get(kind_of(run["dag_id"]))
    if known is None:
        # Other DAGs (verify, rollback): what they have done so far, in that order.
        order = sorted(times, key=lambda name: min(times[name].started + times[name].ended))
        labels = {part: stage for stage in WHOLE for part in stage.parts if part == stage.key}
        found = [labels.get(n, Box(n, n.replace("_", " ").capitalize(), (n,))) for n in order]
        return [*found, REPORT]
    if run["params"].get("dry_run"):
        return [*PLANNING, REPORT]
    if run["state"] == RunState.CANARY_VERIFIED:
        return [CANARY if one.key == stages.LOAD else one for one in known if one.key != "verify"]
    return list(known)


def _box(
    stage: Box, times: dict[str, Times], approval: str, decided: bool, now: datetime, over: bool
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
    stage: Box, times: dict[str, Times], parts: list[Times], approval: str, decided: bool, over: bool
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
