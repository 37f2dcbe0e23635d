"""Questions that an org may refuse to answer. What could not be asked becomes a note, never an error.

Most of them are small and known in advance, so they are sent together (`Probe.prefetch`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coa.errors import OrgRefused, OrgUnavailable
from coa.findings.finding import Finding, finding
from coa.salesforce.composite import Read, count_of, granted, read_together, records_of
from coa.salesforce.session import Org


@dataclass
class Probe:
    """One org, and which questions it refused. `role` is `source` or `target`."""

    org: Org
    role: str
    refused: dict[str, str] = field(default_factory=dict)
    known: dict[Read, Any] = field(default_factory=dict)
    """Answers, or refusals, that were asked for ahead."""
    listing: list[Read] | None = None
    """Set: this probe asks nothing, it only lists what it would ask."""

    def prefetch(self, *checks: Callable[[Probe], object]) -> None:
        """Asks what these checks will ask, in a few calls; whatever depends on an answer they ask later themselves.

        Each check is run once with a probe that answers nothing.
        """
        scout = Probe(self.org, self.role, listing=[])
        for check in checks:
            check(scout)
        reads = list(dict.fromkeys(scout.listing or []))
        try:
            self.known |= dict(zip(reads, read_together(self.org, reads), strict=True))
        except OrgUnavailable:
            return  # each check asks for itself then, and notes what it was not told

    def quiet(self) -> Probe:
        """The same without notes: for what may well be refused."""
        return Probe(self.org, self.role, known=self.known, listing=self.listing)

    def rows(self, topic: str, soql: str, *, tooling: bool = False) -> list[dict[str, Any]] | None:
        """Records of a query; None when the org refuses it, which is then noted under `topic`."""
        answer = self._answer(topic, Read(soql=soql, tooling=tooling))
        try:
            return None if answer is None else list(records_of(self.org, answer))
        except (OrgRefused, OrgUnavailable, KeyError, TypeError) as error:
            self._note(topic, error)
            return None

    def count(self, topic: str, sobject: str, where: str = "") -> int | None:
        """Number of records, None where the org does not tell; `topic` is what is then noted as unknown."""
        answer = self._answer(topic, count_of(sobject, where))
        try:
            return None if answer is None else int(answer["totalSize"])
        except (KeyError, TypeError) as error:
            self._note(topic, error)
            return None

    def _answer(self, topic: str, read: Read) -> Any:
        if self.listing is not None:
            self.listing.append(read)
            return None
        try:
            return granted(self.known[read]) if read in self.known else read.alone(self.org)
        except (OrgRefused, OrgUnavailable) as error:
            self._note(topic, error)
            return None

    def get(self, topic: str, path: str, kind: str) -> dict[str, Any] | None:
        """A JSON object, from a path below `/services/data/vXX.X`; None where the org does not give one.

        `topic`: as for `count`. `kind`: under which name the API call is counted.
        """
        try:
            answer = self.org.data_json(path, kind=kind)
        except (OrgRefused, OrgUnavailable) as error:
            self._note(topic, error)
            return None
        return answer if isinstance(answer, dict) else None

    def _note(self, topic: str, error: Exception) -> None:
        code = error.code if isinstance(error, OrgRefused) else ""
        self.refused[topic] = code or type(error).__name__

    def findings(self) -> list[Finding]:
        """One note of all that could not be asked of this org."""
        if not self.refused:
            return []
        topics = ", ".join(f"{topic} ({code})" for topic, code in sorted(self.refused.items()))
        return [
            finding(
                "note",
                f"not_checked_{self.role}",
                count=len(self.refused),
                role=self.role,
                topics=topics,
            )
        ]


def related(record: dict[str, Any], path: str) -> Any:
    """Value of `Parent.Field` in a record of a REST query; None where the parent is empty."""
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
