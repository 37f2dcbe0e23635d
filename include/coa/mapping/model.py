"""What the mapping file says: how values are carried over where the defaults do not fit.

Plain data; reading and checking the YAML file is in `coa.mapping.file`, keeping it with a run in
`coa.mapping.store`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class FieldRule:
    """How one target field gets its value.

    `source`: another source field (a rename). `constant`: this text for every record. `values`: source
    value -> target value, others stay. `default`: used where the source is empty. `truncate`: cut what
    is too long (the full text is kept as an explained difference). `drop`: do not carry the field.
    `rewrite_links`: links to records that are moved lead to them in the target (`coa.fields.text_links`).
    """

    source: str = ""
    constant: str | None = None
    values: dict[str, str] = field(default_factory=dict)
    default: str | None = None
    truncate: bool = False
    drop: bool = False
    rewrite_links: bool = False


@dataclass(frozen=True)
class RelinkRule:
    """Which record of the target a lookup leads to:
    the moved one of the sObject `to` whose old id stands in a text field.

    In the file the text field is called `from`. `replace`: also where the lookup holds another record.
    """

    found_in: str
    to: str
    replace: bool = False


@dataclass(frozen=True)
class CustomRule:
    """A Python function over chunks of desired rows, for what configuration cannot say.

    `path` as the mapping file names it, `function` its name, `code` the module's text when the run started and
    `sha256` its hash: what is kept with the run is what is run, whatever the file says by then.
    """

    path: str
    function: str
    sha256: str = ""
    code: str = ""


@dataclass(frozen=True)
class Masking:
    """A dress rehearsal: texts are masked on the way (`coa.masking`). `keep`: sObject -> fields whose values stay."""

    keep: dict[str, tuple[str, ...]] = field(default_factory=dict)


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
    orders_where: str = ""
    """SOQL condition on the source's orders; joined by AND with the param of that name."""
    relink: dict[str, dict[str, RelinkRule]] = field(default_factory=dict)
    """sObject of the target -> its lookup -> rule; for `coa_relink` alone."""
    custom: dict[str, CustomRule] = field(default_factory=dict)
    """sObject -> custom rule, applied after everything else."""
    masking: Masking | None = None
    """None: nothing is masked."""
    sources: dict[str, Mapping] = field(default_factory=dict)
    """Id of a source org, or of the connection to it -> what is said of this source only."""
    lines: dict[str, int] = field(default_factory=dict, compare=False)
    """`section/key/key` -> line in the file, for findings about what the file names."""

    def rule(self, sobject: str, field_name: str) -> FieldRule:
        """The rule of a field; a rule without content where the file has none."""
        return self.fields.get(sobject, {}).get(field_name, _NO_RULE)

    def line(self, *path: str) -> int:
        """Line of an entry, or of the nearest entry above it; 0 when nothing is known."""
        for length in range(len(path), 0, -1):
            found = self.lines.get("/".join(path[:length]))
            if found:
                return found
        return 0

    def sections_of(self, org_id: str, connection: str) -> list[str]:
        """The keys of `sources` that mean this source: that of its connection, then that of its org id
        (15 or 18 characters), which counts more.
        """
        return [
            *(key for key in self.sources if key == connection),
            *(key for key in self.sources if org_id and key[:15] == org_id[:15]),
        ]

    def of_source(self, org_id: str, connection: str) -> Mapping:
        """What the file says of one source: its sections laid over what holds for all, entry by entry.

        `org_id` is empty as long as it is not known. Asking again changes nothing.
        """
        found = self
        for key in self.sections_of(org_id, connection):
            own = self.sources[key]
            lines = {
                path.removeprefix(f"sources/{key}/"): line
                for path, line in self.lines.items()
                if path.startswith(f"sources/{key}/")
            }
            sections: dict[str, Any] = {
                name: _laid_over(getattr(found, name), getattr(own, name)) for name in OF_A_SOURCE
            }
            found = replace(found, lines=found.lines | lines, **sections)
        return found

    def as_data(self) -> dict[str, Any]:
        """JSON-ready; `from_data` is the inverse."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Mapping:
        """A mapping from the plain data that `dataclasses.asdict` makes of one, as the run keeps it."""
        return cls(
            **{
                **data,
                "fields": {
                    sobject: {name: FieldRule(**rule) for name, rule in rules.items()}
                    for sobject, rules in data.get("fields", {}).items()
                },
                "lookups": {sobject: tuple(keys) for sobject, keys in data.get("lookups", {}).items()},
                "relink": {
                    sobject: {name: RelinkRule(**rule) for name, rule in rules.items()}
                    for sobject, rules in data.get("relink", {}).items()
                },
                "custom": {sobject: CustomRule(**rule) for sobject, rule in data.get("custom", {}).items()},
                "masking": _masking_from(data.get("masking")),
                "sources": {key: cls.from_data(own) for key, own in data.get("sources", {}).items()},
            }
        )


_NO_RULE = FieldRule()


def _masking_from(data: dict[str, Any] | None) -> Masking | None:
    return None if data is None else Masking({name: tuple(kept) for name, kept in data["keep"].items()})


OF_A_SOURCE = (
    "fields",
    "contracts",
    "products",
    "owners",
    "lookups",
    "records",
    "id_fields",
    "duplicates",
    "relink",
)
"""Sections that may be said of one source only. Which of its orders are moved is said by its runs (`orders_where`)."""


def _laid_over(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Both, down to the single entry, in which what is said of one source counts.

    >>> _laid_over({"A": {"p": "1", "q": "2"}, "B": "x"}, {"A": {"q": "3"}})
    {'A': {'p': '1', 'q': '3'}, 'B': 'x'}
    """
    return common | {
        key: _laid_over(common[key], value)
        if isinstance(value, dict) and isinstance(common.get(key), dict)
        else value
        for key, value in own.items()
    }
