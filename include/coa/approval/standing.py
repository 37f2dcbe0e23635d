"""The standing approval: scheduled deltas of a pair of orgs may load without a person, within limits.

It is granted in the form with which a person approves a migration, only together with that approval. It has an
expiry date, a limit of records a run, a list of allowed actions, and it is bound to the terms of that run
(`coa.approval.terms`). A new grant replaces the older ones; a grant of 0 records withdraws them. The load
checks it again before its first write.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from coa.approval.terms import differences, named, terms_of
from coa.codes import WRITTEN
from coa.errors import RunStopped
from coa.plan.deletions import planned_deletions
from coa.staging.database import json_value
from coa.staging.fragments import list_of
from coa.staging.runs import Run
from coa.staging.tables import Table

Connection = psycopg.Connection[dict[str, Any]]

ACTIONS = ("insert", "update", "delete")
FIELDS = ("standing_until", "standing_records", "standing_actions")
"""Names of the form's fields."""
LONGEST = timedelta(days=92)
"""A cut-over that takes longer than a quarter deserves another look."""


def grant_from_form(run: Run, form: dict[str, Any], granted_by: str) -> str:
    """Grants what the form of an approved plan asks for; gives a sentence that says what became of it.

    A form that cannot be used grants nothing, and the sentence says why. The approval of the plan itself is
    not affected.
    """
    records, until = form.get("standing_records"), form.get("standing_until")
    if records in (None, "") and not until:
        return ""
    if str(records) == "0":
        withdrawn = revoke(run)
        run.events.add("standing_approval_withdrawn", by=granted_by, count=withdrawn)
        return "The standing approval is withdrawn."
    fault, expires_at, limit, actions = _read(form)
    if fault:
        run.events.add("standing_approval_not_granted", level="warning", why=fault)
        return f"No standing approval was granted: {fault}"
    revoke(run)
    run.db.execute(
        """INSERT INTO coa.standing_approval
             (pair_id, granted_by, granted_in, expires_at, max_records, actions, terms)
           VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        [run.pair_id, granted_by, run.run_id, expires_at, limit, actions, json_value(terms_of(run))],
    )
    run.events.add(
        "standing_approval_granted", by=granted_by, until=str(expires_at), records=limit, actions=actions
    )
    return f"Standing approval until {expires_at:%Y-%m-%d %H:%M} UTC, {limit} records a run: {', '.join(actions)}."


def granted_since(run: Run, moment: datetime) -> bool:
    """Whether this run has granted a standing approval since then, even if it was withdrawn later."""
    return bool(
        run.db.value(
            "SELECT count(*) FROM coa.standing_approval WHERE granted_in = %s AND granted_at >= %s",
            [run.run_id, moment],
        )
    )


def _read(form: dict[str, Any]) -> tuple[str, datetime, int, list[str]]:
    """(fault or empty, until when, how many records, which actions)."""
    never = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        limit = int(form.get("standing_records") or "")
    except ValueError:
        return "standing_records is no whole number.", never, 0, []
    try:
        until = datetime.fromisoformat(str(form.get("standing_until") or ""))
    except ValueError:
        return "standing_until is no date and time.", never, 0, []
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    now = datetime.now(UTC)
    actions = form.get("standing_actions") or ["insert", "update"]
    if isinstance(actions, str):
        actions = [a.strip() for a in actions.split(",") if a.strip()]
    if limit < 0:
        return "standing_records is below zero.", never, 0, []
    if not now < until <= now + LONGEST:
        return f"standing_until is not within the next {LONGEST.days} days.", never, 0, []
    if set(actions) - set(ACTIONS):
        return f"standing_actions may be {', '.join(ACTIONS)}.", never, 0, []
    return "", until, limit, list(actions)


def revoke(run: Run) -> int:
    """Withdraws every standing approval of the run's pair; gives their number."""
    return run.db.execute(
        "UPDATE coa.standing_approval SET revoked_at = clock_timestamp() WHERE pair_id = %s AND revoked_at IS NULL",
        [run.pair_id],
    )


def withdraw(connection: Connection, standing_id: int, by: str) -> bool:
    """Withdraws one standing approval, whoever granted it, and records who withdrew it; False when it was
    withdrawn before.
    """
    gone = connection.execute(
        """UPDATE coa.standing_approval SET revoked_at = clock_timestamp()
           WHERE standing_id = %s AND revoked_at IS NULL RETURNING granted_in""",
        [standing_id],
    ).fetchone()
    if gone is None:
        return False
    connection.execute(
        "INSERT INTO coa.event (run_id, level, event, data) VALUES (%s, 'info', 'standing_approval_withdrawn', %s)",
        [gone["granted_in"], json_value({"by": by, "count": 1, "standing_id": standing_id})],
    )
    return True


def current(run: Run) -> dict[str, Any] | None:
    """The newest standing approval of the pair that was not withdrawn, expired or not."""
    return run.db.row(
        """SELECT *, expires_at <= clock_timestamp() AS expired FROM coa.standing_approval
           WHERE pair_id = %s AND revoked_at IS NULL ORDER BY standing_id DESC LIMIT 1""",
        [run.pair_id],
    )


def check(run: Run) -> dict[str, Any]:
    """The standing approval that covers the run's plan; raises `RunStopped` (not_approved) when none does."""
    granted = current(run)
    ask = "have it granted in the approval form of a coa_migrate run."
    if granted is None:
        raise _refused("There is no standing approval for this pair of orgs.", ask)
    if granted["expired"]:
        raise _refused(f"The standing approval expired at {granted['expires_at']:%Y-%m-%d %H:%M}.", ask)
    if granted["terms"] is None:
        raise _refused(
            f"The standing approval of {granted['granted_at']:%Y-%m-%d %H:%M} is from before grants bound params, "
            "mapping and orgs: it is no longer valid.",
            ask,
        )
    other = differences(granted["terms"], terms_of(run))
    if other:
        raise _refused(
            f"The standing approval of {granted['granted_by']} was granted for something else: {named(other)}.",
            f"restore it, or {ask}",
        )
    counts = planned_writes(run)
    total = sum(counts.values())
    if total > granted["max_records"]:
        raise _refused(
            f"The plan writes {total} records; the standing approval allows {granted['max_records']} a run.",
            "look at the plan, and run coa_migrate with mode delta for it.",
        )
    beyond = sorted(a for a, n in counts.items() if n and a not in granted["actions"])
    if beyond:
        raise _refused(
            f"The plan contains actions that the standing approval does not cover: {', '.join(beyond)}.",
            "look at the plan, and run coa_migrate with mode delta for it.",
        )
    return granted


def _refused(message: str, next_step: str) -> RunStopped:
    return RunStopped(message, state="not_approved", next_step=next_step)


def planned_writes(run: Run) -> dict[str, int]:
    """Records that the plan inserts, updates and deletes."""
    counts = dict.fromkeys(ACTIONS, 0)
    for r in run.db.rows(
        sql.SQL("SELECT action, count(*) AS n FROM {} WHERE action IN {written} GROUP BY 1").format(
            run.table(Table.PLAN), written=list_of(WRITTEN)
        )
    ):
        counts[r["action"]] = int(r["n"])
    counts["delete"] = planned_deletions(run)
    return counts
