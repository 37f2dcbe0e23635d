"""The questions, each a small function that answers with a word of its own; `registry` has them by fact."""

from __future__ import annotations

from coa.contract.probes import app, bulk, reads, rest, values
from coa.contract.probes.registry import PROBES, STAGE, Access, Probe

__all__ = ["PROBES", "STAGE", "Access", "Probe", "app", "bulk", "reads", "rest", "values"]
