"""Questions that an org may refuse to answer: what could not be asked becomes a note, never an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coa.errors import OrgRefused, OrgUnavailable
from coa.salesforce.session import Org
from coa.staging.runs import Finding


@dataclass
class Probe:
    """One org, and what it would not tell. `role` is `source` or `target`."""

    org: Org
    role: str
    refused: dict[str, str] = field(default_factory=dict)

    def rows(self, topic: str, soql: str, *, tooling: bool = False) -> list[dict[str, Any]] | None:
        """Records of a query; None when the org refuses it, which is then noted under `topic`."""
        try:
            return list(self.org.query(soql, tooling=tooling))
        except (OrgRefused, OrgUnavailable, KeyError, TypeError) as error:
            self._note(topic, error)
            return None

    def count(self, topic: str, sobject: str, where: str = "") -> int | None:
        try:
            return self.org.count(sobject, where)
        except (OrgRefused, OrgUnavailable, KeyError, TypeError) as error:
            self._note(topic, error)
            return None

    def get(self, topic: str, path: str, kind: str) -> dict[str, Any] | None:
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
            Finding(
                "note",
                f"not_checked_{self.role}",
                f"The {self.role} org did not let us check: {topics}.",
                f"look at these in the {self.role} org's Setup, or give the user of coa_{self.role} the "
                "permission View Setup and Configuration and run preflight again.",
                count=len(self.refused),
            )
        ]


def quoted(names: list[str] | tuple[str, ...]) -> str:
    """SOQL list of texts: `'a','b'`."""
    return ",".join("'" + n.replace("\\", "\\\\").replace("'", "\\'") + "'" for n in names)


def related(record: dict[str, Any], path: str) -> Any:
    """Value of `Parent.Field` in a record of a REST query; None where the parent is empty."""
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
