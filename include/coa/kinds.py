"""What kind of run a DAG makes: the last word of its id, whatever prefix the DAG factory gave it."""

from __future__ import annotations

KINDS = ("preflight", "migrate", "sync", "verify", "rollback", "contract")


def kind_of(dag_id: str) -> str:
    """`migrate` of `coa_migrate` and of `emea_migrate`; empty for a DAG that is named otherwise."""
    prefix, _, kind = dag_id.rpartition("_")
    return kind if prefix and kind in KINDS else ""
