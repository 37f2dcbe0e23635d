"""Everything that imports Airflow: hook, approval gate, tasks, the DAGs and their factory, local runner.

    from coa_airflow import migration_dags

    migration_dags(source_conn_id="emea_pbo", target_conn_id="global_pbo", prefix="emea", team="channel-emea")

in a file of a DAGs folder is all that another pair of orgs needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coa_airflow.dags.factory import migration_dag, migration_dags

__all__ = ["migration_dag", "migration_dags"]


def __getattr__(name: str) -> Any:
    """Every process that reads the provider or the plugin imports this package: Airflow's SDK only comes on demand."""
    if name in __all__:
        from coa_airflow.dags import factory

        return getattr(factory, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
