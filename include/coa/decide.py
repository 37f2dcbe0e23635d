"""How a run ended: one decision for migrations and roll-backs, from facts that others collect."""

from __future__ import annotations

from dataclasses import dataclass

from coa.states import RunState


@dataclass(frozen=True)
class Facts:
    """What is known of a run that is over."""

    crashed: bool = False
    """Something ended it that was neither a rule of ours nor the refusal of rows: an error, a kill, a time-out."""
    stopped_as: RunState | None = None
    """The state that the rule named which stopped it (`RunStopped`)."""
    refused_after_canary: bool = False
    """Whoever was asked after the canary said no, or nobody answered in time."""
    stopped_by_refusals: bool = False
    """`on_row_failure: stop`: it ended at the first step with refused rows."""
    rows_refused: bool = False
    different: bool = False
    """The proof found differences that nothing explains."""
    proved: bool = False
    """The proof of what was to be written ran to its end."""
    dry_run: bool = False
    canary_only: bool = False
    """`canary_gate: only`: nothing but the canary was to be written."""


def decide(facts: Facts) -> RunState:
    """The first state that holds, in the order of `RunState`.

    A run that nothing stopped must have a proof. Without one it failed, whatever else is known of it.
    """
    if facts.crashed:
        return RunState.FAILED
    if facts.stopped_as is not None:
        return facts.stopped_as
    if facts.refused_after_canary:
        return RunState.NOT_APPROVED
    if not (facts.proved or facts.dry_run or facts.stopped_by_refusals):
        return RunState.FAILED
    if facts.rows_refused or facts.stopped_by_refusals:
        return RunState.ROWS_REJECTED
    if facts.different:
        return RunState.DIFFERENCES
    if facts.dry_run:
        return RunState.DRY_RUN
    return RunState.CANARY_VERIFIED if facts.canary_only else RunState.VERIFIED
