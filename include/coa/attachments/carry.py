"""Carries files, notes and activities to the target, each once.

Each item is recorded before it is sent (`coa.attached`, state `sent`). If no answer came, the target is
searched for the copy; the item is sent again only if the copy is not there and the call has certainly ended. A
run after a kill does the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

from psycopg import sql

from coa.attachments import copies, ledger
from coa.attachments.inventory import fields_of
from coa.attachments.ledger import Item
from coa.attachments.transfer import create_with_body, download
from coa.batches import in_batches
from coa.errors import AmbiguousWrite, OrgRefused, OrgUnavailable
from coa.hanging import ATTACHMENT, LINK, VERSION, Hanging
from coa.load.retry import is_transient
from coa.load_steps import ATTACHMENTS
from coa.policies import Policies
from coa.salesforce.bulk import raise_worst
from coa.salesforce.session import Org
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table

log = logging.getLogger(__name__)

RECORDS_A_CALL = 200
NO_ROOM = "STORAGE_LIMIT_EXCEEDED"
TOLD = frozenset({"PathOnClient", "VersionNumber", "Checksum", "FileType", "ContentSize", "ActivityId"})
"""Kept with an item, and not written."""


def carry(run: Run, source: Org, target: Org) -> None:
    """Carries everything that the plan carries and whose record is in the target; refused items are listed.

    Raises `OrgUnavailable` when an item got no answer in all its tries; a retry continues from there.
    """
    if not run.has_table(Table.ATTACHED):
        return
    kinds = [kind for kind in Policies(run.params).hanging if fields_of(run, kind)]
    _begin_progress(run, kinds)
    users = Users(run)
    for tries in range(run.settings.row_attempts + 1):
        for kind in kinds:
            run.lease.require()
            _settle(run, target, kind, users)
            _SEND.get(kind.sobject, _send_records)(run, source, target, kind, users)
        wait = ledger.seconds_to_wait(run)
        if wait is None:
            return
        log.info("some calls got no answer (round %d): looking again in %.0f s", tries + 1, wait)
        _wait(run, wait)
    raise OrgUnavailable(
        f"{target.name}: something that hangs on the records was sent {run.settings.row_attempts} times without an "
        "answer.",
        next_step="run again when the org answers: what is there by then is found and not sent again.",
    )


def _begin_progress(run: Run, kinds: Iterable[Hanging]) -> None:
    totals = run.db.rows(
        sql.SQL("SELECT sobject, count(*) AS n FROM {} WHERE action = 'carry' GROUP BY 1").format(
            run.table(Table.ATTACHED)
        )
    )
    names = {kind.sobject for kind in kinds}
    for r in totals:
        if r["sobject"] in names:
            run.progress.add(ATTACHMENTS.name, str(r["sobject"]), total=int(r["n"]))


def _wait(run: Run, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 30.0))
        run.lease.renew()


class Users:
    """The target's user for each user of the source; nobody for a user without a counterpart, or who may
    own nothing.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known: dict[str, tuple[str, bool]] = {}
        if run.has_table(Table.MAP, "User") and run.has_table(TARGET, "User"):
            for r in run.db.rows(
                sql.SQL(
                    """SELECT m.source_id, m.target_id, t."IsActive" = 'true' AS active FROM {} m
                       JOIN {} t ON t."Id" = m.target_id"""
                ).format(run.table(Table.MAP, "User"), run.table(TARGET, "User"))
            ):
                self._known[str(r["source_id"])] = (str(r["target_id"]), bool(r["active"]))
        self._keeps_inactive = bool(run.record.target_org.get("keeps_inactive_owners"))

    def of(self, name: str, source_id: Any) -> str | None:
        """Id of the user in the target who takes the place of a user of the source in the field `name`; None for
        nobody.
        """
        found = self._known.get(str(source_id or ""))
        if found is None or (name == "OwnerId" and not found[1] and not self._keeps_inactive):
            return None
        return found[0]


def values_of(kind: Hanging, item: Item, users: Users) -> dict[str, Any]:
    """The values to write, without the parent: empty ones are left out, users are those of the target.

    A user without a counterpart is left out. The record then belongs to the running user, as records of the
    plan do.
    """
    values = {}
    for name, value in item.data.items():
        if name in TOLD or value is None:
            continue
        if name in ("OwnerId", "CreatedById"):
            value = users.of(name, value)
        if name == "ReasonForChange" and item.nth == 1:
            # It can only be given with a further version (Object Reference, "ContentVersion").
            continue
        if value is not None:
            values[name] = value
    return values


# ---- what was sent without an answer ------------------------------------------------------------
def _settle(run: Run, target: Org, kind: Hanging, users: Users) -> None:
    """Looks for items that were sent without an answer; those not found are sent again once their call has
    certainly ended.
    """
    for unanswered in ledger.unanswered(run, kind.sobject):
        items = {item.source_id: item for item, _ in unanswered}
        if kind.sobject == VERSION:
            found = {}
            for item in items.values():
                for record in copies.version_by_path(target, _path(run, item)):
                    found[item.source_id] = record
        elif kind.sobject == LINK:
            found = _links_there(target, items.values())
        else:
            found = copies.pair_equal(
                target,
                kind,
                [
                    (i.source_id, i.parent, values_of(kind, i, users), sha256, i.bytes)
                    for i, sha256 in unanswered
                ],
                copies.children_of(target, kind, [i.parent for i, _ in unanswered], fields_of(run, kind)),
                lambda record_id: ledger.is_taken(run, record_id),
            )
        ledger.note_created(
            run, [(items[key], str(r["Id"]), _parent_in(kind, r, items[key])) for key, r in found.items()]
        )
        ledger.forget_lost(run, [item for key, item in items.items() if key not in found])


def _parent_in(kind: Hanging, record: dict[str, Any], item: Item) -> str:
    return str(record["ContentDocumentId"]) if kind.sobject == VERSION else item.parent


def _links_there(target: Org, items: Iterable[Item]) -> dict[str, dict[str, Any]]:
    wanted = {(item.document, item.parent): item.source_id for item in items}
    return {
        wanted[key]: record
        for record in copies.links_of(target, [document for document, _ in wanted])
        if (key := (str(record["ContentDocumentId"]), str(record["LinkedEntityId"]))) in wanted
    }


# ---- files --------------------------------------------------------------------------------------
def _path(run: Run, item: Item) -> str:
    return copies.path_of(
        str(run.record.source_org["id"]),
        item.source_id,
        str(item.data.get("PathOnClient") or item.data.get("Title")),
    )


def _send_versions(run: Run, source: Org, target: Org, kind: Hanging, users: Users) -> None:
    """Documents side by side, the versions of each one after another."""

    def send(versions: list[Item]) -> None:
        if versions[0].waits:
            # The one before it has no answer, or was refused: this one would take its place.
            return
        document = versions[0].parent
        for item in versions:
            run.lease.require()
            document = _send_version(run, source, target, kind, item, document, users)
            if not document:
                return

    _adopt_versions(run, target, kind)
    for page in ledger.pending(run, kind.sobject):
        by_document = groupby((item for item, _ in page), key=lambda item: item.parent_id)
        with ThreadPoolExecutor(run.settings.file_threads) as pool:
            raise_worst([pool.submit(send, list(versions)) for _, versions in by_document])


def _adopt_versions(run: Run, target: Org, kind: Hanging) -> None:
    """What an earlier migration brought and this ledger does not know of. Asked only while something is to be sent."""
    there: dict[str, tuple[str, str]] | None = None
    for page in ledger.pending(run, kind.sobject):
        if there is None:
            there = {
                key: (str(r["Id"]), str(r["ContentDocumentId"]))
                for key, r in copies.versions_of_ours(target, str(run.record.source_org["id"]))
            }
        if not there:
            return
        known = [(item, *there[item.source_id]) for item, _ in page if item.source_id in there]
        ledger.note_created(run, known, adopted=True)


def _send_version(
    run: Run, source: Org, target: Org, kind: Hanging, item: Item, document: str, users: Users
) -> str:
    """The target's document that the version now is of; empty where that is not known."""
    path = _path(run, item)
    values = values_of(kind, item, users) | {"PathOnClient": path}
    if document:
        values["ContentDocumentId"] = document
    created = _send_with_body(run, source, target, kind, item, values, path.rpartition("/")[2])
    if not created:
        return ""
    if not document:
        record = target.data_json(
            f"/sobjects/{VERSION}/{created}", kind="file_look", params={"fields": "ContentDocumentId"}
        )
        document = str(record["ContentDocumentId"])
    ledger.note_created(run, [(item, created, document)])
    return document


def _send_with_body(
    run: Run, source: Org, target: Org, kind: Hanging, item: Item, values: dict[str, Any], file_name: str
) -> str:
    """The id of the new record; empty when it was refused, or got no answer."""
    md5 = str(item.data.get("Checksum") or "")
    with download(source, kind, item.source_id, size=item.bytes, md5=md5) as spooled:
        for attempt in range(1, run.settings.row_attempts + 1):
            ledger.note_sent(run, [item], spooled.sha256)
            try:
                return create_with_body(target, kind, values, spooled, file_name)
            except AmbiguousWrite as lost:
                log.warning("%s of %s: %s", kind.sobject, item.source_id, lost)
                return ""
            except OrgRefused as refused:
                if is_transient(refused.code, refused.said) and attempt < run.settings.row_attempts:
                    time.sleep(_pause(run, attempt))
                    continue
                ledger.note_refused(run, [(item, refused.code or str(refused.status), refused.said, "")])
                if refused.code == NO_ROOM:
                    # Every file after it would be refused as well.
                    raise OrgRefused(
                        refused.message,
                        status=refused.status,
                        code=refused.code,
                        said=refused.said,
                        next_step="free file storage in the target or have it extended, then run again.",
                    ) from refused
                return ""
    return ""


def _pause(run: Run, attempt: int) -> float:
    return min(run.settings.retry_first_seconds * float(2 ** (attempt - 1)), run.settings.retry_max_seconds)


def _send_attachments(run: Run, source: Org, target: Org, kind: Hanging, users: Users) -> None:
    """One a call. On a record that was there before this run an equal one may be there as well: then that is it."""
    for page in ledger.pending(run, kind.sobject):
        before = [item.parent for item, was_there in page if was_there]
        there = list(copies.children_of(target, kind, before, fields_of(run, kind))) if before else []
        for item, _ in page:
            run.lease.require()
            values = values_of(kind, item, users)
            equal = [r for r in there if r[kind.parent] == item.parent and not copies.differing(values, r)]
            if equal and _adopt(run, source, target, kind, item, values, equal):
                continue
            name = str(item.data.get("Name") or "")
            values |= {kind.parent: item.parent}
            created = _send_with_body(run, source, target, kind, item, values, name)
            if created:
                ledger.note_created(run, [(item, created, item.parent)])


def _adopt(
    run: Run,
    source: Org,
    target: Org,
    kind: Hanging,
    item: Item,
    values: dict[str, Any],
    candidates: list[dict[str, Any]],
) -> bool:
    with download(source, kind, item.source_id, size=item.bytes) as spooled:
        sha256 = spooled.sha256
    found = copies.pair_equal(
        target,
        kind,
        [(item.source_id, item.parent, values, sha256, item.bytes)],
        candidates,
        lambda record_id: ledger.is_taken(run, record_id),
    )
    ledger.note_created(
        run, [(item, str(r["Id"]), item.parent) for r in found.values()], sha256=sha256, adopted=True
    )
    return bool(found)


# ---- records without bytes ----------------------------------------------------------------------
def _send_links(run: Run, _source: Org, target: Org, kind: Hanging, users: Users) -> None:
    for page in ledger.pending(run, kind.sobject):
        for items in in_batches([item for item, _ in page], RECORDS_A_CALL):
            there = _links_there(target, items)
            ledger.note_created(
                run,
                [(i, str(there[i.source_id]["Id"]), i.parent) for i in items if i.source_id in there],
                adopted=True,
            )
            new = [i for i in items if i.source_id not in there]
            both = [{"ContentDocumentId": i.document, kind.parent: i.parent} for i in new]
            _send_together(
                run, target, new, [values_of(kind, i, users) | ids for i, ids in zip(new, both, strict=True)]
            )


def _send_records(run: Run, _source: Org, target: Org, kind: Hanging, users: Users) -> None:
    """What hangs on a record that was there before this run is looked for before it is sent."""
    for page in ledger.pending(run, kind.sobject):
        before = [
            (item.source_id, item.parent, values_of(kind, item, users), "", 0)
            for item, there in page
            if there
        ]
        found = copies.pair_equal(
            target,
            kind,
            before,
            copies.children_of(target, kind, [parent for _, parent, *_ in before], fields_of(run, kind)),
            lambda record_id: ledger.is_taken(run, record_id),
        )
        ledger.note_created(
            run,
            [(i, str(found[i.source_id]["Id"]), i.parent) for i, _ in page if i.source_id in found],
            adopted=True,
        )
        new = [item for item, _ in page if item.source_id not in found]
        for items in in_batches(new, RECORDS_A_CALL):
            _send_together(
                run, target, items, [values_of(kind, i, users) | {kind.parent: i.parent} for i in items]
            )


def _send_together(run: Run, target: Org, items: Iterable[Item], values: list[dict[str, Any]]) -> None:
    """One call for up to 200. What meets a lock is sent again, by fewer at a time."""
    left = list(zip(items, values, strict=True))
    for attempt in range(run.settings.row_attempts):
        if not left:
            return
        run.lease.require()
        size = max(1, RECORDS_A_CALL >> attempt)
        again: list[tuple[Item, dict[str, Any]]] = []
        for part in in_batches(left, size):
            again += _call(run, target, list(part), last=attempt + 1 == run.settings.row_attempts)
        left = again
        if left:
            time.sleep(_pause(run, attempt + 1))


def _call(
    run: Run, target: Org, part: list[tuple[Item, dict[str, Any]]], *, last: bool
) -> list[tuple[Item, dict[str, Any]]]:
    """Sends and notes; what may be sent again."""
    items = [item for item, _ in part]
    ledger.note_sent(run, items)
    records = [{"attributes": {"type": item.sobject}} | values for item, values in part]
    try:
        answers = target.send_json(
            "POST", "/composite/sobjects", {"allOrNone": False, "records": records}, kind="rest_write"
        )
    except AmbiguousWrite as lost:
        log.warning("%d records of %s: %s", len(items), items[0].sobject, lost)
        return []
    if not isinstance(answers, list) or len(answers) != len(items):
        # It says nothing of any record: each is looked up.
        return []
    created, refused, again = [], [], []
    for (item, values), answer in zip(part, answers, strict=True):
        errors = answer.get("errors") or []
        if answer.get("success"):
            created.append((item, str(answer["id"]), item.parent))
        elif errors:
            code, message = str(errors[0].get("statusCode") or ""), str(errors[0].get("message") or "")
            if is_transient(code, message) and not last:
                again.append((item, values))
            else:
                refused.append((item, code, message, " ".join(errors[0].get("fields") or [])))
    ledger.note_created(run, created)
    ledger.note_refused(run, refused)
    return again


_Sender = Callable[[Run, Org, Org, Hanging, Users], None]
_SEND: dict[str, _Sender] = {VERSION: _send_versions, LINK: _send_links, ATTACHMENT: _send_attachments}
