"""What kind of run a DAG makes: the end of its id, whatever prefix the DAG factory gave it."""

from __future__ import annotations

KINDS = ("preflight", "migrate", "sync", "verify", "rollback", "relink", "contract", "setup_target")


def kind_of(dag_id: str) -> str:
    """`migrate` of `coa_migrate` and of `emea_migrate`; empty for a DAG that is named otherwise."""
    return next((kind for kind in KINDS if dag_id.endswith(f"_{kind}") and dag_id != f"_{kind}"), "")
