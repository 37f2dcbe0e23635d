"""Fields and objects: what describe says of them and what the row semantics obey."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orgsim.soql.scope import Scope

#: describe type -> soapType (contract E2)
SOAP_TYPES = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "long": "xsd:long",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "time": "xsd:time",
    "base64": "xsd:base64Binary",
    "address": "urn:address",
    "location": "urn:location",
}
NUMBERS = frozenset({"double", "currency", "percent"})
IDS = frozenset({"id", "reference"})


@dataclass(slots=True)
class Field:
    """One field. ``sql`` makes a formula: it turns a scope into an SQL expression and nothing is stored.

    ``governed``: whoever has no permission set that grants it does not see it (``orgsim.field_rights``).
    """

    name: str
    label: str
    type: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    createable: bool = True
    updateable: bool = True
    nillable: bool = True
    default: object = None
    unique: bool = False
    external_id: bool = False
    case_sensitive: bool = False
    id_lookup: bool = False
    auto_number: str = ""
    calculated: bool = False
    formula: str = ""
    sql: Callable[[Scope], str] | None = None
    reference_to: tuple[str, ...] = ()
    relationship_name: str | None = None
    child_relationship: str | None = None
    master_detail: bool = False
    picklist: tuple[str, ...] = ()
    restricted: bool = False
    name_field: bool = False
    long_text: bool = False
    utf16: bool = False
    audit: bool = False
    masked: bool = False
    trims: bool = False
    trims_start: bool = False
    no_digits: bool = False
    rounds_down: bool = False
    milliseconds: bool = False
    rest_crlf_to_lf: bool = False
    rest_cr_to_lf: bool = False
    governed: bool = False
    help: str = ""

    @property
    def custom(self) -> bool:
        return self.name.endswith("__c")

    @property
    def stored(self) -> bool:
        return self.sql is None

    @property
    def polymorphic(self) -> bool:
        return len(self.reference_to) > 1

    @property
    def collation(self) -> str:
        """SQLite collation: SOQL compares ordinary text without regard to case, ids and dates exactly."""
        if self.type in ("id", "reference", "date", "datetime", "time") or self.case_sensitive:
            return "BINARY"
        return "NOCASE"

    @property
    def affinity(self) -> str:
        if self.type in NUMBERS:
            return "REAL"
        return "INTEGER" if self.type in ("boolean", "int", "long") else "TEXT"


@dataclass(slots=True)
class SObject:
    """One object and its fields, in describe's order."""

    name: str
    label: str
    plural: str
    fields: list[Field]
    prefix: str = ""
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    bulk: bool = True
    tooling: bool = False
    record_types: bool = False
    by_name: dict[str, Field] = field(default_factory=dict)
    by_relationship: dict[str, Field] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.index()

    def index(self) -> None:
        self.by_name = {one.name.lower(): one for one in self.fields}
        self.by_relationship = {
            one.relationship_name.lower(): one for one in self.fields if one.relationship_name is not None
        }

    @property
    def custom(self) -> bool:
        return self.name.endswith(("__c", "__mdt"))

    def get(self, name: str) -> Field | None:
        return self.by_name.get(name.lower())

    def __getitem__(self, name: str) -> Field:
        return self.by_name[name.lower()]

    def stored(self) -> list[Field]:
        return [one for one in self.fields if one.stored]

    def add(self, *fields: Field) -> None:
        self.fields.extend(fields)
        self.index()

    def remove(self, one: Field) -> None:
        self.fields.remove(one)
        self.index()

    @property
    def name_field(self) -> Field | None:
        return next((one for one in self.fields if one.name_field), None)

    @property
    def master(self) -> Field | None:
        return next((one for one in self.fields if one.master_detail), None)


class Schema:
    """All objects of an org, found without regard to case, and who refers to whom."""

    def __init__(self, objects: Iterable[SObject]) -> None:
        self.objects = {one.name.lower(): one for one in objects}
        #: (object, field) with full rights, for what the org itself must still see under field-level security
        self.hidden: set[tuple[str, str]] = set()

    def __iter__(self) -> Iterator[SObject]:
        return iter(self.objects.values())

    def get(self, name: str) -> SObject | None:
        return self.objects.get(name.lower())

    def __getitem__(self, name: str) -> SObject:
        return self.objects[name.lower()]

    def is_hidden(self, sobject: SObject, one: Field) -> bool:
        return (sobject.name.lower(), one.name.lower()) in self.hidden

    def visible(self, sobject: SObject, name: str) -> Field | None:
        """The field as the integration user sees it: hidden ones are as good as absent (contract E2)."""
        one = sobject.get(name)
        return None if one is None or self.is_hidden(sobject, one) else one

    def children(self, parent: str) -> Iterator[tuple[SObject, Field]]:
        """Each (object, field) that refers to ``parent``."""
        wanted = parent.lower()
        for sobject in self:
            for one in sobject.fields:
                if any(target.lower() == wanted for target in one.reference_to):
                    yield sobject, one

    def by_prefix(self, record_id: str) -> SObject | None:
        return next((one for one in self if one.prefix and one.prefix == record_id[:3]), None)
