"""What the mapping file says: how values are carried over where the defaults do not fit.

Plain data; reading and checking the YAML file is in `coa.mapping_file`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FieldRule:
    """How one target field gets its value.

    `source`: another source field (a rename). `constant`: this text for every record. `values`: source
    value -> target value, others stay. `default`: used where the source is empty. `truncate`: cut what
    is too long (the full text is kept as an explained difference). `drop`: do not carry the field.
    """

    source: str = ""
    constant: str | None = None
    values: dict[str, str] = field(default_factory=dict)
    default: str | None = None
    truncate: bool = False
    drop: bool = False


@dataclass(frozen=True)
class Mapping:
    """Everything a mapping file can say; the empty one is the default."""

    fields: dict[str, dict[str, FieldRule]] = field(default_factory=dict)
    """sObject -> target field -> rule."""
    contracts: dict[str, str] = field(default_factory=dict)
    """Name or id of contract terms in the source -> name or id in the target."""
    products: dict[str, dict[str, str]] = field(default_factory=dict)
    """Source contract name -> (Product_ID__c, name or id of a product) -> id, Product_ID__c or name of the
    target's product under the mapped contract. A substitute is per contract: the package compares names."""
    owners: dict[str, str] = field(default_factory=dict)
    """User name, e-mail, federation id or id in the source -> user name or id in the target."""
    lookups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """sObject -> fields by which its records are found again, best first; `A+B` joins two fields."""
    records: dict[str, dict[str, str]] = field(default_factory=dict)
    """sObject -> source record id -> target record id, for lookups that no key finds."""
    id_fields: dict[str, dict[str, str]] = field(default_factory=dict)
    """sObject -> text field that stores a record id -> sObject it points at."""
    duplicates: dict[str, str] = field(default_factory=dict)
    """Source order id -> `load`, or the id of the target order that it is."""

    def rule(self, sobject: str, field_name: str) -> FieldRule:
        return self.fields.get(sobject, {}).get(field_name, _NO_RULE)


_NO_RULE = FieldRule()
