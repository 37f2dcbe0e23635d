"""Several small reads of an org in one API call.

`POST /composite` takes up to 25 subrequests, five of them queries, and counts as a single call toward the
limits (REST API guide, "Composite"); each subrequest of `/composite/batch` counts, so it saves nothing.
It takes resources of sObjects and queries; `POST /tooling/composite` does the same for those of the Tooling API.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from coa.errors import AmbiguousWrite, OrgRefused
from coa.salesforce.session import Org, advice_for, error_in

MOST_REQUESTS = 25
MOST_QUERIES = 5
UNSEEN = ("INVALID_FIELD", "INVALID_TYPE")
"""Codes of a query on what is not there for this user (SOAP API guide, "ExceptionCode")."""


@dataclass(frozen=True)
class Read:
    """One GET below `/services/data/vXX.X`: a query when `soql` is set, else `path`."""

    path: str = ""
    soql: str = ""
    all_rows: bool = False
    tooling: bool = False
    kind: str = "query"
    """How the call is counted where it is made alone."""

    @property
    def resource(self) -> str:
        """Path below `/services/data/vXX.X`, without a query."""
        if not self.soql:
            return self.path
        return "/tooling/query" if self.tooling else "/queryAll" if self.all_rows else "/query"

    @property
    def url(self) -> str:
        """The path with its query, as a part of a composite request names it."""
        return f"{self.resource}?q={quote(self.soql, safe='')}" if self.soql else self.path

    def alone(self, org: Org) -> Any:
        """The answer by a call of its own. Raises `OrgRefused`."""
        return org.data_json(self.resource, kind=self.kind, params={"q": self.soql} if self.soql else None)


def count_of(sobject: str, where: str = "") -> Read:
    """The question how many records there are; its answer has them as `totalSize`."""
    return Read(soql=f"SELECT COUNT() FROM {sobject}" + (f" WHERE {where}" if where else ""))


def read_together(org: Org, reads: list[Read]) -> list[Any | OrgRefused]:
    """The answers in the order of the reads, as few calls as possible; a refusal stands in the place of its answer.

    A subrequest that fails is made once more alone: there it has the retries, and its refusal the words, of any
    other call. Not one for a field or an sObject that the user does not see: asked again, it is refused again.
    """
    answers: dict[int, Any | OrgRefused] = {}
    for tooling in (False, True):
        numbered = [(n, one) for n, one in enumerate(reads) if one.tooling == tooling]
        for part in _parts(numbered):
            bodies = _bodies(org, [one for _, one in part], tooling) if len(part) > 1 else [None]
            for (n, one), body in zip(part, bodies, strict=True):
                answers[n] = body if body is not None else _alone(org, one)
    return [answers[n] for n in range(len(reads))]


def _alone(org: Org, one: Read) -> Any | OrgRefused:
    try:
        return one.alone(org)
    except OrgRefused as refused:
        return refused


def granted(answer: Any | OrgRefused) -> Any:
    """The answer itself; raises its refusal."""
    if isinstance(answer, OrgRefused):
        raise answer
    return answer


def records_of(org: Org, answer: Any) -> Iterator[dict[str, Any]]:
    """All records of a query's answer, its later pages too."""
    while True:
        yield from answer["records"]
        if answer.get("done", True) or not answer.get("nextRecordsUrl"):
            return
        answer = org.get_json(answer["nextRecordsUrl"], kind="query")


def _parts(reads: list[tuple[int, Read]]) -> Iterator[list[tuple[int, Read]]]:
    """In their order, cut where one more would be too many."""
    part: list[tuple[int, Read]] = []
    for n, one in reads:
        queries = sum(1 for _, r in part if r.soql)
        if len(part) == MOST_REQUESTS or (one.soql and queries == MOST_QUERIES):
            yield part
            part = []
        part.append((n, one))
    if part:
        yield part


def _bodies(org: Org, part: list[Read], tooling: bool) -> list[Any | OrgRefused | None]:
    """A refusal that stands; None where a subrequest failed otherwise, or where the org takes no composite request."""
    body = {
        "allOrNone": False,
        "compositeRequest": [
            {"method": "GET", "url": org.data_path + one.url, "referenceId": f"r{n}"}
            for n, one in enumerate(part)
        ],
    }
    path = "/tooling/composite" if tooling else "/composite"
    try:
        # Nothing but reads: it may be repeated like one.
        answer = org.send_json("POST", path, body, kind="composite", safe=True)
    except (OrgRefused, AmbiguousWrite):
        return [None] * len(part)
    found = {str(r["referenceId"]): r for r in answer["compositeResponse"]}
    return [_body(org, one, found.get(f"r{n}", {})) for n, one in enumerate(part)]


def _body(org: Org, one: Read, answer: dict[str, Any]) -> Any | OrgRefused | None:
    status = answer.get("httpStatusCode")
    if status == 200:
        return answer["body"]
    code, message = error_in(answer.get("body"))
    if code not in UNSEEN:
        return None
    return OrgRefused(
        f"{org.name}: GET {org.data_path}{one.resource} answered {status} {code} {message}.",
        status=int(status or 0),
        code=code,
        said=message,
        next_step=advice_for(code, org.name),
    )
