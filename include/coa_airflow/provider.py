"""What Airflow's list of providers says of this package (entry point `apache_airflow_provider`)."""

from __future__ import annotations

from typing import Any

from coa import __version__


def get_provider_info() -> dict[str, Any]:
    """Read in every Airflow process: nothing heavy may be imported for it.

    The connection type `salesforce` belongs to the Salesforce provider, and the plugin has an entry point of
    its own, so neither is named here.
    """
    return {
        "package-name": "coa-migration",
        "name": "Channel Order App migration",
        "description": "Moves Salesforce Channel Order App orders from one org to another, and proves it "
        "field by field.",
        "versions": [__version__],
    }
