"""Recognises a copy in the target: a version of a file by its path, everything else by being equal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from coa.attachments.transfer import download
from coa.batches import in_batches
from coa.hanging import LINK, VERSION, Hanging
from coa.salesforce.session import Org
from coa.salesforce.soql import text_list

OURS = "coa-migration"
"""Begins the path of each version of a file that we made."""
LONGEST_PATH = 500
"""Of `PathOnClient` (Object Reference, "ContentVersion")."""
PARENTS_A_QUERY = 100
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")

Record = dict[str, Any]


def path_of(source_org: str, version_id: str, path_on_client: str) -> str:
    r"""The key of a version, as a path that ends in the name of the file.

    >>> path_of("00D1", "0681", "C:\\offers\\Offer.pdf")
    'coa-migration/00D1/0681/Offer.pdf'
    """
    name = PurePosixPath(path_on_client.replace("\\", "/")).name or "file"
    room = LONGEST_PATH - len(f"{OURS}/{source_org}/{version_id}/")
    if len(name) > room:
        suffix = PurePosixPath(name).suffix[:40]
        name = name[: room - len(suffix)] + suffix
    return f"{OURS}/{source_org}/{version_id}/{name}"


def key_in(path_on_client: str | None, source_org: str) -> str:
    """The source's version id in the path of one of ours; empty for another's.

    >>> key_in("coa-migration/00D1/0681/Offer.pdf", "00D1"), key_in("C:/Offer.pdf", "00D1")
    ('0681', '')
    """
    parts = (path_on_client or "").split("/", 3)
    return parts[2] if len(parts) == 4 and parts[:2] == [OURS, source_org] else ""


def canonical(value: Any) -> Any:
    """A value as it is compared: nothing as nothing, a moment to the second, a number by its value.

    >>> canonical("2019-05-01T08:15:30.000+0000"), canonical(""), canonical(2)
    ('2019-05-01T08:15:30', None, 2.0)
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return float(value)
    text = str(value)
    return text[:19] if _MOMENT.match(text) else text


def differing(wanted: Record, found: Record) -> list[str]:
    """Names of the fields of `wanted` that `found` has otherwise."""
    return [name for name, value in wanted.items() if canonical(value) != canonical(found.get(name))]


def versions_of_ours(org: Org, source_org: str) -> Iterator[tuple[str, Record]]:
    """(source version id, record) of every version that was carried from that org, whoever carried it."""
    columns = ("Id", "ContentDocumentId", "PathOnClient")
    prefix = f"{OURS}/{source_org}/".replace("_", "\\_")
    for record in org.query(
        f"SELECT {', '.join(columns)} FROM {VERSION} WHERE PathOnClient LIKE '{prefix}%'"
    ):
        key = key_in(record.get("PathOnClient"), source_org)
        if key:
            yield key, record


def versions_by_id(org: Org, ids: Iterable[str], fields: Iterable[str]) -> Iterator[Record]:
    """These versions of the target, as far as they are there."""
    columns = ", ".join(dict.fromkeys(("Id", "ContentDocumentId", *fields)))
    for part in in_batches(sorted(set(ids)), PARENTS_A_QUERY):
        yield from org.query(f"SELECT {columns} FROM {VERSION} WHERE Id IN ({text_list(part)})")


def version_by_path(org: Org, path: str) -> list[Record]:
    """The versions of this very path: one, or none."""
    return list(
        org.query(f"SELECT Id, ContentDocumentId FROM {VERSION} WHERE PathOnClient = {text_list([path])}")
    )


def links_of(org: Org, documents: Iterable[str]) -> Iterator[Record]:
    """All links of these documents of the target."""
    for ids in in_batches(sorted(set(documents)), PARENTS_A_QUERY):
        yield from org.query(
            f"SELECT Id, ContentDocumentId, LinkedEntityId, ShareType, Visibility, SystemModstamp FROM {LINK} "
            f"WHERE ContentDocumentId IN ({text_list(ids)})"
        )


def children_of(org: Org, kind: Hanging, parents: Iterable[str], fields: Iterable[str]) -> Iterator[Record]:
    """What hangs on these records of the target; archived activities too."""
    columns = dict.fromkeys(
        ("Id", kind.parent, "SystemModstamp", *([kind.size] if kind.size else []), *fields)
    )
    for ids in in_batches(sorted(set(parents)), PARENTS_A_QUERY):
        yield from org.query(
            f"SELECT {', '.join(columns)} FROM {kind.sobject} WHERE {kind.parent} IN ({text_list(ids)}) "
            "AND IsDeleted = false",
            all_rows=kind.param == "activities",
        )


def pair_equal(
    org: Org,
    kind: Hanging,
    wanted: Iterable[tuple[str, str, Record, str, int]],
    there: Iterable[Record],
    is_taken: Callable[[str], bool],
) -> dict[str, Record]:
    """source id -> the record that is its copy: equal, and of nothing else. Each record is the copy of one.

    `wanted`: (source id, parent in the target, values, SHA-256 of its bytes, how many); of a kind without bytes the
    last two are empty and 0.
    """
    free: dict[str, list[Record]] = {}
    for record in there:
        if not is_taken(str(record["Id"])):
            free.setdefault(str(record[kind.parent]), []).append(record)
    found: dict[str, Record] = {}
    for source_id, parent, values, sha256, size in wanted:
        for n, record in enumerate(free.get(parent, ())):
            if differing(values, record) or (kind.size and int(record[kind.size] or 0) != size):
                continue
            if kind.body and not _has_bytes(org, kind, str(record["Id"]), sha256):
                continue
            found[source_id] = free[parent].pop(n)
            break
    return found


def _has_bytes(org: Org, kind: Hanging, record_id: str, sha256: str) -> bool:
    with download(org, kind, record_id, size=None) as spooled:
        return spooled.sha256 == sha256
