"""Who may approve, waive, grant and withdraw: a list set by the deployment, which users of Airflow cannot
change.

`COA_APPROVERS` (environment, else `[coa] approvers` in airflow.cfg) is the list. The Airflow variable
`coa_approvers` can only remove names from it, because somebody who may edit variables must not be able to
become an approver. Without a list everybody may do so whom Airflow lets answer or trigger, and the variable
only says whom the gate asks. `COA_FOUR_EYES=true`: the person who triggered a run may neither answer its plan
nor waive the question.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from coa.config import Settings
from coa.errors import ConfigurationError, RunStopped

if TYPE_CHECKING:
    from coa.staging.runs import Run

LIST = "COA_APPROVERS"
FOUR_EYES = "COA_FOUR_EYES"
VARIABLE = "coa_approvers"
NOT_APPROVED = "not_approved"


def approvers(variable: Callable[[], str] | None = None) -> frozenset[str]:
    """Names of the deployment's list less those that the variable leaves out; empty: there is no list.

    `variable` reads the Airflow variable; by default as tasks do. Raises `ConfigurationError` when the variable leaves
    nobody.
    """
    listed = frozenset(Settings.from_environment("approvers").approvers) or _names(_from_airflow_cfg())
    if not listed:
        return frozenset()
    narrowed = _names(variable()) if variable else _variable()
    left = listed & narrowed if narrowed else listed
    if not left:
        raise ConfigurationError(
            f"Nobody may approve: the variable {VARIABLE} names no one from {LIST}.",
            next_step=f"empty the variable {VARIABLE}, or have it name some of {', '.join(sorted(listed))}.",
        )
    return left


def asked(triggered_by: str) -> list[dict[str, str]]:
    """Users whom the gate asks, as Airflow takes them; empty: anybody whom Airflow lets answer."""
    names = approvers() or _variable()
    if four_eyes():
        names = names - {triggered_by} or names
    return [{"id": name, "name": name} for name in sorted(names)]


def four_eyes() -> bool:
    """Raises `InvalidParams` for a setting that is neither true nor false."""
    return Settings.from_environment("four_eyes").four_eyes


def may_answer(run: Run, *names: str) -> None:
    """Raises `RunStopped` (not_approved) unless a user, by id or name, may answer the plan of this run."""
    who = {name for name in names if name}
    shown = next((name for name in reversed(names) if name), "Nobody")
    entitled = approvers()
    if entitled and not who & entitled:
        raise RunStopped(
            f"{shown} is not one of those who may approve ({LIST}).",
            state=NOT_APPROVED,
            next_step=f"clear the task `approve` and have one of {', '.join(sorted(entitled))} answer.",
        )
    if four_eyes() and str(run.record.triggered_by or "") in who:
        raise RunStopped(
            f"{shown} triggered this run and cannot answer its plan as well ({FOUR_EYES}).",
            state=NOT_APPROVED,
            next_step="clear the task `approve` and have somebody else answer.",
        )


def may_waive(run: Run) -> str:
    """Who waives the approval of this run, which is who triggered it. Raises `RunStopped` (not_approved)."""
    who = str(run.record.triggered_by or "")
    entitled = approvers()
    if entitled and who not in entitled:
        raise RunStopped(
            f"{who or 'The user who triggered this run'} is not one of those who may waive the approval ({LIST}).",
            state=NOT_APPROVED,
            next_step=f"run with require_approval true, or have one of {', '.join(sorted(entitled))} trigger it.",
        )
    if four_eyes():
        raise RunStopped(
            f"No approval can be waived where two people are required ({FOUR_EYES}).",
            state=NOT_APPROVED,
            next_step="run with require_approval true under `make up`, where somebody else answers.",
        )
    return who or "unknown"


def who_triggers(dag_run: Any) -> str:
    """Identity of who started a run: in a headless run the user of the operating system, else Airflow's user.

    The process's own user id counts; environment variables such as USER or COA_TRIGGERED_BY say anything.
    """
    from coa_airflow.environment import HEADLESS

    if os.environ.get(HEADLESS):
        return os_user()
    return str(dag_run.triggering_user_name or "")


def os_user() -> str:
    """Name of the user of the operating system, for headless runs; its number where it has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _names(listed: str) -> frozenset[str]:
    return frozenset(filter(None, (part.strip() for part in listed.split(","))))


def _from_airflow_cfg() -> str:
    from airflow.configuration import conf

    return str(conf.get("coa", "approvers", fallback="") or "")


def _variable() -> frozenset[str]:
    from airflow.sdk import Variable

    return _names(str(Variable.get(VARIABLE, default="") or ""))
