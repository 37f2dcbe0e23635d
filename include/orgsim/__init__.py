"""orgsim: a local Salesforce org with the Channel Order App.

Start one with ``python -m orgsim``; tests use :func:`orgsim.launch.running_org`.
The package imports neither ``coa`` nor Airflow: it is met over HTTP only.
"""

__version__ = "0.1.0"
