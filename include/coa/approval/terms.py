"""The terms that a standing approval is bound to: orgs, params, mapping, user, package and automation.

A scheduled run takes its params from the grant. If one of the terms has changed since, the run ends as
`not_approved` and names what changed.
"""

from __future__ import annotations

from typing import Any

from coa.config import RunParams
from coa.staging.database import Database
from coa.staging.runs import Run

Terms = dict[str, Any]

OF_THE_RUN = frozenset({"mode", "dry_run", "require_approval", "run_id", "force"})
"""Params that say what kind of run it is, and nothing of what it writes."""
MOST_NAMED = 8


def terms_of(run: Run) -> Terms:
    """The terms of a run, as JSON. Call it after preflight, which finds out user, package and automation."""
    params = {name: value for name, value in run.params.model_dump().items() if name not in OF_THE_RUN}
    source, target = run.record.source_org or {}, run.record.target_org or {}
    # The mapping file's own condition comes with its hash.
    params["orders_where"] = str(run.record.given_params.get("orders_where") or "").strip()
    return {
        "params": params,
        "mapping_sha256": run.record.mapping_sha256,
        "source_org": source.get("id", ""),
        "target_org": target.get("id", ""),
        "writing_user": target.get("user_id", ""),
        "package": {role: run.record.package(role) for role in ("source", "target")},
        "automation": {
            name: target.get(name) or []
            for name in ("automation", "inactive_validation_rules", "inactive_workflow_rules")
        },
    }


def differences(granted: Terms, now: Terms) -> list[str]:
    """The terms that changed since the grant, each in words."""
    found = []
    for name in sorted({*granted["params"], *now["params"]}):
        was, is_now = granted["params"].get(name), now["params"].get(name)
        if was != is_now:
            found.append(f"param {name} is {_shown(is_now)}, granted was {_shown(was)}")
    for name, words in (
        ("mapping_sha256", "the mapping"),
        ("source_org", "the source org"),
        ("target_org", "the target org"),
        ("writing_user", "the user who writes"),
    ):
        if granted.get(name) != now[name]:
            found.append(f"{words} is {_shown(now[name])[:24]}, granted was {_shown(granted.get(name))[:24]}")
    for role in ("source", "target"):
        was, is_now = granted["package"].get(role), now["package"][role]
        if was != is_now:
            found.append(f"the package of the {role} is {_shown(is_now)}, granted was {_shown(was)}")
    return found + _automation(granted["automation"], now["automation"])


def _automation(was: dict[str, list[str]], is_now: dict[str, list[str]]) -> list[str]:
    found = []
    for name, entries in is_now.items():
        kind = name.replace("_", " ")
        found += [
            f"{kind} of the target: {one} came" for one in sorted(set(entries) - set(was.get(name, [])))
        ]
        found += [
            f"{kind} of the target: {one} went" for one in sorted(set(was.get(name, [])) - set(entries))
        ]
    return found


def named(found: list[str]) -> str:
    """The first few of `found` as one text, with the number of the rest."""
    rest = len(found) - MOST_NAMED
    return "; ".join(found[:MOST_NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def _shown(value: Any) -> str:
    return "empty" if value in ("", None) else str(value)


def granted_params(db: Database, source_conn_id: str, target_conn_id: str) -> dict[str, Any]:
    """Params of the newest standing approval that is in force for these connections; empty without one.

    They are only where the run starts from: `standing.check` compares the orgs behind the connections
    before the first write.
    """
    row = db.row(
        """SELECT terms -> 'params' AS params FROM coa.standing_approval
           WHERE revoked_at IS NULL AND expires_at > clock_timestamp() AND terms IS NOT NULL
             AND terms -> 'params' ->> 'source_conn_id' = %s AND terms -> 'params' ->> 'target_conn_id' = %s
           ORDER BY standing_id DESC LIMIT 1""",
        [source_conn_id, target_conn_id],
    )
    return (
        {name: value for name, value in row["params"].items() if name in RunParams.model_fields}
        if row
        else {}
    )
