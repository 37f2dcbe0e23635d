"""One org: schema, records, rules, sessions, jobs and counters, held together."""

from __future__ import annotations

import random
from collections import Counter

from orgsim.bulk.jobs import Jobs
from orgsim.bulk.locks import Locks
from orgsim.clock import Clock
from orgsim.content.rules import Content
from orgsim.cursors import Cursors
from orgsim.dml import Dml
from orgsim.facts import Facts
from orgsim.faults import Faults
from orgsim.ids import DIGITS, IdSpace
from orgsim.metadata import Deployment
from orgsim.package import Package
from orgsim.rollups import Rollups
from orgsim.schema.build import build
from orgsim.sessions import Sessions
from orgsim.settings import Settings
from orgsim.soql.compile import Compiler
from orgsim.store import Store


class Org:
    """Everything that one simulated org is; the HTTP layer and the Bulk workers share it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: behaviour that is switched by facts; it comes first, for it changes settings
        self.facts = Facts(settings)
        self.clock = Clock()
        self.clock.offset = settings.created_date_drift
        maker = random.Random(f"org {settings.ids_of}")
        self.pod = maker.choice("ABCDEFGHJKL") + maker.choice(DIGITS)
        self.id = settings.org_id or IdSpace("00D", self.pod).make(maker.randrange(62**4, 62**6))
        self.random = random.Random(maker.random())
        self.schema = build(settings)
        self.facts.shape(self.schema)
        self.store = Store(self.schema, self.pod)
        self.compiler = Compiler(self.schema, self.clock)
        self.package = Package(self)
        self.rollups = Rollups(self)
        self.content = Content(self)
        self.dml = Dml(self)
        self.sessions = Sessions(self)
        self.faults = Faults(self)
        self.jobs = Jobs(self)
        self.locks = Locks()
        self.cursors = Cursors()
        #: id of the integration user, set by seeding
        self.user_id = ""
        #: API calls of the day by kind
        self.calls: Counter[str] = Counter()
        #: bytes of bodies as they went over the wire, `in` to the org and `out` of it; not those of /control
        self.traffic: Counter[str] = Counter()
        #: what was planted on purpose, for tests to compare with
        self.planted: dict[str, object] = {}
        self.base_url = ""
        #: orders that a run of the draft-submitting job has sent, in the order of their first sending
        self.submitted_drafts: dict[str, None] = {}
        #: deployments of the Metadata API by id
        self.deployments: dict[str, Deployment] = {}

    def stamps(self) -> dict[str, str]:
        """System fields of a record that the org's own set-up makes now."""
        now = self.clock.stamp()
        return {"CreatedDate": now, "LastModifiedDate": now, "SystemModstamp": now}

    @property
    def api_usage(self) -> int:
        return self.calls["api"]
