"""The states that a run can end in."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """How a run ended, in the order in which they are asked: the first that holds (`coa.decide`)."""

    FAILED = "failed"
    BLOCKED = "blocked"
    NOT_APPROVED = "not_approved"
    ROWS_REJECTED = "rows_rejected"
    DIFFERENCES = "differences"
    DRY_RUN = "dry_run"
    CANARY_VERIFIED = "canary_verified"
    VERIFIED = "verified"


GOOD_STATES = frozenset({RunState.VERIFIED, RunState.DRY_RUN, RunState.CANARY_VERIFIED})
"""What was asked of the run was done; any other end makes its last task, or its command, fail."""
