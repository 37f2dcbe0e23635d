"""What the checks of preflight look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from coa.config import RunParams
from coa.fields.field_map import FieldMapping
from coa.mapping.model import Mapping
from coa.preflight.capacity import Volume, volume_of
from coa.preflight.package import package_version
from coa.preflight.probe import Probe
from coa.salesforce.describe import Describe
from coa.salesforce.session import Org
from coa.staging.runs import SOURCE, TARGET, Run


@dataclass
class Orgs:
    """Who the orgs are and what their users see; a role is missing where its org did not let us in."""

    params: RunParams
    identities: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Role -> `coa.preflight.orgs.identify`."""
    describes: dict[str, dict[str, Describe]] = field(default_factory=dict)
    """Role -> sObject -> describe."""


@dataclass
class Look(Orgs):
    """All that the checks of a run may use. `_obtain` of `coa.preflight.check` fills it as far as the orgs allow."""

    run: Run = field(kw_only=True)
    orgs: dict[str, Org] = field(kw_only=True)
    whole_mapping: Mapping = field(kw_only=True)
    """With the sections of all sources."""
    probes: dict[str, Probe] = field(default_factory=dict)
    carried: dict[str, list[FieldMapping]] = field(default_factory=dict)
    """sObject -> fields, as far as they can be told before the checks (`coa.fields.saved.fitting_or_not`)."""
    filter_refused: bool = False
    """The source does not take `orders_where`."""

    @property
    def source(self) -> Probe:
        """The probe of the source."""
        return self.probes[SOURCE]

    @property
    def target(self) -> Probe:
        """The probe of the target."""
        return self.probes[TARGET]

    @cached_property
    def mapping(self) -> Mapping:
        """What the mapping file says of this source."""
        return self.whole_mapping.of_source(*self.source_names)

    @property
    def source_names(self) -> tuple[str, str]:
        """Id and connection of the source, by either of which the mapping file may name it."""
        return self.identities[SOURCE]["id"], self.params.source_conn_id

    def user_id(self, role: str) -> str:
        """Id of the user whom we act as; empty where the org does not tell."""
        return str(self.run.record.org(role).get("user_id", ""))

    @cached_property
    def versions(self) -> dict[str, tuple[int, int, int] | None]:
        """Role -> version of the Channel Order App."""
        return {role: package_version(probe) for role, probe in self.probes.items()}

    @cached_property
    def volume(self) -> Volume:
        """Records that the target is to receive; it is counted once."""
        return volume_of(self.source, self.target, self.describes[TARGET], self.params.orders_where)
