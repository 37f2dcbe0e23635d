"""Takes the records of probes away, children first, and proves by a query that none is left."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from coa.contract.ledger import Written
from coa.contract.marks import CHILDREN_FIRST, MARK_FIELDS, bears_mark
from coa.contract.probe_org import KIND
from coa.errors import ConfigurationError, OrgRefused
from coa.salesforce.bulk import IngestJobs
from coa.salesforce.session import Org
from coa.salesforce.soql import text_list

log = logging.getLogger(__name__)

A_CALL = 200
GONE = frozenset({"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"})
"""Codes of a deletion that has nothing left to do."""


@dataclass(frozen=True)
class Removed:
    """What a clean-up did: records deleted, those of them that lie in the recycle bin, those that are still there."""

    deleted: int = 0
    in_recycle_bin: int = 0
    left: int = 0


def clean(org: Org, written: list[Written]) -> Removed:
    """Everything that these keys stand for. Raises `ConfigurationError` when the org keeps a record."""
    for one in written:
        _end_jobs(org, one.jobs)
    found = {name: _living(org, name, written) for name in CHILDREN_FIRST}
    wanted = sum(len(ids) for ids in found.values())
    for_good = bool(wanted) and _may_delete_for_good(org)
    refusals: set[str] = set()
    for name in CHILDREN_FIRST:
        # Deletions before this one may have taken some along.
        ids = sorted(found[name])
        if ids:
            refusals |= _delete(org, name, ids, for_good=for_good)
    left = {name: len(_living(org, name, written)) for name in CHILDREN_FIRST}
    if any(left.values()):
        raise ConfigurationError(
            "Records of probes are still there: "
            + ", ".join(f"{n} of {name}" for name, n in left.items() if n)
            + (f" ({', '.join(sorted(refusals))})." if refusals else "."),
            next_step=f"give the user of {org.name} the right to delete them (permission set COA Admin User), then "
            "run the contract again: it deletes them before anything else.",
        )
    return Removed(wanted, _in_recycle_bin(org, written) if written else 0, 0)


def _end_jobs(org: Org, jobs: tuple[str, ...]) -> None:
    """A job of a killed run could still make records after they were counted."""
    ingest = IngestJobs(org)
    for job_id in jobs:
        status = ingest.status(job_id)
        if status is not None and not status.over:
            ingest.abort(job_id)
            again = ingest.status(job_id)
            if again is not None and not again.over:
                ingest.wait(job_id, known=again)


def _living(org: Org, sobject: str, written: list[Written]) -> set[str]:
    """Ids of living records with a mark of these keys, and of those that the ledger names."""
    found: set[str] = set()
    for one in written:
        conditions = [bears_mark(sobject, one.key)]
        conditions += [f"Id IN ({text_list(part)})" for part in _parts(one.ids.get(sobject, ()))]
        for condition in conditions:
            found |= _ids(org, sobject, condition)
    return found


def _ids(org: Org, sobject: str, condition: str) -> set[str]:
    try:
        return {str(r["Id"]) for r in org.query(f"SELECT Id FROM {sobject} WHERE {condition}")}
    except OrgRefused as refused:
        if refused.code in ("INVALID_TYPE", "INVALID_FIELD"):
            # An org without the object, or the field that would bear the mark: no probe can have written there.
            log.info("%s was not looked at for records of probes: %s", sobject, refused.code)
            return set()
        raise


def _may_delete_for_good(org: Org) -> bool:
    """Whether the user may delete past the recycle bin; an org that does not tell counts as no."""
    try:
        return bool(
            org.count(
                "PermissionSetAssignment",
                f"AssigneeId = '{org.user_id()}' AND PermissionSet.PermissionsBulkApiHardDelete = true",
            )
        )
    except OrgRefused:
        return False


def _delete(org: Org, sobject: str, ids: list[str], *, for_good: bool) -> set[str]:
    """Deletes; codes of refusals that leave a record where it is."""
    if for_good and _delete_for_good(org, sobject, ids):
        return set()
    refusals: set[str] = set()
    for part in _parts(ids):
        answers: list[dict[str, Any]] = org.request(
            "DELETE",
            f"{org.data_path}/composite/sobjects",
            kind=KIND,
            params={"ids": ",".join(part), "allOrNone": "false"},
            safe=True,
        ).json()
        for one in answers:
            codes = {str(error.get("statusCode", "")) for error in one.get("errors") or []}
            refusals |= set() if one.get("success") else codes - GONE
    return refusals


def _delete_for_good(org: Org, sobject: str, ids: list[str]) -> bool:
    """By a Bulk job; False when the org does not take it."""
    jobs = IngestJobs(org)
    try:
        job_id = jobs.create(sobject, "hardDelete")
    except OrgRefused as refused:
        log.info("%s are deleted into the recycle bin: %s", sobject, refused.code)
        return False
    jobs.upload(job_id, io.BytesIO(("Id\n" + "".join(f"{one}\n" for one in ids)).encode()))
    jobs.close(job_id)
    return jobs.wait(job_id).failed == 0


def _in_recycle_bin(org: Org, written: list[Written]) -> int:
    """Deleted records of these keys that queryAll still finds."""
    found: set[str] = set()
    for name in MARK_FIELDS:
        for one in written:
            soql = f"SELECT Id FROM {name} WHERE {bears_mark(name, one.key)} AND IsDeleted = true"
            try:
                found |= {str(r["Id"]) for r in org.query(soql, all_rows=True)}
            except OrgRefused as refused:
                log.info("the recycle bin was not looked at for %s: %s", name, refused.code)
    return len(found)


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many ids at a time as one call takes."""
    for start in range(0, len(ids), A_CALL):
        yield ids[start : start + A_CALL]
