"""What can be wrong with a mapping file, and what to do next: one entry for each code.

A fault of an entry is told with its line and column (`MappingErrors`), a fault of the file as a whole by itself
(`unusable`). To add a fault: an entry here, and the reader of the section that finds it. Placeholders are those of
`coa.wording.filled`; `tests/unit/test_mapping_faults.py` compares them with the facts that the readers give. A key with
a colon is a variant of the sentence of the code before the colon.

`{place}` is the section, and the object where it is a moved one. No fact is text of the file: whoever names a file as
a mapping learns nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from yaml.nodes import Node

from coa.errors import InvalidParams
from coa.wording import Text, filled

MOST_TOLD = 50
"""Faults in one message."""
DESCRIBED = "docs/mapping.md describes the file."
SEVERAL = "correct the file (docs/mapping.md describes it) and trigger the run again."
RECORD_ID = "write the id of 15 or 18 characters, as the record's address in Salesforce shows it"
ONE_OF_TWO = "keep one of the two"

ENTRIES: dict[str, Text] = {
    # ---- shapes
    "not_pairs": Text("{place} must be `key: value` pairs, not {kind}", "write one `key: value` pair a line"),
    "not_a_key": Text("a key of {place} is {kind}", "write a name before the colon"),
    "repeated_key": Text("a key of {place} stands twice", ONE_OF_TWO),
    "unknown_key": Text("an unknown key of {place}; known are {known}", "use one of the known keys"),
    "unknown_key:close": Text("an unknown key of {place} (is '{meant}' meant?)", "correct the key"),
    "not_text": Text("{place} must be text, not {kind}", "write one value"),
    "not_a_flag": Text("{place} must be true or false", "write true or false, without quotes"),
    "empty": Text("{place} is empty", "give the key a value, or remove it"),
    "wrong_version": Text("version must be 1", "write `version: 1`, or leave it out"),
    # ---- names
    "not_moved": Text("{place}: this is none of the moved objects {objects}", "name one of these objects"),
    "not_an_object": Text(
        "{place}: this is no API name of an sObject", "write the API name, such as Account"
    ),
    "repeated_object": Text("{place}: an object stands twice, with and without the namespace", ONE_OF_TWO),
    "not_an_object:value": Text("{place}: no API name of an sObject", "write the API name, such as Account"),
    "not_a_field": Text("{place} is no API name of a field", "write the API name, such as Region__c"),
    "not_a_lookup_key": Text(
        "{place}: a key is neither a field nor fields joined by +", "write it like Name or Name+BillingCity"
    ),
    "no_field": Text("{place} names no field", "name at least one field"),
    "not_a_record": Text("{place}: no record id of 15 or 18 characters", RECORD_ID),
    # ---- sources
    "not_a_source": Text(
        "{place}: a key is neither the id of an org nor that of a connection",
        "use the org id, or the id of the Airflow connection",
    ),
    "repeated_source": Text(
        "{place}: an org stands twice, with its id of 15 and of 18 characters", ONE_OF_TWO
    ),
    # ---- rules
    "not_a_condition": Text(
        "{place} is not a SOQL condition (what follows WHERE, and no ORDER BY or LIMIT)",
        "write what would follow WHERE in a query of service orders",
    ),
    "not_a_rule": Text(
        "{place} must be {switches} or pairs of {known}", "write one of these words, or pairs of these keys"
    ),
    "dropped_with_rules": Text(
        "{place} is dropped and cannot have other rules", "remove `drop`, or the other rules"
    ),
    "constant_with_rules": Text(
        "{place} has a constant: source, values and default would have no effect",
        "remove the constant, or the other rules",
    ),
    "constant_with_links": Text(
        "{place} has a constant: no link of a record stands in it", "remove the constant, or `rewrite_links`"
    ),
    "relink_of_moved": Text(
        "{place}: coa_migrate writes this object, and coa_relink does not", "remove the object from `relink`"
    ),
    "relink_of_managed": Text(
        "{place}: a managed field of the Channel Order App or of the license apps, which is never set",
        "remove the field from `relink`",
    ),
    "not_a_relink_rule": Text(
        "{place}: a lookup needs `from`, a text field, and `to`, one of {objects}",
        "give it both, as docs/relink.md shows",
    ),
    "not_a_decision": Text(
        "{place}: a decision is neither load nor a record id",
        "write `load`, or the id of the record in the target that is the same",
    ),
    "incomplete_row": Text(
        "row {row} of {place} has no two values",
        "give each row the user of the source and that of the target",
    ),
    # ---- custom rules
    "custom_rules_off": Text(
        "custom rules are code, and are run only where {setting} is true",
        "remove `custom`, or have the deployment set {setting} on every worker",
    ),
    "not_a_function": Text(
        "{place} is not of the form file.py:function",
        "name a file and a function in it, such as rules.py:order",
    ),
    "not_python": Text("the module of a custom rule is no Python", "correct the module"),
    "not_python:line": Text("the module of a custom rule is no Python, line {line}", "correct the module"),
    "no_function": Text(
        "the module of a custom rule does not define the function", "define it, or name the right one"
    ),
    # ---- files that the file names
    "file_not_usable": Text("{said}", "correct the name, or the file"),
}

FILES: dict[str, Text] = {
    "not_yaml": Text("The mapping file {name} is not valid YAML: {said}.", SEVERAL),
    "not_usable": Text("The mapping file {name} is not usable: {said}.", "{remedy}"),
    "folder_missing": Text(
        "The environment variable {setting} does not name a folder.",
        "set it to the folder of the mapping files, on every worker, or unset it.",
    ),
    "outside_folder": Text(
        "{what} is not in a folder from which this deployment reads mapping files.",
        "put it below the folder that {folder_setting} names (by default {default}/ of the project), or let "
        "{file_setting} name it in the environment of the workers.",
    ),
    "not_readable": Text(
        "{what} cannot be read: {said}.",
        "correct the param mapping, the variable coa_mapping or the environment {file_setting}; each worker must "
        "see the file.",
    ),
    "not_utf8": Text("{what} is not UTF-8 text.", "save it as UTF-8."),
}


class Fault(NamedTuple):
    """A fault of an entry: its code, and the filled sentences."""

    code: str
    message: str
    next_step: str


def fault(key: str, **facts: object) -> Fault:
    """The fault of the catalogue's entry `key`. Raises `KeyError` for an unknown entry and for a fact that is missing.

    >>> fault("empty", place="owners")
    Fault(code='empty', message='owners is empty', next_step='give the key a value, or remove it')
    """
    entry = ENTRIES[key]
    return Fault(key.partition(":")[0], filled(entry.message, **facts), filled(entry.next_step, **facts))


def unusable(key: str, **facts: object) -> InvalidParams:
    """The error of a file that cannot be used, to be raised. Raises `KeyError` as `fault` does.

    >>> str(unusable("not_utf8", what="The mapping file a.yaml"))
    'The mapping file a.yaml is not UTF-8 text. Next step: save it as UTF-8.'
    """
    entry = FILES[key]
    return InvalidParams(filled(entry.message, **facts), next_step=filled(entry.next_step, **facts))


@dataclass
class MappingErrors:
    """Faults of a file so far, each with its line and column, which begin at 1."""

    found: list[tuple[int, int, Fault]] = field(default_factory=list)

    def add(self, node: Node, found: Fault) -> None:
        """A fault of the entry at this node."""
        self.found.append((node.start_mark.line + 1, node.start_mark.column + 1, found))

    def message(self) -> str:
        """All of them in the order of the file, the first 50 in full."""
        told = [f"line {line}, column {column}: {one.message}" for line, column, one in self._in_order()]
        more = [f"{len(told) - MOST_TOLD} more"] if len(told) > MOST_TOLD else []
        return "; ".join(told[:MOST_TOLD] + more)

    def _in_order(self) -> list[tuple[int, int, Fault]]:
        return sorted(self.found, key=lambda found: (found[0], found[1], found[2].message))

    def next_step(self) -> str:
        """That of the fault where there is only one kind, a general one otherwise."""
        steps = {one.next_step for _, _, one in self.found}
        return f"{steps.pop()}, and trigger the run again; {DESCRIBED}" if len(steps) == 1 else SEVERAL
