"""Undoes what a run carried beside the records, before the records themselves are deleted.

Deleted is only what the run itself sent and nobody changed since. A document with versions or links that are
not the run's, or a record changed after its proof, stays and is listed with a next step. `force` deletes what
was changed, but never what others have added. A single version cannot be deleted, only its whole document
(Object Reference, "ContentVersion": no delete call).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from psycopg import sql

from coa.attachments import copies
from coa.batches import in_batches
from coa.codes import Undo
from coa.errors import OrgRefused
from coa.hanging import DOCUMENT, KIND, LINK, VERSION
from coa.load_steps import UNDO_ATTACHMENTS
from coa.salesforce.session import Org
from coa.salesforce.soql import text_list
from coa.staging import tables
from coa.staging.database import Row
from coa.staging.runs import Run
from coa.staging.tables import Table

IDS_A_QUERY = 200
RECORDS_A_CALL = 200
ORDER = ("EmailMessage", "Event", "Task", "Note", "Attachment", LINK, DOCUMENT)
"""Links before the documents that go with them."""
LOOK = "look at it; force takes what was changed, never what others use."

Verdict = tuple[str, str, str]
"""(action, reason code, reason)."""
TAKE: Verdict = (Undo.DELETE, "", "")


def plan(run: Run, original: Run, target: Org) -> None:
    """Fills the table `attached_undo`; makes none where the run carried nothing."""
    sent = run.db.rows(
        """SELECT sobject, source_id, parent_id, target_id, target_parent, stamp FROM coa.attached
           WHERE pair_id = %s AND inserted_run = %s AND target_id IS NOT NULL AND state <> 'deleted'
           ORDER BY sobject, source_id""",
        [run.pair_id, original.run_id],
    )
    if not sent:
        return
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.ATTACHED_UNDO)
    by_kind: dict[str, list[Row]] = {}
    for row in sent:
        by_kind.setdefault(str(row["sobject"]), []).append(row)
    documents = by_kind.pop(VERSION, [])
    links = by_kind.pop(LINK, [])
    if documents or links:
        _plan_files(run, target, documents, links)
    for sobject, rows in by_kind.items():
        _plan_records(run, target, sobject, rows)


def _plan_records(run: Run, target: Org, sobject: str, rows: list[Row]) -> None:
    stamps: dict[str, str] = {}
    for ids in in_batches([str(r["target_id"]) for r in rows], IDS_A_QUERY):
        soql = (
            f"SELECT Id, SystemModstamp FROM {sobject} WHERE Id IN ({text_list(ids)}) AND IsDeleted = false"
        )
        for record in target.query(soql, all_rows=KIND[sobject].param == "activities"):
            stamps[str(record["Id"])] = str(record["SystemModstamp"])
    _keep(run, sobject, [(r, _verdict(run, r, stamps)) for r in rows if str(r["target_id"]) in stamps])


def _verdict(run: Run, row: Row, stamps: dict[str, str]) -> Verdict:
    """Of a run that did not come to its proof the stamp is not known: what it sent is taken as it is."""
    changed = row["stamp"] and stamps[str(row["target_id"])] != row["stamp"]
    if changed and not run.params.force:
        return (Undo.LEFT, "conflict", "changed in the target after the run wrote it.")
    return TAKE


def _plan_files(run: Run, target: Org, versions: list[Row], links: list[Row]) -> None:
    """Documents that are the run's alone go whole; from every other one what the run has hung on is taken off."""
    ours = {str(r["target_id"]) for r in versions}
    our_links = {str(r["target_id"]) for r in links}
    document_of = {str(r["target_parent"]): str(r["parent_id"]) for r in versions}
    there = _documents(target, document_of)
    rows: list[tuple[Row, Verdict]] = []
    for document, found in sorted(there.items()):
        row: Row = {"source_id": document_of[document], "target_id": document}
        if found["versions"] - ours:
            rows.append((row, (Undo.LEFT, "in_use", "it has versions that the run did not bring.")))
        elif found["links"] - our_links:
            rows.append((row, (Undo.LEFT, "in_use", "others have linked it to records since.")))
        else:
            rows.append((row, TAKE))
    _keep(run, DOCUMENT, rows)
    found_links: set[str] = set()
    for ids in in_batches(sorted(our_links), IDS_A_QUERY):
        found_links |= {
            str(r["Id"]) for r in target.query(f"SELECT Id FROM {LINK} WHERE Id IN ({text_list(ids)})")
        }
    _keep(run, LINK, [(r, TAKE) for r in links if str(r["target_id"]) in found_links])


def _documents(target: Org, documents: Iterable[str]) -> dict[str, dict[str, set[str]]]:
    """Document -> the ids of its `versions`, and of its `links` to other records than users."""
    found: dict[str, dict[str, set[str]]] = {}
    for ids in in_batches(sorted(documents), IDS_A_QUERY):
        for r in target.query(
            f"SELECT Id, ContentDocumentId FROM {VERSION} WHERE ContentDocumentId IN ({text_list(ids)})"
        ):
            entry = found.setdefault(str(r["ContentDocumentId"]), {"versions": set(), "links": set()})
            entry["versions"].add(str(r["Id"]))
    for r in copies.links_of(target, found):
        if not str(r["LinkedEntityId"]).startswith("005"):
            found[str(r["ContentDocumentId"])]["links"].add(str(r["Id"]))
    return found


def _keep(run: Run, sobject: str, rows: list[tuple[Row, Verdict]]) -> None:
    with run.db.transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(
            sql.SQL(
                """INSERT INTO {} (sobject, source_id, target_id, action, reason_code, reason, next_step)
                   VALUES (%s, %s, %s, %s, %s, %s, %s)"""
            ).format(run.table(Table.ATTACHED_UNDO)),
            [
                (sobject, r["source_id"], r["target_id"], *verdict, "" if verdict is TAKE else LOOK)
                for r, verdict in rows
            ],
        )


def plan_hash(run: Run) -> str:
    """SHA-256 of what is deleted and left; empty where the run carried nothing."""
    if not run.has_table(Table.ATTACHED_UNDO):
        return ""
    digest = sha256()
    for r in run.db.stream(
        sql.SQL("SELECT sobject, target_id, action FROM {} ORDER BY 1, 2").format(
            run.table(Table.ATTACHED_UNDO)
        )
    ):
        digest.update(f"{r['sobject']}|{r['target_id']}|{r['action']}\n".encode())
    return digest.hexdigest()


def counts(run: Run) -> dict[str, dict[str, int]]:
    """sObject -> `to_delete`, `left`, `deleted`; empty where the run carried nothing."""
    if not run.has_table(Table.ATTACHED_UNDO):
        return {}
    rows = run.db.rows(
        sql.SQL(
            """SELECT sobject, count(*) FILTER (WHERE action = 'delete') AS to_delete,
                      count(*) FILTER (WHERE action = 'left') AS left, count(*) FILTER (WHERE done) AS deleted
               FROM {} GROUP BY 1 ORDER BY 1"""
        ).format(run.table(Table.ATTACHED_UNDO))
    )
    return {str(r["sobject"]): {n: int(r[n]) for n in ("to_delete", "left", "deleted")} for r in rows}


def rows(run: Run) -> Iterator[Row]:
    """Everything that the plan of the undo names, what stays first; none where the run carried nothing."""
    if run.has_table(Table.ATTACHED_UNDO):
        yield from run.db.stream(
            sql.SQL("SELECT * FROM {} ORDER BY action DESC, sobject, source_id").format(
                run.table(Table.ATTACHED_UNDO)
            )
        )


def carry_out(run: Run, target: Org) -> None:
    """Deletes what the plan says, the activities first and the documents last. What is gone already is gone.

    Deleting is idempotent: a lost answer is asked again.
    """
    if not run.has_table(Table.ATTACHED_UNDO):
        return
    for sobject in ORDER:
        ids = [str(r["target_id"]) for r in _to_do(run, sobject)]
        if ids:
            run.progress.reset(UNDO_ATTACHMENTS.name, sobject, total=len(ids))
        for part in in_batches(ids, RECORDS_A_CALL):
            run.lease.require()
            answers = target.send_json(
                "DELETE",
                f"/composite/sobjects?ids={','.join(part)}&allOrNone=false",
                None,
                kind="rest_write",
                safe=True,
            )
            _apply(run, sobject, list(part), answers)


def _to_do(run: Run, sobject: str) -> list[Row]:
    return run.db.rows(
        sql.SQL(
            "SELECT target_id FROM {} WHERE sobject = %s AND action = 'delete' AND NOT done ORDER BY target_id"
        ).format(run.table(Table.ATTACHED_UNDO)),
        [sobject],
    )


def _apply(run: Run, sobject: str, ids: list[str], answers: Any) -> None:
    if not isinstance(answers, list) or len(answers) != len(ids):
        raise OrgRefused(
            f"The target answered {len(ids)} deletions of {sobject} with something else than their outcomes.",
            next_step="start the roll-back again: what is deleted by then counts as done.",
        )
    gone, refused = [], []
    for record_id, answer in zip(ids, answers, strict=True):
        errors = answer.get("errors") or []
        code = str(errors[0].get("statusCode") or "") if errors else ""
        if answer.get("success") or code in ("ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"):
            gone.append(record_id)
        else:
            refused.append((record_id, code, str(errors[0].get("message") or "") if errors else ""))
    with run.db.transaction() as connection:
        connection.execute(
            sql.SQL("UPDATE {} SET done = true WHERE sobject = %s AND target_id = ANY (%s)").format(
                run.table(Table.ATTACHED_UNDO)
            ),
            [sobject, gone],
        )
        # With a document its versions are gone.
        connection.execute(
            """UPDATE coa.attached SET state = 'deleted', last_run = %s WHERE pair_id = %s AND (
                 (sobject = %s AND target_id = ANY (%s)) OR (sobject = %s AND %s AND target_parent = ANY (%s)))""",
            [run.run_id, run.pair_id, sobject, gone, VERSION, sobject == DOCUMENT, gone],
        )
        for record_id, code, message in refused:
            connection.execute(
                sql.SQL(
                    """INSERT INTO coa.rejection (run_id, sobject, source_id, step, error_code, error, fields)
                       SELECT %s, sobject, source_id, %s, %s, %s, '' FROM {} WHERE sobject = %s AND target_id = %s
                       ON CONFLICT DO NOTHING"""
                ).format(run.table(Table.ATTACHED_UNDO)),
                [run.run_id, UNDO_ATTACHMENTS.name, code, message, sobject, record_id],
            )
    run.progress.add(UNDO_ATTACHMENTS.name, sobject, done=len(gone), rejected=len(refused))


def keep_records(run: Run) -> None:
    """Keeps a record of which something stays: deleting it would delete that as well."""
    if run.has_table(Table.ATTACHED_UNDO):
        run.db.execute(
            sql.SQL(
                """UPDATE {plan} p SET action = 'left', reason_code = 'in_use', next_step = %s,
                          reason = 'Something that hangs on it was changed in the target after the run wrote it.'
                   FROM {undo} u JOIN coa.attached m ON m.pair_id = %s AND m.sobject = u.sobject
                     AND m.target_id = u.target_id
                   WHERE u.action = 'left' AND p.action = 'delete' AND p.target_id = m.target_parent"""
            ).format(plan=run.table(Table.ROLLBACK), undo=run.table(Table.ATTACHED_UNDO)),
            [LOOK, run.pair_id],
        )


def find_remaining(run: Run, target: Org) -> None:
    """Whatever was to be deleted and is still there becomes a difference."""
    if not run.has_table(Table.ATTACHED_UNDO):
        return
    for sobject in ORDER:
        rows = run.db.rows(
            sql.SQL("SELECT source_id, target_id FROM {} WHERE sobject = %s AND action = 'delete'").format(
                run.table(Table.ATTACHED_UNDO)
            ),
            [sobject],
        )
        sources = {str(r["target_id"]): str(r["source_id"]) for r in rows}
        for ids in in_batches(sorted(sources), IDS_A_QUERY):
            for found in target.query(f"SELECT Id FROM {sobject} WHERE Id IN ({text_list(ids)})"):
                run.db.execute(
                    """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, kind, reason)
                       VALUES (%s, %s, %s, %s, 'unexpected', 'to be deleted, and still there')""",
                    [run.run_id, sobject, sources[str(found["Id"])], found["Id"]],
                )


def markdown(run: Run) -> list[str]:
    """The lines for whoever approves the roll-back."""
    found = counts(run)
    if not found:
        return []
    lines = ["", "**What hangs on the records**", "", "| what | delete | left |", "|---|---:|---:|"]
    return lines + [f"| {name} | {n['to_delete']:,} | {n['left']:,} |" for name, n in found.items()]
