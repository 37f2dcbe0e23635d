"""The field map of a run, from the describes that preflight kept. Every later stage works with it."""

from __future__ import annotations

from coa.fields.field_map import FieldMapping, carried_fields, type_conflict
from coa.mapping.model import Mapping
from coa.model import LOADED
from coa.salesforce.describe import Describe
from coa.staging.runs import SOURCE, TARGET, Run

DESCRIBES, FIELD_MAP = "describes", "field map"


def forget_saved(run: Run) -> None:
    """Clears what is cached of a run's describes. Call it after writing describes."""
    run.kept.pop(DESCRIBES, None)
    run.kept.pop(FIELD_MAP, None)


def saved_describes(run: Run, role: str) -> dict[str, Describe]:
    """The describes that preflight kept; read once a task, for they are large and every step asks."""
    kept: dict[str, dict[str, Describe]] = run.kept.setdefault(DESCRIBES, {})
    if role not in kept:
        found = run.db.rows(
            "SELECT sobject, describe FROM coa.describe WHERE run_id = %s AND org = %s", [run.run_id, role]
        )
        kept[role] = {str(r["sobject"]): Describe(r["describe"]) for r in found}
    return dict(kept[role])


def fitting_or_not(
    source: dict[str, Describe], target: dict[str, Describe], mapping: Mapping, created_dates: str
) -> dict[str, list[FieldMapping]]:
    """The field map of each loaded sObject, with the fields whose types do not fit."""
    return {
        sobject: carried_fields(sobject, source[sobject], target[sobject], mapping, created_dates)
        for sobject in LOADED
    }


def carried_by_object(
    source: dict[str, Describe], target: dict[str, Describe], mapping: Mapping, created_dates: str
) -> dict[str, list[FieldMapping]]:
    """The fields that are written.

    A field whose types do not fit is a blocker; it is left out here, so that the rest of the data can still
    be examined.
    """
    return {
        sobject: [one for one in fields if not type_conflict(one)]
        for sobject, fields in fitting_or_not(source, target, mapping, created_dates).items()
    }


def saved_carried(run: Run, mapping: Mapping) -> dict[str, list[FieldMapping]]:
    """The field map of the run, from the describes that preflight kept; made once a task."""
    made_from = (mapping, run.params.created_dates)
    kept = run.kept.get(FIELD_MAP)
    if kept is None or kept[0] != made_from:
        kept = (
            made_from,
            carried_by_object(saved_describes(run, SOURCE), saved_describes(run, TARGET), *made_from),
        )
        run.kept[FIELD_MAP] = kept
    return {sobject: list(fields) for sobject, fields in kept[1].items()}
