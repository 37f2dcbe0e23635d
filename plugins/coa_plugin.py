"""Registers the migration page. All code is in `coa_airflow.ui`: Airflow executes every file of this folder.

Where the project is installed as a package, its entry point registers the page: a second one of the same name
would be a warning in every log and an import error in Airflow's list of plugins.
"""

from importlib.metadata import PackageNotFoundError, distribution

try:
    distribution("coa-migration")
except PackageNotFoundError:
    from coa_airflow.ui.plugin import CoaPlugin

    __all__ = ["CoaPlugin"]
