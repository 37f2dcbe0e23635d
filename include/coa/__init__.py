"""Moves Channel Order App orders from one Salesforce org to another; knows nothing of Airflow."""

__version__ = "0.1.0"
