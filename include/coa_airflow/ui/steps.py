"""The bars of a run: rows of `coa.progress` and sums of `coa.job` as the page shows them. Pure functions."""

from __future__ import annotations

from typing import Any

from coa.load_steps import BY_NAME, CREATING, EXTRACT_SOURCE, PLACE, Phase, label_of
from coa.model import LOADED, NS
from coa.report.summary import objects_of

OBJECTS = list(LOADED)


def short(sobject: str) -> str:
    """`CHANNEL_ORDERS__Service_Order__c` as people say it.

    >>> short("CHANNEL_ORDERS__Service_Order__c")
    'Service Order'
    """
    return sobject.removeprefix(NS).removesuffix("__c").replace("_", " ")


def step_rows(progress: list[dict[str, Any]], jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a step and sObject, in the order of the data; objects that are only matched make one row."""
    sent = {(j["step"], j["sobject"]): j for j in jobs}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for p in progress:
        known = BY_NAME.get(p["step"])
        phase = known.phase if known else Phase.WRITE
        matched_only = phase == Phase.READ and p["sobject"] not in LOADED
        name = "Reference objects" if matched_only else short(p["sobject"])
        row = rows.setdefault(
            (p["step"], name),
            {
                "step": p["step"],
                "label": label_of(p["step"]),
                "phase": phase.value,
                "sobject": "" if matched_only else p["sobject"],
                "name": name,
                "planned": 0,
                "sent": None,
                "accepted": 0,
                "rejected": 0,
                "started": p["started_at"],
                "updated": p["updated_at"],
            },
        )
        job = sent.get((p["step"], p["sobject"]))
        row["planned"] += p["total"]
        row["accepted"] += p["done"]
        row["rejected"] += p["rejected"]
        row["started"] = min(row["started"], p["started_at"])
        row["updated"] = max(row["updated"], p["updated_at"])
        if job:
            row["sent"] = (row["sent"] or 0) + job["rows_sent"]
            # The total is set when the load is prepared: a rate counts from the first job.
            row["started"] = max(row["started"], job["first_at"])
    for row in rows.values():
        # Steps that find their rows as they go have no total before: what was sent is the plan then.
        row["planned"] = max(row["planned"], row["sent"] or 0, row["accepted"] + row["rejected"])
        row["started"], row["updated"] = row["started"].timestamp(), row["updated"].timestamp()
    return sorted(rows.values(), key=_position)


PHASES = (Phase.READ.value, Phase.WRITE.value, Phase.PROVE.value)
SURE_AFTER_SECONDS = 5
"""A rate that was watched for less says nothing of the time that is left."""


def overall(rows: list[dict[str, Any]], now: float) -> dict[str, Any] | None:
    """How far the phase is that works now: `phase`, `settled` and `planned` rows, `seconds_left` (None: not known yet).

    `rows`: of `step_rows`. None when none has rows left: between two phases nobody knows how much will come.
    """
    for phase in reversed(PHASES):
        own = [row for row in rows if row["phase"] == phase]
        settled = sum(row["accepted"] + row["rejected"] for row in own)
        planned = sum(row["planned"] for row in own)
        if not own:
            continue
        if settled >= planned:
            return None
        watched = now - min(row["started"] for row in own)
        known = settled > 0 and watched >= SURE_AFTER_SECONDS
        left = round((planned - settled) / (settled / watched)) if known else None
        return {"phase": phase, "settled": settled, "planned": planned, "seconds_left": left}
    return None


def _position(row: dict[str, Any]) -> tuple[int, int, str]:
    known = PLACE.get(row["step"], len(PLACE))
    place = OBJECTS.index(row["sobject"]) if row["sobject"] in OBJECTS else len(OBJECTS)
    return known, place, row["name"]


def object_rows(
    plan: list[dict[str, Any]],
    progress: list[dict[str, Any]],
    summary: dict[str, Any] | None,
    proved: bool,
) -> list[dict[str, Any]]:
    """One row a loaded sObject, or one whose lookups are set, from reading to proof. Null: not known yet.

    `plan`: rows of `coa.plan_count`; `summary`: the run's, when it is over; `proved`: verify ran to its end.
    """
    done = {(p["step"], p["sobject"]): p for p in progress}
    final = objects_of(summary)
    rows = []
    for sobject in LOADED if not final or set(final) & set(LOADED) else final:
        counts = dict.fromkeys(("insert", "update", "unchanged", "match", "blocked", "held"), 0)
        for p in plan:
            if p["sobject"] == sobject:
                counts[p["action"]] += p["records"]
        created = [done[step, sobject] for step in CREATING if (step, sobject) in done]
        read = done.get((EXTRACT_SOURCE.name, sobject))
        row: dict[str, Any] = {
            "sobject": sobject,
            "name": short(sobject),
            "extracted": read["done"] if read else None,
            **(counts if plan else dict.fromkeys(counts)),
            "written": sum(p["done"] for p in created) if created else None,
            "rejected": sum(p["rejected"] for p in progress if p["sobject"] == sobject) if created else None,
            "verified": None,
            "different": None,
        }
        end = final.get(sobject)
        if end:
            row |= {
                "extracted": end["extracted"] if plan else row["extracted"],
                "held": end["held"] if plan else None,
                "written": sum(end[name] for name in ("inserted", "updated", "deleted", "restored", "set")),
                "rejected": end["rejected"],
                "verified": end["verified"] if proved else None,
                "different": end["different"] + end["missing"] + end["duplicated"] if proved else None,
            }
        rows.append(row)
    return rows
