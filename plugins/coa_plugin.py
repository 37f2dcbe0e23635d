"""Registers the migration page. All code is in `coa_airflow.ui`: Airflow executes every file of this folder."""

from coa_airflow.ui.plugin import CoaPlugin

__all__ = ["CoaPlugin"]
