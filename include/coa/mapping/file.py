"""Reads the mapping file: YAML, checked as a whole; all faults are reported at once, with their lines.

All values are text exactly as written (`No` stays `No`, `0012` stays `0012`), so the nodes of the YAML document
are read here, not Python values made from them. What needs the orgs' describes (does the field exist?) is
checked in `coa.preflight.mapping_check`.

A fault names line and column, and words that every mapping file may contain, but never text of this file.
Otherwise somebody could read any file by naming it as a mapping.
"""

from __future__ import annotations

import ast
import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import fields as dataclass_fields
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from coa.errors import InvalidParams
from coa.mapping.faults import Fault, MappingErrors, fault, unusable
from coa.mapping.model import CustomRule, FieldRule, Mapping, Masking, RelinkRule
from coa.mapping.place import CUSTOM_RULES, Place
from coa.mapping.yaml_nodes import NoYaml, compose
from coa.model import COA_OBJECTS, LOADED, NS
from coa.soql_condition import NoCondition, check_condition

RECORD_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
API_NAME = re.compile(r"[A-Za-z]\w*")
SOURCE_KEY = re.compile(r"[\w.\-]+")
"""An org id has no other characters either."""
RELINK_KEYS = ("from", "to", "replace")
MANAGED = (NS, "sfLma__", "sfFma__")
"""Fields of the Channel Order App, the License and the Feature Management App: theirs, whatever a rule says."""
SWITCHES = ("drop", "truncate", "rewrite_links")
"""Rules of a field that may stand alone, as a word."""


def read_mapping(path: str, place: Place) -> tuple[Mapping, str]:
    """The mapping that a file says, and its text. Raises `InvalidParams` that lists every fault with its line."""
    where = place.path(path)
    text = place.read(where, f"The mapping file {path}")
    return parse_mapping(text, where, place), text


def parse_mapping(text: str, where: Path, place: Place) -> Mapping:
    """`where`: path of the file; files that it names are looked for beside it, as far as the `place` allows.

    Raises `InvalidParams` that lists every fault with its line.
    """
    try:
        root = compose(text)
    except NoYaml as invalid:
        raise unusable("not_yaml", name=where.name, said=f"{invalid.position}{invalid}") from None
    if root is None:
        return Mapping()
    faults = MappingErrors()
    reader = _Reader(faults, where.parent, place)
    mapping = reader.document(root)
    if faults.found:
        raise unusable("not_usable", name=where.name, said=faults.message(), remedy=faults.next_step())
    return mapping


class _Reader:
    """Walks the document; collects faults and the line of each entry."""

    def __init__(self, faults: MappingErrors, folder: Path, place: Place) -> None:
        self.faults = faults
        self.folder = folder
        self.place = place
        self.lines: dict[str, int] = {}

    def document(self, root: Node) -> Mapping:
        said = self._said(
            root,
            "",
            self._sections()
            | {
                "version": self._version,
                "orders_where": self._condition,
                "custom": lambda node, path: self._by_object(node, path, self._custom),
                "masking": self._masking,
                "sources": self._sources,
            },
        )
        return Mapping(**said, lines=self.lines)

    def _sections(self) -> dict[str, Callable[[Node, str], Any]]:
        """Those that a file may have for all sources and for one of them."""
        return {
            "fields": self._fields,
            "contracts": self._texts,
            "products": lambda node, path: self._by_key(node, path, self._texts),
            "owners": self._texts,
            "owners_file": self._owners_file,
            "lookups": lambda node, path: self._by_object(node, path, self._keys, loaded=False),
            "records": lambda node, path: self._by_object(node, path, self._ids, loaded=False),
            "id_fields": lambda node, path: self._by_object(node, path, self._id_fields),
            "duplicates": self._duplicates,
            "relink": lambda node, path: self._by_object(node, path, self._relink, loaded=False),
        }

    def _said(self, node: Node, path: str, sections: dict[str, Callable[[Node, str], Any]]) -> dict[str, Any]:
        """What these sections say, as fields of a `Mapping`."""
        said = {
            key: sections[key](value, f"{path}/{key}" if path else key)
            for key, value in self._entries(node, path, sections)
        }
        said.pop("version", None)
        said["owners"] = {**(said.pop("owners_file", None) or {}), **(said.get("owners") or {})}
        return {key: value for key, value in said.items() if value is not None}

    def _masking(self, node: Node, path: str) -> Masking:
        """Standing there is enough; `keep` names fields whose values stay."""
        said = dict(self._entries(node, path, ("keep",)))
        if "keep" not in said:
            return Masking()
        return Masking(self._by_object(said["keep"], f"{path}/keep", self._keys, loaded=False))

    def _sources(self, node: Node, path: str) -> dict[str, Mapping]:
        found: dict[str, Mapping] = {}
        for key, value in self._entries(node, path):
            if not SOURCE_KEY.fullmatch(key):
                self.faults.add(value, fault("not_a_source", place=path))
                continue
            found[key] = Mapping(**self._said(value, f"{path}/{key}", self._sections()))
        if len({key[:15] for key in found if RECORD_ID.fullmatch(key)}) < sum(
            1 for key in found if RECORD_ID.fullmatch(key)
        ):
            self.faults.add(node, fault("repeated_source", place=path))
        return found

    # ---- shapes -------------------------------------------------------------------------------
    def _entries(self, node: Node, path: str, known: Any = None) -> list[tuple[str, Node]]:
        """Keys and value nodes of a mapping; unknown and repeated keys are faults."""
        if _is_null(node):
            return []
        if not isinstance(node, MappingNode):
            self.faults.add(node, fault("not_pairs", place=_told(path), kind=_kind(node)))
            return []
        found: dict[str, Node] = {}
        for key_node, value in node.value:
            if not isinstance(key_node, ScalarNode):
                self.faults.add(key_node, fault("not_a_key", place=_told(path), kind=_kind(key_node)))
                continue
            key = key_node.value
            if key in found:
                self.faults.add(key_node, fault("repeated_key", place=_told(path)))
            elif known is not None and key not in known:
                self.faults.add(key_node, _unknown_key(path, key, known))
            else:
                found[key] = value
                self.lines["/".join(p for p in (path, key) if p)] = key_node.start_mark.line + 1
        return list(found.items())

    def _text(self, node: Node, path: str) -> str | None:
        if not isinstance(node, ScalarNode):
            self.faults.add(node, fault("not_text", place=_told(path), kind=_kind(node)))
            return None
        return "" if _is_null(node) else str(node.value)

    def _condition(self, node: Node, path: str) -> str | None:
        text = self._text(node, path)
        try:
            if text and text.strip():
                check_condition(text)
        except NoCondition:
            self.faults.add(node, fault("not_a_condition", place=path))
            return None
        return text

    def _flag(self, node: Node, path: str) -> bool | None:
        if isinstance(node, ScalarNode) and node.style is None and node.value.lower() in ("true", "false"):
            return bool(node.value.lower() == "true")
        self.faults.add(node, fault("not_a_flag", place=_told(path)))
        return None

    def _texts(self, node: Node, path: str) -> dict[str, str]:
        said = {key: (value, self._text(value, f"{path}/{key}")) for key, value in self._entries(node, path)}
        for value, text in said.values():
            if text == "" and path.split("/")[-1] != "values":
                self.faults.add(value, fault("empty", place=_told(path)))
        return {key: text for key, (_, text) in said.items() if text is not None}

    def _by_key(self, node: Node, path: str, read: Callable[[Node, str], Any]) -> dict[str, Any]:
        return {key: read(value, f"{path}/{key}") for key, value in self._entries(node, path)}

    def _by_object(
        self, node: Node, path: str, read: Callable[[Node, str], Any], *, loaded: bool = True
    ) -> dict[str, Any]:
        """Keys are sObjects; those of the package may stand without its namespace."""
        found = {}
        for key, value in self._entries(node, path):
            sobject = NS + key if NS + key in COA_OBJECTS else key
            if loaded and sobject not in LOADED:
                short = [name.removeprefix(NS) for name in LOADED]
                self.faults.add(value, fault("not_moved", place=_told(path), objects=short))
                continue
            if not API_NAME.fullmatch(sobject):
                self.faults.add(value, fault("not_an_object", place=_told(path)))
                continue
            if sobject in found:
                self.faults.add(value, fault("repeated_object", place=_told(path)))
            for old in [n for n in self.lines if n == f"{path}/{key}"]:
                self.lines[f"{path}/{sobject}"] = self.lines[old]
            found[sobject] = read(value, f"{path}/{sobject}")
        return found

    # ---- sections -----------------------------------------------------------------------------
    def _version(self, node: Node, path: str) -> None:
        if self._text(node, path) not in (None, "1"):
            self.faults.add(node, fault("wrong_version"))

    def _fields(self, node: Node, path: str) -> dict[str, dict[str, FieldRule]]:
        return self._by_object(
            node, path, lambda n, p: {k: r for k, r in self._by_key(n, p, self._rule).items() if r}
        )

    def _rule(self, node: Node, path: str) -> FieldRule | None:
        if isinstance(node, ScalarNode) and node.value in SWITCHES:
            switched: dict[str, Any] = {node.value: True}
            return FieldRule(**switched)
        known = [f.name for f in dataclass_fields(FieldRule)]
        if not isinstance(node, MappingNode):
            switches = [f"`{name}`" for name in SWITCHES]
            self.faults.add(node, fault("not_a_rule", place=_told(path), switches=switches, known=known))
            return None
        readers: dict[str, Callable[[Node, str], Any]] = {
            "source": self._api_name,
            "constant": self._text,
            "values": self._texts,
            "default": self._text,
            **dict.fromkeys(SWITCHES, self._flag),
        }
        said = {key: readers[key](value, f"{path}/{key}") for key, value in self._entries(node, path, known)}
        if said.get("drop") and len(said) > 1:
            self.faults.add(node, fault("dropped_with_rules", place=_told(path)))
        if said.get("constant") is not None and {"source", "values", "default"} & said.keys():
            self.faults.add(node, fault("constant_with_rules", place=_told(path)))
        if said.get("constant") is not None and said.get("rewrite_links"):
            self.faults.add(node, fault("constant_with_links", place=_told(path)))
        return FieldRule(**{key: value for key, value in said.items() if value is not None})

    def _api_name(self, node: Node, path: str) -> str | None:
        text = self._text(node, path)
        if text is not None and not API_NAME.fullmatch(text):
            self.faults.add(node, fault("not_a_field", place=_told(path)))
        return text

    def _keys(self, node: Node, path: str) -> tuple[str, ...]:
        nodes = node.value if isinstance(node, SequenceNode) else [node]
        keys = [self._text(one, path) for one in nodes]
        for one, key in zip(nodes, keys, strict=True):
            if key is not None and not all(API_NAME.fullmatch(part) for part in key.split("+")):
                self.faults.add(one, fault("not_a_lookup_key", place=_told(path)))
        if not keys:
            self.faults.add(node, fault("no_field", place=_told(path)))
        return tuple(key for key in keys if key)

    def _ids(self, node: Node, path: str) -> dict[str, str]:
        said = self._texts(node, path)
        for key, value in self._entries_again(node):
            for text in (key, said.get(key, "")):
                if text and not RECORD_ID.fullmatch(text):
                    self.faults.add(value, fault("not_a_record", place=_told(path)))
        return said

    def _entries_again(self, node: Node) -> list[tuple[str, Node]]:
        return [(k.value, v) for k, v in node.value] if isinstance(node, MappingNode) else []

    def _id_fields(self, node: Node, path: str) -> dict[str, str]:
        said = self._texts(node, path)
        for key, value in self._entries_again(node):
            if said.get(key) and not API_NAME.fullmatch(said[key]):
                self.faults.add(value, fault("not_an_object:value", place=_told(path)))
        return {key: NS + name if NS + name in COA_OBJECTS else name for key, name in said.items()}

    def _relink(self, node: Node, path: str) -> dict[str, RelinkRule]:
        if path.rsplit("/", 1)[-1].startswith(NS):
            self.faults.add(node, fault("relink_of_moved", place=_told(path)))
            return {}
        found = {}
        for name, value in self._entries(node, path):
            if not API_NAME.fullmatch(name):
                self.faults.add(value, fault("not_a_field", place=f"a key of {_told(path)}"))
            elif name.startswith(MANAGED):
                self.faults.add(value, fault("relink_of_managed", place=_told(path)))
            elif rule := self._relink_rule(value, f"{path}/{name}"):
                found[name] = rule
        return found

    def _relink_rule(self, node: Node, path: str) -> RelinkRule | None:
        readers: dict[str, Callable[[Node, str], Any]] = {
            "from": self._api_name,
            "to": self._api_name,
            "replace": self._flag,
        }
        said = {
            key: readers[key](value, f"{path}/{key}") for key, value in self._entries(node, path, RELINK_KEYS)
        }
        to = said.get("to") or ""
        to = NS + to if NS + to in LOADED else to
        if not said.get("from") or to not in LOADED:
            short = [one.removeprefix(NS) for one in LOADED]
            self.faults.add(node, fault("not_a_relink_rule", place=_told(path), objects=short))
            return None
        return RelinkRule(said["from"], to, bool(said.get("replace")))

    def _duplicates(self, node: Node, path: str) -> dict[str, str]:
        said = self._texts(node, path)
        for key, value in self._entries_again(node):
            if not RECORD_ID.fullmatch(key):
                self.faults.add(value, fault("not_a_record", place=_told(path)))
            text = said.get(key, "load")
            if text != "load" and not RECORD_ID.fullmatch(text):
                self.faults.add(value, fault("not_a_decision", place=_told(path)))
        return said

    def _owners_file(self, node: Node, path: str) -> dict[str, str]:
        """A CSV with a header and two columns: the source's user, the target's user."""
        text = self._text(node, path)
        if not text:
            return {}
        try:
            content = self.place.read(self.folder / text, _told(path))
        except InvalidParams as error:
            self.faults.add(node, fault("file_not_usable", said=error.message.rstrip(".")))
            return {}
        owners: dict[str, str] = {}
        for number, row in enumerate(csv.reader(content.lstrip("\ufeff").splitlines()), 1):
            if number == 1 or not any(row):
                continue
            if len(row) < 2 or not row[0].strip() or not row[1].strip():
                self.faults.add(node, fault("incomplete_row", place=_told(path), row=number))
            else:
                owners[row[0].strip()] = row[1].strip()
        return owners

    def _custom(self, node: Node, path: str) -> CustomRule | None:
        text = self._text(node, path)
        if text is None:
            return None
        file, _, function = text.rpartition(":")
        if not self.place.custom_rules:
            self.faults.add(node, fault("custom_rules_off", setting=CUSTOM_RULES))
            return None
        if not file.endswith(".py") or not function.isidentifier():
            self.faults.add(node, fault("not_a_function", place=_told(path)))
            return None
        try:
            code = self.place.read_rules(self.folder / file, "the module of a custom rule")
            tree = ast.parse(code)
        except InvalidParams as error:
            self.faults.add(node, fault("file_not_usable", said=error.message.rstrip(".")))
            return None
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = error.lineno if isinstance(error, SyntaxError) else None
            self.faults.add(node, fault("not_python:line", line=line) if line else fault("not_python"))
            return None
        if not any(isinstance(one, ast.FunctionDef) and one.name == function for one in tree.body):
            self.faults.add(node, fault("no_function"))
            return None
        return CustomRule(file, function, sha256(code.encode()).hexdigest(), code)


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _kind(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "pairs"
    return "a list" if isinstance(node, SequenceNode) else "text"


def _told(path: str) -> str:
    """A place in the file by the words that every mapping file has: its section,
    and the object where it is a moved one."""
    words = path.split("/")
    of_a_source = words[0] == "sources"
    named = [part for n, part in enumerate(words) if not n or (n == 2 and of_a_source) or part in LOADED]
    return "/".join(filter(None, named)) or "the file"


def _unknown_key(path: str, key: str, known: Iterable[str]) -> Fault:
    close = get_close_matches(key, list(known), 1)
    if close:
        return fault("unknown_key:close", place=_told(path), meant=close[0])
    return fault("unknown_key", place=_told(path), known=list(known))
