"""What two orgs have around their records, in a form that can be compared: without ids, with bytes by their hash."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import requests

from coa.model import CUSTOMER, ORDER, SOURCE_ID
from orgsim.launch import RunningOrg
from tests.engine.harness import Migrator

CARRY: dict[str, Any] = {"attachments": "carry", "activities": "carry", "history": "archive", "canary": 0}
KINDS = {
    "Attachment": (
        "ParentId",
        ("Name", "ContentType", "Description", "IsPrivate", "BodyLength", "CreatedDate"),
    ),
    "Note": ("ParentId", ("Title", "Body", "IsPrivate")),
    "Task": ("WhatId", ("Subject", "Description", "Status", "ActivityDate", "TaskSubtype")),
    "Event": (
        "WhatId",
        ("Subject", "Location", "StartDateTime", "EndDateTime", "IsAllDayEvent", "CreatedDate"),
    ),
    "EmailMessage": ("RelatedToId", ("Subject", "TextBody", "FromAddress", "ToAddress", "CreatedDate")),
}


VERSION, ATTACHMENT = r"/sobjects/ContentVersion/?$", r"/sobjects/Attachment/?$"
TOGETHER = r"/composite/sobjects/?$"


def lose_calls(migrator: Migrator, kind: str) -> None:
    """The first calls of every kind get this fault of orgsim."""
    lost = [(VERSION, 4), (ATTACHMENT, 2), (TOGETHER, 5)]
    migrator.target.control(
        "POST",
        "faults",
        [{"kind": kind, "method": "POST", "path": path, "times": times} for path, times in lost],
    )


def planted_of(migrator: Migrator) -> dict[str, Any]:
    found: dict[str, Any] = migrator.source.control("GET", "planted")["attachments"]
    return found


@dataclass
class Around:
    """One org's files and records, read once."""

    org: RunningOrg
    links: list[dict[str, Any]]
    versions: dict[str, list[tuple[Any, ...]]]
    records: dict[str, list[dict[str, Any]]]

    def of(self, record: str) -> dict[str, list[Any]]:
        """What hangs on a record, by kind; a document as the list of its versions, with how it is shared."""
        found: dict[str, list[Any]] = {
            kind: sorted(
                (tuple(row[name] for name in names) for row in self.records[kind] if row[lookup] == record),
                key=repr,
            )
            for kind, (lookup, names) in KINDS.items()
        }
        found["files"] = sorted(
            (
                (link["ShareType"], self.versions[link["ContentDocumentId"]])
                for link in self.links
                if link["LinkedEntityId"] == record
            ),
            key=repr,
        )
        return found

    def documents(self, record: str) -> set[str]:
        return {link["ContentDocumentId"] for link in self.links if link["LinkedEntityId"] == record}

    def counterpart(self, source_id: str) -> str:
        """The record of this org that came from that one."""
        for name in (ORDER, CUSTOMER):
            for row in self.org.records(f"SELECT Id FROM {name} WHERE {SOURCE_ID} = '{source_id}'"):
                return str(row["Id"])
        raise AssertionError(f"{source_id} was not moved")

    def everything(self) -> dict[str, list[Any]]:
        """All that this org has, for dumps that must be equal."""
        return {
            "links": sorted((x["ContentDocumentId"], x["LinkedEntityId"]) for x in self.links),
            "versions": sorted(map(repr, self.versions.items())),
            **{kind: sorted(map(repr, rows)) for kind, rows in self.records.items()},
        }


def around(org: RunningOrg) -> Around:
    """Reads everything; bytes over the API, as any client does."""
    with requests.Session() as http:
        http.headers["Authorization"] = f"Bearer {org.login()}"
        versions: dict[str, list[tuple[Any, ...]]] = {}
        for row in org.records(
            "SELECT Id, ContentDocumentId, Title, Description, ContentSize, VersionData, CreatedDate "
            "FROM ContentVersion ORDER BY ContentDocumentId, VersionNumber"
        ):
            data = http.get(org.url + row["VersionData"], timeout=60).content
            versions.setdefault(row["ContentDocumentId"], []).append(
                (
                    *(row["Title"], row["Description"], row["ContentSize"], row["CreatedDate"]),
                    sha256(data).hexdigest(),
                )
            )
        links = []
        documents = sorted(versions)
        for start in range(0, len(documents), 100):
            listed = ",".join(f"'{one}'" for one in documents[start : start + 100])
            links += org.records(
                f"SELECT Id, ContentDocumentId, LinkedEntityId, ShareType FROM ContentDocumentLink "
                f"WHERE ContentDocumentId IN ({listed})"
            )
        records = {
            kind: org.records(f"SELECT {', '.join(dict.fromkeys(['Id', lookup, *names]))} FROM {kind}")
            for kind, (lookup, names) in KINDS.items()
        }
        for row in records["Attachment"]:
            body = http.get(
                f"{org.url}/services/data/v67.0/sobjects/Attachment/{row['Id']}/Body", timeout=60
            ).content
            row["Description"] = (row["Description"], sha256(body).hexdigest())
    return Around(org, links, versions, records)
