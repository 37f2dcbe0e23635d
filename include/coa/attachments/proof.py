"""Proves what was carried: every value is read again from the target, every file by the SHA-256 of its bytes.

Expected values come from the source, as they were read, and from the hash of the bytes as they were streamed.
Differences are in `coa.difference`, under the name of the kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from coa.attachments import copies, ledger
from coa.attachments.carry import Users, values_of
from coa.attachments.inventory import fields_of
from coa.attachments.ledger import Item
from coa.attachments.transfer import download
from coa.batches import in_batches
from coa.codes import DifferenceKind
from coa.hanging import LINK, VERSION, Hanging
from coa.policies import Policies
from coa.salesforce.bulk import raise_worst
from coa.salesforce.session import Org
from coa.staging.database import Row
from coa.staging.runs import Run
from coa.staging.tables import Table

Difference = tuple[Item, str, DifferenceKind, str, Any, Any, str]
"""(item, target id, kind, field, value in the source, value in the target, reason)."""
Known = dict[str, dict[str, Any]]


def prove(run: Run, source: Org | None, target: Org) -> None:
    """Compares what this run carried; what is equal is marked as proved, with its modification stamp in the
    target.

    Call it after the proof of the records, which clears the list of differences. `source` is only asked for
    the bytes of what an earlier, unknown run brought.
    """
    if not run.has_table(Table.ATTACHED):
        return
    users = Users(run)
    for kind in Policies(run.params).hanging:
        fields = fields_of(run, kind)
        proved = False
        for rows in ledger.carried(run, kind.sobject) if fields else ():
            _prove_page(run, source, target, kind, rows, fields, users)
            proved = True
        if proved and kind.sobject == VERSION:
            _find_doubled_versions(run, target)


def _prove_page(
    run: Run,
    source: Org | None,
    target: Org,
    kind: Hanging,
    rows: list[tuple[Item, Row]],
    fields: list[str],
    users: Users,
) -> None:
    there = _read(run, target, kind, rows, fields)
    by_id = {str(r["Id"]): r for r in there}
    differences: list[Difference] = []
    for item, row in rows:
        differences += _compare(
            kind, item, row, by_id.get(str(row["target_id"])), values_of(kind, item, users)
        )
    if kind.sobject == VERSION:
        differences += _versions_in_order(rows, by_id)
    elif kind.sobject != LINK:
        # The platform links a document to a record once.
        differences += _doubled(run, kind, rows, there, users)
    missing = {d[0].source_id for d in differences if d[2] is DifferenceKind.MISSING}
    if kind.body:
        differences += _compare_bytes(
            run, source, target, kind, [r for r in rows if r[0].source_id not in missing]
        )
    _keep(run, kind, rows, differences, by_id)


def _read(
    run: Run, target: Org, kind: Hanging, rows: list[tuple[Item, Row]], fields: list[str]
) -> list[dict[str, Any]]:
    """What the target has: these versions, all links of these documents, all that hangs on these records."""
    if kind.sobject == VERSION:
        wanted = ("VersionNumber", kind.size, "SystemModstamp", *fields)
        return list(copies.versions_by_id(target, [str(row["target_id"]) for _, row in rows], wanted))
    if kind.sobject == LINK:
        return list(copies.links_of(target, [item.document for item, _ in rows]))
    return list(copies.children_of(target, kind, [item.parent for item, _ in rows], fields))


def _compare(
    kind: Hanging, item: Item, row: Row, found: dict[str, Any] | None, wanted: dict[str, Any]
) -> Iterable[Difference]:
    target_id = str(row["target_id"])
    if found is None:
        return [(item, target_id, DifferenceKind.MISSING, "", None, None, "it is not in the target")]
    parent = str(row["target_parent"])
    if kind.size:
        wanted = wanted | {kind.size: item.bytes}
    return [
        (
            item,
            target_id,
            DifferenceKind.FIELD,
            name,
            wanted.get(name),
            found.get(name),
            "not as in the source",
        )
        for name in copies.differing(wanted | {kind.parent: parent}, found)
    ]


def _versions_in_order(rows: list[tuple[Item, Row]], there: Known) -> list[Difference]:
    """The versions of a document follow one another as in the source."""
    last: dict[str, int] = {}
    wrong: list[Difference] = []
    for item, row in rows:
        found = there.get(str(row["target_id"]))
        if found is None:
            continue
        number = int(found.get("VersionNumber") or 0)
        if number <= last.get(item.parent_id, 0):
            wrong.append(
                (
                    *(item, str(row["target_id"]), DifferenceKind.FIELD, "VersionNumber"),
                    *(item.nth, number, "not in the source's order"),
                )
            )
        last[item.parent_id] = number
    return wrong


def _doubled(
    run: Run, kind: Hanging, rows: list[tuple[Item, Row]], there: list[dict[str, Any]], users: Users
) -> list[Difference]:
    """Records of the target that look like a copy but belong to no item."""
    ours = {str(row["target_id"]) for _, row in rows}
    doubled: list[Difference] = []
    wanted: dict[str, list[tuple[Item, dict[str, Any]]]] = {}
    for item, _ in rows:
        wanted.setdefault(item.parent, []).append((item, values_of(kind, item, users)))
    for record in there:
        if str(record["Id"]) in ours or ledger.is_taken(run, str(record["Id"])):
            continue
        for item, values in wanted.get(str(record[kind.parent]), ()):
            same_size = not kind.size or int(record[kind.size] or 0) == item.bytes
            if same_size and not copies.differing(values, record):
                doubled.append(_double(item, record))
                break
    return doubled


def _double(item: Item, record: dict[str, Any]) -> Difference:
    reason = "the target has it twice"
    return (item, str(record["Id"]), DifferenceKind.DUPLICATE, "", None, None, reason)


def _find_doubled_versions(run: Run, target: Org) -> None:
    """Versions with a key of this source that are the copy of nothing, all of the target."""
    source_org = str(run.record.source_org["id"])
    for page in in_batches(copies.versions_of_ours(target, source_org), ledger.PAGE):
        known = ledger.copies_among(run, [str(r["Id"]) for _, r in page])
        for key, record in page:
            if str(record["Id"]) not in known:
                run.db.execute(
                    """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, kind, reason)
                       VALUES (%s, %s, %s, %s, %s, 'the target has it twice')""",
                    [run.run_id, VERSION, key, record["Id"], DifferenceKind.DUPLICATE],
                )


def _compare_bytes(
    run: Run, source: Org | None, target: Org, kind: Hanging, rows: list[tuple[Item, Row]]
) -> list[Difference]:
    found: list[Difference] = []

    def compare(item: Item, row: Row) -> None:
        run.lease.renew()
        expected = str(row["sha256"])
        if not expected and source is not None:
            with download(source, kind, item.source_id, size=item.bytes) as spooled:
                expected = spooled.sha256
        with download(target, kind, str(row["target_id"]), size=None) as spooled:
            actual = spooled.sha256
        if actual != expected:
            field = f"SHA-256 of {kind.body}"
            reason = "the target gives other bytes back"
            found.append((item, str(row["target_id"]), DifferenceKind.FIELD, field, expected, actual, reason))

    with ThreadPoolExecutor(run.settings.file_threads) as pool:
        raise_worst([pool.submit(compare, item, row) for item, row in rows])
    return found


def _keep(
    run: Run, kind: Hanging, rows: list[tuple[Item, Row]], differences: list[Difference], there: Known
) -> None:
    wrong = {d[0].source_id for d in differences}
    with run.db.transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO coa.difference
                 (run_id, sobject, source_id, target_id, field, source_value, target_value, kind, reason)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                (
                    *(run.run_id, kind.sobject, item.source_id, target_id, field),
                    *(_text(before), _text(after), of_kind, reason),
                )
                for item, target_id, of_kind, field, before, after, reason in differences
            ],
        )
        cursor.executemany(
            """UPDATE coa.attached SET state = 'proved', stamp = %s, last_run = %s
               WHERE pair_id = %s AND sobject = %s AND source_id = %s""",
            [
                (
                    *(str(there[str(row["target_id"])].get("SystemModstamp") or ""), run.run_id),
                    *(run.pair_id, kind.sobject, item.source_id),
                )
                for item, row in rows
                if item.source_id not in wrong
            ],
        )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
