"""orgsim: a local Salesforce org with the Channel Order App.

Start one with ``python -m orgsim``; tests use :func:`orgsim.launch.running_org`. Other programs may import
`orgsim.launch` (starting orgs), `orgsim.tls` (certificates for them) and `orgsim.bulk.speed` (how fast a slow org
works); everything else is internal. The package imports neither ``coa`` nor Airflow: clients use it over HTTP only.
"""

__version__ = "0.1.0"
