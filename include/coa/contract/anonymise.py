"""Makes recorded requests and answers fit to be sent to others: whatever is not known to be ours is replaced by
a stable fake.

It works by a list of what may stay: Salesforce's and the package's own words, and what the probes have made up
themselves. Everything else becomes `id-1`, `text-1`, `number-1` ...; the same value becomes the same fake in
the whole file.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from coa.contract.marks import PREFIX
from coa.contract.probe_org import Exchange
from coa.model import MIGRATION_FIELDS, NAMESPACE, PACKAGE_WORKFLOWS

ROWS_SHOWN = 5
LONG = 200

ID = re.compile(r"\b[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?\b")
CUSTOM_NAME = re.compile(r"\b[A-Za-z]\w*__[a-zA-Z]+\b")
CODE = re.compile(r"[A-Z][A-Z0-9_]*")
VERSION = re.compile(r"/services/data/v\d+\.\d")

CODE_KEYS = frozenset({"errorCode", "statusCode"})
NUMBER_KEYS = frozenset({"httpStatusCode"})
QUERY_KEYS = frozenset({"query"})
"""SOQL of the probes' own making."""
ADDRESS = "/services/data/v"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
# fmt: off
WORDS = frozenset(
    {
        "allOrNone", "answer", "attributes", "body", "code", "columnDelimiter", "columns",
        "compositeRequest", "compositeResponse", "contentType", "created", "done", "errorCode", "errors",
        "externalIdFieldName", "fields", "httpHeaders", "httpStatusCode", "id", "jobType", "lineEnding",
        "message", "method", "nextRecordsUrl", "object", "operation", "query", "queryLocator", "records",
        "referenceId", "resultPages", "state", "statusCode", "success", "totalSize", "type", "url", "Id",
        "Name", "IsDeleted", "IsActive", "CreatedDate", "CreatedById", "LastModifiedDate", "OwnerId",
        "CurrencyIsoCode", "Metadata", "Body", "NamespacePrefix", "Profile", "Profile.Name", "active",
        "sf__Id", "sf__Created", "sf__Error", "User", "WorkflowRule", "Attachment", "ContentDocumentLink",
        "GET", "POST", "PUT", "PATCH", "DELETE", "insert", "update", "upsert", "delete", "hardDelete",
        "queryAll", "CSV", "COMMA", "TAB", "LF", "CRLF", "Open", "UploadComplete", "InProgress",
        "JobComplete", "Failed", "Aborted", "Draft", "Submitted", "Received", "Error", "Activated",
        "Provisioned", "Initial", "createdById", "createdDate",
        "systemModstamp", "concurrencyMode", "apiVersion", "contentUrl", "Parallel", "fullName",
        *PACKAGE_WORKFLOWS, "Yes", "No", "FIXED", "PNR", "true", "false", "null", "In Process",
    }
)
# fmt: on
"""Keys and values of Salesforce's own and the package's, in requests and answers."""


class Anonymiser:
    """`ours`: texts that the probes made up. One object a file: fakes are stable within it."""

    def __init__(self, ours: set[str]) -> None:
        self._ours = ours
        self._moments = {one[:19] for one in ours if MOMENT.match(one)}
        self._fakes: dict[tuple[str, str], str] = {}

    def exchange(self, one: Exchange) -> dict[str, Any]:
        """An exchange as it stands in a cassette."""
        shown = {
            "method": one.method,
            "path": self._address(one.path),
            "body": self._value(one.body),
            "status": one.status,
            "answer": self._value(one.answer),
        }
        return {key: value for key, value in shown.items() if value is not None}

    # ---- values ---------------------------------------------------------------------------------
    def _value(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {self._name(name): self._value(one, name) for name, one in value.items()}
        if isinstance(value, list):
            shown = [self._value(one, key) for one in value[:ROWS_SHOWN]]
            return [*shown, f"and {len(value) - ROWS_SHOWN} more"] if len(value) > ROWS_SHOWN else shown
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            kept = key in NUMBER_KEYS or str(value) in self._ours
            return value if kept else self._fake("number", str(value))
        return self._csv(value) if _is_csv(value) else self._text(value, key)

    def _text(self, text: str, key: str = "") -> str:
        if key in CODE_KEYS and CODE.fullmatch(text):
            return text
        if text.startswith(ADDRESS) or key in QUERY_KEYS:
            return self._address(text)
        if ID.fullmatch(text) and text not in WORDS and not self._is_mark(text):
            return self._fake("id", text[:15])
        if text in self._ours:
            return text if len(text) <= LONG else f"{len(text)} characters of a probe"
        if MOMENT.match(text):
            return text if text[:19] in self._moments else self._fake("moment", text)
        return text if not text or self._known(text) else self._fake("text", text)

    def _is_mark(self, text: str) -> bool:
        return text in self._ours and text.startswith(PREFIX)

    def _name(self, name: str) -> str:
        return name if self._known(name) else self._fake("field", name)

    @staticmethod
    def _known(text: str) -> bool:
        last = text.rpartition(".")[2]
        return (
            text in WORDS
            or text in MIGRATION_FIELDS
            or re.fullmatch(rf"{NAMESPACE}__\w+", last) is not None
            or re.fullmatch(r"COA_No_Such_Field__c|r\d+", text) is not None
        )

    def _address(self, text: str) -> str:
        """A path or a query of our own making: without ids, and without names of the partner's fields."""
        without_ids = ID.sub(
            lambda found: (
                found[0]
                if self._is_mark(found[0]) or self._known(found[0]) or "_" in found[0] or not _mixed(found[0])
                else self._fake("id", found[0][:15])
            ),
            VERSION.sub("", text),
        )
        return CUSTOM_NAME.sub(lambda found: self._name(found[0]), without_ids)

    # ---- files ----------------------------------------------------------------------------------
    def _csv(self, text: str) -> dict[str, Any]:
        delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        header, rows = (lines[0], lines[1:]) if lines else ([], [])
        shown: dict[str, Any] = {
            "columns": [self._name(name) for name in header],
            "rows": [
                [self._cell(value, name) for value, name in zip(row, header, strict=False)]
                for row in rows[:ROWS_SHOWN]
            ],
            "delimiter": "tab" if delimiter == "\t" else "comma",
            "line_ending": "CRLF" if text.partition("\n")[0].endswith("\r") else "LF",
        }
        if len(rows) > ROWS_SHOWN:
            shown["more_rows"] = len(rows) - ROWS_SHOWN
        return shown

    def _cell(self, value: str, column: str) -> str:
        if column == "sf__Error":
            code, _, message = value.partition(":")
            return f"{code if CODE.fullmatch(code) else 'code'}:{self._fake('text', message)}"
        return self._text(value)

    def _fake(self, kind: str, value: str) -> str:
        known = self._fakes.get((kind, value))
        if known is None:
            number = sum(1 for one, _ in self._fakes if one == kind) + 1
            known = self._fakes[(kind, value)] = f"{kind}-{number}"
        return known


def _mixed(text: str) -> bool:
    """Ids have digits; a long word of SOQL or of a path has none."""
    return any(one.isdigit() for one in text)


def _is_csv(text: str) -> bool:
    """A header of names in the first line; texts of a single line that are no header are none."""
    first = text.partition("\n")[0].rstrip("\r")
    names = [name.strip('"') for name in re.split("[,\t]", first)]
    return "\n" in text and all(re.fullmatch(r"[A-Za-z]\w*(\.\w+)*", name) for name in names)
