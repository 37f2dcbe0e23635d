"""The catalogue: every fact that code or design relies on, in one order."""

from __future__ import annotations

from coa.contract.catalogue import api, app, values
from coa.contract.fact import Fact

FACTS: tuple[Fact, ...] = (*app.FACTS, *values.FACTS, *api.FACTS)
BY_ID: dict[str, Fact] = {fact.id: fact for fact in FACTS}
