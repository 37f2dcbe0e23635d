"""The checks between an approved plan and the first write, for migrations and roll-backs alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from coa.approval import record as approval
from coa.errors import RunStopped
from coa.extract.changed_since import Changes, changed_since
from coa.load.work import create_work_tables
from coa.model import LOADED
from coa.salesforce.session import Org
from coa.staging.runs import TARGET, Run
from coa.wording import counted

Touched = Callable[[str, Changes], Iterable[str]]
"""sObject and its records that changed in the target -> those of them that the plan rests on."""


def require_go_ahead(run: Run, current_hash: str) -> bool:
    """Checks that the plan is the approved one and that the run holds its pair, and makes the work tables.

    True if this is the first time: a retry has already written, and its own writes must not count as a
    change by others. Raises `RunStopped` (not_approved) without an approval of exactly this plan,
    `PairBusy` when another run took the pair over.
    """
    if current_hash != run.record.plan_hash:
        raise RunStopped(
            f"The plan of run {run.run_id} was changed after it was made.",
            state="not_approved",
            next_step="trigger a new run and have its plan approved.",
        )
    approval.require(run, current_hash)
    run.lease.require()
    create_work_tables(run)
    return run.record.loaded_at is None


def begin_to_write(run: Run) -> None:
    """Marks that writing begins: the plan is fixed from now on, and clearing earlier tasks changes nothing."""
    run.update(loaded_at=datetime.now(UTC))


def refuse_changed_target(run: Run, target: Org, touched: Touched) -> None:
    """Raises `RunStopped` (blocked) when records that the plan rests on changed in the target since it was made."""
    changed = changed_since(run, target, TARGET)
    for sobject in LOADED:
        concerned = sorted(touched(sobject, changed[sobject])) if changed[sobject] else []
        if concerned:
            raise RunStopped(
                f"{counted(len(concerned), 'record')} of {sobject} changed in the target after the plan was made "
                f"(such as {concerned[0]}).",
                state="blocked",
                next_step="trigger a new run: its plan will use the target as it is now.",
            )
