"""Which function asks for which fact, what it may do, and how many records it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from coa.contract.probe_org import ProbeOrg
from coa.contract.stage import STAGE, Stage

__all__ = ["PROBES", "STAGE", "Access", "Probe", "probe"]


class Access(IntEnum):
    """What a probe does to an org; each includes those before it."""

    READ = 0
    WRITE = 1
    """Makes records, and Bulk jobs; orders only as Draft."""
    STATUS = 2
    """Makes an order something else than Draft."""


Question = Callable[[ProbeOrg, Stage], str]


@dataclass(frozen=True)
class Probe:
    """`ask` gives the answer; `writes`: the most records that it makes, by sObject."""

    ask: Question
    access: Access
    writes: dict[str, int] = field(default_factory=dict)


PROBES: dict[str, Probe] = {}


def probe(
    fact_id: str, access: Access, writes: dict[str, int] | None = None
) -> Callable[[Question], Question]:
    """Registers a function as the probe of a fact."""

    def register(ask: Question) -> Question:
        if fact_id in PROBES:
            raise ValueError(f"{fact_id} has two probes")
        PROBES[fact_id] = Probe(ask, access, writes or {})
        return ask

    return register
